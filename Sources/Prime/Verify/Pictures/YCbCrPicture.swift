internal import Prime

/// A pattern as luma and chroma, and the colours that a display makes of it.
struct YCbCrPicture {
  /// What a display may have taken for the chroma of a pixel.
  enum Reading: Hashable, CaseIterable {
    case asWritten
    /// Cb for Cr and Cr for Cb: NV12 read as NV21.
    case swapped
    case oneSampleLeft
    case oneSampleRight
    case oneRowUp
    case oneRowDown
    /// The first dma-buf's bytes, at the place that the chroma has in a dma-buf of its own.
    case firstBuffer
    /// Zeros, as of a buffer that nobody wrote.
    case zero
    /// Grey: neither difference.
    case missing
  }

  private let bytes: [UInt8]
  /// Where the planes lie in `bytes`.
  private let layout: PictureLayout
  private let places: LumaChroma
  /// Where the chroma would lie in the first of several buffers, by the places that it has in its own; nil where there is one buffer.
  private let inFirst: (planes: [PlaneLayout], byteCount: Int)?

  /// The pattern's content in a picture of a format that has luma and chroma in planes; nil for another.
  init?(_ pattern: Pattern, _ picture: PictureLayout) throws {
    guard let places = picture.format.lumaChroma else { return nil }
    let layout = try picture.joined(picture.byteCounts)
    var bytes = [UInt8](repeating: 0, count: picture.byteCount)
    var span = bytes.mutableSpan
    try pattern.fill(&span, layout: layout)
    self.bytes = bytes
    self.layout = layout
    self.places = places
    inFirst = picture.bufferCount > 1 ? (picture.planes, picture.byteCounts[0]) : nil
  }

  /// The colours that a display makes of this picture's luma and of `chroma`'s differences; nil takes its own.
  func colours(
    _ conversion: YCbCrConversion, _ reading: Reading = .asWritten, chroma other: YCbCrPicture? = nil
  ) -> Colours {
    Colours(of: self, chroma: other ?? self, conversion, reading)
  }

  /// Colours, made a row at a time: what differs is mostly seen in the first one.
  struct Colours {
    private let picture: YCbCrPicture
    private let source: YCbCrPicture
    private let conversion: YCbCrConversion
    private let reading: Reading
    private let shape: PixelFormat.Plane
    private let rows: Int
    /// Which chroma sample each pixel of a row has.
    private let columns: [Int]
    private var luma: [Int]
    private var blue: [Int]
    private var red: [Int]
    /// What each chroma sample adds to red, green and blue.
    private var added: [SIMD4<Int32>]
    private var isKnown: Int?
    private(set) var row: [UInt32]

    fileprivate init(
      of picture: YCbCrPicture, chroma source: YCbCrPicture, _ conversion: YCbCrConversion, _ reading: Reading
    ) {
      let layout = picture.layout
      let plane = picture.places.blue.plane
      let count = layout.columns(ofPlane: plane)
      self.picture = picture
      self.source = source
      self.conversion = conversion
      self.reading = reading
      shape = layout.format.planes[plane]
      rows = layout.rows(ofPlane: plane)
      let subsampling = shape.horizontalSubsampling
      columns = (0..<layout.width).map { x in
        switch reading {
        case .oneSampleLeft: max(x / subsampling - 1, 0)
        case .oneSampleRight: min(x / subsampling + 1, count - 1)
        default: x / subsampling
        }
      }
      luma = [Int](repeating: 0, count: layout.width)
      blue = [Int](repeating: 0, count: count)
      red = blue
      added = [SIMD4<Int32>](repeating: .zero, count: count)
      row = [UInt32](repeating: 0, count: layout.width)
    }

    /// Makes a row, 0x00RRGGBB.
    mutating func make(row y: Int) {
      picture.sample(picture.places.luma, row: y, into: &luma)
      prepare(chromaRow: y / shape.verticalSubsampling)
      for x in row.indices { row[x] = conversion.colour(luma: luma[x], adding: added[columns[x]]) }
    }

    private mutating func prepare(chromaRow: Int) {
      guard isKnown != chromaRow else { return }
      isKnown = chromaRow
      let row =
        switch reading {
        case .oneRowUp: max(chromaRow - 1, 0)
        case .oneRowDown: min(chromaRow + 1, rows - 1)
        default: chromaRow
        }
      let places = picture.places
      let (blueAt, redAt) = reading == .swapped ? (places.red, places.blue) : (places.blue, places.red)
      switch reading {
      case .zero: break
      case .missing:
        for column in blue.indices { (blue[column], red[column]) = (128 * 256, 128 * 256) }
      default:
        source.sample(blueAt, row: row, into: &blue, ofFirst: reading == .firstBuffer)
        source.sample(redAt, row: row, into: &red, ofFirst: reading == .firstBuffer)
      }
      for column in blue.indices { added[column] = conversion.chroma(blue: blue[column], red: red[column]) }
    }
  }

  /// A row of samples, each with 8 bits before the point and 8 behind it.
  fileprivate func sample(_ samples: LumaChroma.Samples, row: Int, into values: inout [Int], ofFirst: Bool = false) {
    let stride = layout.format.planes[samples.plane].bytesPerElement
    let place = ofFirst ? inFirst?.planes[samples.plane] : layout.planes[samples.plane]
    guard let place else { return }
    let end = ofFirst ? inFirst?.byteCount ?? 0 : bytes.count
    var position = place.offset + row * place.pitch + samples.offset
    for index in values.indices {
      if position + places.sampleBytes > end {
        values[index] = 0
      } else if places.sampleBytes == 2 {
        values[index] = Int(bytes[position]) | Int(bytes[position + 1]) << 8
      } else {
        values[index] = Int(bytes[position]) << 8
      }
      position += stride
    }
  }
}

/// How what a display wrote of a picture of luma and chroma differs from what it was given.
struct YCbCrDifference: Hashable {
  /// The first pixel that differs, row by row.
  let x: Int
  let y: Int
  /// What it should be and what it is, 0x00RRGGBB.
  let expected: UInt32
  let found: UInt32
  /// How many pixels differ, of how many.
  let differing: Int
  let total: Int

  /// The first and the number of the pixels of which a component is further away than the tolerance; nil where there is none.
  ///
  /// `layout` is that of XRGB8888.
  init?(of bytes: Span<UInt8>, layout: PictureLayout, from colours: YCbCrPicture.Colours) {
    var colours = colours
    var first: (x: Int, y: Int, expected: UInt32, found: UInt32)?
    var differing = 0
    var row = [UInt32](repeating: 0, count: layout.width)
    for y in 0..<layout.height {
      readRow(&row, from: bytes, at: layout.planes[0].offset + y * layout.planes[0].pitch)
      colours.make(row: y)
      for x in 0..<layout.width where !Self.agree(colours.row[x], row[x] & 0xff_ffff) {
        if first == nil { first = (x, y, colours.row[x], row[x] & 0xff_ffff) }
        differing += 1
      }
    }
    guard let first else { return nil }
    (x, y, expected, found) = first
    self.differing = differing
    total = layout.width * layout.height
  }

  /// Whether the bytes are these colours; stops at the first pixel that is not.
  static func isNone(in bytes: Span<UInt8>, layout: PictureLayout, from colours: YCbCrPicture.Colours) -> Bool {
    var colours = colours
    var row = [UInt32](repeating: 0, count: layout.width)
    for y in 0..<layout.height {
      readRow(&row, from: bytes, at: layout.planes[0].offset + y * layout.planes[0].pitch)
      colours.make(row: y)
      for x in 0..<layout.width where !agree(colours.row[x], row[x] & 0xff_ffff) { return false }
    }
    return true
  }

  private static func agree(_ one: UInt32, _ other: UInt32) -> Bool {
    guard one != other else { return true }
    func isNear(_ shift: UInt32) -> Bool {
      abs(Int(one >> shift & 0xff) - Int(other >> shift & 0xff)) <= YCbCrConversion.tolerance
    }
    return isNear(0) && isNear(8) && isNear(16)
  }
}

extension YCbCrPicture.Reading {
  /// What is said where a display read the chroma so.
  var sentence: String? {
    switch self {
    case .asWritten: nil
    case .swapped: "Cb and Cr are swapped, as where NV12 is read as NV21"
    case .oneSampleLeft: "the chroma lies one sample too far right"
    case .oneSampleRight: "the chroma lies one sample too far left"
    case .oneRowUp: "the chroma lies one row too low"
    case .oneRowDown: "the chroma lies one row too high"
    case .firstBuffer: "the display read the chroma from the first dma-buf, at the place that it has in its own"
    case .zero: "the chroma is zero everywhere, as in a buffer that nobody wrote"
    case .missing: "the chroma is missing: every pixel is grey"
    }
  }
}
