/// A format modifier of `drm_fourcc.h`: how pixels are arranged within a plane.
///
/// A modifier nobody here knows is kept and printed with its vendor and number.
public struct Modifier: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
  /// The modifier as the kernel passes it: the vendor in the upper 8 bits, the vendor's code in the rest.
  public let rawValue: UInt64

  /// `DRM_FORMAT_MOD_LINEAR`: rows of pixels one after the other.
  public static let linear = Modifier(rawValue: 0)

  /// `DRM_FORMAT_MOD_INVALID`: no modifier is stated, the arrangement is implicit.
  public static let invalid = Modifier(rawValue: 0x00ff_ffff_ffff_ffff)

  /// Keeps any modifier, known or not.
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// Reads "linear", "invalid", "implicit" or a number such as "0x0100000000000001".
  public init?(parsing text: String) {
    switch text.lowercased() {
    case "linear": self = .linear
    case "invalid", "implicit": self = .invalid
    default:
      guard let number = UInt64(hexadecimal: text) else { return nil }
      self.init(rawValue: number)
    }
  }

  /// The name of the vendor as `drm_fourcc.h` spells it, or nil where the number is not one of its vendors.
  public var vendor: String? {
    let number = Int(rawValue >> 56)
    return Self.vendors.indices.contains(number) ? Self.vendors[number] : nil
  }

  /// "linear", "invalid", or the vendor and the number: "INTEL 0x0100000000000001".
  public var description: String {
    switch self {
    case .linear: return "linear"
    case .invalid: return "invalid"
    default:
      let number = "0x" + hexadecimal(rawValue, digits: 16)
      return vendor.map { "\($0) \(number)" } ?? number
    }
  }

  private static let vendors = [
    "NONE", "INTEL", "AMD", "NVIDIA", "SAMSUNG", "QCOM", "VIVANTE", "BROADCOM", "ARM", "ALLWINNER", "AMLOGIC", "MTK",
    "APPLE",
  ]
}
