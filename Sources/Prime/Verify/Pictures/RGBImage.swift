internal import Prime

/// A picture in memory of its own, eight bits for each of red, green and blue.
public struct RGBImage: Sendable, Hashable {
  /// The width in pixels.
  public let width: Int

  /// The height in pixels.
  public let height: Int

  /// The pixels row by row, each 0x00RRGGBB.
  public let pixels: [UInt32]

  /// Takes `width * height` pixels row by row; the upper byte of each is cleared.
  public init(width: Int, height: Int, pixels: [UInt32]) {
    precondition(width > 0 && height > 0, "an image has at least one pixel")
    let (count, overflows) = width.multipliedReportingOverflow(by: height)
    precondition(!overflows && pixels.count == count, "an image of \(width)x\(height) has as many pixels")
    self.width = width
    self.height = height
    self.pixels = pixels.contains { $0 > 0xff_ffff } ? pixels.map { $0 & 0xff_ffff } : pixels
  }

  /// The pixel at a column and row, 0x00RRGGBB.
  public subscript(x: Int, y: Int) -> UInt32 {
    precondition((0..<width).contains(x) && (0..<height).contains(y), "(\(x),\(y)) is outside of the image")
    return pixels[y * width + x]
  }
}
