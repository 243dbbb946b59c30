internal import Prime

/// The two copies that virtio_gpu with 3D has of a buffer.
///
/// The GPU has one on the host, everybody else the pages in the guest, and only the driver's own calls carry bytes from one to
/// the other. `DMA_BUF_IOCTL_SYNC` carries none (`virtgpu_prime.c` has no operations for it).
final class TwoCopies {
  private let handle: GEMHandle

  /// The device's name.
  var device: String { handle.device.driver }
  private let width: UInt32
  private let height: UInt32

  /// Whether a device keeps two copies of its buffers.
  static func areKept(by device: Device) -> Bool {
    guard device.driver == "virtio_gpu", case .success(true) = device.kernel.virtGPUHas3D(device.rawDescriptor) else {
      return false
    }
    return true
  }

  /// Who made a buffer that a device has imported, where it can be nobody else; nil where nothing tells.
  ///
  /// With 3D, virtio_gpu imports only what it exported itself (`virtgpu_gem_prime_import()`).
  static func onlyMaker(ofImportsInto device: Device) -> DeviceIdentity? {
    areKept(by: device) ? device.identity : nil
  }

  /// The copies of a buffer of this device; nil for a device without, and for a buffer that is another's.
  init?(
    of picture: borrowing SharedPicture, on device: Device, madeBy exporter: DeviceIdentity?
  ) throws(PrimeError) {
    guard let exporter, exporter.isSameDevice(as: device.identity), Self.areKept(by: device) else { return nil }
    // virtio_gpu makes no buffer of several (`virtio_gpu_mode_dumb_create`, `DRM_IOCTL_VIRTGPU_RESOURCE_CREATE`).
    handle = try GEMHandle(importing: picture.first, into: device)
    width = UInt32(picture.layout.width)
    height = UInt32(picture.layout.height)
  }

  /// Renews one copy from the other and waits until that is done.
  func renew(_ transfer: VirtGPUTransfer, deadline: Deadline) throws(PrimeError) {
    let device = handle.device
    let descriptor = device.rawDescriptor
    _ = try device.kernel.virtGPUTransfer(descriptor, handle: handle.rawValue, width: width, height: height, transfer)
      .orThrow(transfer.operation, on: device.subject)
    let wait: PrimeError.Operation = "DRM_IOCTL_VIRTGPU_WAIT"
    while try device.kernel.virtGPUIsBusy(descriptor, handle: handle.rawValue).orThrow(wait, on: device.subject) {
      try deadline.check(wait, on: device.subject)
      deadline.pause(milliseconds: 1)
    }
  }

  /// Looks through one copy, and where that shows something else, once more when it is renewed from the other.
  ///
  /// - Parameter look: Told whether the copy was renewed.
  /// - Returns: What is wrong at last, and whether it took the transfer to see what was written.
  static func look(
    renewing copies: TwoCopies?, _ transfer: VirtGPUTransfer, deadline: Deadline,
    _ look: (_ isRenewed: Bool) throws -> Mismatch?
  ) throws -> (mismatch: Mismatch?, tookTransfer: Bool) {
    let mismatch = try look(false)
    guard mismatch != nil, let copies else { return (mismatch, false) }
    try copies.renew(transfer, deadline: deadline)
    let renewed = try look(true)
    return (renewed, renewed == nil)
  }

  /// What is said where the CPU's copy was looked at and the GPU's was not.
  static func warning(_ device: String, gpuIsUnseen reason: String?) -> String {
    "\(device) has two copies of its buffer that nobody transfers, and its GPU's was not looked at: "
      + (reason ?? "no \(WitnessProgram.gl) was asked")
  }

  /// What is said of a pair that needs a transfer which nobody makes.
  static func warning(_ device: String, _ transfer: VirtGPUTransfer) -> String {
    switch transfer {
    case .toHost:
      "\(device) has two copies of its buffer that nobody transfers: its GPU sees what the CPU wrote only after "
        + "\(transfer.operation) and DRM_IOCTL_VIRTGPU_WAIT, which this tool makes; SYNC carries nothing over"
    case .fromHost:
      "\(device) has two copies of its buffer that nobody transfers: what its GPU drew is seen by the CPU and by importers "
        + "only after \(transfer.operation) and DRM_IOCTL_VIRTGPU_WAIT, which this tool makes; SYNC carries nothing over"
    }
  }
}
