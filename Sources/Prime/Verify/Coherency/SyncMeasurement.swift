internal import Prime
internal import PrimeProcesses

/// Sees what START and END of one buffer reach, as the buffer is at that moment.
///
/// It writes the first bytes of the buffer and puts them back without SYNC, so the next to look writes before. Where START copies out of a bounce buffer, or drops what a cache holds, a write
/// that no bracket surrounds is lost, which needs no root to see. Where nothing is copied, the kernel's trace tells.
struct SyncMeasurement {
  let trace: DMAMapTrace?
  let deadline: Deadline

  /// How many bytes are written: a cache line of most processors, on the buffer's first page.
  private static let byteCount = 64

  /// Looks once.
  ///
  /// - Throws: `mmap`, `poll` or `DMA_BUF_IOCTL_SYNC` with their errno.
  func observe(_ buffer: borrowing DMABuf) throws -> SyncEffect.Observation {
    trace?.clear()
    let before = try bytes(of: buffer)
    let traced = trace?.seen()
    let written = before.map { ~$0 }
    try buffer.writeWithoutSync { bytes in
      for index in written.indices { bytes[index] = written[index] }
    }
    let after = try bytes(of: buffer)
    try buffer.writeWithoutSync { bytes in
      for index in before.indices { bytes[index] = before[index] }
    }
    let lost: Bool? = after == written ? false : after == before ? true : nil
    return SyncEffect.Observation(lost: lost, traced: traced)
  }

  private func bytes(of buffer: borrowing DMABuf) throws -> [UInt8] {
    try buffer.read(deadline: deadline) { bytes in (0..<min(Self.byteCount, bytes.count)).map { bytes[$0] } }
  }
}
