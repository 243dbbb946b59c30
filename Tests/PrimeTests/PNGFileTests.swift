import Foundation
import Prime
import PrimeVerify
import Testing
import prime_tool

/// A temporary folder that goes away with this value.
private final class Folder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "prime-png-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
    return "\(path)/\(name)"
  }

  var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }
}

@Suite("PNG files")
struct PNGFileTests {
  /// 2x2 pixels with alpha, written by Python's zlib alone: red at 128, green at 255, blue at 0, (10,20,30) at 51.
  static let withAlpha: [UInt8] = [UInt8](
    Data(
      base64Encoded:
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAYAAABytg0kAAAAF0lEQVR4nGP4z8DQwPAfCBmAmEtEzhgANLgE7B+EQUMAAAAASUVO"
        + "RK5CYII=")
      ?? Data())

  @Test("An image comes back as it was written", arguments: [(1, 1), (1, 7), (7, 1), (64, 48), (301, 200)])
  func roundTrip(width: Int, height: Int) throws {
    let folder = try Folder()
    for picture in TestPictureTests.named {
      let image = picture.rendered(width: width, height: height)
      // The second one replaces the first.
      try PNGFile.write(image, to: "\(folder.path)/a.png")
      #expect(try PNGFile.read("\(folder.path)/a.png") == image)
    }
    #expect(folder.names == ["a.png"])
  }

  @Test("Transparent pixels are composed on black")
  func alpha() throws {
    let folder = try Folder()
    let image = try PNGFile.read(folder.file("a.png", Self.withAlpha))
    #expect(image == RGBImage(width: 2, height: 2, pixels: [0x800000, 0x00ff00, 0x000000, 0x020406]))
  }

  @Test("What cannot be read is refused with a sentence")
  func refused() throws {
    let folder = try Folder()
    func refusal(_ path: String) -> String? {
      (#expect(throws: PNGError.self) { try PNGFile.read(path) })?.description
    }
    let good = TestPicture.gradient.rendered(width: 64, height: 64)
    try PNGFile.write(good, to: "\(folder.path)/good.png")
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: "\(folder.path)/good.png")))

    let missing = "\(folder.path)/missing.png"
    #expect(refusal(missing) == "\(missing) is not there")
    #expect(refusal(folder.path) == "\(folder.path) is a folder; give the name of a PNG file")
    let strangers: [(String, [UInt8])] = [
      ("empty", []), ("short", Array(bytes.prefix(7))), ("text", Array("GIF89a, not ours".utf8)),
    ]
    for (name, content) in strangers {
      let path = try folder.file(name, content)
      #expect(refusal(path) == "\(path) is not a PNG file")
    }
    let wide = try folder.file("wide", Self.header(width: 16385, height: 3))
    #expect(
      refusal(wide)
        == "\(wide) has 16385x3 pixels; use a picture of at most 16384 in each direction and 67108864 in all")
    // A gigabyte of pixels in a file of 33 bytes.
    let bomb = try folder.file("bomb", Self.header(width: 16384, height: 16384))
    #expect(
      refusal(bomb)
        == "\(bomb) has 16384x16384 pixels; use a picture of at most 16384 in each direction and 67108864 in all")
    let high = try folder.file("high", Self.header(width: 3, height: 100_000))
    #expect(
      refusal(high)
        == "\(high) has 3x100000 pixels; use a picture of at most 16384 in each direction and 67108864 in all")
    var flipped = bytes
    flipped[bytes.count / 2] ^= 0x10
    for (name, content) in [("flipped", flipped), ("header", Array(bytes.prefix(20)))] {
      let path = try folder.file(name, content)
      #expect(refusal(path)?.hasPrefix("\(path) is damaged: libpng says \"") == true)
    }
  }

  @Test("Every truncation that loses pixels is refused")
  func truncated() throws {
    let folder = try Folder()
    let good = TestPicture.checker.rendered(width: 32, height: 32)
    try PNGFile.write(good, to: "\(folder.path)/good.png")
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: "\(folder.path)/good.png")))
    for count in 0..<bytes.count {
      let path = try folder.file("cut.png", Array(bytes.prefix(count)))
      // Where only the end mark is missing, libpng has all pixels.
      let read = try? PNGFile.read(path)
      #expect(read == nil || read == good)
      if count < bytes.count - 12 { #expect(read == nil, "\(count) of \(bytes.count) bytes") }
    }
  }

  @Test("What cannot be written is refused with a sentence, and leaves nothing")
  func unwritable() throws {
    let folder = try Folder()
    let image = TestPicture.smpte.rendered(width: 8, height: 8)
    func refusal(_ path: String) -> String? {
      (#expect(throws: PNGError.self) { try PNGFile.write(image, to: path) })?.description
    }
    let homeless = "\(folder.path)/none/a.png"
    #expect(refusal(homeless) == "\(homeless) cannot be written: its folder is not there; make it first")
    let file = try folder.file("file", [1])
    #expect(refusal("\(file)/a.png") == "\(file)/a.png cannot be written: its folder is not there; make it first")
    #expect(refusal(folder.path) == "\(folder.path) is a folder; give the name of a PNG file")
    #expect(refusal("/dev/null") == "/dev/null is no regular file; give the name of a PNG file")
    #expect(folder.names == ["file"])
  }

  @Test("A file that does not fit leaves what was there before, and nothing else")
  func doesNotFit() async throws {
    // A limit for the whole process, so that another process has to bear it.
    await #expect(processExitsWith: .exitCode(0)) {
      let folder = try Folder()
      let path = "\(folder.path)/a.png"
      let small = TestPicture.smpte.rendered(width: 8, height: 8)
      try PNGFile.write(small, to: path)
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
      try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      let error = #expect(throws: PNGError.self) {
        try PNGFile.write(TestPicture.gradient.rendered(width: 700, height: 500), to: path)
      }
      #expect(
        error?.description
          == "\(path) cannot be written: it would be larger than the limit for files; nothing was written")
      #expect(try PNGFile.read(path) == small)
      #expect(folder.names == ["a.png"])
    }
  }

  /// A PNG of any size whose pixels are missing: signature, header, and an empty chunk in their place.
  private static func header(width: UInt32, height: UInt32) -> [UInt8] {
    let size = ByteWriter().adding(width.byteSwapped, height.byteSwapped).bytes
    return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] + chunk("IHDR", size + [8, 2, 0, 0, 0]) + chunk("IDAT", [])
  }

  private static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + content
    let checksum = ~body.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
    }
    let length = ByteWriter().adding(UInt32(content.count).byteSwapped).bytes
    return length + body + ByteWriter().adding(checksum.byteSwapped).bytes
  }
}
