import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("Luma and chroma on a display")
struct YCbCrTests {
  static let patterns = (
    written: Pattern(seed: 11, index: 1), earlier: Pattern(seed: 11, index: 0), wrong: Pattern(seed: 11, index: 3)
  )
  /// Planes one behind the other, or each at the start of a buffer of its own, with rows of 64 or 128 bytes.
  static func layout(_ format: PixelFormat, disjoint: Bool = false) -> PictureLayout {
    let pitch = format.planes[0].bytesPerElement * 64
    var offset = 0
    let planes = format.planes.enumerated().map { index, plane in
      defer { offset += pitch * 32 / plane.verticalSubsampling }
      return PlaneLayout(buffer: disjoint ? index : 0, offset: disjoint ? 0 : offset, pitch: pitch)
    }
    return Fixture.layout(format.fourcc.name, width: 48, height: 32, planes: planes)
  }

  /// Rows of 48 pixels, 256 bytes apart.
  static let target = Fixture.layout(
    "XRGB8888", width: 48, height: 32, planes: [PlaneLayout(offset: 0, pitch: 256)])

  static func look(_ format: PixelFormat = .nv12, told conversion: YCbCrConversion = YCbCrConversion(.bt601, .limited))
    -> YCbCrLook
  {
    YCbCrLook(conversion: conversion, picture: layout(format), target: target)
  }

  /// What a display wrote of colours, with X bits that carry nothing.
  static func written(_ colours: [UInt32]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: target.byteCount)
    for (index, colour) in colours.enumerated() {
      let at = index / 48 * 256 + index % 48 * 4
      for byte in 0..<3 { bytes[at + byte] = UInt8(truncatingIfNeeded: colour >> UInt32(8 * byte)) }
    }
    return bytes
  }

  /// All rows of a picture of 48x32.
  static func all(_ colours: YCbCrPicture.Colours) -> [UInt32] {
    var colours = colours
    return (0..<32).flatMap { y in
      colours.make(row: y)
      return colours.row
    }
  }

  static func picture(_ pattern: Pattern = patterns.written, _ format: PixelFormat = .nv12) throws -> YCbCrPicture {
    try #require(try YCbCrPicture(pattern, layout(format)))
  }

  static func complaint(
    about colours: YCbCrPicture.Colours, _ look: YCbCrLook = look(), wrong: Pattern = patterns.wrong
  ) throws -> String? {
    try complaint(about: all(colours), look, wrong: wrong)
  }

  static func complaint(
    about colours: [UInt32], _ look: YCbCrLook = look(), wrong: Pattern = patterns.wrong
  ) throws -> String? {
    let bytes = written(colours)
    return try look.complaint(
      about: bytes.span,
      Examination(expected: patterns.written, earlier: [patterns.earlier], wrong: wrong))
  }

  /// Memory plane and byte of the first Y, Cb and Cr (`drm_fourcc.h`: "2x2 subsampled Cr:Cb plane" of NV12 has Cb in the lower byte).
  static let places: [(PixelFormat, luma: [Int], blue: [Int], red: [Int], bytes: Int)] = [
    (.nv12, [0, 0], [1, 0], [1, 1], 1), (.nv21, [0, 0], [1, 1], [1, 0], 1), (.nv16, [0, 0], [1, 0], [1, 1], 1),
    (.p010, [0, 0], [1, 0], [1, 2], 2), (.yuv420, [0, 0], [1, 0], [2, 0], 1), (.yvu420, [0, 0], [2, 0], [1, 0], 1),
  ]

  @Test(arguments: places.indices)
  func `lie where the format says`(index: Int) throws {
    let (format, luma, blue, red, bytes) = Self.places[index]
    let places = try #require(format.lumaChroma)
    #expect([places.luma.plane, places.luma.offset] == luma)
    #expect([places.blue.plane, places.blue.offset] == blue)
    #expect([places.red.plane, places.red.offset] == red)
    #expect(places.sampleBytes == bytes)
  }

  @Test(arguments: [PixelFormat.xrgb8888, .yuyv, .r8])
  func `are in no planes of colours, and of formats of one plane`(format: PixelFormat) {
    #expect(format.lumaChroma == nil)
  }

  /// Samples of 8 bits, and the colour that the Recommendation has for them.
  static let colours: [(YCbCrConversion.Encoding, YCbCrConversion.Range, [Int], UInt32)] = [
    (.bt601, .limited, [16, 128, 128], 0x000000), (.bt601, .limited, [235, 128, 128], 0xffffff),
    (.bt601, .limited, [81, 90, 240], 0xfe0000), (.bt601, .limited, [145, 54, 34], 0x00ff01),
    (.bt601, .limited, [41, 240, 110], 0x0000ff), (.bt601, .full, [0, 128, 128], 0x000000),
    (.bt601, .full, [255, 128, 128], 0xffffff), (.bt601, .full, [76, 85, 255], 0xfe0000),
    (.bt709, .limited, [63, 102, 240], 0xff0100), (.bt709, .limited, [173, 42, 26], 0x00ff01),
    (.bt709, .limited, [32, 240, 118], 0x0100ff), (.bt709, .full, [128, 128, 128], 0x808080),
    (.bt2020, .limited, [74, 97, 240], 0xff0000), (.bt2020, .limited, [235, 128, 128], 0xffffff),
  ]

  @Test(arguments: colours.indices)
  func `become the colours of BT_601, BT_709 and BT_2020`(index: Int) {
    let (encoding, range, samples, colour) = Self.colours[index]
    let found = YCbCrConversion(encoding, range)
      .colour(luma: samples[0] * 256, blue: samples[1] * 256, red: samples[2] * 256)
    for shift: UInt32 in [0, 8, 16] {
      let difference = abs(Int(found >> shift & 0xff) - Int(colour >> shift & 0xff))
      #expect(difference <= 1, "\(String(found, radix: 16)) and not \(String(colour, radix: 16))")
    }
  }

  @Test(arguments: [PixelFormat.nv12, .nv21, .nv16, .p010, .yuv420, .yvu420])
  func `that arrived are no complaint`(format: PixelFormat) throws {
    for conversion in YCbCrConversion.allCases {
      let colours = try Self.picture(Self.patterns.written, format).colours(conversion)
      #expect(try Self.complaint(about: colours, Self.look(format, told: conversion)) == nil)
    }
  }

  @Test func `may be three steps away and no more`() throws {
    var colours = Self.all(try Self.picture().colours(YCbCrConversion(.bt601, .limited)))
    let pixel = try #require(colours.firstIndex { (10..<200).contains($0 >> 8 & 0xff) })
    colours[pixel] += 3 << 8
    #expect(try Self.complaint(about: colours) == nil)
    colours[pixel] += 1 << 8
    let complaint = try #require(try Self.complaint(about: colours))
    #expect(
      complaint.hasPrefix("1 of 1536 pixels differ by more than 3 of 255; the first is (\(pixel % 48),\(pixel / 48))"))
  }

  @Test(
    arguments: YCbCrPicture.Reading.allCases.filter { $0 != .asWritten && $0 != .firstBuffer },
    [PixelFormat.nv12, .yuv420])
  func `read wrongly are named`(reading: YCbCrPicture.Reading, format: PixelFormat) throws {
    let colours = try Self.picture(Self.patterns.written, format).colours(YCbCrConversion(.bt601, .limited), reading)
    let complaint = try #require(try Self.complaint(about: colours, Self.look(format)))
    #expect(complaint.hasSuffix(": \(try #require(reading.sentence))"))
  }

  @Test(arguments: YCbCrConversion.allCases.dropFirst())
  func `converted by another rule are named by it`(other: YCbCrConversion) throws {
    let colours = try Self.picture().colours(other)
    let complaint = try #require(try Self.complaint(about: colours))
    #expect(complaint.hasSuffix("the display converts by \(other), and its plane was told BT.601 limited"))
  }

  /// vkms of 7.2 takes every plane from the first of a framebuffer's buffers (`packed_pixels_addr`, `map[0]`).
  @Test(arguments: [PixelFormat.nv12, .yuv420])
  func `read from the first buffer, where the chroma has its own, are named`(format: PixelFormat) throws {
    let layout = Self.layout(format, disjoint: true)
    let conversion = YCbCrConversion(.bt601, .limited)
    let look = YCbCrLook(conversion: conversion, picture: layout, target: Self.target)
    let picture = try #require(try YCbCrPicture(Self.patterns.written, layout))
    #expect(try Self.complaint(about: picture.colours(conversion), look) == nil)
    let complaint = try #require(try Self.complaint(about: picture.colours(conversion, .firstBuffer), look))
    #expect(
      complaint.hasSuffix("the display read the chroma from the first dma-buf, at the place that it has in its own"))
  }

  @Test func `of which a part is from before are told apart`() throws {
    let conversion = YCbCrConversion(.bt601, .limited)
    let (now, before) = (try Self.picture(), try Self.picture(Self.patterns.earlier))
    #expect(
      try Self.complaint(about: before.colours(conversion))?.hasSuffix("this is what was written before") == true)
    #expect(
      try Self.complaint(about: now.colours(conversion, chroma: before))?
        .hasSuffix("the luma is what was written, and the chroma is what was written before") == true)
    #expect(
      try Self.complaint(about: before.colours(conversion, chroma: now))?
        .hasSuffix("the chroma is what was written, and the luma is what was written before") == true)
  }

  @Test func `that nobody wrote do not pass for any`() throws {
    let look = Self.look()
    var bytes = [UInt8](repeating: 0, count: Self.target.byteCount)
    var span = bytes.mutableSpan
    try look.spoil(&span, before: Self.patterns.written)
    #expect(
      try look.complaint(about: bytes.span, Examination(expected: Self.patterns.written, wrong: Self.patterns.wrong))?
        .hasPrefix("1536 of 1536 pixels differ") == true)
  }

  @Test func `prove nothing where they also match what was never written`() throws {
    let colours = try Self.picture().colours(YCbCrConversion(.bt601, .limited))
    let error = primeError { try Self.complaint(about: colours, wrong: Self.patterns.written) }
    #expect(error?.operation == .control)
    #expect(error?.finding == .broken)
  }
}
