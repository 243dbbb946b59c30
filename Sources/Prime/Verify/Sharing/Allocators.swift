internal import Prime

/// Makes the allocator that an exporter stands for.
enum Allocators {
  /// Opens the exporter's node where it has one; GBM opens it once more for itself.
  static func make(_ exporter: Exporter, kernel: any KernelCalls) throws(PrimeError) -> any Allocator {
    guard let node = exporter.node else { return try make(exporter, on: nil, kernel: kernel) }
    return try make(exporter, on: Device.open(node, kernel: kernel), kernel: kernel)
  }

  /// Allocates on a device that is open already, or from system memory.
  static func make(
    _ exporter: Exporter, on device: Device?, kernel: any KernelCalls
  ) throws(PrimeError) -> any Allocator {
    let allocator = try wholePictures(exporter, on: device, kernel: kernel)
    // What a GPU draws has one plane.
    return exporter.allocator == .gpu ? allocator : SeparatePlanesAllocator(allocator)
  }

  private static func wholePictures(
    _ exporter: Exporter, on device: Device?, kernel: any KernelCalls
  ) throws(PrimeError) -> any Allocator {
    switch (exporter.allocator, device) {
    case (.v4l2, _):
      guard let video = exporter.video else {
        throw .untestable("open", on: exporter.name, reason: "it is no video device")
      }
      return VideoAllocator(video, kernel: kernel)
    case (.udmabuf, _): return UDMABufAllocator(kernel: kernel)
    case (.heap, _): return DMAHeapAllocator(heap: exporter.heap ?? DMAHeapAllocator.systemHeap, kernel: kernel)
    case (.dumb, let device?): return DumbAllocator(device: device)
    case (.gbm, let device?):
      return GBMAllocator(device: try GBMDevice(on: device), otherwise: exporter.primary)
    case (.gpu, let device?):
      guard let program = exporter.program else {
        throw .untestable(.witness, on: exporter.name, reason: "no program is there that draws for it")
      }
      return GPUAllocator(program, on: device, otherwise: exporter.primary)
    case (_, nil):
      throw PrimeError(
        operation: "open", finding: .absent, subject: exporter.name,
        reason: "the allocator \(exporter.allocator.rawValue) needs a device")
    }
  }
}

/// Refuses a buffer that would not fit this machine's memory, before the kernel kills somebody to make room for it.
enum MemoryBudget {
  /// Throws `tooLarge` where fewer than `byteCount` bytes are available by the kernel's own estimate (`MemAvailable`).
  static func check(
    _ byteCount: Int, operation: PrimeError.Operation, on subject: String, by kernel: any FileCalls
  ) throws(PrimeError) {
    guard let available = availableBytes(kernel), byteCount > available else { return }
    throw PrimeError(
      operation: operation, finding: .tooLarge, subject: subject,
      reason: "the buffer needs \(byteCount >> 20) MiB and this machine has \(available >> 20) MiB available: "
        + Remedy.smallerBuffer.description)
  }

  private static func availableBytes(_ kernel: any FileCalls) -> Int? {
    kernel.text(of: "/proc/meminfo")?.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
      .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) }.map { $0 * 1024 }
  }
}
