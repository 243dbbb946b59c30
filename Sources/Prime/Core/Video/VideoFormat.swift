/// What a video queue's buffers hold, as the driver answered (`VIDIOC_G_FMT`, `VIDIOC_S_FMT`).
public struct VideoFormat: Hashable, Sendable, CustomStringConvertible {
  /// One buffer of a picture: a single-planar queue has one, a multi-planar one as many as its format has.
  public struct MemoryPlane: Hashable, Sendable {
    /// From one row to the next, in bytes (`bytesperline`).
    public let pitch: Int
    /// What a buffer must have at least, in bytes (`sizeimage`).
    public let byteCount: Int
  }

  /// The width in pixels.
  public let width: Int
  /// The height in pixels.
  public let height: Int
  /// The pixel format.
  public let fourcc: VideoFourcc
  /// Which lines a buffer has; `V4L2_FIELD_NONE`, 1, is all of them (`enum v4l2_field`).
  public let field: UInt32
  /// The buffers that a picture lies in.
  public let memoryPlanes: [MemoryPlane]

  init(_ format: KernelVideoFormat) {
    width = Int(format.width)
    height = Int(format.height)
    fourcc = VideoFourcc(rawValue: format.pixelFormat)
    field = format.field
    memoryPlanes = format.planes.map { MemoryPlane(pitch: Int($0.bytesPerLine), byteCount: Int($0.sizeImage)) }
  }

  /// `640x480 XR24`.
  public var description: String { "\(width)x\(height) \(fourcc)" }

  /// Where each plane of the picture lies, in a buffer that has all of them.
  ///
  /// The pitch is the driver's. Where several planes share a buffer, V4L2 gives that of the first one and fixes the
  /// rest: each plane begins where the one before ends, and the pitch of a chroma plane is the first plane's times the
  /// ratio of their rows (the kernel's `userspace-api/media/v4l/pixfmt-yuv-planar.rst`).
  ///
  /// - Throws: `VIDIOC_G_FMT`, untestable, where the format has no DRM name here or several memory planes; with `broken`
  ///   where the driver's answer describes no picture, or a buffer that does not hold it.
  public func layout(on subject: @autoclosure () -> String) throws(PrimeError) -> PictureLayout {
    let operation: PrimeError.Operation = "VIDIOC_G_FMT"
    guard let format = fourcc.drm.flatMap(PixelFormat.init) else {
      throw .untestable(
        operation, on: subject(), reason: "the V4L2 format \(fourcc) has no DRM format of the same bytes here")
    }
    guard memoryPlanes.count == 1, let memory = memoryPlanes.first else {
      throw .untestable(
        operation, on: subject(),
        reason: "the picture lies in \(memoryPlanes.count) buffers, and only pictures in one are described here")
    }
    let first = format.planes[0]
    let firstRowBytes = first.columns(ofWidth: width) * first.bytesPerElement
    var planes: [PlaneLayout] = []
    var offset = 0
    for shape in format.planes {
      let rowBytes = shape.columns(ofWidth: width) * shape.bytesPerElement
      let pitch = firstRowBytes > 0 ? memory.pitch * rowBytes / firstRowBytes : 0
      planes.append(PlaneLayout(offset: offset, pitch: pitch))
      offset += pitch * shape.rows(ofHeight: height)
    }
    let layout = try PictureLayout.checked(
      format: format, width: width, height: height, planes: planes, operation: operation, on: subject())
    guard layout.byteCount <= memory.byteCount else {
      throw PrimeError(
        operation: operation, finding: .broken, subject: subject(),
        reason: "the driver says that a buffer has \(memory.byteCount) bytes, and \(self) needs \(layout.byteCount)")
    }
    return layout
  }
}
