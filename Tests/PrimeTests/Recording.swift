import Foundation

/// Files of the repository's folder `fixtures`.
enum Recording {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "fixtures")

  /// The bytes of "in-formats/vkms-primary.bin".
  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appending(path: path)))
  }

  /// The recordings in a subfolder, in the order of their names.
  static func all(in subfolder: String) throws -> [[UInt8]] {
    try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: subfolder).path)
      .filter { $0.hasSuffix(".bin") }.sorted().map { try bytes("\(subfolder)/\($0)") }
  }
}

/// Builds bytes as the kernel lays out its structures.
struct ByteWriter {
  var bytes: [UInt8] = []

  func adding<Number: FixedWidthInteger>(_ numbers: Number...) -> ByteWriter {
    var copy = self
    for number in numbers {
      for byte in 0..<Number.bitWidth / 8 { copy.bytes.append(UInt8(truncatingIfNeeded: number >> (8 * byte))) }
    }
    return copy
  }
}

extension [UInt8] {
  /// The bytes with a little-endian number written over those at a position.
  func replacing(at position: Int, with number: UInt32) -> [UInt8] {
    var copy = self
    for byte in 0..<4 where position + byte < count {
      copy[position + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
    }
    return copy
  }
}
