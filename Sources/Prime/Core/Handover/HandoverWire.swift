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
    let version = bytes.number(at: 4, as: UInt16.self)
    guard version == Self.version else { throw .version(version) }
    return bytes.number(at: 6, as: UInt16.self)
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
    bytes.append(number: version)
    bytes.append(number: kind)
    bytes.append(number: UInt32(truncatingIfNeeded: byteCount))
    bytes.append(number: UInt32(0))
    return bytes
  }

  package static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    bytes.number(at: offset, as: UInt32.self)
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
