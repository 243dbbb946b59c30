/// What stands between a buffer and a device that does not reach its memory: a copy that the kernel keeps
/// (`kernel/dma/swiotlb.c`).
package enum BounceBuffer {
  /// What the kernel hands out of them at once, in bytes (`IO_TLB_SIZE`).
  package static let slotByteCount = 1 << 11
  /// The largest piece of memory that it takes, in bytes: `IO_TLB_SEGSIZE` slots.
  package static let largestPiece = 128 * slotByteCount

  /// How many slots are in use on the whole machine; nil where debugfs does not tell, which only root may read.
  package static func slotsInUse(by kernel: any FileCalls) -> Int? {
    kernel.text(of: "/sys/kernel/debug/swiotlb/io_tlb_used").flatMap { Int($0) }
  }

  /// What may be behind an import's `EIO`, where nothing tells more.
  static func explaining(_ error: PrimeError) -> PrimeError {
    guard error.errno == .inputOutput, error.reason == nil else { return error }
    return error.explained(
      "the kernel could not map it for this device; where it does so through bounce buffers (swiotlb), no piece may be "
        + "larger than \(largestPiece) bytes, and a smaller picture such as one of 320x200 works")
  }
}
