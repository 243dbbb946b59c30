public import Prime

extension PictureContent {
  /// Compares memory with the content; nil where every pixel is within the tolerance.
  ///
  /// The bits of an X component are not looked at; alpha is. A pattern in a format that pictures cannot be drawn in is
  /// compared exactly, whatever the tolerance: its elements are no colours whose distance would mean something.
  ///
  /// - Throws: `PictureError` where the memory is too small, or a picture is compared in a format it cannot have.
  public func compare(
    _ bytes: Span<UInt8>, layout: PictureLayout, tolerance: ComponentTolerance = .exact
  ) throws(PictureError) -> PictureDifference? {
    switch self {
    case .pattern(let pattern):
      return try Self.compare(pattern, bytes, layout, tolerance)
    case .picture(let picture):
      let encoding = try Self.encoding(of: layout, byteCount: bytes.count)
      switch encoding.byteCount {
      case 2: return Self.compare(picture, encoding, as: UInt16.self, bytes, layout, tolerance)
      case 4: return Self.compare(picture, encoding, as: UInt32.self, bytes, layout, tolerance)
      default: return Self.compare(picture, encoding, as: UInt64.self, bytes, layout, tolerance)
      }
    }
  }

  private static func compare<Element: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ picture: TestPicture, _ encoding: ColourEncoding, as type: Element.Type, _ bytes: Span<UInt8>,
    _ layout: PictureLayout, _ tolerance: ComponentTolerance
  ) -> PictureDifference? {
    let place = layout.planes[0]
    let limit = tolerance.limit
    let mask = Element(truncatingIfNeeded: encoding.significantMask)
    var rows = EncodedPictureRows<Element>(picture, encoding, layout)
    var row = [Element](repeating: 0, count: layout.width)
    var tally = PictureDifferenceTally()
    for y in 0..<layout.height {
      rows.advance(to: y)
      readRow(&row, from: bytes, at: place.offset + y * place.pitch)
      guard differ(rows.elements, row, mask: mask) else { continue }
      for x in 0..<layout.width where (rows.elements[x] ^ row[x]) & mask != 0 {
        let expected = UInt64(rows.elements[x])
        let found = UInt64(row[x])
        let difference = encoding.largestDifference(expected, found)
        guard difference > limit else { continue }
        tally.add(x: x, y: y, expected: expected, found: found, difference: difference)
      }
    }
    return tally.result(elementSize: encoding.byteCount, total: layout.width * layout.height)
  }

  /// Whether two rows differ anywhere; it does not stop early, so that the compiler makes vectors of it.
  private static func differ<Element: FixedWidthInteger>(_ one: [Element], _ other: [Element], mask: Element) -> Bool {
    var difference: Element = 0
    for x in 0..<min(one.count, other.count) { difference |= one[x] ^ other[x] }
    return difference & mask != 0
  }

  private static func compare(
    _ pattern: Pattern, _ bytes: Span<UInt8>, _ layout: PictureLayout, _ tolerance: ComponentTolerance
  ) throws(PictureError) -> PictureDifference? {
    do throws(PatternError) {
      // What is as expected is found so at the speed of memory; only what is not is looked at in detail.
      guard try !pattern.matches(bytes, layout: layout, ignoringUnusedBits: true) else { return nil }
      if let encoding = ColourEncoding(layout.format.fourcc) {
        return elements(of: pattern, encoding, bytes, layout, tolerance)
      }
      let damage = try pattern.compare(bytes, layout: layout, ignoringUnusedBits: true).damages.first
      return damage.map {
        PictureDifference(
          plane: $0.plane, x: $0.x, y: $0.y, expected: $0.expected, found: $0.found, differing: $0.differing,
          total: $0.total, rectangle: $0.rectangle, largestSteps: nil)
      }
    } catch {
      throw PictureError(error)
    }
  }

  private static func elements(
    of pattern: Pattern, _ encoding: ColourEncoding, _ bytes: Span<UInt8>, _ layout: PictureLayout,
    _ tolerance: ComponentTolerance
  ) -> PictureDifference? {
    let place = layout.planes[0]
    let plane = PatternPlane(pattern, plane: 0, layout: layout, ignoringUnusedBits: true)
    var tally = PictureDifferenceTally()
    for y in 0..<layout.height {
      let key = plane.key(ofRow: y)
      let start = place.offset + y * place.pitch
      for x in 0..<layout.width {
        let expected = plane.element(x, key: key)
        let found = loadElement(bytes, at: start + x * plane.elementSize, size: plane.elementSize)
        guard (expected ^ found) & plane.elementMask != 0 else { continue }
        let difference = encoding.largestDifference(expected, found)
        guard difference > tolerance.limit else { continue }
        tally.add(x: x, y: y, expected: expected, found: found, difference: difference)
      }
    }
    return tally.result(elementSize: plane.elementSize, total: layout.width * layout.height)
  }
}

extension ComponentTolerance {
  /// The tolerance on the scale of 0 to 65535, which no difference is beyond.
  fileprivate var limit: Int { min(eightBitSteps, 255) * 257 }
}
