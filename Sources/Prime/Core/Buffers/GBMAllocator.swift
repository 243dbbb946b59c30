internal import Synchronization

/// GBM buffer objects of a device's Mesa driver (`gbm_bo_create`, `gbm_bo_create_with_modifiers2`).
public final class GBMAllocator: Allocator {
  private let current: Mutex<GBMDevice>
  private let primary: DRMNode?

  /// Allocates on a GBM device, which stays alive as long as a buffer of it lives.
  ///
  /// - Parameters:
  ///   - device: The GBM device, of a render node where there is one.
  ///   - primary: Where it allocates when the render node may not: without a driver for the GPU, Mesa makes dumb buffers, which
  ///     render nodes do not have.
  public init(device: GBMDevice, otherwise primary: DRMNode? = nil) {
    current = Mutex(device)
    self.primary = primary
  }

  /// `.gbm`.
  public var kind: AllocatorKind { .gbm }

  /// The node that buffers are allocated through; the primary one after the render node turned out not to allocate.
  public var node: DRMNode? { current.withLock { $0.node } }

  /// Allocates a buffer, of one of the modifiers asked for where a list is given.
  ///
  /// - Throws: `gbm_bo_create` or `gbm_bo_create_with_modifiers2` with the errno; an untestable error where Mesa has no driver for
  ///   the GPU, or arranges the pixels in a way that nothing here writes.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    let device = current.withLock { $0 }
    do throws(PrimeError) {
      return try Self.allocate(request, on: device)
    } catch {
      // `MODE_CREATE_DUMB` on a render node is EACCES (`drm_ioctl_permit`), and nothing else of Mesa's is.
      guard error.errno == .permissionDenied, device.node.kind == .render else { throw error }
      guard let primary else {
        throw error.untestable(
          "Mesa has no driver for this GPU and allocates dumb buffers, " + DumbAllocator.renderNodeHasNone)
      }
      let other: GBMDevice
      do throws(PrimeError) {
        other = try GBMDevice(opening: primary, kernel: device.kernel)
      } catch let refusal {
        throw error.untestable(
          "Mesa has no driver for this GPU and allocates dumb buffers, which need the primary node "
            + "\(primary.path): " + refusal.explanation)
      }
      do throws(PrimeError) {
        let object = try Self.allocate(request, on: other)
        current.withLock { $0 = other }
        return object
      } catch let refusal where refusal.errno == .notImplemented && request.modifiers == nil {
        // Nobody was there to be asked for a buffer: neither Mesa's driver for this GPU nor the kernel's dumb buffers.
        throw .untestable(
          refusal.operation, on: refusal.subject,
          reason: "Mesa has no driver for this GPU here, and the kernel's makes no dumb buffers (ENOSYS): install "
            + "Mesa's driver for it, or share what another device allocates")
      }
    }
  }

  private static func allocate(
    _ request: AllocationRequest, on device: GBMDevice
  ) throws(PrimeError) -> BufferObject {
    let operation: PrimeError.Operation = request.modifiers == nil ? "gbm_bo_create" : "gbm_bo_create_with_modifiers2"
    // Asks for the layout only to refuse an impossible size before Mesa sees it.
    _ = try request.packedLayout(operation: operation, on: device.subject)
    var request = request
    // The CPU fills rows, and of the modifiers that can be used this is the one whose rows they are.
    if request.modifiers?.contains(.linear) == true { request.modifiers = [.linear] }
    // To ask for rows and for another arrangement at once contradicts itself.
    if request.modifiers?.contains(.linear) == false { request.usage.remove(.linear) }
    let buffer = try GBMBuffer(creating: request, on: device, operation: operation)
    let answer = try device.kernel.gbmLayout(buffer.pointer).orThrow("gbm_bo_get_plane_count", on: device.subject)
    let modifier = Modifier(rawValue: answer.modifier)
    // GBM_BO_USE_LINEAR gives rows also where the modifier stays implicit.
    guard modifier == .linear || modifier == .invalid && request.usage.contains(.linear) else {
      throw .untestable(
        operation, on: device.subject,
        reason:
          "its Mesa driver arranges the pixels as \(modifier), and the CPU would write rows into it: nothing here "
          + "arranges them so")
    }
    let layout = try PictureLayout.checked(
      format: request.format, width: request.width, height: request.height,
      planes: answer.planes.map { plane in
        PlaneLayout(
          buffer: answer.handles.firstIndex(of: plane.handle) ?? 0, offset: Int(plane.offset), pitch: Int(plane.pitch))
      },
      operation: operation, on: device.subject)
    return BufferObject(BufferDescription(layout: layout, modifier: modifier), storage: .gbm(buffer))
  }
}

/// A GBM device on an open file of its own, whose GEM handles nobody else closes.
///
/// The first one of a process loads Mesa, which takes long; make it when it is needed.
public final class GBMDevice: Sendable {
  let device: Device
  package let pointer: GBMDevicePointer

  /// Opens the device's node again for GBM alone (`gbm_create_device`).
  ///
  /// - Throws: As `Device.open`; `gbm_create_device` where Mesa refuses the node.
  public convenience init(on device: Device) throws(PrimeError) {
    try self.init(opening: device.node, kernel: device.kernel)
  }

  init(opening node: DRMNode, kernel: any KernelCalls) throws(PrimeError) {
    // The existential is opened here so that `open` keeps its generic form for tests.
    let own = try Device.open(node, kernel: kernel)
    self.pointer = try own.kernel.gbmCreateDevice(own.rawDescriptor).orThrow("gbm_create_device", on: own.subject)
    self.device = own
  }

  deinit {
    device.kernel.gbmDestroyDevice(pointer)
  }

  package var kernel: any KernelCalls { device.kernel }

  /// The `struct gbm_device *`, for a library that takes one; it lives as long as this object.
  package var rawPointer: OpaquePointer { unsafe pointer.raw }

  /// The node that GBM was given.
  public var node: DRMNode { device.node }

  /// How messages name it.
  public var subject: String { device.subject }

  /// The kernel driver of the node.
  package var driver: String { device.driver }
}

/// A `gbm_bo`, destroyed when its owner goes.
package struct GBMBuffer: ~Copyable {
  let pointer: GBMBufferPointer
  let device: GBMDevice
  /// Whether GBM made it with `CREATE_DUMB` on the file that it was given.
  private let isDumb: Bool
  /// Whether this value was the first to export it, for reading.
  private let isExportedForReading = Atomic(false)

  init(creating request: AllocationRequest, on device: GBMDevice, operation: PrimeError.Operation) throws(PrimeError) {
    let width = try PrimeError.word(request.width, of: "\(request.size)", operation, on: device.subject)
    let height = try PrimeError.word(request.height, of: "\(request.size)", operation, on: device.subject)
    self.pointer = try device.kernel.gbmCreateBuffer(
      device.pointer, width: width, height: height, fourcc: request.format.fourcc.rawValue,
      modifiers: request.modifiers?.map(\.rawValue), usage: request.usage
    ).orThrow(
      operation, on: device.subject,
      reason: request.modifiers == nil
        ? "its Mesa driver allocates no such buffer: \(Remedy.otherFormatOrSize)"
        : "its Mesa driver allocates with none of these modifiers: \(Remedy.implicitModifier)")
    self.device = device
    self.isDumb = request.usage.contains(.write)
  }

  /// Imports a dma-buf as Mesa does (`gbm_bo_import`).
  package init(importing picture: borrowing SharedPicture, on device: GBMDevice) throws(PrimeError) {
    let description = picture.description
    let descriptors = picture.rawDescriptors
    self.pointer = try device.kernel.gbmImport(
      device.pointer, width: UInt32(description.width), height: UInt32(description.height),
      fourcc: description.fourcc.rawValue, modifier: description.modifier.rawValue,
      planes: description.layout.planes.map {
        (dmaBuf: descriptors[$0.buffer], offset: UInt32($0.offset), pitch: UInt32($0.pitch))
      }
    ).orThrow("gbm_bo_import", on: device.subject)
    self.device = device
    self.isDumb = false
  }

  deinit {
    device.kernel.gbmDestroyBuffer(pointer)
  }

  /// Exports it as a picture of this description, with the access that is asked for.
  ///
  /// The handle of a buffer object may belong to a file of Mesa's own: where a display node has no GPU, another device's
  /// driver allocates (kmsro). libgbm knows whose it is, but Mesa's software driver exports for reading alone, and the
  /// first export decides for the buffer. So the handle is exported first, and libgbm's export tells whether that was the
  /// same buffer.
  borrowing func export(
    _ access: DMABuf.Access, as description: BufferDescription
  ) throws(PrimeError) -> SharedPicture {
    let layout = try device.kernel.gbmLayout(pointer).orThrow("gbm_bo_get_handle_for_plane", on: device.subject)
    // The first plane that lies in each buffer names it to libgbm.
    let planes = layout.handles.compactMap { handle in layout.planes.firstIndex { $0.handle == handle } }
    guard let first = planes.first else {
      throw PrimeError(
        operation: "gbm_bo_get_plane_count", finding: .broken, subject: device.subject,
        reason: "its Mesa driver made a buffer without planes")
    }
    var others: [Box<DMABuf>] = []
    for plane in planes.dropFirst() { others.append(Box(try export(plane, layout.planes[plane].handle, access))) }
    return try .made(description, export(first, layout.planes[first].handle, access), others)
  }

  /// Exports the buffer that a plane lies in.
  private borrowing func export(
    _ plane: Int, _ handle: UInt32, _ access: DMABuf.Access
  ) throws(PrimeError) -> DMABuf {
    let kernel = device.kernel
    let subject = device.subject
    let byHandle = kernel.primeHandleToFD(
      device.device.rawDescriptor, handle: handle, writable: access == .readWrite)
    if case .failure(let errno) = byHandle, errno != .noSuchFile {
      _ = try byHandle.orThrow("drmPrimeHandleToFD", on: subject)
    }
    // ENOENT: the number is no handle of this file.
    guard case .success(let number) = byHandle else { return try exportThroughGBM(plane, access) }
    let ownFile = try adopted(number)
    // Mesa 22.3 exports no buffer that it made for GBM_BO_USE_WRITE, and its handle needs no asking.
    if isDumb { return ownFile }
    let given = try exportThroughGBM(plane, .read)
    guard ownFile.identity == given.identity else { return try exportThroughGBM(plane, access) }
    // Whoever exported it for reading first knows why it stays so.
    if access == .read { isExportedForReading.store(true, ordering: .relaxed) }
    if isExportedForReading.load(ordering: .relaxed) { return ownFile }
    // Mesa may have exported it before, to have the display know it: of v3d beside vc4 that is for reading alone.
    return try granting(access, ownFile, of: "drmPrimeHandleToFD")
  }

  /// Whether another device made it than the one that GBM was given, as far as can be seen.
  borrowing func isMadeElsewhere(exportedAs exported: borrowing DMABuf) -> Bool {
    let kernel = device.kernel
    let file = device.device.rawDescriptor
    guard !isDumb, case .success(let layout) = kernel.gbmLayout(pointer), let handle = layout.planes.first?.handle
    else { return false }
    guard case .success(let number) = kernel.primeHandleToFD(file, handle: handle, writable: false) else { return true }
    do throws(PrimeError) {
      guard try adopted(number).identity == exported.identity else { return true }
    } catch {
      return true
    }
    // `drm_gem_dumb_map_offset()`: what the file imported is EINVAL, as v3d's buffers are on vc4.
    guard case .failure(.invalidArgument) = kernel.mapDumb(file, handle: handle) else { return false }
    return true
  }

  private borrowing func exportThroughGBM(_ plane: Int, _ access: DMABuf.Access) throws(PrimeError) -> DMABuf {
    let operation: PrimeError.Operation = "gbm_bo_get_fd_for_plane"
    let given = try adopted(
      device.kernel.gbmExport(pointer, plane: Int32(plane))
        .orThrow(operation, on: device.subject, reason: "its Mesa driver exports no such buffer"))
    return try granting(access, given, of: operation)
  }

  private borrowing func granting(
    _ access: DMABuf.Access, _ given: consuming DMABuf, of operation: PrimeError.Operation
  ) throws(PrimeError) -> DMABuf {
    guard access == .read || given.access == .readWrite else {
      throw .untestable(
        operation, on: device.subject, reason: "its Mesa driver exports for reading only, so nothing can be written")
    }
    return given
  }

  private borrowing func adopted(_ descriptor: CInt) throws(PrimeError) -> DMABuf {
    try DMABuf(adopting: Descriptor(adopting: descriptor, kernel: device.kernel))
  }
}
