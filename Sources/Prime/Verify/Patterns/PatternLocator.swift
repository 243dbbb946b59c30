internal import Prime

/// Finds where sixteen bytes of a row belong, wherever they are met.
///
/// The XOR of two neighbouring words does not depend on the row, because both were combined with the same row key: it
/// names the position within the row. The row key that then remains names the row.
struct PatternLocator {
  private let positions: [UInt64: Int]
  private let rows: [UInt64: Int]
  private let plane: PatternPlane
  private let mask: UInt64

  /// Where a piece of content belongs.
  struct Origin: Hashable {
    let row: Int
    /// In bytes from the start of the row.
    let position: Int
  }

  init(_ diagnosis: PatternDiagnosis) {
    self.init(diagnosis.plane)
  }

  init(_ plane: PatternPlane) {
    self.plane = plane
    mask = plane.wordMask
    var positions: [UInt64: Int] = [:]
    // Where unused bits may be lost, pieces are only comparable at whole elements.
    let step = mask == .max ? 1 : plane.elementSize
    for position in stride(from: 0, through: plane.rowBytes - 16, by: step) {
      positions[Self.word(plane.columns, position, mask) ^ Self.word(plane.columns, position + 8, mask)] = position
    }
    var rows: [UInt64: Int] = [:]
    if plane.rowBytes >= 16 {
      for row in 0..<plane.rowCount { rows[plane.key(ofRow: row) & mask] = row }
    }
    self.positions = positions
    self.rows = rows
  }

  /// Where the sixteen bytes at an offset of the buffer belong, or nil where they are no piece of the plane.
  func origin(of offset: Int, in bytes: Span<UInt8>) -> Origin? {
    let first = loadElement(bytes, at: offset, size: 8) & mask
    let second = loadElement(bytes, at: offset + 8, size: 8) & mask
    guard let position = positions[first ^ second] else { return nil }
    let key = first ^ Self.word(plane.columns, position, mask)
    // The key repeats every eight bytes of the row; a piece that starts inside a word sees it rotated.
    let turn = UInt64(position & 7) * 8
    let upright = turn == 0 ? key : key << turn | key >> (64 - turn)
    guard let row = rows[upright] else { return nil }
    return Origin(row: row, position: position)
  }

  /// The eight bytes at any position of a row, before the key is applied.
  private static func word(_ columns: [UInt64], _ position: Int, _ mask: UInt64) -> UInt64 {
    let index = position >> 3
    let shift = UInt64(position & 7) * 8
    guard shift > 0 else { return columns[index] & mask }
    return (columns[index] >> shift | columns[index + 1] << (64 - shift)) & mask
  }

  /// The placements that most pieces of the damaged plane agree on, the likeliest first.
  func placements(in bytes: Span<UInt8>, of diagnosis: PatternDiagnosis) -> [PatternPlacement] {
    let found = pieces(in: bytes, of: diagnosis).compactMap { piece in
      piece.origin.map { (offset: piece.offset, origin: $0) }
    }
    var pitches: [Int: Int] = [diagnosis.place.pitch: 1]
    for (one, two) in zip(found, found.dropFirst()) {
      let rows = two.origin.row - one.origin.row
      let distance = (two.offset - two.origin.position) - (one.offset - one.origin.position)
      guard rows != 0, distance.isMultiple(of: rows), distance / rows >= plane.rowBytes else { continue }
      pitches[distance / rows, default: 0] += 1
    }
    var placements: [PatternPlacement] = []
    for pitch in Self.likeliest(pitches) {
      var offsets: [Int: Int] = [:]
      for piece in found {
        offsets[piece.offset - piece.origin.position - piece.origin.row * pitch, default: 0] += 1
      }
      for offset in Self.likeliest(offsets) {
        placements.append(PatternPlacement(source: diagnosis.damage.plane, offset: offset, pitch: pitch))
      }
    }
    return placements
  }

  /// Samples the damaged rectangle, and says of each piece where it belongs.
  func pieces(in bytes: Span<UInt8>, of diagnosis: PatternDiagnosis) -> [(offset: Int, origin: Origin?)] {
    let box = diagnosis.damage.rectangle
    let place = diagnosis.place
    let size = plane.elementSize
    let lastStart = plane.rowBytes - 16
    guard lastStart >= 0 else { return [] }
    let rowStep = max(1, box.height / 256)
    let first = min(box.x * size, lastStart / size * size)
    let last = max(first, min((box.x + box.width) * size - 16, lastStart) / size * size)
    var pieces: [(offset: Int, origin: Origin?)] = []
    for y in stride(from: box.y, to: box.y + box.height, by: rowStep) {
      let width = (last - first) / size
      var previous = -1
      for quarter in 0...3 {
        let position = first + width * quarter / 3 * size
        guard position != previous else { continue }
        previous = position
        let offset = place.offset + y * place.pitch + position
        pieces.append((offset, origin(of: offset, in: bytes)))
      }
    }
    return pieces
  }

  private static func likeliest(_ votes: [Int: Int]) -> [Int] {
    votes.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.prefix(3).map(\.key)
  }
}

extension PatternDiagnosis {
  /// Whether most pieces of the plane are its own content at other places, with no simple rule.
  func isRearranged(in bytes: Span<UInt8>) -> Bool {
    let pieces = PatternLocator(self).pieces(in: bytes, of: self)
    let moved = pieces.filter { piece in
      guard let origin = piece.origin else { return false }
      return piece.offset != place.offset + origin.row * place.pitch + origin.position
    }
    return moved.count >= 8 && moved.count * 2 > pieces.count
  }
}
