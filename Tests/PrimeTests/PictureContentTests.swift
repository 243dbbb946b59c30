import Prime
import PrimeVerify
import Testing

/// Memory with content in it; what is outside of the picture stays 0xee.
private struct Canvas {
  let layout: PictureLayout
  var bytes: [UInt8]

  init(_ fourcc: Fourcc, width: Int, height: Int, offset: Int = 0, padding: Int = 0, tail: Int = 0) throws {
    let rowBytes = width * format(fourcc).planes[0].bytesPerElement
    let place = PlaneLayout(offset: offset, pitch: rowBytes + padding)
    layout = try PictureLayout(format: format(fourcc), width: width, height: height, planes: [place])
    bytes = [UInt8](repeating: 0xee, count: layout.byteCount + tail)
  }

  mutating func fill(_ content: PictureContent) throws {
    let layout = layout
    var span = bytes.mutableSpan
    try content.fill(&span, layout: layout)
  }

  func compare(_ content: PictureContent, steps: Int = 0) throws -> PictureDifference? {
    try content.compare(bytes.span, layout: layout, tolerance: ComponentTolerance(eightBitSteps: steps))
  }

  func decoded() throws -> RGBImage { try RGBImage(decoding: bytes.span, layout: layout) }
}

@Suite("Pictures in memory")
struct PictureContentTests {
  static let colours = RGBImage(width: 4, height: 1, pixels: [0x123456, 0x800304, 0xffffff, 0x000000])

  /// The four pixels in each format as little-endian numbers, worked out by hand from `drm_fourcc.h`.
  static let written: [(format: Fourcc, elements: [UInt64])] = [
    (.xrgb8888, [0xff12_3456, 0xff80_0304, 0xffff_ffff, 0xff00_0000]),
    (.argb8888, [0xff12_3456, 0xff80_0304, 0xffff_ffff, 0xff00_0000]),
    (.xbgr8888, [0xff56_3412, 0xff04_0380, 0xffff_ffff, 0xff00_0000]),
    (.abgr8888, [0xff56_3412, 0xff04_0380, 0xffff_ffff, 0xff00_0000]),
    // 0x12 = 18: 2.19 of 31; 0x34 = 52: 12.85 of 63; 0x56 = 86: 10.45 of 31. 0x80: 15.56; 3: 0.74 of 63; 4: 0.49 of 31.
    (.rgb565, [2 << 11 | 13 << 5 | 10, 16 << 11 | 1 << 5, 0xffff, 0]),
    (.xrgb16161616, [0xffff_1212_3434_5656, 0xffff_8080_0303_0404, .max, 0xffff_0000_0000_0000]),
    (.argb16161616, [0xffff_1212_3434_5656, 0xffff_8080_0303_0404, .max, 0xffff_0000_0000_0000]),
  ]

  @Test("Every format gets its written-out elements, and is read back", arguments: written)
  func elements(fourcc: Fourcc, elements: [UInt64]) throws {
    var canvas = try Canvas(fourcc, width: 4, height: 1)
    try canvas.fill(.picture(.image(Self.colours)))
    let size = canvas.layout.format.planes[0].bytesPerElement
    var bytes = ByteWriter()
    for element in elements {
      for byte in 0..<size { bytes = bytes.adding(UInt8(truncatingIfNeeded: element >> UInt64(8 * byte))) }
    }
    #expect(canvas.bytes == bytes.bytes)
    let expected: [UInt32] = fourcc == .rgb565 ? [0x103552, 0x840400, 0xffffff, 0] : Self.colours.pixels
    #expect(try canvas.decoded().pixels == expected)
  }

  @Test("The formats with written-out elements are all there are")
  func formats() {
    #expect(PictureContent.pictureFormats == Self.written.map(\.format))
  }

  @Test("A component of five or six bits becomes the nearest of eight, and comes back unchanged")
  func narrow() throws {
    var canvas = try Canvas(.rgb565, width: 64, height: 1)
    for value in 0..<64 {
      let element = (value / 2) << 11 | value << 5 | value / 2
      canvas.bytes[2 * value] = UInt8(element & 0xff)
      canvas.bytes[2 * value + 1] = UInt8(element >> 8)
    }
    let image = try canvas.decoded()
    let five = (0..<64).map { image[$0, 0] >> 16 }
    #expect(
      stride(from: 0, to: 64, by: 2).map { five[$0] } == [
        0, 8, 16, 25, 33, 41, 49, 58, 66, 74, 82, 90, 99, 107, 115, 123,
        132, 140, 148, 156, 165, 173, 181, 189, 197, 206, 214, 222, 230, 239, 247, 255,
      ])
    #expect((0..<8).map { image[$0, 0] >> 8 & 0xff } == [0, 4, 8, 12, 16, 20, 24, 28])
    #expect((56..<64).map { image[$0, 0] >> 8 & 0xff } == [227, 231, 235, 239, 243, 247, 251, 255])
    var again = try Canvas(.rgb565, width: 64, height: 1)
    try again.fill(.picture(.image(image)))
    #expect(again.bytes == canvas.bytes)
  }

  static let deep: [(sixteen: UInt16, eight: UInt32)] = [
    (0, 0), (0x80, 0), (0x81, 1), (0x0101, 1), (0x80ff, 0x80), (0x8100, 0x80), (0x8101, 0x81), (0xfefe, 0xfe),
    (0xff7e, 0xfe), (0xff7f, 0xff), (0xffff, 0xff),
  ]

  @Test("A component of sixteen bits becomes the nearest of eight", arguments: deep)
  func wide(sixteen: UInt16, eight: UInt32) throws {
    var canvas = try Canvas(.xrgb16161616, width: 1, height: 1)
    canvas.bytes = [0, 0, 0, 0, UInt8(sixteen & 0xff), UInt8(sixteen >> 8), 0xee, 0xee]
    #expect(try canvas.decoded().pixels == [eight << 16])
  }

  @Test("Every picture comes back from every format with full colours, and nothing else is touched")
  func roundTrip() throws {
    for picture in TestPictureTests.named {
      for (width, height) in TestPictureTests.sizes where width < 320 {
        let image = picture.rendered(width: width, height: height)
        for fourcc in PictureContent.pictureFormats {
          var canvas = try Canvas(fourcc, width: width, height: height, offset: 24, padding: 16, tail: 5)
          try canvas.fill(.picture(picture))
          #expect(try canvas.compare(.picture(picture)) == nil)
          if fourcc != .rgb565 { #expect(try canvas.decoded() == image) }
          let place = canvas.layout.planes[0]
          let rowBytes = canvas.layout.rowBytes(ofPlane: 0)
          let outside = canvas.bytes.indices.filter { index in
            index < place.offset || (index - place.offset) % place.pitch >= rowBytes || index >= canvas.layout.byteCount
          }
          #expect(outside.allSatisfy { canvas.bytes[$0] == 0xee })
        }
      }
    }
  }

  @Test("Memory that is too small, and formats without colours, are refused")
  func refused() throws {
    var canvas = try Canvas(.xrgb8888, width: 4, height: 4)
    canvas.bytes.removeLast()
    let small = PictureError.memoryTooSmall(needed: 64, given: 63)
    #expect(throws: small) { try canvas.fill(.picture(.smpte)) }
    #expect(throws: small) { try canvas.fill(.pattern(Pattern(seed: 1, index: 0))) }
    #expect(throws: small) { try canvas.compare(.picture(.smpte)) }
    #expect(throws: small) { try canvas.compare(.pattern(Pattern(seed: 1, index: 0))) }
    #expect(throws: small) { try canvas.decoded() }
    var grey = try Canvas(.r8, width: 4, height: 4)
    #expect(throws: PictureError.format(.r8)) { try grey.fill(.picture(.smpte)) }
    #expect(
      PictureError.format(.r8).description
        == "a picture cannot be drawn in R8: it takes one of XRGB8888, ARGB8888, XBGR8888, ABGR8888, RGB565, "
        + "XRGB16161616, ARGB16161616")
  }
}

@Suite("A comparison with a picture or a pattern")
struct PictureComparisonTests {
  static let contents: [PictureContent] = [.picture(.gradient), .pattern(Pattern(seed: 7, index: 1))]

  @Test("says where, how many, how far, and what", arguments: contents)
  func damage(content: PictureContent) throws {
    var canvas = try Canvas(.argb8888, width: 40, height: 30, padding: 8)
    try canvas.fill(content)
    #expect(try canvas.compare(content) == nil)
    let clean = canvas.bytes
    func position(_ x: Int, _ y: Int) -> Int { y * 168 + x * 4 }
    canvas.bytes[position(5, 3)] ^= 1
    canvas.bytes[position(9, 20) + 3] ^= 0x80
    canvas.bytes[position(2, 21) + 1] ^= 0x02
    let difference = try #require(try canvas.compare(content))
    #expect((difference.x, difference.y) == (5, 3))
    #expect(difference.expected.bits ^ difference.found.bits == 1)
    #expect(difference.differing == 3)
    #expect(difference.total == 1200)
    #expect(difference.rectangle == DamagedRectangle(x: 2, y: 3, width: 8, height: 19))
    #expect(difference.largestSteps == 128)
    #expect(
      difference.sentence
        == "3 of 1,200 elements differ within 8x19 at (2,3), first at (5,3): expected \(difference.expected), "
        + "found \(difference.found); a component is off by up to 128 of 255")
    // Padding is nobody's.
    canvas.bytes = clean
    canvas.bytes[position(40, 3)] ^= 0xff
    #expect(try canvas.compare(content) == nil)
  }

  @Test("finds a single changed bit in every pixel of every format", arguments: contents)
  func everyPixel(content: PictureContent) throws {
    for fourcc in PictureContent.pictureFormats {
      var canvas = try Canvas(fourcc, width: 7, height: 5, offset: 8, padding: 8)
      try canvas.fill(content)
      let size = canvas.layout.format.planes[0].bytesPerElement
      for y in 0..<5 {
        for x in 0..<7 {
          let position = 8 + y * (7 * size + 8) + x * size
          canvas.bytes[position] ^= 1
          let difference = try #require(try canvas.compare(content))
          #expect(difference.rectangle == DamagedRectangle(x: x, y: y, width: 1, height: 1))
          #expect(difference.differing == 1)
          #expect(difference.expected.bits ^ difference.found.bits == 1)
          canvas.bytes[position] ^= 1
        }
      }
    }
  }

  @Test("takes what is within the tolerance and nothing beyond it", arguments: contents)
  func tolerance(content: PictureContent) throws {
    var canvas = try Canvas(.xrgb8888, width: 64, height: 64)
    try canvas.fill(content)
    // Away from the ends, so that every component can go both ways.
    let index = try #require(
      canvas.bytes.indices.first { $0 % 4 == 1 && canvas.bytes[$0] > 20 && canvas.bytes[$0] < 230 })
    canvas.bytes[index] += 3
    #expect(try canvas.compare(content)?.largestSteps == 3)
    #expect(try canvas.compare(content, steps: 2)?.differing == 1)
    #expect(try canvas.compare(content, steps: 3) == nil)
    canvas.bytes[index] -= 6
    #expect(try canvas.compare(content, steps: 2)?.largestSteps == 3)
    #expect(try canvas.compare(content, steps: 3) == nil)
  }

  @Test("leaves X out and looks at alpha", arguments: contents)
  func alpha(content: PictureContent) throws {
    for (fourcc, matters) in [(Fourcc.xrgb8888, false), (.xbgr8888, false), (.argb8888, true), (.abgr8888, true)] {
      var canvas = try Canvas(fourcc, width: 3, height: 3)
      try canvas.fill(content)
      canvas.bytes[19] ^= 0xff
      #expect((try canvas.compare(content) != nil) == matters)
    }
  }

  @Test("counts sixteen bits exactly, and names the smallest difference a step")
  func sixteenBits() throws {
    var canvas = try Canvas(.xrgb16161616, width: 5, height: 5)
    try canvas.fill(.picture(.checker))
    canvas.bytes[8 * 12] ^= 1
    let difference = try #require(try canvas.compare(.picture(.checker)))
    #expect(difference.largestSteps == 1)
    #expect((difference.x, difference.y) == (2, 2))
    #expect(difference.expected.description == "0xffff303030303030")
    #expect(difference.found.description == "0xffff303030303031")
    #expect(try canvas.compare(.picture(.checker), steps: 1) == nil)
  }

  @Test("of a picture that went through RGB565 holds within the conversion's tolerance, and not within half of it")
  func conversion() throws {
    func steps(_ one: Fourcc, _ other: Fourcc) -> Int? {
      ComponentTolerance.conversion(between: one, and: other)?.eightBitSteps
    }
    #expect(steps(.rgb565, .xrgb8888) == 9)
    #expect(steps(.xrgb8888, .argb16161616) == 1)
    #expect(steps(.xrgb8888, .abgr8888) == 0)
    #expect(steps(.rgb565, .rgb565) == 0)
    #expect(steps(.nv12, .xrgb8888) == nil)
    var narrow = try Canvas(.rgb565, width: 320, height: 240)
    try narrow.fill(.picture(.gradient))
    var wide = try Canvas(.xrgb8888, width: 320, height: 240)
    try wide.fill(.picture(.image(try narrow.decoded())))
    #expect(try wide.compare(.picture(.gradient))?.largestSteps == 4)
    #expect(try wide.compare(.picture(.gradient), steps: 3) != nil)
    #expect(try wide.compare(.picture(.gradient), steps: 4) == nil)
  }

  @Test("tells every picture from every other, from none, and from itself moved, in every format")
  func control() throws {
    for fourcc in PictureContent.pictureFormats {
      for picture in TestPictureTests.named {
        var canvas = try Canvas(fourcc, width: 64, height: 48)
        try canvas.fill(.picture(picture))
        for other in TestPictureTests.named where other != picture {
          #expect(try canvas.compare(.picture(other), steps: 8) != nil)
        }
        let moved = TestPicture.image(picture.rendered(width: 64, height: 48).moved(1, 0))
        #expect(try canvas.compare(.picture(moved)) != nil)
        canvas.bytes = [UInt8](repeating: 0, count: canvas.bytes.count)
        #expect(try canvas.compare(.picture(picture), steps: 8) != nil)
      }
    }
  }

  @Test("of a pattern in a format without colours is exact, and says which plane")
  func luma() throws {
    let layout = try PictureLayout.packed(format: nv12, width: 6, height: 4)
    let content = PictureContent.pattern(Pattern(seed: 3, index: 0))
    var bytes = [UInt8](repeating: 0, count: layout.byteCount)
    var span = bytes.mutableSpan
    try content.fill(&span, layout: layout)
    #expect(try content.compare(bytes.span, layout: layout) == nil)
    bytes[layout.planes[1].offset] ^= 1
    let difference = try #require(
      try content.compare(bytes.span, layout: layout, tolerance: ComponentTolerance(eightBitSteps: 200)))
    #expect(difference.plane == 1)
    #expect(difference.largestSteps == nil)
    #expect(difference.sentence.hasPrefix("1 of 6 elements differs, at (0,0): expected 0x"))
  }
}
