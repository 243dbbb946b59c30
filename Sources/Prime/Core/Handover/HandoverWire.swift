/// What all messages have in common: 16 bytes of header, and little-endian numbers at fixed places.
package enum HandoverWire {
  static let magic: [UInt8] = Array("PRMB".utf8)
  static let version: UInt16 = 1
  static let headerBytes = 16

  /// Takes the header apart and gives the kind back.
  static func kind(of bytes: [UInt8]) throws(HandoverError) -> UInt16 {
    guard bytes.count >= headerBytes else {
      throw .length(expected: headerBytes, stated: nil, given: bytes.count)
    }
    guard bytes.starts(with: magic) else { throw .magic }
    let version = UInt16(truncatingIfNeeded: number(bytes, at: 4, bytes: 2))
    guard version == Self.version else { throw .version(version) }
    return UInt16(truncatingIfNeeded: number(bytes, at: 6, bytes: 2))
  }

  /// Checks the header of a message that must be of this kind and size.
  package static func check(_ bytes: [UInt8], isKind expected: UInt16, byteCount: Int) throws(HandoverError) {
    let kind = try kind(of: bytes)
    guard kind == expected else { throw .kind(kind, expected: expected) }
    let stated = word(bytes, at: 8)
    guard stated == byteCount, bytes.count == byteCount else {
      throw .length(expected: byteCount, stated: stated, given: bytes.count)
    }
    guard word(bytes, at: 12) == 0 else { throw .reserved("the last word of the header") }
  }

  package static func header(kind: UInt16, byteCount: Int) -> [UInt8] {
    var bytes = magic
    append(UInt64(version), bytes: 2, to: &bytes)
    append(UInt64(kind), bytes: 2, to: &bytes)
    append(UInt64(byteCount), bytes: 4, to: &bytes)
    append(0, bytes: 4, to: &bytes)
    return bytes
  }

  package static func number(_ bytes: [UInt8], at offset: Int, bytes count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in (0..<count).reversed() { value = value << 8 | UInt64(bytes[offset + index]) }
    return value
  }

  package static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: number(bytes, at: offset, bytes: 4))
  }

  /// Format, width and height, which every message about a picture has at the same places.
  package static func picture(
    _ bytes: [UInt8]
  ) throws(HandoverError) -> (fourcc: Fourcc, width: UInt32, height: UInt32) {
    let (width, height) = (word(bytes, at: 20), word(bytes, at: 24))
    guard width > 0 else { throw .field("the width", 0) }
    guard height > 0 else { throw .field("the height", 0) }
    return (Fourcc(rawValue: word(bytes, at: 16)), width, height)
  }

  package static func append(_ value: UInt64, bytes count: Int, to bytes: inout [UInt8]) {
    for index in 0..<UInt64(count) { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }

  /// A text as it is sent: without control characters, and with the last whole character that fits.
  package static func bytes(of text: String, room: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
      let next = Array(String(isControl(scalar) ? " " : scalar).utf8)
      guard bytes.count + next.count <= room else { break }
      bytes += next
    }
    return bytes
  }

  /// A text that may go to somebody's terminal, which obeys control characters.
  static func checked(_ bytes: some Sequence<UInt8>) throws(HandoverError) -> String {
    guard let text = String(validating: Array(bytes), as: UTF8.self), !text.unicodeScalars.contains(where: isControl)
    else { throw .sentence }
    return text
  }

  /// A text in a field of its own, of which the rest is zero.
  package static func text(_ field: ArraySlice<UInt8>) throws(HandoverError) -> String {
    let text = field.prefix { $0 != 0 }
    guard field.dropFirst(text.count).allSatisfy({ $0 == 0 }) else { throw .reserved("what follows a text") }
    return try checked(text)
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control
  }
}
