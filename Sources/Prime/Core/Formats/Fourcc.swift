/// A pixel format code of the kernel's `drm_fourcc.h`: four characters, the first in the lowest byte.
///
/// A code nobody here knows is kept and printed as it came.
public struct Fourcc: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
  /// The code as the kernel passes it.
  public let rawValue: UInt32

  /// The bit `DRM_FORMAT_BIG_ENDIAN`: components are stored with the most significant byte first.
  public static let bigEndianBit: UInt32 = 1 << 31

  /// Keeps any code, known or not.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Reads a format's name or code: "XRGB8888", "xrgb8888", "XR24" or "0x34325258".
  ///
  /// Four characters that nobody here knows are taken as a code; everything else unknown is nil.
  public init?(parsing text: String) {
    let upper = text.uppercased()
    guard !upper.hasPrefix("0X") else {
      guard let number = UInt64(hexadecimal: text), let code = UInt32(exactly: number) else { return nil }
      self.init(rawValue: code)
      return
    }
    if let known = Self.codesByName[upper] {
      self = known
      return
    }
    let exact = Self(characters: text)
    let raised = Self(characters: upper)
    if let raised, exact.map({ Self.namesByCode[$0] == nil }) ?? true, Self.namesByCode[raised] != nil {
      self = raised
      return
    }
    guard text.utf8.count == 4, let exact else { return nil }
    self = exact
  }

  /// The kernel's name ("XRGB8888"), else the four characters, else the number in hexadecimal.
  public var name: String {
    if let known = Self.namesByCode[self] { return known }
    if rawValue & Self.bigEndianBit != 0 {
      let rest = Self(rawValue: rawValue & ~Self.bigEndianBit)
      if let known = Self.namesByCode[rest] { return known + "|BIG_ENDIAN" }
    }
    return characters ?? "0x" + hexadecimal(UInt64(rawValue), digits: 8)
  }

  /// The name, as people and reports read it.
  public var description: String { name }

  /// The four characters ("XR24"), or nil where one of them cannot be printed.
  public var characters: String? {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> (8 * $0)) }
    guard bytes.allSatisfy({ (0x20...0x7e).contains($0) }), bytes[0] != 0x20 else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Packs one to four printable characters, padded with spaces as `drm_fourcc.h` pads "R8  ".
  private init?(characters: String) {
    let bytes = Array(characters.utf8)
    guard (1...4).contains(bytes.count), bytes.allSatisfy({ (0x20...0x7e).contains($0) }) else { return nil }
    self.init(bytes)
  }

  /// Packs the characters of a code written in this module.
  init(_ code: StaticString) {
    self.init(Array(code.description.utf8))
  }

  private init(_ bytes: [UInt8]) {
    var value: UInt32 = 0
    for position in 0..<4 {
      let byte = position < bytes.count ? bytes[position] : 0x20
      value |= UInt32(byte) << (8 * UInt32(position))
    }
    self.init(rawValue: value)
  }
}
