import Prime
import Testing

@Suite("IN_FORMATS and other lists of formats")
struct InFormatsTests {
  static let recorded: [(file: String, formats: [Fourcc])] = [
    ("vkms", [.argb8888, .xrgb8888, .xrgb16161616, .argb16161616, .rgb565]),
    ("cirrus", [.rgb565, .rgb888, .xrgb8888]),
    ("bochs", [.xrgb8888, .bgrx8888]),
    ("qxl", [.xrgb8888, .argb8888]),
  ]

  @Test("A recorded blob gives its formats, each with the linear modifier alone", arguments: recorded)
  func recordedBlob(file: String, formats: [Fourcc]) throws {
    let parsed = try InFormats(parsing: Recording.bytes("in-formats/\(file)-primary.bin"))
    #expect(parsed.formats == formats)
    for format in formats {
      #expect(parsed.modifiers(of: format) == [.linear])
      #expect(parsed.contains(format, .linear))
      #expect(!parsed.contains(format, .invalid))
    }
    #expect(parsed.modifiers(of: .nv12) == [])
    #expect(!parsed.contains(.nv12, .linear))
    #expect(parsed.description == "linear for " + formats.map(\.name).joined(separator: ", "))
  }

  /// Two lists, the formats first, as the kernel writes them.
  static func blob(
    version: UInt32 = 1, formats: [UInt32], entries: [(mask: UInt64, offset: UInt32, modifier: UInt64)]
  ) -> [UInt8] {
    let gap = formats.count % 2 == 0 ? 0 : 4
    var writer = ByteWriter().adding(
      version, 0, UInt32(formats.count), 24, UInt32(entries.count), UInt32(24 + 4 * formats.count + gap))
    for format in formats { writer = writer.adding(format) }
    if gap > 0 { writer = writer.adding(UInt32(0)) }
    for entry in entries {
      writer = writer.adding(entry.mask).adding(entry.offset, 0).adding(entry.modifier)
    }
    return writer.bytes
  }

  static let tiled = Modifier(rawValue: 0x0100_0000_0000_0001)

  @Test("A bit of a mask stands for the format at its number plus the entry's offset")
  func window() throws {
    let codes = (0..<130).map { UInt32($0) + 0x3030_3030 }
    let parsed = try InFormats(
      parsing: Self.blob(
        formats: codes,
        entries: [
          (mask: 0b101, offset: 0, modifier: 0),
          (mask: 1 << 63, offset: 64, modifier: Self.tiled.rawValue),
          (mask: .max, offset: 128, modifier: Self.tiled.rawValue),
          (mask: .max, offset: 0xffff_ffff, modifier: 7),
        ]))
    func modifiers(_ index: Int) -> [Modifier] { parsed.modifiers(of: Fourcc(rawValue: codes[index])) }
    #expect(modifiers(0) == [.linear])
    #expect(modifiers(1) == [])
    #expect(modifiers(2) == [.linear])
    #expect(modifiers(126) == [])
    #expect(modifiers(127) == [Self.tiled])
    #expect(modifiers(128) == [Self.tiled])
    #expect(modifiers(129) == [Self.tiled])
    #expect(parsed.contains(Fourcc(rawValue: codes[127]), Self.tiled))
    #expect(!parsed.contains(Fourcc(rawValue: codes[126]), Self.tiled))
    #expect(!parsed.contains(Fourcc(rawValue: codes[0]), Modifier(rawValue: 7)))
  }

  @Test("A format that is listed twice has the modifiers of both places, each once")
  func listedTwice() throws {
    let code = Fourcc.xrgb8888.rawValue
    let parsed = try InFormats(
      parsing: Self.blob(
        formats: [code, Fourcc.argb8888.rawValue, code],
        entries: [
          (mask: 1, offset: 0, modifier: 0), (mask: 5, offset: 0, modifier: 9), (mask: 4, offset: 0, modifier: 0),
        ]))
    #expect(parsed.modifiers(of: .xrgb8888) == [.linear, Modifier(rawValue: 9)])
    #expect(
      parsed.description
        == "linear for XRGB8888; NONE 0x0000000000000009 for XRGB8888, XRGB8888; linear for XRGB8888; "
        + "no modifier for ARGB8888")
  }

  @Test("A blob with empty lists has no formats, wherever it says they are")
  func empty() throws {
    let header = ByteWriter().adding(1, 0, 0, UInt32.max, 0, UInt32.max).bytes
    let parsed = try InFormats(parsing: header)
    #expect(parsed.formats == [])
    #expect(parsed.description == "no formats")
  }

  static let lies: [(position: Int, value: UInt32, sentence: String)] = [
    (0, 2, "drm_format_modifier_blob is of version 2, and only version 1 is known"),
    (8, 13, outside("formats", count: 13, size: 4, offset: 24)),
    (8, .max, outside("formats", count: .max, size: 4, offset: 24)),
    (12, 0, outside("formats", count: 5, size: 4, offset: 0)),
    (12, 53, outside("formats", count: 5, size: 4, offset: 53)),
    (12, .max, outside("formats", count: 5, size: 4, offset: .max)),
    (16, 2, outside("modifiers", count: 2, size: 24, offset: 48)),
    (16, 0x8000_0000, outside("modifiers", count: 0x8000_0000, size: 24, offset: 48)),
    (20, 23, outside("modifiers", count: 1, size: 24, offset: 23)),
    (20, .max, outside("modifiers", count: 1, size: 24, offset: .max)),
  ]

  private static func outside(_ list: String, count: UInt32, size: Int, offset: UInt32) -> String {
    "the list of \(list) should have \(count) entries of \(size) bytes at offset \(offset), which is not within the blob's "
      + "72 bytes"
  }

  @Test("A number that the bytes do not bear out is refused with a sentence", arguments: lies)
  func lie(position: Int, value: UInt32, sentence: String) throws {
    let bytes = try Recording.bytes("in-formats/vkms-primary.bin").replacing(at: position, with: value)
    let error = try #require(throws: BlobError.self) { try InFormats(parsing: bytes) }
    #expect(error.description == sentence)
  }

  @Test("Every truncation is refused")
  func truncated() throws {
    let bytes = try Recording.bytes("in-formats/vkms-primary.bin")
    for count in 0..<bytes.count {
      #expect(throws: BlobError.self) { try InFormats(parsing: Array(bytes.prefix(count))) }
    }
    #expect(throws: BlobError.tooShort(structure: "drm_format_modifier_blob", needed: 24, found: 23)) {
      try InFormats(parsing: Array(bytes.prefix(23)))
    }
  }

  @Test("The list of a writeback connector is its fourccs, and nothing but whole ones")
  func writebackFormats() throws {
    let bytes = try Recording.bytes("in-formats/vkms-writeback-formats.bin")
    #expect(try FormatList.parse(bytes) == [.argb8888, .xrgb8888, .xrgb16161616, .argb16161616, .rgb565])
    #expect(try FormatList.parse([]) == [])
    let error = #expect(throws: BlobError.self) { try FormatList.parse(Array(bytes.dropLast())) }
    #expect(error?.description == "a list of formats has entries of 4 bytes, but 19 bytes are no whole number of them")
  }
}
