internal import Prime

/// Where red, green, blue and alpha lie in one element of a format, and how eight bits become theirs.
///
/// A component is a fraction of its full scale, as the graphics interfaces define it: v of n bits means v / (2^n - 1).
/// From one width to another it goes to the nearest number, in both directions:
///
///     to = (v * (2^m - 1) + (2^n - 1) / 2) / (2^n - 1)      (integer division; ties cannot occur)
///
/// From 8 to 16 bits this is the byte twice (0x80 gives 0x8080), and from 16 to 8 it is not the upper byte but the nearest
/// (0x80ff gives 0x80, 0x8100 gives 0x80, 0x8101 gives 0x81). From 8 to 5 bits 0x80 gives 16, and from 5 to 8 bits 16 gives 0x84
/// and 3 gives 0x19, where bit replication would give 0x18. Narrow components come back unchanged from their wider ones.
/// Alpha and the unused bits of an X format are all ones: whoever takes X for alpha sees an opaque picture as well.
struct ColourEncoding: Hashable {
  let red: Component
  let green: Component
  let blue: Component
  /// Nil in an X format.
  let alpha: Component?
  let byteCount: Int

  /// One component: its lowest bit and its width in bits.
  struct Component: Hashable {
    let shift: UInt64
    let bits: UInt64

    var maximum: UInt64 { (1 << bits) - 1 }

    func value(in element: UInt64) -> UInt64 { element >> shift & maximum }
  }

  /// The formats that pictures can be drawn in.
  static let formats: [Fourcc] = [
    .xrgb8888, .argb8888, .xbgr8888, .abgr8888, .rgb565, .xrgb16161616, .argb16161616,
  ]

  /// The encoding of a format, or nil where pictures cannot be drawn in it.
  init?(_ format: Fourcc) {
    switch format {
    case .xrgb8888: self.init(bytes: 4, red: (16, 8), green: (8, 8), blue: (0, 8))
    case .argb8888: self.init(bytes: 4, red: (16, 8), green: (8, 8), blue: (0, 8), alpha: (24, 8))
    case .xbgr8888: self.init(bytes: 4, red: (0, 8), green: (8, 8), blue: (16, 8))
    case .abgr8888: self.init(bytes: 4, red: (0, 8), green: (8, 8), blue: (16, 8), alpha: (24, 8))
    case .rgb565: self.init(bytes: 2, red: (11, 5), green: (5, 6), blue: (0, 5))
    case .xrgb16161616: self.init(bytes: 8, red: (32, 16), green: (16, 16), blue: (0, 16))
    case .argb16161616: self.init(bytes: 8, red: (32, 16), green: (16, 16), blue: (0, 16), alpha: (48, 16))
    default: return nil
    }
  }

  private init(
    bytes: Int, red: (UInt64, UInt64), green: (UInt64, UInt64), blue: (UInt64, UInt64), alpha: (UInt64, UInt64)? = nil
  ) {
    byteCount = bytes
    self.red = Component(shift: red.0, bits: red.1)
    self.green = Component(shift: green.0, bits: green.1)
    self.blue = Component(shift: blue.0, bits: blue.1)
    self.alpha = alpha.map { Component(shift: $0.0, bits: $0.1) }
  }

  /// The components that carry something, red first.
  var components: [Component] { [red, green, blue] + (alpha.map { [$0] } ?? []) }

  /// The bits of an element that carry something.
  var significantMask: UInt64 { components.reduce(0) { $0 | $1.maximum << $1.shift } }

  /// A component of `from` bits at full scale `fromMaximum`, at another full scale: the nearest number.
  static func rescaled(_ value: UInt64, from fromMaximum: UInt64, to maximum: UInt64) -> UInt64 {
    (value * maximum + fromMaximum / 2) / fromMaximum
  }

  /// How far two elements differ in the component that differs most, on a scale of 0 to 65535.
  func largestDifference(_ one: UInt64, _ other: UInt64) -> Int {
    var largest = 0
    for component in components {
      let first = Self.rescaled(component.value(in: one), from: component.maximum, to: 0xffff)
      let second = Self.rescaled(component.value(in: other), from: component.maximum, to: 0xffff)
      largest = max(largest, abs(Int(first) - Int(second)))
    }
    return largest
  }
}

/// Tables that turn rows of 0x00RRGGBB into rows of elements.
struct ColourEncoder<Element: FixedWidthInteger & UnsignedInteger & BitwiseCopyable> {
  private let red: [Element]
  private let green: [Element]
  private let blue: [Element]

  init(_ encoding: ColourEncoding) {
    let used = [encoding.red, encoding.green, encoding.blue].reduce(0) { $0 | $1.maximum << $1.shift }
    // One of the tables carries what is the same in every pixel: alpha, or the bits of X.
    let constant = Element(truncatingIfNeeded: ~used)
    func table(_ component: ColourEncoding.Component) -> [Element] {
      (0..<256).map {
        Element(
          truncatingIfNeeded: ColourEncoding.rescaled($0, from: 255, to: component.maximum) << component.shift)
      }
    }
    red = table(encoding.red).map { $0 | constant }
    green = table(encoding.green)
    blue = table(encoding.blue)
  }

  /// Encodes a row; both arrays have one entry for each pixel.
  func encode(_ row: [UInt32], into elements: inout [Element]) {
    for x in row.indices {
      let pixel = row[x]
      elements[x] =
        red[Int(pixel >> 16 & 0xff)] | green[Int(pixel >> 8 & 0xff)] | blue[Int(pixel & 0xff)]
    }
  }
}

/// Tables that turn elements into 0x00RRGGBB.
struct ColourDecoder {
  private let red: Table
  private let green: Table
  private let blue: Table

  private struct Table {
    let component: ColourEncoding.Component
    let values: [UInt8]

    init(_ component: ColourEncoding.Component) {
      self.component = component
      values = (0...component.maximum).map {
        UInt8(truncatingIfNeeded: ColourEncoding.rescaled($0, from: component.maximum, to: 255))
      }
    }

    func value(in element: UInt64) -> UInt32 { UInt32(values[Int(component.value(in: element))]) }
  }

  init(_ encoding: ColourEncoding) {
    red = Table(encoding.red)
    green = Table(encoding.green)
    blue = Table(encoding.blue)
  }

  /// The colour of an element, without its alpha.
  func colour(of element: UInt64) -> UInt32 {
    red.value(in: element) << 16 | green.value(in: element) << 8 | blue.value(in: element)
  }
}
