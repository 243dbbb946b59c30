internal import Prime

/// A part of content that is written wrong on purpose.
///
/// No element of it can pass for what it should be: in every byte of a pattern, and in every component of a picture, the
/// highest bit is inverted, and half of the full scale is more than any tolerance. A target holds content altered everywhere
/// before an engine writes there, so that what was not written is seen; a checksum is believed only where it tells content
/// from the same content with a small part altered.
enum ContentAlteration: Hashable, Sendable {
  case everything
  /// A row of the first plane.
  case row(Int)
  /// An element of the first plane, or one of its components.
  case element(x: Int, y: Int, Channel? = nil)
  /// Two elements of one row, each in the other's place.
  case exchangedElements(Int, Int, y: Int)
  /// Two rows, each in the other's place.
  case exchangedRows(Int, Int)

  enum Channel: String, CaseIterable, Sendable {
    case red, green, blue
  }

  /// The inverted bits of eight bytes of a pattern.
  fileprivate static let patternBits: UInt64 = 0x8080_8080_8080_8080

  /// The row whose content stands at `y`.
  fileprivate func source(ofRow y: Int) -> Int {
    switch self {
    case .exchangedRows(y, let other), .exchangedRows(let other, y): other
    default: y
    }
  }

  /// Alters the elements of the row at `y`; `bits` are those of an element that are inverted, and of each component.
  fileprivate func apply<Element: FixedWidthInteger>(
    to elements: inout [Element], y: Int, bits: Element, ofChannel: (Channel) -> Element
  ) {
    switch self {
    case .everything, .row(y): for x in elements.indices { elements[x] ^= bits }
    case .element(let x, y, let channel):
      guard elements.indices.contains(x) else { return }
      elements[x] ^= channel.map(ofChannel) ?? bits
    case .exchangedElements(let one, let other, y): elements.swapAt(one, other)
    case .row, .element, .exchangedElements, .exchangedRows: break
    }
  }

  /// Whether the row at `y` is not as it should be.
  fileprivate func touches(row y: Int) -> Bool {
    switch self {
    case .everything, .row(y), .element(_, y, _), .exchangedElements(_, _, y), .exchangedRows(y, _),
      .exchangedRows(_, y):
      true
    case .row, .element, .exchangedElements, .exchangedRows: false
    }
  }
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
    let all = PatternPlane.allBits(ofElement: plane.elementSize)
    let encoding = ColourEncoding(layout.format.fourcc)
    for y in 0..<plane.rowCount where alteration.touches(row: y) {
      var elements = plane.elements(ofRow: alteration.source(ofRow: y))
      alteration.apply(to: &elements, y: y, bits: ContentAlteration.patternBits & all) { channel in
        encoding?.highestBit(of: channel) ?? ContentAlteration.patternBits & all
      }
      let row = layout.planes[0].offset + y * layout.planes[0].pitch
      for (x, element) in elements.enumerated() {
        for byte in 0..<plane.elementSize {
          bytes[row + x * plane.elementSize + byte] = UInt8(truncatingIfNeeded: element >> (8 * UInt64(byte)))
        }
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
      let position = place.offset + y * place.pitch
      guard let alteration, alteration.touches(row: y) else {
        rows.advance(to: y)
        rows.copy(to: &bytes, at: position)
        continue
      }
      rows.advance(to: alteration.source(ofRow: y))
      var elements = rows.elements
      alteration.apply(to: &elements, y: y, bits: bits) { channel in
        Element(truncatingIfNeeded: encoding.highestBit(of: channel))
      }
      writeRow(elements, to: &bytes, at: position)
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
  fileprivate func highestBit(of channel: ContentAlteration.Channel) -> UInt64 {
    let component =
      switch channel {
      case .red: red
      case .green: green
      case .blue: blue
      }
    return 1 << (component.shift + component.bits - 1)
  }

  /// The highest bit of red, green and blue, and of what carries no component: engines write that as they like, and so what
  /// they wrote is told from what was there even where a colour happens to be the altered one.
  fileprivate var highestBits: UInt64 {
    let unused = PatternPlane.allBits(ofElement: byteCount) & ~significantMask
    let highestUnused: UInt64 = unused == 0 ? 0 : 1 << UInt64(63 - unused.leadingZeroBitCount)
    return ContentAlteration.Channel.allCases.reduce(highestUnused) { $0 | highestBit(of: $1) }
  }
}

extension PatternPlane {
  fileprivate func elements(ofRow y: Int) -> [UInt64] {
    let key = key(ofRow: y)
    return (0..<rowBytes / elementSize).map { element($0, key: key) }
  }
}

extension PictureContent {
  /// What `size` elements of the content can be exchanged so that it becomes another picture: two of one row, and two rows.
  ///
  /// Content of one colour has none: in another order it is the same picture. `chance` is where to begin looking.
  func exchanges(size: (width: Int, height: Int), format: PixelFormat, from chance: Int) -> [ContentAlteration] {
    let (width, height) = size
    let y = chance % height
    let here = elements(ofRow: y, size: size, format: format)
    var found: [ContentAlteration] = []
    let x = chance / 13 % width
    if let other = (1..<max(1, width)).lazy.map({ (x + $0) % width }).first(where: { here[$0] != here[x] }) {
      found.append(.exchangedElements(x, other, y: y))
    }
    let next = (1..<max(1, height)).lazy.map { (y + $0) % height }
      .first { elements(ofRow: $0, size: size, format: format) != here }
    if let next { found.append(.exchangedRows(y, next)) }
    return found
  }

  private func elements(ofRow y: Int, size: (width: Int, height: Int), format: PixelFormat) -> [UInt64] {
    switch self {
    case .pattern(let pattern):
      let layout = try? PictureLayout.packed(format: format, width: size.width, height: size.height)
      guard let layout else { return [UInt64](repeating: 0, count: size.width) }
      return PatternPlane(pattern, plane: 0, layout: layout, ignoringUnusedBits: true).elements(ofRow: y)
    case .picture(let picture):
      var row = [UInt32](repeating: 0, count: size.width)
      TestPictureRows(picture, width: size.width, height: size.height).write(y, into: &row)
      return row.map(UInt64.init)
    }
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
