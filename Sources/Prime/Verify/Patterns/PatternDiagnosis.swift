public import Prime

extension Pattern {
  /// Compares memory with the pattern, and explains what differs; nil where nothing does.
  ///
  /// `earlier` are the patterns that were written to the same memory before and must not be seen any more. `pageSize` is
  /// the size of a page of memory in bytes; `bytes` is taken to begin at the start of a page.
  public func diagnose(
    _ bytes: Span<UInt8>, layout: PictureLayout, earlier: [Pattern] = [], ignoringUnusedBits: Bool,
    pageSize: Int = 4096
  ) throws(PatternError) -> Mismatch? {
    try diagnose(
      bytes, layout: layout, earlier: earlier, ignoringUnusedBits: ignoringUnusedBits, pageSize: pageSize,
      wasAltered: false)
  }

  /// The same of a target that held this pattern altered everywhere before an engine was to write it.
  func diagnose(
    _ bytes: Span<UInt8>, layout: PictureLayout, earlier: [Pattern], ignoringUnusedBits: Bool, pageSize: Int = 4096,
    wasAltered: Bool
  ) throws(PatternError) -> Mismatch? {
    let comparison = try compare(bytes, layout: layout, ignoringUnusedBits: ignoringUnusedBits)
    guard let damage = comparison.damages.first else { return nil }
    let planes = planes(in: layout, ignoringUnusedBits: ignoringUnusedBits)
    let diagnosis = PatternDiagnosis(
      planes: planes,
      earlier: earlier.map { ($0, $0.planes(in: layout, ignoringUnusedBits: ignoringUnusedBits)) },
      layout: layout, damages: comparison.damages, damage: damage, pageSize: max(pageSize, 1))
    let untouched = wasAltered ? remains(in: bytes, layout: layout) : nil
    let (cause, isWhole) =
      untouched.map { (MismatchCause.notWritten($0), isWhole: $0.isAll) } ?? diagnosis.cause(in: bytes)
    let shape = layout.format.planes[damage.plane]
    let isPixel = damage.plane == 0 && shape.horizontalSubsampling == 1
    let wording = MismatchWording(
      noun: isPixel ? "pixel" : "sample", isWhole: isWhole, seed: seed, pageSize: diagnosis.pageSize)
    return Mismatch(comparison.damages, first: damage, cause: cause, wording: wording)
  }
}

/// The search for what explains the damage of one plane.
///
/// Every explanation is a claim on what each element holds, and counts only when the memory bears it out.
struct PatternDiagnosis {
  let planes: [PatternPlane]
  let earlier: [(pattern: Pattern, planes: [PatternPlane])]
  let layout: PictureLayout
  let damages: [PatternDamage]
  /// The damage that is explained.
  let damage: PatternDamage
  let pageSize: Int

  var plane: PatternPlane { planes[damage.plane] }
  var place: PlaneLayout { layout.planes[damage.plane] }

  /// The likeliest cause, and whether it holds for the whole plane.
  func cause(in bytes: Span<UInt8>) -> (MismatchCause, isWhole: Bool) {
    let inPlace = causeInPlace(bytes)
    if let inPlace, inPlace.isWhole { return inPlace }
    // A moved picture is wrong nearly everywhere, wrong pages leave others right.
    let isWide = damage.differing > damage.total / 4 * 3
    if isWide, let moved = movedCause(in: bytes) { return (moved, true) }
    if let pages = pageCause(in: bytes) { return (pages, false) }
    if let inPlace { return inPlace }
    if !isWide, let moved = movedCause(in: bytes) { return (moved, false) }
    if isRearranged(in: bytes) { return (.rearranged, true) }
    return (.other, false)
  }

  /// The causes that explain each element by itself, at its own place.
  private func causeInPlace(_ bytes: Span<UInt8>) -> (MismatchCause, isWhole: Bool)? {
    // One or two elements can hold any value by chance.
    guard damage.differing == damage.total || damage.differing * plane.elementSize >= 16 else { return nil }
    var claims: [(MismatchCause, (Int, Int, UInt64) -> UInt64)] = [(.zero, { _, _, _ in 0 })]
    for (pattern, planes) in earlier {
      let old = planes[damage.plane]
      claims.append((.stale(pattern), { x, y, _ in old.element(x, key: old.key(ofRow: y)) }))
    }
    for (change, exchange) in exchanges {
      claims.append((.byteOrder(change), { _, _, expected in exchange(expected) }))
    }
    let value = damage.found.bits
    claims.append((.uniform(damage.found), { _, _, _ in value }))
    for (cause, claim) in claims {
      guard let isWhole = holds(bytes, claim) else { continue }
      return (cause, isWhole)
    }
    return nil
  }

  /// Whether a claim explains every differing element; the answer is whether it holds for all others as well.
  private func holds(_ bytes: Span<UInt8>, _ claim: (_ x: Int, _ y: Int, _ expected: UInt64) -> UInt64) -> Bool? {
    let size = plane.elementSize
    let box = damage.rectangle
    var isWhole = box.width * box.height == damage.total
    for y in box.y..<box.y + box.height {
      let key = plane.key(ofRow: y)
      let row = place.offset + y * place.pitch
      for x in box.x..<box.x + box.width {
        let expected = plane.element(x, key: key)
        let found = loadElement(bytes, at: row + x * size, size: size)
        guard (found ^ claim(x, y, expected)) & plane.elementMask != 0 else { continue }
        guard (found ^ expected) & plane.elementMask == 0 else { return nil }
        isWhole = false
      }
    }
    return isWhole
  }

  /// The ways the bytes or components of an element of this plane can be exchanged.
  private var exchanges: [(ByteOrderChange, (UInt64) -> UInt64)] {
    var all: [(ByteOrderChange, (UInt64) -> UInt64)] = []
    if let pair = layout.format.planes[damage.plane].confusablePair {
      all.append((pair.kind == .redBlue ? .redBlue : .chroma, pair.exchanged))
    }
    let size = plane.elementSize
    let bits = UInt64(8 * size)
    if size > 1 { all.append((.reversed, { $0.byteSwapped >> (64 - bits) })) }
    if size > 2, size % 2 == 0 {
      let low: UInt64 = 0x00ff_00ff_00ff_00ff
      all.append((.bytePairs, { ($0 & low) << 8 | ($0 >> 8 & low) }))
      let mask = PatternPlane.allBits(ofElement: size)
      all.append((.halves, { ($0 << (bits / 2) | $0 >> (bits / 2)) & mask }))
    }
    return all
  }
}
