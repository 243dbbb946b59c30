internal import Glibc

/// A sealed memfd as a dma-buf (`/dev/udmabuf`, `UDMABUF_CREATE`): an exporter that needs no device.
public struct UDMABufAllocator: Allocator {
  /// The node that makes them.
  public static let path = "/dev/udmabuf"
  private let kernel: any KernelCalls

  /// Allocates through this machine's `/dev/udmabuf`.
  public init() { self.init(kernel: LinuxKernel()) }

  package init(kernel: any KernelCalls) { self.kernel = kernel }

  /// `.udmabuf`.
  public var kind: AllocatorKind { .udmabuf }

  /// None: the memory is no device's.
  public var node: DRMNode? { nil }

  /// Allocates whole pages; the kernel's limit is the module parameter `size_limit_mb`, 64 by default.
  ///
  /// - Throws: `open` with `ENOENT` or `EACCES` on the node, `memfd_create`, or `UDMABUF_CREATE` with the errno, `EINVAL` beyond
  ///   the limit; an untestable error where the request is for a modifier other than `linear`.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    try SystemMemory.allocate(request, from: Self.path, kernel: kernel, operation: "UDMABUF_CREATE") {
      (node, byteCount) throws(PrimeError) in
      let memory = Descriptor(
        adopting: try kernel.createSealedMemory("prime-tool", byteCount: Int64(byteCount))
          .orThrow("memfd_create", on: Self.path), kernel: kernel)
      return try kernel.udmabufCreate(node, memory: memory.rawValue, byteCount: UInt64(byteCount))
        .orThrow(
          "UDMABUF_CREATE", on: Self.path,
          reason: limitReason(byteCount))
    }
  }

  private func limitReason(_ byteCount: Int) -> String? {
    guard
      let limit = kernel.text(of: "/sys/module/udmabuf/parameters/size_limit_mb").flatMap({ Int($0) }),
      byteCount > limit << 20
    else { return nil }
    return "the buffer needs \(byteCount >> 20) MiB and udmabuf allows \(limit): raise "
      + "/sys/module/udmabuf/parameters/size_limit_mb or \(Remedy.smallerBuffer)"
  }
}

/// A dma-heap (`/dev/dma_heap/NAME`, `DMA_HEAP_IOCTL_ALLOC`): memory of no device, of a kind that the heap stands for.
///
/// `system` has single pages; `linux,cma`, `reserved` and `default_cma_region` have one contiguous piece.
public struct DMAHeapAllocator: Allocator {
  /// The heap that every kernel with dma-heaps is meant to have.
  public static let systemHeap = "system"
  /// The folder with a node for each heap.
  static let folder = "/dev/dma_heap"
  /// The heap's name.
  public let heap: String
  private let kernel: any KernelCalls

  /// Allocates from a heap of this machine.
  public init(heap: String = systemHeap) { self.init(heap: heap, kernel: LinuxKernel()) }

  package init(heap: String = systemHeap, kernel: any KernelCalls) {
    self.heap = heap
    self.kernel = kernel
  }

  /// The node of a heap.
  public static func path(of heap: String) -> String { "\(folder)/\(heap)" }

  /// `.heap`.
  public var kind: AllocatorKind { .heap }

  /// None: the memory is no device's.
  public var node: DRMNode? { nil }

  /// Allocates whole pages of zeros, as a descriptor for reading and writing.
  ///
  /// - Throws: `open` with `ENOENT` or `EACCES` on the heap's node, `DMA_HEAP_IOCTL_ALLOC` with the errno; an untestable error
  ///   for memory that the CPU may not map, and where the request is for a modifier other than `linear`.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    let path = Self.path(of: heap)
    return try SystemMemory.allocate(request, from: path, kernel: kernel, operation: "DMA_HEAP_IOCTL_ALLOC") {
      (node, byteCount) throws(PrimeError) in
      let descriptor = try kernel.dmaHeapAllocate(node, byteCount: UInt64(byteCount))
        .orThrow("DMA_HEAP_IOCTL_ALLOC", on: path)
      try requireMapping(descriptor, path)
      return descriptor
    }
  }

  /// Throws where the CPU may not map what the heap gives, as with memory that is protected from it.
  ///
  /// `dma_buf_mmap` is `EINVAL` for an exporter without a mapping, as the heaps of `tee_heap.c` are.
  private func requireMapping(_ descriptor: CInt, _ path: String) throws(PrimeError) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    switch kernel.map(descriptor, byteCount: page, writable: true, offset: 0) {
    case .success(let range): kernel.unmap(range)
    case .failure(let errno):
      kernel.close(descriptor)
      guard Self.refusesMapping.contains(errno) else {
        _ = try CallResult<Void>.failure(errno).orThrow("mmap", on: path)
        return
      }
      throw .untestable(
        "mmap", on: path,
        reason:
          "the CPU may not map memory of this heap (\(errno.name)), as with protected memory, so nothing can be written "
          + "there to be seen")
    }
  }

  private static let refusesMapping: Set<Errno> = [
    .invalidArgument, .permissionDenied, .notPermitted, .notImplemented, .notSupported, .noSuchDevice,
  ]
}

/// What the two allocators without a device share: layout, page rounding, the node to open.
enum SystemMemory {
  /// Where no importer was asked: Intel wants rows 64 bytes apart and AMD 256, and most take more.
  static let pitchAlignment = 256

  static func allocate(
    _ request: AllocationRequest, from path: String, kernel: any KernelCalls, operation: PrimeError.Operation,
    _ create: (_ node: CInt, _ byteCount: Int) throws(PrimeError) -> CInt
  ) throws(PrimeError) -> BufferObject {
    try request.requireLinear("this memory is", operation: operation, on: path)
    var layout = try request.packedLayout(pitchAlignment: pitchAlignment, operation: operation, on: path)
    if let wanted = request.pitch, wanted.own >= request.widestRow {
      layout = try request.stackedLayout(pitch: wanted.own, operation: operation, on: path)
    }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    // The last row is filled up too, for importers that count pitch times height.
    let last = layout.planes.indices.last ?? 0
    let padding = layout.planes[last].pitch - layout.rowBytes(ofPlane: last)
    let byteCount = (layout.byteCount + padding + page - 1) / page * page
    let opened = kernel.open(path, flags: O_RDWR)
    let node = Descriptor(
      adopting: try opened.orThrow("open", on: path, reason: openingReason(opened, path: path, kernel)), kernel: kernel)
    let descriptor = try create(node.rawValue, byteCount)
    let buffer = try DMABuf(adopting: Descriptor(adopting: descriptor, kernel: kernel))
    guard buffer.byteCount >= byteCount else {
      throw PrimeError(
        operation: operation, finding: .broken, subject: path,
        reason: "the kernel gave \(buffer.byteCount) bytes where \(byteCount) were asked for")
    }
    return BufferObject(adopting: try .made(BufferDescription(layout: layout, modifier: .linear), buffer))
  }

  private static func openingReason(_ opened: CallResult<CInt>, path: String, _ kernel: any FileCalls) -> String? {
    guard case .failure(let errno) = opened else { return nil }
    return Device.openingReason(errno, path: path, kernel)
  }
}
