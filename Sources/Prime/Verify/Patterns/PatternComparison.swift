public import Prime

/// What a comparison of memory with a pattern found.
public struct PatternComparison: Sendable, Hashable, Codable {
  /// The planes that differ, in order; empty where all is as expected.
  public let damages: [PatternDamage]

  /// Whether every pixel is as expected.
  public var isEqual: Bool { damages.isEmpty }
}

/// Where and how much one plane differs from a pattern.
public struct PatternDamage: Sendable, Hashable, Codable {
  /// The memory plane, from 0.
  public let plane: Int

  /// The column of the first differing element, in elements.
  public let x: Int

  /// The row of the first differing element, in rows of the plane.
  public let y: Int

  /// What the first differing element should hold.
  public let expected: ElementValue

  /// What the first differing element holds.
  public let found: ElementValue

  /// How many elements of the plane differ.
  public let differing: Int

  /// How many elements the plane has.
  public let total: Int

  /// The smallest rectangle around everything that differs.
  public let rectangle: DamagedRectangle
}

/// A rectangle of elements of one plane.
public struct DamagedRectangle: Sendable, Hashable, Codable {
  /// The first column.
  public let x: Int

  /// The first row.
  public let y: Int

  /// How many columns.
  public let width: Int

  /// How many rows.
  public let height: Int

  /// Names a rectangle by its first column, first row and size, in elements.
  public init(x: Int, y: Int, width: Int, height: Int) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }
}

extension Pattern {
  /// Compares memory with the pattern, and where it differs says where and how much.
  ///
  /// Memory that is as expected is read once, at about the speed of `memcmp`. `ignoringUnusedBits` leaves out the bits
  /// that carry no component, such as the X of XRGB8888.
  public func compare(
    _ bytes: Span<UInt8>, layout: PictureLayout, ignoringUnusedBits: Bool
  ) throws(PatternError) -> PatternComparison {
    guard bytes.count >= layout.byteCount else {
      throw .memoryTooSmall(needed: layout.byteCount, given: bytes.count)
    }
    var damages: [PatternDamage] = []
    for (index, place) in layout.planes.enumerated() {
      let plane = PatternPlane(self, plane: index, layout: layout, ignoringUnusedBits: ignoringUnusedBits)
      if let damage = plane.damage(in: bytes, place: place, plane: index) { damages.append(damage) }
    }
    return PatternComparison(damages: damages)
  }
}

extension Pattern {
  /// Whether memory is as the pattern says; stops at the first row that is not.
  public func matches(
    _ bytes: Span<UInt8>, layout: PictureLayout, ignoringUnusedBits: Bool
  ) throws(PatternError) -> Bool {
    guard bytes.count >= layout.byteCount else {
      throw .memoryTooSmall(needed: layout.byteCount, given: bytes.count)
    }
    for (index, place) in layout.planes.enumerated() {
      let plane = PatternPlane(self, plane: index, layout: layout, ignoringUnusedBits: ignoringUnusedBits)
      guard plane.firstDifferingRow(from: 0, in: bytes, place: place) == plane.rowCount else { return false }
    }
    return true
  }
}

extension PatternPlane {
  /// Finds what differs in a plane, or nil.
  fileprivate func damage(in bytes: Span<UInt8>, place: PlaneLayout, plane: Int) -> PatternDamage? {
    var first: (x: Int, y: Int, expected: UInt64, found: UInt64)?
    var differing = 0
    var left = Int.max
    var right = 0
    var lastRow = 0
    var y = firstDifferingRow(from: 0, in: bytes, place: place)
    while y < rowCount {
      let key = key(ofRow: y)
      let row = place.offset + y * place.pitch
      for x in 0..<rowBytes / elementSize {
        let expected = element(x, key: key)
        let found = loadElement(bytes, at: row + x * elementSize, size: elementSize)
        guard (expected ^ found) & elementMask != 0 else { continue }
        if first == nil { first = (x, y, expected, found) }
        differing += 1
        left = min(left, x)
        right = max(right, x)
        lastRow = y
      }
      y = firstDifferingRow(from: y + 1, in: bytes, place: place)
    }
    guard let first else { return nil }
    return PatternDamage(
      plane: plane, x: first.x, y: first.y,
      expected: ElementValue(first.expected, byteCount: elementSize),
      found: ElementValue(first.found, byteCount: elementSize),
      differing: differing, total: rowBytes / elementSize * rowCount,
      rectangle: DamagedRectangle(
        x: left, y: first.y, width: right - left + 1, height: lastRow - first.y + 1))
  }
}

/// The little-endian number of `size` bytes at a position.
func loadElement(_ bytes: Span<UInt8>, at position: Int, size: Int) -> UInt64 {
  var value: UInt64 = 0
  for byte in 0..<size {
    value |= UInt64(bytes[position + byte]) << UInt64(8 * byte)
  }
  return value
}
