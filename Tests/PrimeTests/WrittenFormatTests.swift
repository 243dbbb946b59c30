import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("What a writeback connector writes")
struct WrittenFormatTests {
  @Test func `is compared in the picture's own width where it can be`() {
    func choice(_ picture: Fourcc, _ formats: Set<Fourcc>, overlay: (Fourcc, Int)? = nil) -> String? {
      WrittenFormat(for: picture, overlay: overlay.map { (format: $0.0, alpha: $0.1) }, among: formats).map {
        "\($0.fourcc.name) \($0.tolerance.eightBitSteps)"
      }
    }
    let both: Set<Fourcc> = [.xrgb8888, .xrgb16161616]
    #expect(choice(.xrgb8888, both) == "XRGB8888 0")
    #expect(choice(.argb16161616, both) == "XRGB16161616 0")
    #expect(choice(.argb16161616, [.xrgb8888]) == "XRGB8888 1")
    #expect(choice(.rgb565, both) == "XRGB8888 9")
    #expect(choice(.xrgb8888, both, overlay: (.argb8888, 128)) == "XRGB8888 1")
    #expect(choice(.nv12, both) == nil)
    // Ten bits are compared where they can only be eight bits widened.
    #expect(choice(.xrgb8888, [.xrgb2101010]) == "XRGB2101010 0")
    #expect(choice(.abgr8888, [.xrgb2101010], overlay: (.argb8888, 255)) == "XRGB2101010 0")
    #expect(choice(.xrgb8888, [.xrgb2101010], overlay: (.argb8888, 128)) == nil)
    #expect(choice(.rgb565, [.xrgb2101010]) == nil)
    #expect(choice(.xrgb8888, [.xrgb2101010, .xrgb8888]) == "XRGB8888 0")
    #expect(choice(.xrgb8888, [.nv12]) == nil)
  }

  @Test func `widens eight bits to ten by one of three rules`() {
    func values(_ rule: ComponentWidening) -> [UInt32] { [0, 1, 63, 64, 128, 254, 255].map(rule.widened) }
    #expect(values(.shifted) == [0, 4, 252, 256, 512, 1016, 1020])
    #expect(values(.replicated) == [0, 4, 252, 257, 514, 1019, 1023])
    #expect(values(.nearest) == [0, 4, 253, 257, 514, 1019, 1023])
    for rule in ComponentWidening.allCases {
      #expect((0..<256).allSatisfy { rule.widened($0) >> 2 == $0 })
    }
  }

  /// 256 pixels a row whose three components are every number of eight bits, in two rows with a wide pitch.
  private func written(_ rule: ComponentWidening) throws -> (bytes: [UInt8], layout: PictureLayout) {
    let layout = try PictureLayout(
      format: try #require(PixelFormat(.xrgb2101010)), width: 256, height: 2,
      planes: [PlaneLayout(offset: 0, pitch: 1088)])
    var bytes = [UInt8](repeating: 0x55, count: layout.byteCount)
    for y in 0..<2 {
      for x in 0..<256 {
        let (red, green, blue) = (UInt32(x), UInt32(255 - x), UInt32(x ^ 0x5a))
        let unused: UInt32 = 3 << 30
        let element = unused | rule.widened(red) << 20 | rule.widened(green) << 10 | rule.widened(blue)
        for byte in 0..<4 { bytes[y * 1088 + x * 4 + byte] = UInt8(truncatingIfNeeded: element >> (8 * UInt32(byte))) }
      }
    }
    return (bytes, layout)
  }

  @Test(arguments: ComponentWidening.allCases)
  func `comes back as the eight bits that it was made of`(_ rule: ComponentWidening) throws {
    let (bytes, layout) = try written(rule)
    let narrow = try ComponentWidening.narrowed(bytes.span, layout: layout).get()
    #expect(narrow.layout.planes[0].pitch == 1024)
    let row = (0..<256).flatMap { (x: Int) -> [UInt8] in [UInt8(x ^ 0x5a), UInt8(255 - x), UInt8(x), 0xff] }
    #expect(narrow.bytes == row + row)
  }

  @Test(arguments: ComponentWidening.allCases)
  func `is not believed where one bit is no rule's`(_ rule: ComponentWidening) throws {
    let (bytes, layout) = try written(rule)
    // The second row, blue of the pixel that holds 64: 256, 257 or 257, so 258 is nobody's.
    var damaged = bytes
    let place = 1088 + (64 ^ 0x5a) * 4
    damaged[place] = 0x02
    let answer = try ComponentWidening.narrowed(damaged.span, layout: layout)
    guard case .failure(let pixel) = answer else {
      Issue.record("a picture of ten bits passed for one of eight")
      return
    }
    #expect((pixel.x, pixel.y) == (64 ^ 0x5a, 1))

  }

  @Test func `is not believed where two rules take turns`() throws {
    var (bytes, layout) = try written(.shifted)
    let other = try written(.replicated).bytes
    bytes.replaceSubrange(1088..<1088 + 1024, with: other[1088..<1088 + 1024])
    #expect(throws: ComponentWidening.Unexplained.self) {
      _ = try ComponentWidening.narrowed(bytes.span, layout: layout).get()
    }
  }
}
