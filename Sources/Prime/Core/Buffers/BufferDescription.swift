/// Everything an importer must be told of a buffer: size, format, modifier and where each memory plane lies.
public struct BufferDescription: Hashable, Sendable {
  /// Width and height in pixels, the format, and offset and pitch in bytes of up to four planes.
  public let layout: PictureLayout
  /// How pixels are arranged; `.invalid` means that only the exporter's own driver knows (`drm_fourcc.h`).
  public let modifier: Modifier

  /// Describes a buffer.
  public init(layout: PictureLayout, modifier: Modifier) {
    self.layout = layout
    self.modifier = modifier
  }

  /// The width in pixels.
  public var width: Int { layout.width }
  /// The height in pixels.
  public var height: Int { layout.height }
  /// Width and height in pixels.
  public var size: Size { layout.size }
  /// The pixel format's code.
  public var fourcc: Fourcc { layout.format.fourcc }
}

extension BufferDescription: CustomStringConvertible {
  /// `1024x768 XRGB8888 linear`.
  public var description: String { "\(width)x\(height) \(fourcc) \(modifier)" }
}
