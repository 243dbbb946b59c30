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

extension PatternPlane {
  /// Finds what differs in a plane, or nil.
  fileprivate func damage(in bytes: Span<UInt8>, place: PlaneLayout, plane: Int) -> PatternDamage? {
    var first: (x: Int, y: Int, expected: UInt64, found: UInt64)?
    var differing = 0
    var columnRange = Int.max..<Int.max
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
        columnRange = min(x, columnRange.lowerBound)..<(columnRange.upperBound == .max ? x + 1 : max(x + 1, columnRange.upperBound))
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
        x: columnRange.lowerBound, y: first.y, width: columnRange.count, height: lastRow - first.y + 1))
  }

  /// The first row from `start` on that is not as expected, or the number of rows.
  func firstDifferingRow(from start: Int, in bytes: Span<UInt8>, place: PlaneLayout) -> Int {
    // SAFETY: the callers checked that every row lies below the span's count; the pointer does not leave the closure.
    unsafe bytes.withUnsafeBytes { memory in
      unsafe columns.withUnsafeBufferPointer { columns in
        guard let memory = memory.baseAddress, let words = columns.baseAddress else { return rowCount }
        for y in start..<max(start, rowCount) {
          let row = unsafe memory + place.offset + y * place.pitch
          if unsafe differs(row, words, key: key(ofRow: y)) { return y }
        }
        return rowCount
      }
    }
  }

  /// Whether any compared bit of a row is not as expected.
  @inline(__always)
  private func differs(_ row: UnsafeRawPointer, _ words: UnsafePointer<UInt64>, key: UInt64) -> Bool {
    var difference: UInt64 = 0
    let whole = rowBytes >> 3
    // Nothing but loads, XOR and OR: the compiler makes vectors of it, and a row is short enough not to stop early.
    for word in 0..<whole {
      // SAFETY: word * 8 + 8 <= rowBytes, and `words` covers rowBytes. Mapped memory may start at any offset.
      difference |= unsafe UInt64(littleEndian: row.loadUnaligned(fromByteOffset: word &* 8, as: UInt64.self))
        ^ words[word] ^ key
    }
    var rest: UInt64 = 0
    for position in whole &* 8..<rowBytes {
      // SAFETY: position < rowBytes, and the word that holds it is one of `words`.
      let found = unsafe UInt64(row.load(fromByteOffset: position, as: UInt8.self))
      let expected = unsafe (words[whole] ^ key) >> (UInt64(position & 7) &* 8) & 0xff
      rest |= (found ^ expected) << (UInt64(position & 7) &* 8)
    }
    return (difference | rest) & wordMask != 0
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
