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

  /// Wraps an imported or own buffer.
  ///
  /// - Throws: `drmModeAddFB2WithModifiers` with its errno.
  public init(_ handle: borrowing GEMHandle, _ description: BufferDescription) throws(PrimeError) {
    let operation: PrimeError.Operation = "drmModeAddFB2WithModifiers"
    let device = handle.device
    guard let width = UInt32(exactly: description.width), let height = UInt32(exactly: description.height) else {
      throw PrimeError(
        operation: operation, finding: .tooLarge, subject: device.subject,
        reason: "\(description.width)x\(description.height) does not fit the 32 bits of the call")
    }
    let number = handle.rawValue
    let planes = description.layout.planes.map {
      GBMPlane(
        handle: number, offset: UInt32(truncatingIfNeeded: $0.offset), pitch: UInt32(truncatingIfNeeded: $0.pitch))
    }
    // An implicit modifier is said by leaving the flag out, and a driver without the capability refuses even linear.
    let takesModifiers = device.takesFramebufferModifiers
    let modifier = takesModifiers && description.modifier != .invalid ? description.modifier.rawValue : nil
    self.id = FramebufferID(
      rawValue: try device.kernel.kmsAddFramebuffer(
        device.rawDescriptor,
        KMSFramebufferRequest(
          width: width, height: height, fourcc: description.fourcc.rawValue, modifier: modifier, planes: planes)
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
