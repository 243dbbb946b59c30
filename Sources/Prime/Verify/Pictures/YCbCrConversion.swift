/// How a display makes red, green and blue of luma and colour differences.
///
/// The weights of red and blue in luma are those of ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance). In limited range
/// luma goes from 16 to 235 and a difference from 16 to 240 around 128, of 8 bits; in full range all go from 0 to 255.
struct YCbCrConversion: Hashable, CaseIterable {
  /// The kernel's `enum drm_color_encoding`, by the values of the plane's `COLOR_ENCODING`.
  enum Encoding: UInt64, CaseIterable {
    case bt601 = 0
    case bt709 = 1
    case bt2020 = 2

    /// The weights of red and blue in luma.
    fileprivate var weights: (red: Double, blue: Double) {
      switch self {
      case .bt601: (0.299, 0.114)
      case .bt709: (0.2126, 0.0722)
      case .bt2020: (0.2627, 0.0593)
      }
    }
  }

  /// The kernel's `enum drm_color_range`, by the values of the plane's `COLOR_RANGE`.
  enum Range: UInt64, CaseIterable {
    case limited = 0
    case full = 1
  }

  let encoding: Encoding
  let range: Range

  // Numbers of 16 bits behind the point, by which a sample of 8 bits before and 8 behind the point is multiplied.
  private let lumaScale: Int
  private let redOfRed: Int
  private let greenOfBlue: Int
  private let greenOfRed: Int
  private let blueOfBlue: Int
  private let black: Int

  init(_ encoding: Encoding, _ range: Range) {
    self.encoding = encoding
    self.range = range
    let (red, blue) = encoding.weights
    let green = 1 - red - blue
    let isLimited = range == .limited
    let luma = isLimited ? 255.0 / 219 : 1
    let chroma = isLimited ? 255.0 / 224 : 1
    func fixed(_ number: Double) -> Int { Int((number * 65536).rounded()) }
    lumaScale = fixed(luma)
    redOfRed = fixed(chroma * 2 * (1 - red))
    greenOfBlue = fixed(-chroma * 2 * (1 - blue) * blue / green)
    greenOfRed = fixed(-chroma * 2 * (1 - red) * red / green)
    blueOfBlue = fixed(chroma * 2 * (1 - blue))
    black = isLimited ? 16 * 256 : 0
  }

  static let allCases = Encoding.allCases.flatMap { encoding in Range.allCases.map { YCbCrConversion(encoding, $0) } }

  /// How far a display may be from the colours computed here, in steps of an eight-bit component.
  ///
  /// vkms scales limited range by 256 parts where BT.601 has 255 (`vkms_formats.c`, the matrices are for 8 bits of `colour`'s), which
  /// is 1.0 step of luma and 0.7 of a difference at most, and rounds twice.
  static let tolerance = 3

  /// The colour of a pixel, 0x00RRGGBB; samples have 8 bits before the point and 8 behind it.
  func colour(luma: Int, blue: Int, red: Int) -> UInt32 { colour(luma: luma, adding: chroma(blue: blue, red: red)) }

  /// What the differences add to red, green and blue, with 12 bits behind the point.
  func chroma(blue: Int, red: Int) -> SIMD4<Int32> {
    let (blue, red) = (blue - 128 * 256, red - 128 * 256)
    func fixed(_ sum: Int) -> Int32 { Int32(truncatingIfNeeded: sum >> 12) }
    return SIMD4(fixed(redOfRed * red), fixed(greenOfBlue * blue + greenOfRed * red), fixed(blueOfBlue * blue), 0)
  }

  /// The colour of a pixel, of its luma and what its differences add.
  func colour(luma: Int, adding chroma: SIMD4<Int32>) -> UInt32 {
    let grey = SIMD4<Int32>(repeating: Int32(truncatingIfNeeded: ((luma - black) * lumaScale) >> 12))
    // To the nearest.
    let sum = (grey &+ chroma &+ 1 << 11) &>> 12
    let colour = sum.clamped(lowerBound: .zero, upperBound: SIMD4(repeating: 255))
    return UInt32(truncatingIfNeeded: colour[0] << 16 | colour[1] << 8 | colour[2])
  }
}

extension YCbCrConversion: CustomStringConvertible {
  /// `BT.601 limited`.
  var description: String {
    let name =
      switch encoding {
      case .bt601: "BT.601"
      case .bt709: "BT.709"
      case .bt2020: "BT.2020"
      }
    return "\(name) \(range == .limited ? "limited" : "full")"
  }
}
