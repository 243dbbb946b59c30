/// One use of a GEM handle: a number that names a buffer on one open file.
///
/// Two uses of one number, which two imports of one dma-buf give, are closed with one `GEM_CLOSE`, after the last.
public struct GEMHandle: ~Copyable, Sendable {
  /// The open file the number belongs to; it stays open while this value lives.
  public let device: Device
  /// The number; it means nothing on any other open file.
  public let rawValue: UInt32

  /// Takes over a use that was counted already.
  private init(counted rawValue: UInt32, of device: Device) {
    self.device = device
    self.rawValue = rawValue
  }

  /// Takes over a handle that the kernel just made for this open file.
  init(adopting rawValue: UInt32, of device: Device) {
    device.retainHandle(rawValue)
    self.init(counted: rawValue, of: device)
  }

  /// Imports a dma-buf (`drmPrimeFDToHandle`).
  ///
  /// An exporter may answer that its mapping was interrupted (`map_dma_buf`, dma-buf.rst); the import is made again then,
  /// until the deadline, or for five seconds.
  ///
  /// - Throws: the exporter's or the importer's errno, which of them refused cannot be told from the number; `deadline`
  ///   where it is interrupted until the deadline.
  public init(
    importing buffer: borrowing DMABuf, into device: Device, deadline: Deadline? = nil
  ) throws(PrimeError) {
    let deadline = deadline ?? Deadline(in: .seconds(5), on: device.kernel)
    let rawValue: UInt32
    do throws(PrimeError) {
      rawValue = try deadline.restarting("drmPrimeFDToHandle", on: device.subject) {
        device.importingHandle(of: buffer.rawDescriptor)
      }
    } catch {
      throw BounceBuffer.explaining(error)
    }
    self.init(counted: rawValue, of: device)
  }

  deinit {
    device.releaseHandle(rawValue)
  }

  /// Exports the buffer as a dma-buf (`drmPrimeHandleToFD`, close-on-exec); the caller owns what it gets.
  ///
  /// The first export decides for the life of the buffer whether it can be written through the descriptor.
  ///
  /// - Throws: `drmPrimeHandleToFD` with the errno, `ENOSYS` or `EOPNOTSUPP` where the driver exports none.
  public borrowing func export(_ access: DMABuf.Access) throws(PrimeError) -> DMABuf {
    let descriptor = try device.kernel
      .primeHandleToFD(device.rawDescriptor, handle: rawValue, writable: access == .readWrite)
      .orThrow("drmPrimeHandleToFD", on: device.subject)
    return try DMABuf(adopting: Descriptor(adopting: descriptor, kernel: device.kernel))
  }

  /// Maps the buffer through the device's own node, the way a CPU user of this device sees it (`MODE_MAP_DUMB`, `mmap`).
  ///
  /// - Throws: `DRM_IOCTL_MODE_MAP_DUMB` with `EINVAL` for a buffer imported from another device, by rule of the kernel.
  package borrowing func mapThroughDevice(byteCount: Int, writable: Bool) throws(PrimeError) -> Mapping {
    let offset = try device.kernel.mapDumb(device.rawDescriptor, handle: rawValue)
      .orThrow(
        "DRM_IOCTL_MODE_MAP_DUMB", on: device.subject,
        reason: "the kernel maps a device's own buffers only, and none that it imported")
    return try Mapping(
      device.rawDescriptor, byteCount: byteCount, writable: writable, offset: offset, keepingOpen: device,
      kernel: device.kernel, subject: device.subject)
  }
}
