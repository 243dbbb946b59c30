internal import Prime

/// The rows of a test picture in one size, with what they have in common computed once.
struct TestPictureRows {
  private let picture: TestPicture
  private let frame: Int
  private let width: Int
  private let height: Int
  /// What each column adds to a row of the gradient, and what each diagonal does.
  private let columns: [UInt32]
  private let diagonals: [UInt32]

  init(_ picture: TestPicture, width: Int, height: Int) {
    var (base, frame) = (picture, 0)
    while case .frame(let number, let inner) = base { (base, frame) = (inner, number) }
    self.picture = base
    self.frame = frame
    self.width = width
    self.height = height
    switch base {
    case .gradient:
      columns = (0..<width).map { Self.ramp($0, of: width) << 16 }
      diagonals = (0..<width + height - 1).map { Self.ramp($0, of: width + height - 1) }
    default:
      columns = []
      diagonals = []
    }
  }

  /// A number that is the same for rows of the same content.
  func content(ofRow y: Int) -> Int {
    let content =
      switch picture {
      case .smpte: min(SMPTE.band(y, of: height), 10)
      case .gradient, .image, .frame: y
      case .checker: checkerContent(ofRow: y)
      }
    return 2 * content + (hasNumber(inRow: y) ? 1 : 0)
  }

  /// Writes a row of 0x00RRGGBB; `row` has one entry for each pixel.
  func write(_ y: Int, into row: inout [UInt32]) {
    switch picture {
    case .smpte: writeSMPTE(y, into: &row)
    case .gradient:
      let green = Self.ramp(y, of: height) << 8
      for x in 0..<width { row[x] = columns[x] | green | diagonals[x + y] }
    case .checker: writeChecker(y, into: &row)
    case .image(let image): writeImage(image, y, into: &row)
    case .frame: break
    }
    writeFrame(y, into: &row)
  }

  /// From 0 at the first to 255 at the last position, rounded to the nearest; a single position has 255.
  static func ramp(_ position: Int, of count: Int) -> UInt32 {
    guard count > 1 else { return 255 }
    return UInt32((position * 255 + (count - 1) / 2) / (count - 1))
  }
}

// MARK: - SMPTE

private enum SMPTE {
  static let bars: [UInt32] = [0xc0c0c0, 0xc0c000, 0x00c0c0, 0x00c000, 0xc000c0, 0xc00000, 0x0000c0]
  static let castellations: [UInt32] = [0x0000c0, 0x131313, 0xc000c0, 0x131313, 0x00c0c0, 0x131313, 0xc0c0c0]
  /// Colours of the lowest rows, and where each ends in 84ths of the width: 15 are 5/28, 4 are 1/21, 12 are 1/7.
  static let pluge: [(colour: UInt32, end: Int)] = [
    (0x00214c, 15), (0xffffff, 30), (0x32006a, 45), (0x131313, 60),
    (0x090909, 64), (0x131313, 68), (0x1d1d1d, 72), (0x131313, 84),
  ]

  /// The twelfth of the height that a row lies in, 0 to 11.
  static func band(_ y: Int, of height: Int) -> Int {
    let band = y * 12 / height
    return band < 8 ? 0 : band
  }
}

extension TestPictureRows {
  private func writeSMPTE(_ y: Int, into row: inout [UInt32]) {
    switch SMPTE.band(y, of: height) {
    case 0: for x in 0..<width { row[x] = SMPTE.bars[x * 7 / width] }
    case 8: for x in 0..<width { row[x] = SMPTE.castellations[x * 7 / width] }
    case 9: for x in 0..<width { row[x] = Self.ramp(x, of: width) * 0x010101 }
    default:
      var bar = 0
      for x in 0..<width {
        while x * 84 / width >= SMPTE.pluge[bar].end { bar += 1 }
        row[x] = SMPTE.pluge[bar].colour
      }
    }
  }
}

// MARK: - Checker

private enum Checker {
  static let square = 8
  static let dark: UInt32 = 0x303030
  static let light: UInt32 = 0xd0d0d0
  static let white: UInt32 = 0xffffff
  static let top: UInt32 = 0xff0000
  static let right: UInt32 = 0x00ff00
  static let bottom: UInt32 = 0x0000ff
  static let left: UInt32 = 0xffff00
  static let upperLeft: UInt32 = 0xff00ff
  static let upperRight: UInt32 = 0x00ffff
  static let lowerLeft: UInt32 = 0xff8000
  static let lowerRight: UInt32 = 0x8000ff
}

extension TestPictureRows {
  /// The side of a corner mark, in pixels.
  private var mark: Int { min(width, height) / 8 }

  private func checkerContent(ofRow y: Int) -> Int {
    if y == 0 { return 0 }
    if y == height - 1 { return 1 }
    let squares = y / Checker.square % 2
    if y <= mark { return 2 + squares }
    return y >= height - 1 - mark ? 4 + squares : 6 + squares
  }

  private func writeChecker(_ y: Int, into row: inout [UInt32]) {
    let isTop = y == 0
    guard !isTop, y != height - 1 else {
      for x in 0..<width { row[x] = isTop ? Checker.top : Checker.bottom }
      row[0] = Checker.white
      row[width - 1] = Checker.white
      return
    }
    for x in 0..<width {
      row[x] = (x / Checker.square + y / Checker.square).isMultiple(of: 2) ? Checker.dark : Checker.light
    }
    // A mark is at most an eighth of the width, so that the two never meet.
    if y <= mark || y >= height - 1 - mark {
      let isUpper = y <= mark
      for x in 0..<mark {
        row[1 + x] = isUpper ? Checker.upperLeft : Checker.lowerLeft
        row[width - 2 - x] = isUpper ? Checker.upperRight : Checker.lowerRight
      }
    }
    row[width - 1] = Checker.right
    row[0] = Checker.left
  }
}

// MARK: - The number of a frame

extension TestPictureRows {
  private static let squares = 16

  /// The side of a square, in pixels.
  private var square: Int { max(1, min(width, height) / 32) }

  private func hasNumber(inRow y: Int) -> Bool { frame != 0 && y >= height - square }

  private func writeFrame(_ y: Int, into row: inout [UInt32]) {
    guard frame != 0 else { return }
    if hasNumber(inRow: y) {
      for x in 0..<min(width, Self.squares * square) { row[x] = frame >> (x / square) & 1 == 1 ? 0xffffff : 0 }
    }
    let bits = UInt32(frame & 1) << 16 | UInt32(frame >> 1 & 1) << 8 | UInt32(frame >> 2 & 1)
    for x in 0..<width { row[x] ^= bits }
  }
}

// MARK: - A given image

extension TestPictureRows {
  private func writeImage(_ image: RGBImage, _ y: Int, into row: inout [UInt32]) {
    // Halves of odd differences go to the lower right, for a border as well as for a cut.
    let sourceY = y - Self.border(height, image.height)
    let left = Self.border(width, image.width)
    for x in 0..<width { row[x] = 0 }
    guard (0..<image.height).contains(sourceY) else { return }
    let first = max(0, left)
    let last = min(width, left + image.width)
    let start = sourceY * image.width - left
    for x in first..<last { row[x] = image.pixels[start + x] }
  }

  /// The empty pixels before an image, or below zero how many of its own are cut off there.
  private static func border(_ size: Int, _ imageSize: Int) -> Int {
    size >= imageSize ? (size - imageSize) / 2 : -((imageSize - size) / 2)
  }
}
