import Prime
import PrimeVerify
import Testing

extension OnARealKernel {
  @Suite("Two planes of one CRTC")
  struct Blending {
    /// The rule by itself, with other arithmetic than the library's.
    private func blended(_ above: UInt32, over below: UInt32, alpha: Double) -> UInt32 {
      [UInt32(16), 8, 0].reduce(0) { result, shift in
        let upper = (Double(above >> shift & 0xff) * alpha / 255).rounded()
        let lower = (Double(below >> shift & 0xff) * (255 - alpha) / 255).rounded()
        return result | UInt32(upper + lower) << shift
      }
    }

    /// A bound of one step is allowed for engines that round otherwise; vkms needs none of it.
    @Test(arguments: [16, 100, 128, 254, 255])
    func `are blended by vkms without a component of difference`(_ alpha: Int) throws {
      try Lab.require(.udmabuf)
      let vkms = try Lab.open("vkms")
      let vgem = try Lab.open("vgem")
      let format = try #require(PixelFormat(.xrgb8888))
      var request = ScanoutRequest(
        exporter: Exporter(name: "vgem", node: vgem.node, allocator: .dumb), displayName: "vkms", display: vkms.node,
        format: format, seed: 7, deadline: Lab.deadline)
      request.mode = ModeRequest(parsing: "160x120")
      request.content = .picture(.gradient)
      var overlay = ScanoutRequest.Overlay(
        exporter: Exporter(name: "udmabuf", node: nil, allocator: .udmabuf),
        format: try #require(PixelFormat(.argb8888)))
      overlay.size = (64, 48)
      overlay.place = (90, 60)
      overlay.alpha = alpha
      request.overlay = overlay
      let outcome = ScanoutCheck(request).run()
      #expect(outcome.report.verdict == .proven)
      #expect(outcome.leaks.isClean)
      let captured = try #require(outcome.captured)
      let below = TestPicture.gradient.rendered(width: 160, height: 120)
      let above = TestPicture.checker.rendered(width: 64, height: 48)
      var differing = 0
      for y in 0..<120 {
        for x in 0..<160 {
          let isCovered = (90..<154).contains(x) && (60..<108).contains(y)
          let expected =
            isCovered ? blended(above[x - 90, y - 60], over: below[x, y], alpha: Double(alpha)) : below[x, y]
          if captured[x, y] != expected { differing += 1 }
        }
      }
      #expect(differing == 0)
    }
  }
}
