internal import Prime

/// Why a picture differs from what was written, as far as the content tells.
public enum MismatchCause: Sendable, Hashable {
  /// The differing elements are zero.
  case zero

  /// The differing elements all hold one value.
  case uniform(ElementValue)

  /// The differing elements hold an earlier pattern.
  case stale(Pattern)

  /// The content is moved to the right by `dx` and down by `dy` elements, and then by `bytes` less than an element.
  case shifted(dx: Int, dy: Int, bytes: Int)

  /// The content lies with another pitch than the declared one; both in bytes.
  case sheared(pitch: Int, declared: Int)

  /// The bytes or the components of each element are exchanged.
  case byteOrder(ByteOrderChange)

  /// The plane shows the content of another plane.
  case planeOffset(showsPlane: Int)

  /// The first row is where the last one should be, and so on.
  case flipped

  /// Whole pages of memory are wrong, others are right.
  case partialPage([PageRun])

  /// The right content is there in small pieces, at other places of the plane.
  case rearranged

  /// A part of the target still holds what was put there before the importer's engine was to write it.
  case notWritten(UntouchedTarget)

  /// Nothing known explains what was found.
  case other

  /// The cause's name in reports; it does not change between releases.
  public var name: String { kind.rawValue }

  private enum Kind: String, Codable {
    case zero, uniform, stale, shifted, sheared, byteOrder, planeOffset, flipped, partialPage, rearranged, notWritten
    case other
  }

  private var kind: Kind {
    switch self {
    case .zero: .zero
    case .uniform: .uniform
    case .stale: .stale
    case .shifted: .shifted
    case .sheared: .sheared
    case .byteOrder: .byteOrder
    case .planeOffset: .planeOffset
    case .flipped: .flipped
    case .partialPage: .partialPage
    case .rearranged: .rearranged
    case .notWritten: .notWritten
    case .other: .other
    }
  }
}

/// How the bytes or components of an element are exchanged.
public enum ByteOrderChange: String, Sendable, Hashable, Codable {
  /// All bytes of an element are in reverse order.
  case reversed

  /// The two bytes of each 16-bit unit are exchanged.
  case bytePairs

  /// The two halves of an element are exchanged.
  case halves

  /// The red and the blue component are exchanged.
  case redBlue

  /// The Cb and the Cr component are exchanged.
  case chroma
}

/// Successive pages of a buffer that are wrong in the same way.
public struct PageRun: Sendable, Hashable, Codable {
  /// The first page, counted from the start of the buffer.
  public let first: Int

  /// How many pages.
  public var count: Int

  /// What the pages hold.
  public let content: PageContent

  /// Names a run of pages.
  public init(first: Int, count: Int, content: PageContent) {
    self.first = first
    self.count = count
    self.content = content
  }
}

/// What a wrong page holds.
public enum PageContent: Sendable, Hashable {
  /// Zeros.
  case zeros

  /// An earlier pattern, at the right place.
  case stale(Pattern)

  /// What belongs to another page; in a run, each page holds the one after its predecessor's.
  case page(Int)

  /// Nothing known.
  case unknown
}

// In JSON a cause and a page's content are flat objects: the kind, and beside it what belongs to that kind.
extension MismatchCause: Codable {
  private enum Key: String, CodingKey {
    case kind, value, pattern, dx, dy, bytes, pitch, declared, change, showsPlane, pages, target
  }

  /// Reads a flat object with a `kind`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    switch try values.decode(Kind.self, forKey: .kind) {
    case .zero: self = .zero
    case .uniform: self = .uniform(try values.decode(ElementValue.self, forKey: .value))
    case .stale: self = .stale(try values.decode(Pattern.self, forKey: .pattern))
    case .shifted:
      self = .shifted(
        dx: try values.decode(Int.self, forKey: .dx), dy: try values.decode(Int.self, forKey: .dy),
        bytes: try values.decode(Int.self, forKey: .bytes))
    case .sheared:
      self = .sheared(
        pitch: try values.decode(Int.self, forKey: .pitch), declared: try values.decode(Int.self, forKey: .declared))
    case .byteOrder: self = .byteOrder(try values.decode(ByteOrderChange.self, forKey: .change))
    case .planeOffset: self = .planeOffset(showsPlane: try values.decode(Int.self, forKey: .showsPlane))
    case .flipped: self = .flipped
    case .partialPage: self = .partialPage(try values.decode([PageRun].self, forKey: .pages))
    case .rearranged: self = .rearranged
    case .notWritten: self = .notWritten(try values.decode(UntouchedTarget.self, forKey: .target))
    case .other: self = .other
    }
  }

  /// Writes a flat object with a `kind`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(kind, forKey: .kind)
    switch self {
    case .zero, .flipped, .rearranged, .other: break
    case .uniform(let value): try values.encode(value, forKey: .value)
    case .stale(let pattern): try values.encode(pattern, forKey: .pattern)
    case .shifted(let dx, let dy, let bytes):
      try values.encode(dx, forKey: .dx)
      try values.encode(dy, forKey: .dy)
      try values.encode(bytes, forKey: .bytes)
    case .sheared(let pitch, let declared):
      try values.encode(pitch, forKey: .pitch)
      try values.encode(declared, forKey: .declared)
    case .byteOrder(let change): try values.encode(change, forKey: .change)
    case .planeOffset(let plane): try values.encode(plane, forKey: .showsPlane)
    case .partialPage(let pages): try values.encode(pages, forKey: .pages)
    case .notWritten(let target): try values.encode(target, forKey: .target)
    }
  }
}

extension PageContent: Codable {
  private enum Key: String, CodingKey {
    case kind, pattern, page
  }

  private enum Kind: String, Codable {
    case zeros, stale, page, unknown
  }

  /// Reads a flat object with a `kind`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    switch try values.decode(Kind.self, forKey: .kind) {
    case .zeros: self = .zeros
    case .stale: self = .stale(try values.decode(Pattern.self, forKey: .pattern))
    case .page: self = .page(try values.decode(Int.self, forKey: .page))
    case .unknown: self = .unknown
    }
  }

  /// Writes a flat object with a `kind`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    switch self {
    case .zeros: try values.encode(Kind.zeros, forKey: .kind)
    case .stale(let pattern):
      try values.encode(Kind.stale, forKey: .kind)
      try values.encode(pattern, forKey: .pattern)
    case .page(let page):
      try values.encode(Kind.page, forKey: .kind)
      try values.encode(page, forKey: .page)
    case .unknown: try values.encode(Kind.unknown, forKey: .kind)
    }
  }
}
