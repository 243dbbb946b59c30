internal import Prime
internal import PrimeProcesses

/// Imports whose mapping is a copy: the importer's device does not reach the memory, or the kernel was told so
/// (`kernel/dma/swiotlb.c`).
enum BouncedImport {
  /// Whether the importer's mapping is bounced; nil where the kernel does not tell.
  static func isSeen(by importer: DeviceIdentity, in trace: DMAMapTrace?, mapping: ImportMapping) -> Bool? {
    guard let trace, trace.tellsBounces, let seen = trace.seen() else { return nil }
    if importer.isNamed(in: Set(seen.bounced.keys)) { return true }
    return mapping == .traced ? false : nil
  }

  /// Whether the kernel could not map a buffer for an importer, as where a piece of it is too large.
  static func isFailure(_ error: PrimeError) -> Bool {
    error.errno == .inputOutput && error.operation == "drmPrimeFDToHandle"
  }

  /// Why the kernel could not map a buffer for an importer: a piece of it is larger than a bounce buffer; nil where it was not
  /// that, or where the kernel does not tell.
  static func refusal(
    _ error: PrimeError, of byteCount: Int, _ format: PixelFormat, into importer: String, seen: DMAMapTrace.Seen?,
    isImporter: (Set<String>) -> Bool
  ) -> Stop? {
    guard isFailure(error),
      let piece = seen?.bounced.filter({ isImporter([$0.key]) }).values.max(), piece > BounceBuffer.largestPiece
    else { return nil }
    return Stop(
      verdict: .refused, refusedBy: .machine, error: error,
      reason: "this machine has \(importer) reach the buffer through bounce buffers (swiotlb), which take pieces of "
        + "\(BounceBuffer.largestPiece) bytes at the most, and a piece of these \(byteCount) bytes has \(piece): no driver refused it; "
        + "\(advice(format))")
  }

  /// A size of which the whole picture is no larger than one piece may be; nil where the format has none.
  static func fittingSize(_ format: PixelFormat) -> (width: Int, height: Int)? {
    let sizes = [(width: 320, height: 200), (160, 100), (64, 64)]
    return sizes.first { width, height in
      guard let layout = try? PictureLayout.packed(format: format, width: width, height: height) else { return false }
      return layout.byteCount <= BounceBuffer.largestPiece
    }
  }

  /// What to try.
  private static func advice(_ format: PixelFormat) -> Remedy {
    fittingSize(format).map { Remedy.bufferSize(width: $0.width, height: $0.height) } ?? .smallerBuffer
  }

  /// What has to be said of an import that is a copy which SYNC does not renew; nil where it is none, or nothing
  /// tells.
  static func warning(
    importer: String, exporter: String, isBounced: Bool?, reach: SyncEffect.Reach?, evidence: SyncEffect.Evidence?
  ) -> String? {
    guard isBounced == true, let reach, [.none, .ownMapping].contains(reach) else { return nil }
    let known = evidence == .byDriver ? ", as far as its driver is known" : ""
    return "\(importer) has a copy of the buffer (swiotlb), and DMA_BUF_IOCTL_SYNC renews no importer's copy of "
      + "\(exporter)'s buffers\(known): hardware that reads it by DMA does not see what the CPU writes after the import; "
      + Remedy.coherencyCheck.description
  }
}
