/// A part of content that is written wrong on purpose, in a way that no element of it can pass for what it should be.
///
/// In every byte of a pattern, and in every component of a picture, the highest bit is inverted: half of the full scale is
/// more than any tolerance. A target holds it before an engine writes there, so that what was not written is seen; a
/// checksum is believed only where it tells content from the same content with one row or pixel altered.
enum ContentAlteration: Hashable, Sendable {
  case everything
  /// A row of the first plane.
  case row(Int)
  /// An element of the first plane.
  case element(x: Int, y: Int)

  /// The elements of a row of the first plane that are altered.
  fileprivate func columns(ofRow y: Int, count: Int) -> Range<Int> {
    switch self {
    case .everything: 0..<count
    case .row(y): 0..<count
    case .element(let x, y) where x < count: x..<x + 1
    case .row, .element: 0..<0
    }
  }

  /// The inverted bits of eight bytes of a pattern.
  static let patternBits: UInt64 = 0x8080_8080_8080_8080
}

extension Pattern {
  /// Writes the pattern with a part of it altered where one is named, and reads nothing there.
  func fill(
    _ bytes: inout MutableSpan<UInt8>, layout: PictureLayout, altering alteration: ContentAlteration?
  ) throws(PatternError) {
    guard alteration != .everything else {
      return try fill(&bytes, layout: layout, inverting: ContentAlteration.patternBits)
    }
    try fill(&bytes, layout: layout)
    guard let alteration else { return }
    let plane = PatternPlane(self, plane: 0, layout: layout, ignoringUnusedBits: false)
    for y in 0..<plane.rowCount {
      let columns = alteration.columns(ofRow: y, count: plane.rowBytes / plane.elementSize)
      let key = plane.key(ofRow: y) ^ ContentAlteration.patternBits
      let row = layout.planes[0].offset + y * layout.planes[0].pitch
      for position in columns.lowerBound * plane.elementSize..<columns.upperBound * plane.elementSize {
        bytes[row + position] = plane.byte(position, key: key)
      }
    }
  }

  /// What is left in memory of the pattern altered everywhere; nil where nothing is.
  func remains(in bytes: Span<UInt8>, layout: PictureLayout) -> UntouchedTarget? {
    var tally = UntouchedTally()
    for (index, plane) in planes(in: layout, ignoringUnusedBits: false).enumerated() {
      let all = PatternPlane.allBits(ofElement: plane.elementSize)
      let place = layout.planes[index]
      let count = plane.rowBytes / plane.elementSize
      for y in 0..<plane.rowCount {
        let key = plane.key(ofRow: y) ^ ContentAlteration.patternBits
        let row = place.offset + y * place.pitch
        let left = (0..<count).count { x in
          let found = loadElement(bytes, at: row + x * plane.elementSize, size: plane.elementSize)
          return (found ^ plane.element(x, key: key)) & all == 0
        }
        tally.add(row: y, untouched: left, of: count)
      }
    }
    return tally.result
  }
}

extension PictureContent {
  /// Writes the content with a part of it altered where one is named, and reads nothing there.
  func fill(
    _ bytes: inout MutableSpan<UInt8>, layout: PictureLayout, altering alteration: ContentAlteration?
  ) throws(PictureError) {
    switch self {
    case .pattern(let pattern):
      do throws(PatternError) {
        try pattern.fill(&bytes, layout: layout, altering: alteration)
      } catch {
        throw PictureError(error)
      }
    case .picture(let picture):
      let encoding = try Self.encoding(of: layout, byteCount: bytes.count)
      switch encoding.byteCount {
      case 2: Self.draw(picture, encoding, as: UInt16.self, into: &bytes, layout, altering: alteration)
      case 4: Self.draw(picture, encoding, as: UInt32.self, into: &bytes, layout, altering: alteration)
      default: Self.draw(picture, encoding, as: UInt64.self, into: &bytes, layout, altering: alteration)
      }
    }
  }

  private static func draw<Element: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ picture: TestPicture, _ encoding: ColourEncoding, as type: Element.Type, into bytes: inout MutableSpan<UInt8>,
    _ layout: PictureLayout, altering alteration: ContentAlteration?
  ) {
    let place = layout.planes[0]
    let bits = Element(truncatingIfNeeded: encoding.highestBits)
    var rows = EncodedPictureRows<Element>(picture, encoding, layout)
    for y in 0..<layout.height {
      rows.advance(to: y)
      let columns = alteration?.columns(ofRow: y, count: layout.width) ?? 0..<0
      rows.copy(to: &bytes, at: place.offset + y * place.pitch, inverting: bits, in: columns)
    }
  }

  /// What is left in memory of the content altered everywhere; nil where nothing is.
  func remains(in bytes: Span<UInt8>, layout: PictureLayout) -> UntouchedTarget? {
    switch self {
    case .pattern(let pattern): return pattern.remains(in: bytes, layout: layout)
    case .picture(let picture):
      guard let encoding = ColourEncoding(layout.format.fourcc) else { return nil }
      switch encoding.byteCount {
      case 2: return Self.remains(picture, encoding, as: UInt16.self, in: bytes, layout)
      case 4: return Self.remains(picture, encoding, as: UInt32.self, in: bytes, layout)
      default: return Self.remains(picture, encoding, as: UInt64.self, in: bytes, layout)
      }
    }
  }

  private static func remains<Element: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ picture: TestPicture, _ encoding: ColourEncoding, as type: Element.Type, in bytes: Span<UInt8>,
    _ layout: PictureLayout
  ) -> UntouchedTarget? {
    let place = layout.planes[0]
    let bits = Element(truncatingIfNeeded: encoding.highestBits)
    var rows = EncodedPictureRows<Element>(picture, encoding, layout)
    var found = [Element](repeating: 0, count: layout.width)
    var tally = UntouchedTally()
    for y in 0..<layout.height {
      rows.advance(to: y)
      readRow(&found, from: bytes, at: place.offset + y * place.pitch)
      let left = found.indices.count { found[$0] == rows.elements[$0] ^ bits }
      tally.add(row: y, untouched: left, of: layout.width)
    }
    return tally.result
  }
}

extension ColourEncoding {
  /// The highest bit of red, green and blue.
  fileprivate var highestBits: UInt64 {
    [red, green, blue].reduce(0) { $0 | 1 << ($1.shift + $1.bits - 1) }
  }
}

/// The part of a target that an engine did not write: it still holds what was put there before.
public struct UntouchedTarget: Hashable, Sendable, Codable {
  /// How many elements.
  public let elements: Int
  /// The first row with one of them.
  public let firstRow: Int
  /// The last row with one of them.
  public let lastRow: Int
  /// How many rows are untouched from their first element to their last.
  public let wholeRows: Int
  /// Whether nothing at all was written.
  public let isAll: Bool

  /// What happened, in words.
  public var sentence: String {
    if isAll { return "not written: it still holds what was put there before, nothing of the picture arrived" }
    let rows = firstRow == lastRow ? "row \(firstRow)" : "rows \(firstRow) to \(lastRow)"
    let verb = firstRow == lastRow ? "was" : "were"
    if wholeRows == lastRow - firstRow + 1 { return "\(rows) \(verb) not written" }
    if wholeRows > 0 { return "\(wholeRows) rows were not written, from row \(firstRow) to row \(lastRow)" }
    return "\(grouped(elements)) \(elements == 1 ? "element" : "elements") in \(rows) "
      + "\(elements == 1 ? "was" : "were") not written"
  }
}

/// Counts what was not written, row by row.
private struct UntouchedTally {
  private var elements = 0
  private var total = 0
  private var first: Int?
  private var last = 0
  private var wholeRows = 0

  mutating func add(row: Int, untouched: Int, of count: Int) {
    total += count
    guard untouched > 0 else { return }
    elements += untouched
    first = min(first ?? row, row)
    last = max(last, row)
    if untouched == count { wholeRows += 1 }
  }

  var result: UntouchedTarget? {
    first.map {
      UntouchedTarget(
        elements: elements, firstRow: $0, lastRow: last, wholeRows: wholeRows, isAll: elements == total)
    }
  }
}
