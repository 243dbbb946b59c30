public import Prime

extension ScanoutRequest {
  /// One more buffer, of an exporter of its own, on a second plane above the picture.
  public struct Overlay: Sendable {
    /// Where its buffers come from.
    public var exporter: Exporter
    /// The pixel format.
    public var format: PixelFormat
    /// Width and height in pixels; nil for half of the mode's.
    public var size: (width: Int, height: Int)?
    /// Where its upper left corner is on the screen, in pixels; nil for the middle of the screen.
    public var place: (x: Int, y: Int)?
    /// The alpha of each of its pixels, of 255; below 16 it could not be told from none.
    public var alpha: Int

    /// Asks for an opaque overlay in the middle of the screen.
    public init(exporter: Exporter, format: PixelFormat) {
      self.exporter = exporter
      self.format = format
      alpha = 255
    }

    /// The part of the screen that it covers, in a mode.
    func rectangle(in mode: (width: Int, height: Int)) -> ScanoutReport.Rectangle {
      let size = size ?? (max(1, mode.width / 2), max(1, mode.height / 2))
      let place = place ?? (max(0, mode.width - size.width) / 2, max(0, mode.height - size.height) / 2)
      return ScanoutReport.Rectangle(x: place.x, y: place.y, width: size.width, height: size.height)
    }
  }

  /// What the overlay of a frame shows, before alpha is applied.
  func overlayColours(of frame: Int, width: Int, height: Int) -> RGBImage {
    switch content {
    case .seed, .camera: Self.colours(of: Pattern(seed: ~seed, index: frame), width: width, height: height)
    case .picture(.checker): Self.colours(of: .gradient, frame, width, height)
    case .picture: Self.colours(of: .checker, frame, width, height)
    }
  }

  private static func colours(of picture: TestPicture, _ frame: Int, _ width: Int, _ height: Int) -> RGBImage {
    TestPicture.frame(frame, of: picture).rendered(width: width, height: height)
  }

  /// What a frame shows below the overlay.
  func colours(of frame: Int, width: Int, height: Int) throws -> RGBImage {
    switch content(of: frame) {
    case .picture(let picture): return picture.rendered(width: width, height: height)
    case .pattern(let pattern):
      // Only formats of eight bits hold a pattern as it is, so its bytes are its colours.
      let layout = try PictureLayout(
        format: format, width: width, height: height, planes: [PlaneLayout(offset: 0, pitch: width * 4)])
      var bytes = [UInt8](repeating: 0, count: layout.byteCount)
      var span = bytes.mutableSpan
      try PictureContent.pattern(pattern).fill(&span, layout: layout)
      return try RGBImage(decoding: bytes.span, layout: layout)
    }
  }
}

extension RGBImage {
  /// Its colours multiplied by an alpha of 255, each to the nearest, as a premultiplied buffer holds them.
  func multiplied(byAlpha alpha: Int) -> RGBImage {
    guard alpha < 255 else { return self }
    return RGBImage(width: width, height: height, pixels: Scale(by: alpha).apply(to: pixels[...]))
  }

  /// This picture with another above it, whose colours are premultiplied and whose pixels all have one alpha of 255.
  ///
  /// Each component is `above + below * (255 - alpha) / 255`, to the nearest: DRM's rule for premultiplied pixels
  /// (`drm_plane_create_blend_mode_property`). What of the picture above lies outside of this one is cut off.
  func composed(with above: RGBImage, alpha: Int, at place: (x: Int, y: Int)) -> RGBImage {
    var result = pixels
    let scale = Scale(by: 255 - alpha)
    let columns = max(0, -place.x)..<min(above.width, width - place.x)
    for y in max(0, -place.y)..<min(above.height, height - place.y) {
      let upper = above.pixels[y * above.width + columns.lowerBound..<y * above.width + columns.upperBound]
      let start = (place.y + y) * width + place.x + columns.lowerBound
      guard alpha < 255 else {
        result.replaceSubrange(start..<start + columns.count, with: upper)
        continue
      }
      let lower = scale.apply(to: pixels[start..<start + columns.count])
      // A premultiplied component is at most alpha, so that no sum reaches into the next component.
      for (x, pixel) in upper.enumerated() { result[start + x] = pixel + lower[x] }
    }
    return RGBImage(width: width, height: height, pixels: result)
  }

  /// Multiplies components by a number of 255ths.
  private struct Scale {
    private let table: [UInt32]

    init(by factor: Int) {
      table = (0..<256).map { UInt32(($0 * factor + 127) / 255) }
    }

    func apply(to pixels: ArraySlice<UInt32>) -> [UInt32] {
      pixels.map { table[Int($0 >> 16 & 0xff)] << 16 | table[Int($0 >> 8 & 0xff)] << 8 | table[Int($0 & 0xff)] }
    }
  }
}

/// The content of an overlay's buffer: premultiplied colours and one alpha for all pixels.
struct OverlayContent {
  let colours: RGBImage
  let alpha: Int

  init(_ request: ScanoutRequest, alpha: Int, frame: Int, width: Int, height: Int) {
    colours = request.overlayColours(of: frame, width: width, height: height).multiplied(byAlpha: alpha)
    self.alpha = alpha
  }

  /// Writes it to memory that begins where the layout's offsets begin.
  func fill(_ bytes: inout MutableSpan<UInt8>, layout: PictureLayout) throws(PictureError) {
    try PictureContent.picture(.image(colours)).fill(&bytes, layout: layout)
    guard alpha < 255, let component = ColourEncoding(layout.format.fourcc)?.alpha else { return }
    let size = layout.format.planes[0].bytesPerElement
    let value = ColourEncoding.rescaled(UInt64(alpha), from: 255, to: component.maximum) << component.shift
    // Every format with alpha here keeps it in bytes of its own, so nothing need be read.
    let alphaBytes = (0..<size).filter { (component.maximum << component.shift) >> UInt64(8 * $0) & 0xff == 0xff }
    for y in 0..<layout.height {
      let row = layout.planes[0].offset + y * layout.planes[0].pitch
      for x in 0..<layout.width {
        for byte in alphaBytes {
          bytes[row + x * size + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
        }
      }
    }
  }
}

/// What a frame must look like, and what it must not; computed once for every display.
struct ScanoutExpectation {
  /// What the whole screen shows.
  var content: PictureContent
  /// Another picture, for the control: with an overlay what the screen would show without it.
  var wrong: PictureContent
  /// What the two planes hold that make up `content`; nil for one plane.
  var layers: (base: PictureContent, overlay: OverlayContent)?
}

extension ScanoutRequest {
  /// What a frame must look like in a mode, with this on the overlay.
  func expectation(
    of frame: Int, in mode: (width: Int, height: Int), overlay above: OverlayContent?
  ) throws -> ScanoutExpectation {
    guard let overlay, let above else { return ScanoutExpectation(content: content(of: frame), wrong: wrongContent) }
    let place = overlay.rectangle(in: mode)
    let below = try colours(of: frame, width: mode.width, height: mode.height)
    let composed = below.composed(with: above.colours, alpha: above.alpha, at: (place.x, place.y))
    return ScanoutExpectation(
      content: .picture(.image(composed)), wrong: .picture(.image(below)), layers: (content(of: frame), above))
  }
}
