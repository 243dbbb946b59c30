internal import Prime

/// A picture for people to look at; each is defined for every size from 1x1 on.
public enum TestPicture: Sendable, Hashable {
  /// Colour bars in the manner of SMPTE EG 1, each row of the 12 twelfths of the height:
  ///
  /// * 8 twelfths: grey, yellow, cyan, green, magenta, red, blue at 75 %, each a seventh of the width;
  /// * 1 twelfth: blue, black, magenta, black, cyan, black, grey below them;
  /// * 1 twelfth: a grey ramp from 0 at the left to 255 at the right;
  /// * 2 twelfths: -I, white, +Q, black, each 5/28 of the width, then the PLUGE bars (darker than black, black, lighter
  ///   than black), each a 21st, and black, a seventh.
  ///
  /// Black is 19 and grey 192, as `modetest` of libdrm has them.
  case smpte

  /// Red from 0 to 255 over x, green from 0 to 255 over y, blue from 0 to 255 from the upper left to the lower right.
  ///
  /// A direction of one pixel holds 255.
  case gradient

  /// Squares of 8 pixels, a border of one pixel, and a mark in every corner.
  ///
  /// The border is red at the top, green at the right, blue at the bottom and yellow at the left; its four corner pixels
  /// are white. Inside of it lie the marks, squares of an eighth of the shorter side: magenta (upper left), cyan (upper
  /// right), orange (lower left), purple (lower right). So a picture that is mirrored, turned, or moved or cut by one pixel
  /// is seen to be.
  case checker

  /// A given image in its own size, centred on black, or its middle where it is larger.
  case image(RGBImage)

  /// A picture as one frame of several, so that no frame can pass for another.
  ///
  /// Bits 0, 1 and 2 of the frame's number invert the lowest bit of red, green and blue in every pixel, which nobody sees.
  /// Formats of fewer bits lose that, so the number stands in the lower left corner as well: 16 squares, each a 32nd of
  /// the shorter side, bit 0 at the left, white for 1 and black for 0. Frame 0 is the picture itself.
  indirect case frame(Int, of: TestPicture)

  /// The pictures that have a name, with it.
  public static let named: [(name: String, picture: TestPicture)] = [
    ("smpte", .smpte), ("gradient", .gradient), ("checker", .checker),
  ]

  /// Finds a picture by its name: smpte, gradient or checker.
  public init?(named name: String) {
    guard let found = Self.named.first(where: { $0.name == name.lowercased() }) else { return nil }
    self = found.picture
  }

  /// The name, "image" for a given image.
  public var name: String {
    switch self {
    case .smpte: "smpte"
    case .gradient: "gradient"
    case .checker: "checker"
    case .image: "image"
    case .frame(_, let picture): picture.name
    }
  }

  /// The picture in a size, with eight bits for each colour.
  public func rendered(width: Int, height: Int) -> RGBImage {
    precondition(width > 0 && height > 0, "a picture has at least one pixel")
    let rows = TestPictureRows(self, width: width, height: height)
    var row = [UInt32](repeating: 0, count: width)
    var pixels: [UInt32] = []
    pixels.reserveCapacity(width * height)
    var content = -1
    for y in 0..<height {
      if rows.content(ofRow: y) != content { rows.write(y, into: &row) }
      content = rows.content(ofRow: y)
      pixels += row
    }
    return RGBImage(width: width, height: height, pixels: pixels)
  }
}
