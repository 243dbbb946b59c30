import Prime
import Testing

@Suite("A format code")
struct FormatsFourccTests {
  @Test(
    "is read from its name, its characters and its number",
    arguments: ["XR24", "XRGB8888", "xrgb8888", "0x34325258", "xr24"])
  func parsing(text: String) {
    #expect(Fourcc(parsing: text) == Fourcc(rawValue: 0x3432_5258))
  }

  @Test(
    "has the kernel's number",
    arguments: [
      (Fourcc.xrgb8888, 0x3432_5258), (.rgb565, 0x3631_4752), (.r8, 0x2020_3852), (.r16, 0x2036_3152),
      (.abgr16161616f, 0x4834_4241), (.nv12, 0x3231_564e), (.yuv420, 0x3231_5559), (.xbgr2101010, 0x3033_4258),
    ] as [(Fourcc, UInt32)])
  func numbers(fourcc: Fourcc, number: UInt32) {
    #expect(fourcc.rawValue == number)
  }

  @Test("is printed by name where it is known, and kept where it is not")
  func printing() {
    #expect(Fourcc(rawValue: 0x3432_5258).description == "XRGB8888")
    #expect(Fourcc(rawValue: 0x2020_3852).description == "R8")
    #expect(Fourcc(rawValue: 0x3443_4241).description == "ABC4")
    #expect(Fourcc(rawValue: 0x0000_0001).description == "0x00000001")
    #expect(Fourcc(rawValue: 0xb432_5258).description == "XRGB8888|BIG_ENDIAN")
    #expect(Fourcc(parsing: "ABC4")?.rawValue == 0x3443_4241)
  }

  @Test("is not read from anything else", arguments: ["", "XRGB88", "0x", "0x1ffffffff", "0x+1", "a name", "äbc"])
  func refused(text: String) {
    #expect(Fourcc(parsing: text) == nil)
  }
}

@Suite("A modifier")
struct FormatsModifierTests {
  @Test("is printed by name, or by vendor and number")
  func printing() {
    #expect(Modifier.linear.description == "linear")
    #expect(Modifier.invalid.description == "invalid")
    #expect(Modifier(rawValue: 0x0100_0000_0000_0001).description == "INTEL 0x0100000000000001")
    #expect(Modifier(rawValue: 0x0300_0000_0000_0014).description == "NVIDIA 0x0300000000000014")
    #expect(Modifier(rawValue: 0x0900_0000_0000_0001).description == "ALLWINNER 0x0900000000000001")
    #expect(Modifier(rawValue: 0x7700_0000_0000_0001).description == "0x7700000000000001")
  }

  @Test("is read from its name and its number")
  func parsing() {
    #expect(Modifier(parsing: "linear") == Modifier(rawValue: 0))
    #expect(Modifier(parsing: "implicit") == Modifier(rawValue: 0x00ff_ffff_ffff_ffff))
    #expect(Modifier(parsing: "INVALID") == Modifier(rawValue: 0x00ff_ffff_ffff_ffff))
    #expect(Modifier(parsing: "0x0100000000000001") == Modifier(rawValue: 0x0100_0000_0000_0001))
    #expect(Modifier(parsing: "tiled") == nil)
    #expect(Modifier(parsing: "0x-1") == nil)
  }
}

@Suite("A pixel format")
struct FormatsPixelFormatTests {
  @Test("says how each plane lies in memory")
  func planes() throws {
    let nv12 = try #require(PixelFormat(.nv12))
    #expect(nv12.planes.map(\.bytesPerElement) == [1, 2])
    #expect(nv12.planes.map(\.horizontalSubsampling) == [1, 2])
    #expect(nv12.planes.map(\.verticalSubsampling) == [1, 2])
    let p010 = try #require(PixelFormat(.p010))
    #expect(p010.planes.map(\.significantMask) == [0xffc0, 0xffc0_ffc0])
    #expect(PixelFormat(.yuv420)?.planes.count == 3)
  }

  @Test(
    "says which bits carry something",
    arguments: [
      (Fourcc.xrgb8888, 0x00ff_ffff), (.argb8888, 0xffff_ffff), (.rgbx8888, 0xffff_ff00), (.xrgb2101010, 0x3fff_ffff),
      (.xrgb1555, 0x7fff), (.xrgb4444, 0x0fff), (.rgb888, 0xff_ffff), (.r8, 0xff),
      (.xbgr16161616, 0x0000_ffff_ffff_ffff), (.abgr16161616f, 0xffff_ffff_ffff_ffff),
    ] as [(Fourcc, UInt64)])
  func masks(fourcc: Fourcc, mask: UInt64) {
    #expect(PixelFormat(fourcc)?.planes.map(\.significantMask) == [mask])
  }

  @Test("is not invented for an unknown code")
  func unknown() {
    #expect(PixelFormat(Fourcc(rawValue: 0x3443_4241)) == nil)
    #expect(PixelFormat.known.count == 37)
  }
}
