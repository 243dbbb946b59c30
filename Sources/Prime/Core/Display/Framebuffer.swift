/// A framebuffer: a buffer object with a size and a format, for planes and writeback connectors (`AddFB2`).
///
/// It keeps the memory by itself; the GEM handle may be closed once it is made. Removing it while a plane shows it
/// switches that plane off (`drmModeRmFB`), so the display is put back first.
public struct Framebuffer: ~Copyable, Sendable {
  /// The open file it belongs to.
  public let device: Device
  /// The object id that a plane's `FB_ID` takes.
  public let id: FramebufferID
  /// How large the picture is.
  public let size: Size

  /// Wraps an imported picture.
  ///
  /// - Throws: `drmModeAddFB2WithModifiers` with its errno.
  public init(_ picture: borrowing ImportedPicture) throws(PrimeError) {
    try self.init(picture.rawHandles, picture.description, on: picture.device)
  }

  /// Wraps an imported or own buffer that has all planes of the picture.
  ///
  /// - Throws: `drmModeAddFB2WithModifiers` with its errno, with `unsuitable` where the planes lie in several buffers.
  public init(_ handle: borrowing GEMHandle, _ description: BufferDescription) throws(PrimeError) {
    try self.init([handle.rawValue], description, on: handle.device)
  }

  private init(_ handles: [UInt32], _ description: BufferDescription, on device: Device) throws(PrimeError) {
    let operation: PrimeError.Operation = "drmModeAddFB2WithModifiers"
    let layout = description.layout
    guard layout.bufferCount == handles.count else {
      let error = LayoutError.bufferCount(needed: layout.bufferCount, given: handles.count)
      throw PrimeError(
        operation: operation, finding: .unsuitable, subject: device.subject, reason: error.description)
    }
    // A layout's numbers are within the call's 32 bits.
    let planes = layout.planes.map {
      GBMPlane(
        handle: handles[$0.buffer], offset: UInt32(truncatingIfNeeded: $0.offset),
        pitch: UInt32(truncatingIfNeeded: $0.pitch))
    }
    // An implicit modifier is said by leaving the flag out, and a driver without the capability refuses even linear.
    let takesModifiers = device.takesFramebufferModifiers
    let modifier = takesModifiers && description.modifier != .invalid ? description.modifier.rawValue : nil
    self.id = FramebufferID(
      rawValue: try device.kernel.kmsAddFramebuffer(
        device.rawDescriptor,
        KMSFramebufferRequest(
          width: UInt32(truncatingIfNeeded: layout.width), height: UInt32(truncatingIfNeeded: layout.height),
          fourcc: description.fourcc.rawValue, modifier: modifier, planes: planes)
      ).orThrow(operation, on: device.subject))
    self.size = description.size
    self.device = device
  }

  deinit {
    // RmFB switches off a plane that still shows it; kernels before 6.8 have nothing else. An error of both says that
    // the device is gone, which removed the framebuffer as well.
    if !device.mustRemoveFramebuffers,
      case .success = device.kernel.kmsCloseFramebuffer(device.rawDescriptor, id: id.rawValue)
    {
      return
    }
    _ = device.kernel.kmsRemoveFramebuffer(device.rawDescriptor, id: id.rawValue)
  }
}

extension ImportedPicture {
  /// Wraps it for the device's display (`AddFB2`); the handles may go then.
  ///
  /// - Throws: As `Framebuffer.init(_:)`.
  public borrowing func framebuffer() throws(PrimeError) -> Framebuffer {
    try Framebuffer(self)
  }
}
