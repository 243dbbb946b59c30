internal import Prime

/// One plane of a pattern, with what its rows have in common computed once.
struct PatternPlane {
  /// The words of a row before its key is applied; the last one may reach beyond the row.
  let columns: [UInt64]

  /// The bytes of a row.
  let rowBytes: Int

  /// The number of rows.
  let rowCount: Int

  /// The size of an element in bytes.
  let elementSize: Int

  /// The bits of an element that are compared.
  let elementMask: UInt64

  /// The bits of a word that are compared, the same for each word of a row.
  let wordMask: UInt64

  private let pattern: Pattern
  private let rowBase: UInt64
  private let generation: UInt64

  init(_ pattern: Pattern, plane: Int, layout: PictureLayout, ignoringUnusedBits: Bool) {
    let shape = layout.format.planes[plane]
    self.pattern = pattern
    rowBytes = layout.rowBytes(ofPlane: plane)
    rowCount = layout.rows(ofPlane: plane)
    elementSize = shape.bytesPerElement
    rowBase = pattern.rowBase(plane: plane)
    generation = pattern.generationKey
    columns = (0..<(rowBytes + 7) / 8).map { pattern.columnWord(plane: plane, at: $0) }
    let all = Self.allBits(ofElement: elementSize)
    elementMask = ignoringUnusedBits ? shape.significantMask : all
    if elementMask == all {
      wordMask = .max
    } else {
      // Formats with unused bits have elements of 2, 4 or 8 bytes, so that a word holds a whole number of them.
      var mask: UInt64 = 0
      for position in stride(from: 0, to: 8, by: elementSize) {
        mask |= elementMask << UInt64(8 * position)
      }
      wordMask = mask
    }
  }

  /// What a row's column words are combined with.
  func key(ofRow y: Int) -> UInt64 {
    pattern.rowKey(base: rowBase, generation: generation, y: y)
  }

  /// The element at a column of the row with this key.
  func element(_ x: Int, key: UInt64) -> UInt64 {
    let position = x * elementSize
    let word = position >> 3
    let shift = UInt64(position & 7) * 8
    var value = (columns[word] ^ key) >> shift
    if Int(shift) + elementSize * 8 > 64 {
      value |= (columns[word + 1] ^ key) << (64 - shift)
    }
    return value & Self.allBits(ofElement: elementSize)
  }

  /// The byte at a position of the row with this key.
  func byte(_ position: Int, key: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: (columns[position >> 3] ^ key) >> (UInt64(position & 7) * 8))
  }

  /// The bits of the byte at a position of a row that are compared.
  func maskByte(_ position: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: wordMask >> (UInt64(position & 7) * 8))
  }

  static func allBits(ofElement size: Int) -> UInt64 {
    size >= 8 ? .max : (1 << UInt64(8 * size)) - 1
  }
}

extension Pattern {
  /// The planes of this pattern in a layout.
  func planes(in layout: PictureLayout, ignoringUnusedBits: Bool) -> [PatternPlane] {
    layout.planes.indices.map {
      PatternPlane(self, plane: $0, layout: layout, ignoringUnusedBits: ignoringUnusedBits)
    }
  }
}
