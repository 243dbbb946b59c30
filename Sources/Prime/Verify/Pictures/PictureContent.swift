public import Prime

/// What memory is filled with and compared to: the content that checks use, or a picture for people to look at.
public enum PictureContent: Sendable, Hashable {
  /// Seeded content in which every pixel is different.
  case pattern(Pattern)

  /// A picture for people to look at.
  case picture(TestPicture)

  /// The formats that pictures can be drawn in; a pattern goes into any format.
  public static var pictureFormats: [Fourcc] { ColourEncoding.formats }

  /// Writes the content to memory that begins where the layout's offsets begin.
  ///
  /// What pads a row to its pitch, and every byte outside of the plane, is left as it is. Alpha is opaque, and the unused
  /// bits of an X format are all ones.
  ///
  /// - Throws: `PictureError` where the memory is too small, or a picture is to be drawn in a format it cannot be.
  public func fill(_ bytes: inout MutableSpan<UInt8>, layout: PictureLayout) throws(PictureError) {
    try fill(&bytes, layout: layout, altering: nil)
  }

  /// The encoding of a layout's format, after a look at the memory.
  static func encoding(of layout: PictureLayout, byteCount: Int) throws(PictureError) -> ColourEncoding {
    guard let encoding = ColourEncoding(layout.format.fourcc) else { throw .format(layout.format.fourcc) }
    guard byteCount >= layout.byteCount else {
      throw .memoryTooSmall(needed: layout.byteCount, given: byteCount)
    }
    return encoding
  }
}

/// The rows of a test picture as elements of a format, one after the other.
struct EncodedPictureRows<Element: FixedWidthInteger & UnsignedInteger & BitwiseCopyable> {
  /// The elements of the present row.
  private(set) var elements: [Element]
  private var colours: [UInt32]
  private var content = -1
  private let rows: TestPictureRows
  private let encoder: ColourEncoder<Element>

  init(_ picture: TestPicture, _ encoding: ColourEncoding, _ layout: PictureLayout) {
    rows = TestPictureRows(picture, width: layout.width, height: layout.height)
    encoder = ColourEncoder(encoding)
    colours = Array(repeating: 0, count: layout.width)
    elements = Array(repeating: 0, count: layout.width)
  }

  /// Makes a row the present one; a row with the content of the one before costs nothing.
  mutating func advance(to y: Int) {
    guard rows.content(ofRow: y) != content else { return }
    content = rows.content(ofRow: y)
    rows.write(y, into: &colours)
    encoder.encode(colours, into: &elements)
  }

  /// Writes the present row to memory, from its first to its last byte, and reads nothing there.
  func copy(to bytes: inout MutableSpan<UInt8>, at position: Int) {
    writeRow(elements, to: &bytes, at: position)
  }
}

extension RGBImage {
  /// Reads a picture from memory that begins where the layout's offsets begin; alpha and unused bits are left out.
  ///
  /// Components wider or narrower than eight bits become the nearest of eight: v of n bits becomes
  /// (v * 255 + (2^n - 1) / 2) / (2^n - 1), so 16 of 5 bits is 0x84 and 0x8100 of 16 bits is 0x80.
  ///
  /// - Throws: `PictureError` where the memory is too small, or the format is none that pictures are drawn in.
  public init(decoding bytes: Span<UInt8>, layout: PictureLayout) throws(PictureError) {
    let encoding = try PictureContent.encoding(of: layout, byteCount: bytes.count)
    let pixels =
      switch encoding.byteCount {
      case 2: Self.pixels(bytes, layout, ColourDecoder(encoding), as: UInt16.self)
      case 4: Self.pixels(bytes, layout, ColourDecoder(encoding), as: UInt32.self)
      default: Self.pixels(bytes, layout, ColourDecoder(encoding), as: UInt64.self)
      }
    self.init(width: layout.width, height: layout.height, pixels: pixels)
  }

  private static func pixels<Element: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ bytes: Span<UInt8>, _ layout: PictureLayout, _ decoder: ColourDecoder, as type: Element.Type
  ) -> [UInt32] {
    let place = layout.planes[0]
    var row = [Element](repeating: 0, count: layout.width)
    var pixels: [UInt32] = []
    pixels.reserveCapacity(layout.width * layout.height)
    for y in 0..<layout.height {
      readRow(&row, from: bytes, at: place.offset + y * place.pitch)
      for element in row { pixels.append(decoder.colour(of: UInt64(element))) }
    }
    return pixels
  }
}

/// Copies a row of elements out of memory, which may be slow to read twice.
func readRow<Element: BitwiseCopyable>(_ row: inout [Element], from bytes: Span<UInt8>, at position: Int) {
  let size = row.count * MemoryLayout<Element>.size
  precondition(position >= 0 && position <= bytes.count - size)
  // SAFETY: the precondition keeps the row within the span, and neither pointer leaves the closures.
  unsafe bytes.withUnsafeBytes { memory in
    unsafe row.withUnsafeMutableBytes { target in
      guard let source = memory.baseAddress else { return }
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(start: source + position, count: size))
    }
  }
}

/// Writes a row of elements to memory, from its first to its last byte, and reads nothing there.
func writeRow<Element: BitwiseCopyable>(_ row: [Element], to bytes: inout MutableSpan<UInt8>, at position: Int) {
  let size = row.count * MemoryLayout<Element>.size
  precondition(position >= 0 && position <= bytes.count - size)
  // SAFETY: the precondition keeps the row within the span, and neither pointer leaves the closures.
  unsafe bytes.withUnsafeMutableBytes { memory in
    unsafe row.withUnsafeBytes { row in
      guard let source = row.baseAddress, let target = memory.baseAddress else { return }
      unsafe (target + position).copyMemory(from: source, byteCount: size)
    }
  }
}

/// Why a picture can be neither written to memory nor read from it.
public enum PictureError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The memory is smaller than the picture; sizes in bytes.
  case memoryTooSmall(needed: Int, given: Int)

  /// Colours cannot be written in this format here.
  case format(Fourcc)

  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .memoryTooSmall(let needed, let given):
      "the picture needs \(grouped(needed)) bytes, but the memory holds \(grouped(given))"
    case .format(let format):
      "a picture cannot be drawn in \(format): it takes one of "
        + ColourEncoding.formats.map(\.name).joined(separator: ", ")
    }
  }

  init(_ error: PatternError) {
    switch error {
    case .memoryTooSmall(let needed, let given): self = .memoryTooSmall(needed: needed, given: given)
    }
  }
}
