internal import Prime

/// The bits of one element, printed and encoded as hexadecimal digits: "0x00a1b2c3".
public struct ElementValue: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The element as a little-endian number.
  public let bits: UInt64

  /// The size of the element, in bytes.
  public let byteCount: Int

  /// Keeps the lower `byteCount` bytes, 1 to 8, of a number.
  public init(_ bits: UInt64, byteCount: Int) {
    self.bits = bits & PatternPlane.allBits(ofElement: byteCount)
    self.byteCount = byteCount
  }

  /// The hexadecimal digits, two for each byte.
  public var description: String {
    "0x" + hexadecimal(bits, digits: 2 * byteCount)
  }

  /// Reads the hexadecimal digits; their number gives the size.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let bits = UInt64(hexadecimal: text), text.utf8.count % 2 == 0 else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no element value")
    }
    self.init(bits, byteCount: (text.utf8.count - 2) / 2)
  }

  /// Writes the hexadecimal digits as a string: a JSON number cannot hold 64 bits.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
