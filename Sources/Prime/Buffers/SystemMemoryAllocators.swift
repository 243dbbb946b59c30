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

  /// Allocates whole pages; the kernel's limit is the module parameter `size_limit_mb`, 64 by default.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    try SystemMemory.allocate(request, from: Self.path, kernel: kernel, operation: "UDMABUF_CREATE") {
      (node, byteCount) throws(PrimeError) in
      let memory = Descriptor(
        adopting: try kernel.createSealedMemory("prime-tool", byteCount: Int64(byteCount))
          .orThrow("memfd_create", on: Self.path), kernel: kernel)
      return try kernel.udmabufCreate(node, memory: memory.rawValue, byteCount: UInt64(byteCount))
        .orThrow(
          "UDMABUF_CREATE", on: Self.path,
          reason: Self.limitReason(byteCount))
    }
  }

  private static func limitReason(_ byteCount: Int) -> String? {
    guard
      let limit = FileSystem.text(of: "/sys/module/udmabuf/parameters/size_limit_mb").flatMap({ Int($0) }),
      byteCount > limit << 20
    else { return nil }
    return "the buffer needs \(byteCount >> 20) MiB and udmabuf allows \(limit): raise "
      + "/sys/module/udmabuf/parameters/size_limit_mb or use a smaller --size"
  }
}

/// The system dma-heap (`/dev/dma_heap/system`, `DMA_HEAP_IOCTL_ALLOC`): page-backed memory of no device.
public struct DMAHeapAllocator: Allocator {
  /// The heap's node.
  public static let path = "/dev/dma_heap/system"
  private let kernel: any KernelCalls

  /// Allocates from this machine's system heap.
  public init() { self.init(kernel: LinuxKernel()) }

  package init(kernel: any KernelCalls) { self.kernel = kernel }

  /// `.heap`.
  public var kind: AllocatorKind { .heap }

  /// Allocates whole pages of zeros, as a descriptor for reading and writing.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    try SystemMemory.allocate(request, from: Self.path, kernel: kernel, operation: "DMA_HEAP_IOCTL_ALLOC") {
      (node, byteCount) throws(PrimeError) in
      try kernel.dmaHeapAllocate(node, byteCount: UInt64(byteCount)).orThrow("DMA_HEAP_IOCTL_ALLOC", on: Self.path)
    }
  }
}

/// What the two allocators without a device share: layout, page rounding, the node to open.
enum SystemMemory {
  /// Intel wants rows 64 bytes apart and AMD 256; nobody is hurt by more.
  static let pitchAlignment = 256

  static func allocate(
    _ request: AllocationRequest, from path: String, kernel: any KernelCalls, operation: String,
    _ create: (_ node: CInt, _ byteCount: Int) throws(PrimeError) -> CInt
  ) throws(PrimeError) -> BufferObject {
    if let modifiers = request.modifiers, !modifiers.contains(.linear) {
      throw PrimeError(
        operation: operation, errno: .invalidArgument, subject: path,
        reason: "this memory is linear, and linear is not among the modifiers asked for")
    }
    let layout = try request.packedLayout(pitchAlignment: pitchAlignment, operation: operation, on: path)
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    // The last row is filled up too, for importers that count pitch times height.
    let last = layout.planes.indices.last ?? 0
    let padding = layout.planes[last].pitch - layout.rowBytes(ofPlane: last)
    let byteCount = (layout.byteCount + padding + page - 1) / page * page
    let opened = kernel.open(path, flags: O_RDWR)
    let node = Descriptor(
      adopting: try opened.orThrow("open", on: path, reason: openingReason(opened, path: path)), kernel: kernel)
    let descriptor = try create(node.rawValue, byteCount)
    let buffer = try DMABuf(adopting: Descriptor(adopting: descriptor, kernel: kernel))
    guard buffer.byteCount >= byteCount else {
      throw PrimeError(
        operation: operation, errno: .inputOutput, subject: path,
        reason: "the kernel gave \(buffer.byteCount) bytes where \(byteCount) were asked for")
    }
    return BufferObject(BufferDescription(layout: layout, modifier: .linear), storage: .dmaBuf(buffer))
  }

  private static func openingReason(_ opened: CallResult<CInt>, path: String) -> String? {
    guard case .failure(let errno) = opened else { return nil }
    return Device.openingReason(errno, path: path)
  }
}
