/// A width and a height in pixels.
public struct Size: Hashable, Sendable, Codable, CustomStringConvertible {
  /// How many columns.
  public var width: Int
  /// How many rows.
  public var height: Int

  /// Makes the pair.
  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  /// `1024x768`.
  public var description: String { "\(width)x\(height)" }
}

/// A pixel's place: columns from the left and rows from the top, from 0.
public struct Point: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The column.
  public var x: Int
  /// The row.
  public var y: Int

  /// Makes the pair.
  public init(x: Int, y: Int) {
    self.x = x
    self.y = y
  }

  /// The upper left corner.
  public static let origin = Point(x: 0, y: 0)

  /// `+40+30`.
  public var description: String { "\(x < 0 ? "" : "+")\(x)\(y < 0 ? "" : "+")\(y)" }
}

/// A part of a picture or a screen.
public struct Rectangle: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The upper left corner.
  public var origin: Point
  /// How large it is.
  public var size: Size

  /// Makes a part.
  public init(origin: Point = .origin, size: Size) {
    self.origin = origin
    self.size = size
  }

  /// Whether it has pixels and all of them lie within a picture of a size.
  public func isWithin(_ picture: Size) -> Bool {
    // The differences cannot overflow once the numbers are known not to be negative.
    origin.x >= 0 && origin.y >= 0 && size.width > 0 && size.height > 0 && size.width <= picture.width
      && size.height <= picture.height && origin.x <= picture.width - size.width
      && origin.y <= picture.height - size.height
  }

  /// `64x48+40+30`.
  public var description: String { "\(size)\(origin)" }
}
