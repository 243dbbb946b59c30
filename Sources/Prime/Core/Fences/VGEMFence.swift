/// A fence that vgem puts on a buffer and that ends when its owner says so.
///
/// It plays the work of a device that reads or writes the buffer. vgem signals a fence that nobody signals after ten seconds
/// by itself, and all fences of an open file when that is closed (`drivers/gpu/drm/vgem/vgem_fence.c`). Who waits cannot tell
/// that from a signal, since the fence ends without an error: only `signal()` does. A value that goes without `signal()`
/// signals, so that nobody is left waiting.
public struct VGEMFence: ~Copyable, Sendable {
  private let device: Device
  /// The number on the open file; nil when it was given back.
  private var number: UInt32?

  /// Puts a fence on a buffer, as a reader's or as a writer's (`DRM_IOCTL_VGEM_FENCE_ATTACH`).
  ///
  /// - Parameters:
  ///   - handle: A handle of a vgem device, of its own buffer or of one that it imported.
  ///   - access: What the work behind the fence does with the buffer.
  /// - Throws: `DRM_IOCTL_VGEM_FENCE_ATTACH` with `EOPNOTSUPP` for a device of another driver, and with `EBUSY` where the
  ///   buffer has a fence that stands in the way: a writer's, and for a writer a reader's too.
  public init(attachingTo handle: borrowing GEMHandle, as access: FenceAccess) throws(PrimeError) {
    let device = handle.device
    let operation: PrimeError.Operation = "DRM_IOCTL_VGEM_FENCE_ATTACH"
    // The number of the call is a private one of each driver: another one would do something else.
    guard device.driver == "vgem" else {
      throw PrimeError(
        operation: operation, finding: .unsupported, subject: device.subject,
        reason: "only vgem has fences on demand: import the buffer into vgem and attach there")
    }
    switch device.kernel.vgemFenceAttach(device.rawDescriptor, handle: handle.rawValue, flags: access.vgemFlags) {
    case .success(let number):
      self.device = device
      self.number = number
    case .failure(let errno):
      let reason: String? =
        switch errno {
        case .busy: "the buffer has a fence that stands in the way: signal that first"
        case .noSuchFile: "the handle names no buffer of this open file"
        default: PrimeError.commonReason(errno)
        }
      throw PrimeError(operation: operation, errno: errno, subject: device.subject, reason: reason)
    }
  }

  deinit {
    guard let number else { return }
    // An error says that vgem ended it already, or that the device is gone: nobody waits either way.
    _ = device.kernel.vgemFenceSignal(device.rawDescriptor, fence: number)
  }

  /// Ends the fence: who waits for it goes on (`DRM_IOCTL_VGEM_FENCE_SIGNAL`).
  ///
  /// - Throws: `DRM_IOCTL_VGEM_FENCE_SIGNAL` with `ETIMEDOUT` where vgem had ended it before, after ten seconds.
  public consuming func signal() throws(PrimeError) {
    guard let number = number.take() else { return }
    switch device.kernel.vgemFenceSignal(device.rawDescriptor, fence: number) {
    case .success: return
    case .failure(let errno):
      throw PrimeError(
        operation: "DRM_IOCTL_VGEM_FENCE_SIGNAL", errno: errno, subject: device.subject,
        reason: errno == .timedOut
          ? "vgem ended the fence by itself, as it does 10 s after it was attached: signal earlier"
          : PrimeError.commonReason(errno))
    }
  }
}

extension FenceAccess {
  /// `VGEM_FENCE_WRITE` of `drm/vgem_drm.h`, for a writer's fence.
  package var vgemFlags: UInt32 { self == .write ? 1 : 0 }
}
