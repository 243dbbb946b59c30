internal import Prime

/// The buffer that a display engine writes what it fetched into.
///
/// It is a dumb buffer of the importer's own, so that nothing is mapped for DMA between the engine and the CPU. An engine
/// that is a processor (vkms) writes without a SYNC bracket. Where the target is another's memory and the importer's mapping
/// of it is a copy (`swiotlb_tbl_map_single`), START copies old bytes over what such an engine wrote
/// (`system_heap_dma_buf_begin_cpu_access`), and a picture that had arrived looks lost.
struct WritebackTarget: ~Copyable {
  /// The target's own dma-buf, through which the CPU fills and reads it.
  let picture: SharedPicture

  /// Allocates it.
  ///
  /// - Parameters:
  ///   - importer: The device whose engine writes; the buffer comes from another open file of it.
  ///   - allocator: Makes the target where the importer makes no dumb buffers.
  /// - Throws: `DRM_IOCTL_MODE_CREATE_DUMB` and `drmPrimeHandleToFD` of the importer, or the allocator's own where it makes none.
  init(
    _ request: AllocationRequest, on importer: Device, otherwise allocator: any Allocator
  ) throws(PrimeError) {
    if let own = try Self.own(request, importer) {
      self.init(own)
    } else {
      try self.init(request, of: allocator)
    }
  }

  /// Allocates it from memory of somebody who is to read it.
  init(_ request: AllocationRequest, of owner: any Allocator) throws(PrimeError) {
    self.init(try owner.allocate(request).export(.readWrite))
  }

  private init(_ picture: consuming SharedPicture) {
    self.picture = picture
  }

  private static func own(_ request: AllocationRequest, _ importer: Device) throws(PrimeError) -> SharedPicture? {
    let allocator = DumbAllocator(device: try importer.reopened())
    let object: BufferObject
    do throws(PrimeError) {
      object = try allocator.allocate(request)
    } catch {
      guard [.notImplemented, .notSupported, .notATerminal].contains(error.errno) else { throw error }
      return nil
    }
    return try object.export(.readWrite)
  }
}
