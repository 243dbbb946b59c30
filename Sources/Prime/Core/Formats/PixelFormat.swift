/// How the pixels of a fourcc lie in memory, plane by plane.
public struct PixelFormat: Sendable, Hashable {
  /// The code that names the format.
  public let fourcc: Fourcc

  /// The memory planes, 1 to 4 of them, in the kernel's order.
  public let planes: [Plane]

  /// Finds the format of a code, or nil where this module has no description of it.
  public init?(_ fourcc: Fourcc) {
    guard let format = Self.byCode[fourcc] else { return nil }
    self = format
  }

  init(_ fourcc: Fourcc, _ planes: [Plane]) {
    self.fourcc = fourcc
    self.planes = planes
  }

  private static let byCode = Dictionary(uniqueKeysWithValues: known.map { ($0.fourcc, $0) })
}

extension PixelFormat {
  /// One memory plane of a format: what an element is and how densely elements lie.
  ///
  /// An element is the smallest group of bytes that repeats along a row: a pixel, a Cb and Cr pair, or, in YUYV,
  /// two pixels that share their chroma.
  public struct Plane: Sendable, Hashable {
    /// The size of one element, in bytes.
    public let bytesPerElement: Int

    /// How many pixels one element spans along a row.
    public let horizontalSubsampling: Int

    /// How many rows of pixels one row of elements spans.
    public let verticalSubsampling: Int

    /// The bits of a little-endian element that carry a component; the bits of an X component are 0.
    public let significantMask: UInt64

    /// The two components that drivers confuse, red with blue or Cb with Cr, where the plane holds both.
    package let confusablePair: ComponentPair?

    init(
      bytes: Int, horizontal: Int = 1, vertical: Int = 1, unused: UInt64 = 0, pair: ComponentPair? = nil
    ) {
      bytesPerElement = bytes
      horizontalSubsampling = horizontal
      verticalSubsampling = vertical
      let all = bytes == 8 ? UInt64.max : (1 << UInt64(8 * bytes)) - 1
      significantMask = all & ~unused
      confusablePair = pair
    }
  }

  /// Two components of equal width inside one element.
  package struct ComponentPair: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
      case redBlue
      case chroma
    }

    package let kind: Kind
    let first: UInt64
    let second: UInt64
    let bits: UInt64

    /// The element with the two components exchanged.
    package func exchanged(_ element: UInt64) -> UInt64 {
      let mask: UInt64 = (1 << bits) - 1
      let difference = ((element >> first) ^ (element >> second)) & mask
      return element ^ (difference << first) ^ (difference << second)
    }
  }
}
