/// GBM buffer objects of a device's Mesa driver (`gbm_bo_create`, `gbm_bo_create_with_modifiers2`).
public struct GBMAllocator: Allocator {
  private let device: GBMDevice

  /// Allocates on a GBM device, which stays alive as long as a buffer of it lives.
  public init(device: GBMDevice) {
    self.device = device
  }

  /// `.gbm`.
  public var kind: AllocatorKind { .gbm }

  /// Allocates a buffer, of one of the modifiers asked for where a list is given.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    let operation = request.modifiers == nil ? "gbm_bo_create" : "gbm_bo_create_with_modifiers2"
    // Asks for the layout only to refuse an impossible size before Mesa sees it.
    _ = try request.packedLayout(operation: operation, on: device.subject)
    let buffer = try GBMBuffer(creating: request, on: device, operation: operation)
    let answer = try device.kernel.gbmLayout(buffer.pointer).orThrow("gbm_bo_get_plane_count", on: device.subject)
    let layout = try PictureLayout.checked(
      format: request.format, width: request.width, height: request.height,
      planes: answer.planes.map { PlaneLayout(offset: Int($0.offset), pitch: Int($0.pitch)) },
      operation: operation, on: device.subject)
    return BufferObject(
      BufferDescription(layout: layout, modifier: Modifier(rawValue: answer.modifier)), storage: .gbm(buffer))
  }
}

/// A GBM device on an open file of its own, whose GEM handles nobody else closes.
///
/// The first one of a process loads Mesa, which takes long; make it when it is needed.
public final class GBMDevice: Sendable {
  let device: Device
  let pointer: GBMDevicePointer

  /// Opens the device's node again for GBM alone (`gbm_create_device`).
  public init(on device: Device) throws(PrimeError) {
    let own = try device.reopened()
    self.pointer = try own.kernel.gbmCreateDevice(own.rawDescriptor).orThrow("gbm_create_device", on: own.subject)
    self.device = own
  }

  deinit {
    device.kernel.gbmDestroyDevice(pointer)
  }

  var kernel: any KernelCalls { device.kernel }

  /// How messages name it.
  public var subject: String { device.subject }
}

/// A `gbm_bo`, destroyed when its owner goes.
struct GBMBuffer: ~Copyable {
  let pointer: GBMBufferPointer
  let device: GBMDevice

  init(creating request: AllocationRequest, on device: GBMDevice, operation: String) throws(PrimeError) {
    guard let width = UInt32(exactly: request.width), let height = UInt32(exactly: request.height) else {
      throw PrimeError(operation: operation, errno: .overflow, subject: device.subject)
    }
    self.pointer = try device.kernel.gbmCreateBuffer(
      device.pointer, width: width, height: height, fourcc: request.format.fourcc.rawValue,
      modifiers: request.modifiers?.map(\.rawValue), usage: request.usage
    ).orThrow(
      operation, on: device.subject,
      reason: request.modifiers == nil
        ? "its Mesa driver allocates no such buffer: try another --format or --size"
        : "its Mesa driver allocates with none of these modifiers: leave --modifier out for an implicit one")
    self.device = device
  }

  /// Imports a dma-buf as Mesa does (`gbm_bo_import`).
  init(importing buffer: borrowing DMABuf, _ description: BufferDescription, on device: GBMDevice) throws(PrimeError) {
    self.pointer = try device.kernel.gbmImport(
      device.pointer, dmaBuf: buffer.rawDescriptor, width: UInt32(description.width),
      height: UInt32(description.height), fourcc: description.fourcc.rawValue,
      modifier: description.modifier.rawValue,
      planes: description.layout.planes.map { (offset: UInt32($0.offset), pitch: UInt32($0.pitch)) }
    ).orThrow("gbm_bo_import", on: device.subject)
    self.device = device
  }

  deinit {
    device.kernel.gbmDestroyBuffer(pointer)
  }

  /// Exports through the kernel: `gbm_bo_get_fd` would choose the access mode itself and loses the kernel's errno.
  borrowing func export(_ access: DMABuf.Access) throws(PrimeError) -> DMABuf {
    let layout = try device.kernel.gbmLayout(pointer).orThrow("gbm_bo_get_handle_for_plane", on: device.subject)
    guard let first = layout.planes.first, layout.planes.allSatisfy({ $0.handle == first.handle }) else {
      throw PrimeError(
        operation: "drmPrimeHandleToFD", errno: .notSupported, subject: device.subject,
        reason: "the planes of this buffer lie in several buffers, which is not supported")
    }
    let descriptor = try device.kernel
      .primeHandleToFD(device.device.rawDescriptor, handle: first.handle, writable: access == .readWrite)
      .orThrow("drmPrimeHandleToFD", on: device.subject)
    return try DMABuf(adopting: Descriptor(adopting: descriptor, kernel: device.kernel))
  }
}
