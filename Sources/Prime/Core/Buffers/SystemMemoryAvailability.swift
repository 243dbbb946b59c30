/// Whether the exporters without a device are there and may be opened.
public enum SystemMemoryAvailability {
  /// Why `/dev/udmabuf` cannot be used here, nil when it can.
  public static var udmabufProblem: PrimeError? { udmabufProblem(by: LinuxKernel()) }

  package static func udmabufProblem(by kernel: any FileCalls) -> PrimeError? {
    problem(
      at: UDMABufAllocator.path, kernel,
      missing: "this kernel has no udmabuf: it needs CONFIG_UDMABUF, or `sudo modprobe udmabuf`")
  }

  /// Why a heap cannot be used here, nil when it can.
  public static func problem(ofHeap heap: String) -> PrimeError? { problem(ofHeap: heap, by: LinuxKernel()) }

  package static func problem(ofHeap heap: String, by kernel: any FileCalls) -> PrimeError? {
    problem(
      at: DMAHeapAllocator.path(of: heap), kernel,
      missing: heap == DMAHeapAllocator.systemHeap
        ? "this kernel has no system dma-heap: it needs CONFIG_DMABUF_HEAPS_SYSTEM"
        : "this machine has no such dma-heap")
  }

  /// The dma-heaps of this machine, also those that may not be opened.
  ///
  /// The system heap is the first, whether it is there or not.
  ///
  /// - Throws: `opendir` where the folder is there and cannot be read.
  public static func heaps() throws(PrimeError) -> [String] { try heaps(by: LinuxKernel()) }

  package static func heaps(
    in folder: String = DMAHeapAllocator.folder, by kernel: any KernelCalls
  ) throws(PrimeError) -> [String] {
    let found = try kernel.presentEntries(of: folder)
    return [DMAHeapAllocator.systemHeap] + found.filter { $0 != DMAHeapAllocator.systemHeap }
  }

  private static func problem(at path: String, _ kernel: any FileCalls, missing: String) -> PrimeError? {
    guard kernel.exists(path) else {
      return PrimeError(operation: "open", finding: .absent, subject: path, reason: missing)
    }
    guard !kernel.isWritable(path) else { return nil }
    return PrimeError(
      operation: "open", errno: .permissionDenied, subject: path,
      reason: Device.openingReason(.permissionDenied, path: path, kernel))
  }
}
