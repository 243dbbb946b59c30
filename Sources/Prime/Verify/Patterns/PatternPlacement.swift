internal import Prime

/// A claim that a plane's content lies elsewhere: row r of `source` begins at byte `offset + r * pitch` of the buffer.
struct PatternPlacement: Hashable {
  let source: Int
  let offset: Int
  let pitch: Int
}

/// How far the memory bears a claim out, in bytes.
struct PatternAgreement {
  /// Compared bytes for which the claim names a content.
  var covered = 0
  /// Those of them that have it.
  var matching = 0

  /// Whether nearly all that can be compared is as claimed, and is a large enough part of `total`.
  func isConvincing(of total: Int, part: Double = 0.25) -> Bool {
    Double(covered) >= Double(total) * part && covered > 0 && Double(matching) >= Double(covered) * 0.95
  }
}

extension PatternDiagnosis {
  /// Compares part of a row with what a placement says it holds, and adds to the agreement.
  func add(
    _ placement: PatternPlacement, plane index: Int, y: Int, positions: Range<Int>, in bytes: Span<UInt8>,
    to agreement: inout PatternAgreement
  ) {
    let target = planes[index]
    let source = planes[placement.source]
    let row = layout.planes[index].offset + y * layout.planes[index].pitch
    var position = positions.lowerBound
    while position < positions.upperBound {
      let distance = row + position - placement.offset
      guard distance >= 0 else {
        position = min(positions.upperBound, position - distance)
        continue
      }
      let sourceRow = distance / placement.pitch
      guard sourceRow < source.rowCount else { return }
      let sourcePosition = distance - sourceRow * placement.pitch
      let count = min(positions.upperBound - position, placement.pitch - sourcePosition)
      let known = max(0, min(count, source.rowBytes - sourcePosition))
      let key = source.key(ofRow: sourceRow)
      var matching = 0
      for step in 0..<known {
        let difference = bytes[row + position + step] ^ source.byte(sourcePosition + step, key: key)
        if difference & target.maskByte(position + step) == 0 { matching += 1 }
      }
      agreement.covered += known
      agreement.matching += matching
      position += count
    }
  }

  /// How far the damaged rows of the plane bear a placement out.
  ///
  /// Where the claim is hopeless after some rows, the rest is not read.
  func agreement(with placement: PatternPlacement, in bytes: Span<UInt8>) -> PatternAgreement {
    var agreement = PatternAgreement()
    let box = damage.rectangle
    let positions = box.x * plane.elementSize..<(box.x + box.width) * plane.elementSize
    for y in box.y..<box.y + box.height {
      add(placement, plane: damage.plane, y: y, positions: positions, in: bytes, to: &agreement)
      guard agreement.covered < 65_536 || agreement.matching > agreement.covered / 2 else { break }
    }
    return agreement
  }

  /// The bytes of the damaged rectangle.
  var damagedBytes: Int { damage.rectangle.width * damage.rectangle.height * plane.elementSize }

  /// Looks for the one placement that explains the damage.
  func movedCause(in bytes: Span<UInt8>) -> MismatchCause? {
    if let other = shownPlane(in: bytes) { return .planeOffset(showsPlane: other) }
    if isFlipped(in: bytes) { return .flipped }
    for placement in PatternLocator(self).placements(in: bytes, of: self) {
      guard agreement(with: placement, in: bytes).isConvincing(of: damagedBytes) else { continue }
      guard placement.pitch == place.pitch else {
        return .sheared(pitch: placement.pitch, declared: place.pitch)
      }
      return shift(by: placement.offset - place.offset)
    }
    return pitchOfReader(in: bytes).map { .sheared(pitch: $0, declared: place.pitch) }
  }

  /// The pitch, in bytes, of a reader that stepped from row to row with another one than the content was written with.
  ///
  /// Its rows lie where they should, and each holds what is further along in memory by as much as the pitches differ.
  private func pitchOfReader(in bytes: Span<UInt8>) -> Int? {
    var votes: [Int: Int] = [:]
    for piece in PatternLocator(self).pieces(in: bytes, of: self) {
      guard let origin = piece.origin else { continue }
      let y = (piece.offset - place.offset) / place.pitch
      let ahead = place.offset + origin.row * place.pitch + origin.position - piece.offset
      if y > 0, ahead != 0, ahead.isMultiple(of: y) { votes[ahead / y, default: 0] += 1 }
    }
    guard let step = votes.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })?.key, place.pitch + step > 0 else {
      return nil
    }
    var agreement = PatternAgreement()
    for y in damage.rectangle.y..<damage.rectangle.y + damage.rectangle.height {
      let placement = PatternPlacement(source: damage.plane, offset: place.offset - y * step, pitch: place.pitch)
      add(placement, plane: damage.plane, y: y, positions: 0..<plane.rowBytes, in: bytes, to: &agreement)
      guard agreement.covered < 65_536 || agreement.matching > agreement.covered / 2 else { return nil }
    }
    return agreement.isConvincing(of: damagedBytes) ? place.pitch + step : nil
  }

  /// Names a displacement in rows, elements and bytes, with as few elements as possible.
  private func shift(by distance: Int) -> MismatchCause? {
    guard distance != 0 else { return nil }
    let pitch = place.pitch
    let half = distance + pitch / 2
    let dy = half >= 0 ? half / pitch : -((pitch - 1 - half) / pitch)
    let rest = distance - dy * pitch
    return .shifted(dx: rest / plane.elementSize, dy: dy, bytes: rest % plane.elementSize)
  }

  /// The plane whose content lies where this one's should.
  private func shownPlane(in bytes: Span<UInt8>) -> Int? {
    for other in planes.indices where other != damage.plane {
      for pitch in Set([layout.planes[other].pitch, place.pitch]).sorted() where pitch >= planes[other].rowBytes {
        let placement = PatternPlacement(source: other, offset: place.offset, pitch: pitch)
        if agreement(with: placement, in: bytes).isConvincing(of: damagedBytes) { return other }
      }
    }
    return nil
  }

  private func isFlipped(in bytes: Span<UInt8>) -> Bool {
    guard plane.rowCount > 1 else { return false }
    var agreement = PatternAgreement()
    let box = damage.rectangle
    for y in box.y..<box.y + box.height {
      let mirrored = plane.rowCount - 1 - y
      let placement = PatternPlacement(
        source: damage.plane, offset: place.offset + (y - mirrored) * place.pitch, pitch: place.pitch)
      add(placement, plane: damage.plane, y: y, positions: 0..<plane.rowBytes, in: bytes, to: &agreement)
      guard agreement.covered < 65_536 || agreement.matching > agreement.covered / 2 else { return false }
    }
    return agreement.isConvincing(of: damagedBytes, part: 0.5)
  }
}
