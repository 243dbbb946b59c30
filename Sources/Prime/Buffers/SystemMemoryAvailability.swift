/// Whether the exporters without a device are there and may be opened.
public enum SystemMemoryAvailability {
  /// Why an allocator cannot be used here, nil when it can or when it needs a device.
  public static func problem(of kind: AllocatorKind) -> PrimeError? {
    let path: String
    let missing: String
    switch kind {
    case .udmabuf:
      path = UDMABufAllocator.path
      missing = "this kernel has no udmabuf: it needs CONFIG_UDMABUF, or `sudo modprobe udmabuf`"
    case .heap:
      path = DMAHeapAllocator.path
      missing = "this kernel has no system dma-heap: it needs CONFIG_DMABUF_HEAPS_SYSTEM"
    case .gbm, .dumb: return nil
    }
    guard FileSystem.exists(path) else {
      return PrimeError(operation: "open", errno: .noSuchFile, subject: path, reason: missing)
    }
    guard !FileSystem.isWritable(path) else { return nil }
    return PrimeError(
      operation: "open", errno: .permissionDenied, subject: path,
      reason: Device.openingReason(.permissionDenied, path: path))
  }
}
