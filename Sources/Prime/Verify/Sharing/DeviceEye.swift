internal import Prime
internal import PrimeProcesses

/// What an importer's device would read: the bytes at the DMA addresses that its driver was given for a buffer.
///
/// That is so where no IOMMU translates the addresses, and where the device sees what the CPU's caches hold or reads a copy that
/// the kernel made. It needs root: the addresses are in the kernel's trace, the bytes in `/proc/kcore`.
struct DeviceEye: ~Copyable {
  private let memory: KernelMemory
  private let pieces: [DMAMapTrace.Piece]

  /// Takes the mapping that was traced for the importer; nil where there is none, or nothing could be concluded from it.
  init?(of importer: DeviceIdentity, byteCount: Int, isBounced: Bool?, in trace: DMAMapTrace?, by kernel: any FileCalls)
  {
    guard isBounced == true || CoherencyReport.devicesSeeCaches, Self.nothingTranslates(kernel),
      let mapped = trace?.seen()?.pieces,
      let pieces = mapped.first(where: { importer.isNamed(in: [$0.key]) })?.value,
      pieces.reduce(0, { $0 + $1.byteCount }) >= byteCount, let memory = KernelMemory()
    else { return nil }
    self.memory = memory
    self.pieces = pieces
  }

  /// Whether an address that a driver is given is that of the memory.
  private static func nothingTranslates(_ kernel: any FileCalls) -> Bool {
    kernel.entries(of: "/sys/class/iommu").isEmpty
  }

  /// What lies there now; nil where it cannot be read.
  func bytes() -> [UInt8]? {
    var bytes: [UInt8] = []
    for piece in pieces {
      guard let read = memory.bytes(at: piece.address, count: piece.byteCount) else { return nil }
      bytes += read
    }
    return bytes
  }
}
