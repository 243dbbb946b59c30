/// A display engine used as a reader of memory: it fetches a framebuffer and writes what it fetched into another.
///
/// It needs DRM master, which it asks for, and puts the display back to what it showed when it is closed.
public final class WritebackPipeline {
  private let pipe: DisplayPipe

  /// Finds a writeback connector with a CRTC and a primary plane, becomes master and remembers what was shown.
  ///
  /// - Throws: `unsupported` where the device has no writeback connector; `drmSetMaster` where somebody else holds the display.
  public init(on device: Device) throws(PrimeError) {
    pipe = try DisplayPipe(DisplayRoute(on: device, to: .writeback))
  }

  /// The device whose display engine looks.
  public var device: Device { pipe.route.device }

  /// Puts the display back to what it showed and gives mastership back; further calls do nothing.
  ///
  /// - Throws: As `DisplayPipe.close()`.
  public func close() throws(PrimeError) {
    try pipe.close()
  }

  /// The way through the display engine.
  package var route: DisplayRoute { pipe.route }

  /// How many pictures the engine did not write in time, so that they had to be composed again or were given up.
  public var lostWritebacks: Int { pipe.lostWritebacks }

  /// Whether the plane fetches and the connector writes this format.
  public func supports(_ format: Fourcc) -> Bool {
    pipe.route.formats.formats.contains(format) && pipe.route.targetFormats.contains(format)
  }

  /// Shows the upper left part of `picture` and lets the display engine write what it fetched into `target`.
  ///
  /// `shown` is the part of the picture, in pixels; `target` has exactly the size `mode`. What the part does not cover is
  /// black. Returns when the engine has finished writing.
  ///
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC` with its errno; `deadline` where the fence did not signal before the
  ///   deadline, or not within five seconds and could not be made to.
  public func capture(
    _ picture: borrowing Framebuffer, shown: Size, into target: borrowing Framebuffer,
    mode: DisplayMode, deadline: Deadline
  ) throws(PrimeError) {
    try pipe.show(
      DisplayPipe.Picture(framebuffer: picture.id, shown: (shown.width, shown.height), target: target.id), mode: mode,
      deadline: deadline)
  }
}
