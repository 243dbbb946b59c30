import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("A scanout on the fake kernel")
struct ScanoutPlanesTests {
  private static let path = Fixture.importerNode.path

  /// 64x48 from the maker on the taker's writeback connector.
  private func request(_ size: String = "64x48") -> ScanoutRequest {
    var request = ScanoutRequest(
      exporter: Exporter(name: "maker", node: Fixture.exporterNode, allocator: .dumb), displayName: "taker",
      display: Fixture.importerNode, format: Fixture.format("XRGB8888"), seed: 7, deadline: Fixture.deadline)
    request.mode = ModeRequest(parsing: size)
    return request
  }

  private func withOverlay(_ change: (inout ScanoutRequest.Overlay) -> Void = { _ in }) -> ScanoutRequest {
    var overlay = ScanoutRequest.Overlay(
      exporter: Exporter(name: "udmabuf", node: nil, allocator: .udmabuf), format: Fixture.format("XRGB8888"))
    overlay.size = (16, 12)
    overlay.place = (40, 30)
    change(&overlay)
    var request = request()
    request.overlay = overlay
    return request
  }

  /// Runs it and looks that the display is as before and nothing is open.
  private func run(
    _ request: ScanoutRequest, on kernel: FakeKernel = Fixture.kernel(),
    sourceLocation: SourceLocation = #_sourceLocation
  ) -> ScanoutCheck.Outcome {
    let before = kernel.shown(on: Self.path)
    var request = request
    request.deadline = kernel.deadline
    let outcome = ScanoutCheck(request, kernel: kernel).run()
    #expect(kernel.shown(on: Self.path) == before, sourceLocation: sourceLocation)
    kernel.expectNothingLeft(sourceLocation: sourceLocation)
    return outcome
  }

  private func expectRefusal(
    _ report: ScanoutReport, _ call: String, _ outcome: String, _ reason: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(report.verdict == .refused, sourceLocation: sourceLocation)
    #expect(report.call == call, sourceLocation: sourceLocation)
    #expect(report.outcome == outcome, sourceLocation: sourceLocation)
    #expect(report.reason == "taker (/dev/dri/card1): \(reason)", sourceLocation: sourceLocation)
  }

  @Test func `fills formats that no picture can be drawn in with seeded bytes`() {
    var request = request()
    request.format = Fixture.format("NV12")
    #expect(request.content(of: 3) == .pattern(Pattern(seed: 7, index: 3)))
    #expect(request.wrongContent == .pattern(Pattern(seed: 6, index: 0)))
  }

  // MARK: - Two planes

  @Test func `shows two exporters on two planes of one CRTC`() throws {
    let outcome = run(withOverlay())
    #expect(outcome.report.verdict == .proven)
    #expect(outcome.report.reason == nil)
    #expect(outcome.report.tolerance == 0)
    #expect(outcome.report.restored == true)
    let overlay = try #require(outcome.report.overlay)
    #expect(overlay.exporter == "udmabuf")
    #expect(overlay.plane == FakeDevice.overlayPlane)
    #expect(overlay.planeKind == .overlay)
    #expect(overlay.rectangle == .init(x: 40, y: 30, width: 16, height: 12))
    // The overlay's pixels lie inside of its rectangle and nowhere else.
    let picture = try #require(outcome.captured)
    let above = withOverlay().overlayColours(of: 0, width: 16, height: 12)
    let below = try withOverlay().colours(of: 0, width: 64, height: 48)
    #expect(picture[39, 29] == below[39, 29])
    #expect(picture[40, 30] == above[0, 0])
    #expect(picture[55, 41] == above[15, 11])
    #expect(picture[56, 42] == below[56, 42])
    #expect(above[0, 0] != below[40, 30])
  }

  @Test func `tells an overlay that is not shown, or shown elsewhere`() throws {
    for fault in ["CRTC_X", "CRTC_Y"] {
      let kernel = Fixture.kernel()
      kernel.misbehave { $0.ignoresPlace = fault }
      let report = run(withOverlay(), on: kernel).report
      #expect(report.verdict == .mismatch)
      #expect(report.reason?.hasPrefix("frame 0: writeback on taker sees something else: ") == true)
      #expect(report.restored == true)
    }
  }

  @Test func `names a display without a second plane`() {
    var importer = Fixture.importer
    importer.hasOverlay = false
    expectRefusal(
      run(withOverlay(), on: Fixture.kernel(importer: importer)).report, "scanout", "unsupported",
      "CRTC 0 has no second plane: neither an overlay nor a cursor plane feeds it")
  }

  @Test func `names an overlay outside of the mode`() {
    for place in [(64, 30), (-16, 0), (0, 48), (0, -12)] {
      expectRefusal(
        run(withOverlay { $0.place = place }).report, "scanout", "unsuitable",
        "nothing of an overlay of 16x12 at (\(place.0),\(place.1)) lies within the mode 64x48")
    }
  }

  @Test func `compares what is left of an overlay that lies partly outside of the screen`() throws {
    for place in [(48, 36), (63, 47), (-15, -11), (-3, 40)] {
      let outcome = run(withOverlay { $0.place = place })
      #expect(outcome.report.verdict == .proven, "\(place)")
      let above = withOverlay().overlayColours(of: 0, width: 16, height: 12)
      let (x, y) = (max(0, place.0), max(0, place.1))
      #expect(try #require(outcome.captured)[x, y] == above[x - place.0, y - place.1])
    }
  }

  @Test func `shows a picture on the plane that its CRTC has, or on a free one`() {
    var importer = Fixture.importer
    importer.hasForeignPlane = true
    for showsPicture in [true, false] {
      importer.showsPicture = showsPicture
      let report = run(request(), on: Fixture.kernel(importer: importer)).report
      #expect(report.verdict == .proven)
      #expect(report.plane == FakeDevice.primaryPlane)
    }
  }

  @Test func `names a format that the second plane does not fetch, before the kernel is asked`() {
    let kernel = Fixture.kernel()
    expectRefusal(
      run(withOverlay { $0.format = Fixture.format("RGB565") }, on: kernel).report, "scanout", "unsuitable",
      "plane \(FakeDevice.overlayPlane) does not fetch RGB565: it lists XRGB8888, NV12")
    #expect(kernel.count(of: .kmsAddFramebuffer) == 0)
    #expect(kernel.count(of: .kmsCommit) == 0)
  }

  @Test func `says that it was the overlay's buffer that was refused`() {
    let kernel = Fixture.kernel()
    // Two buffers of the maker are imported before the overlay's.
    kernel.fail(.primeFDToHandle, with: .notImplemented, onCall: 3)
    let report = run(withOverlay(), on: kernel).report
    #expect(report.verdict == .refused)
    #expect(report.refusedBy == .either)
    #expect(report.reason?.hasPrefix("taker (/dev/dri/card1): the overlay's buffer from udmabuf: ") == true)
  }

  @Test func `says that it is the second plane that the kernel refuses`() {
    let kernel = Fixture.kernel()
    kernel.fail(.kmsCommit, with: .invalidArgument, onCall: 2)
    expectRefusal(
      run(withOverlay(), on: kernel).report, "DRM_IOCTL_MODE_ATOMIC", "EINVAL",
      "it shows the picture alone, and refuses 16x12 XRGB8888 at (40,30) on its overlay plane "
        + "\(FakeDevice.overlayPlane): try another size for the overlay")
  }

  // MARK: - Several displays

  @Test func `shows the same buffers on two displays, each with a verdict of its own`() throws {
    var third = Fixture.importer
    third.driver = "third"
    third.primary = "/dev/dri/card2"
    let kernel = FakeKernel([Fixture.exporter, Fixture.importer, third])
    var request = request()
    request.displays.append(.init(name: "third", node: DRMNode(path: "/dev/dri/card2", kind: .primary)))
    let before = kernel.shown(on: "/dev/dri/card2")
    let report = run(request, on: kernel).report
    #expect(kernel.shown(on: "/dev/dri/card2") == before)
    #expect(report.verdict == .proven)
    #expect(report.alongside?.map(\.display) == ["third"])
    #expect(report.alongside?.map(\.verdict) == [.proven])
    #expect(report.alongside?.map(\.restored) == [true])
    // Two buffers that both displays show, and each display's own target.
    #expect(kernel.count(of: .createDumb) == 4)
    #expect(kernel.count(of: .primeFDToHandle) == 6)
  }

  @Test func `blames the display that ends it, and puts both back`() throws {
    var third = Fixture.importer
    third.driver = "third"
    third.primary = "/dev/dri/card2"
    third.refusesImports = .notImplemented
    let kernel = FakeKernel([Fixture.exporter, Fixture.importer, third])
    var request = request()
    request.displays.append(.init(name: "third", node: DRMNode(path: "/dev/dri/card2", kind: .primary)))
    let report = run(request, on: kernel).report
    #expect(report.verdict == .untested)
    #expect(report.reason == "not shown to the end, since third ended it: see there")
    #expect(report.alongside?.map(\.verdict) == [.refused])
    #expect(report.alongside?.map(\.errno) == ["ENOSYS"])
  }

  // MARK: - Buffers that do not fit

  @Test(arguments: [UInt32(64), 128, 256])
  func `says which pitch a display wants`(multiple: UInt32) {
    var exporter = Fixture.exporter
    exporter.dumbPitchAlignment = 4
    var importer = Fixture.importer
    importer.pitchMultiple = multiple
    let taken: UInt32 = [64: 192, 128: 384, 256: 256][multiple, default: 0]
    expectRefusal(
      run(request("33x16"), on: Fixture.kernel(exporter: exporter, importer: importer)).report,
      "drmModeAddFB2WithModifiers", "EINVAL",
      "it refuses the pitch of 132 bytes and takes \(taken), so it wants a multiple of \(multiple): allocate with "
        + "GBM, or choose a mode whose rows are such a multiple")
  }

  @Test func `says that a buffer is smaller than its picture`() throws {
    let kernel = Fixture.kernel()
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      let object = try DumbAllocator(device: device.reopened()).allocate(Fixture.request)
      let buffer = try object.export(.readWrite).takeFirst()
      let handle = try GEMHandle(importing: buffer, into: device)
      let layout = try PictureLayout(
        format: Fixture.format("XRGB8888"), width: 32, height: 17, planes: [PlaneLayout(offset: 0, pitch: 128)])
      #expect(
        Framebuffer.refusalReason(
          of: handle, BufferDescription(layout: layout, modifier: .linear), byteCount: 2048)
          == "the buffer has 2048 bytes, and 32x17 XRGB8888 with a pitch of 128 needs 2176: it is smaller than the "
          + "picture")
    }
    kernel.expectNothingLeft()
  }

  @Test func `says that a buffer is smaller than the mode`() throws {
    let kernel = Fixture.kernel()
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      let object = try DumbAllocator(device: device.reopened()).allocate(Fixture.request)
      let buffer = try object.export(.readWrite).takeFirst()
      let framebuffer = try Framebuffer(GEMHandle(importing: buffer, into: device), object.description)
      let pipe = try DisplayPipe(DisplayRoute(on: device, to: .writeback))
      let picture = DisplayPipe.Picture(framebuffer: framebuffer.id, shown: (64, 48))
      let error = primeError {
        try pipe.show(
          picture, mode: try DisplayMode.withoutWire(width: 64, height: 48), deadline: Fixture.deadline)
      }
      expect(error, is: "DRM_IOCTL_MODE_ATOMIC", .noSpace, on: "taker (/dev/dri/card1)")
      #expect(
        error?.reason
          == "the buffer is smaller than what is to be shown of it: it must be at least as large as the mode")
      try pipe.close()
    }
    kernel.expectNothingLeft()
  }
}

@Suite("A picture above another")
struct CompositionTests {
  @Test func `replaces what is below it where it is opaque`() {
    let below = RGBImage(width: 3, height: 2, pixels: [1, 2, 3, 4, 5, 6])
    let above = RGBImage(width: 2, height: 1, pixels: [0xff_ffff, 0xaa_bbcc])
    #expect(
      below.composed(with: above, alpha: 255, at: (1, 1)).pixels == [1, 2, 3, 4, 0xff_ffff, 0xaa_bbcc])
  }

  @Test func `lets through what its alpha leaves, to the nearest`() {
    // 255 * 128 / 255 = 128; 127 of 255 of 255, 100 and 1 are 127, 49.8 and 0.498.
    let above = RGBImage(width: 1, height: 1, pixels: [0xff_00_01]).multiplied(byAlpha: 128)
    #expect(above.pixels == [0x80_00_01])
    let below = RGBImage(width: 1, height: 1, pixels: [0xff_64_01])
    #expect(below.composed(with: above, alpha: 128, at: (0, 0)).pixels == [0xff_32_01])
  }

  @Test func `is written with the same alpha in every pixel`() throws {
    let request = ScanoutRequest(
      exporter: Exporter(name: "maker", node: nil, allocator: .udmabuf), displayName: "taker",
      display: Fixture.importerNode, format: Fixture.format("XRGB8888"), seed: 7, deadline: Fixture.deadline)
    let content = OverlayContent(request, alpha: 100, frame: 0, width: 3, height: 2)
    let layout = try PictureLayout(
      format: Fixture.format("ARGB8888"), width: 3, height: 2, planes: [PlaneLayout(offset: 0, pitch: 16)])
    var bytes = [UInt8](repeating: 0xee, count: 32)
    var span = bytes.mutableSpan
    try content.fill(&span, layout: layout)
    #expect([3, 7, 11, 19, 23, 27].allSatisfy { bytes[$0] == 100 })
    // Premultiplied: no component is more than alpha; what pads the row is as it was.
    #expect([0, 1, 2, 4, 5, 6, 8, 9, 10].allSatisfy { bytes[$0] <= 100 })
    #expect(bytes[12..<16].allSatisfy { $0 == 0xee })
    #expect(
      RGBImage(width: 3, height: 1, pixels: Array(content.colours.pixels[0..<3]))
        == (try RGBImage(
          decoding: bytes.span,
          layout: PictureLayout(
            format: Fixture.format("ARGB8888"), width: 3, height: 1, planes: [PlaneLayout(offset: 0, pitch: 16)]))))
  }
}
