internal import Glibc

/// The fences of a dma-buf: what readers and writers of its bytes have to wait for.
///
/// They belong to the buffer and not to a descriptor or a handle: every device and every process sees the same.
extension DMABuf {
  /// Who need not wait at this moment (`dma_buf_poll`).
  public struct Readiness: Hashable, Sendable {
    /// Nobody writes (`POLLIN`).
    public let forReading: Bool
    /// Nobody writes and nobody reads (`POLLOUT`).
    public let forWriting: Bool

    /// Makes the pair.
    public init(forReading: Bool, forWriting: Bool) {
      self.forReading = forReading
      self.forWriting = forWriting
    }
  }

  /// Who need not wait at this moment, without waiting (`poll`).
  ///
  /// The kernel keeps a buffer that was found busy until the fence it saw has signalled, closed or not.
  ///
  /// - Throws: `poll for the fences` with its errno.
  public borrowing func readiness() throws(PrimeError) -> Readiness {
    let found = try kernel.currentEvents(
      Int16(POLLIN | POLLOUT), of: rawDescriptor, "the fences", on: subject)
    return Readiness(forReading: found & Int16(POLLIN) != 0, forWriting: found & Int16(POLLOUT) != 0)
  }

  /// Waits until a reader or a writer need not wait any more (`poll`).
  ///
  /// - Throws: `poll for the fences` with `deadline` and its `pendingFences`, where the kernel can tell them, or with
  ///   `cancelled`.
  public borrowing func awaitReadiness(for access: FenceAccess, deadline: Deadline) throws(PrimeError) {
    let events = Int16(access == .read ? POLLIN : POLLOUT)
    do throws(PrimeError) {
      try kernel.awaitEvents(events, of: rawDescriptor, "the fences", deadline: deadline, on: subject)
    } catch {
      throw namingPending(error, for: access)
    }
  }

  /// As the blocking wait, for a task: it is suspended, and a thread made for it blocks.
  ///
  /// - Throws: As the blocking wait, with `cancelled` where the task is cancelled; `pthread_create` where there is no thread.
  public borrowing func awaitReadiness(for access: FenceAccess, deadline: Deadline) async throws(PrimeError) {
    let events = Int16(access == .read ? POLLIN : POLLOUT)
    guard try kernel.currentEvents(events, of: rawDescriptor, "the fences", on: subject) == 0 else { return }
    do throws(PrimeError) {
      try await kernel.suspendUntilEvents(events, of: rawDescriptor, "the fences", deadline: deadline, on: subject)
    } catch {
      throw namingPending(error, for: access)
    }
  }

  /// The error of a wait, with what is still pending where its time is over.
  private borrowing func namingPending(_ waited: PrimeError, for access: FenceAccess) -> PrimeError {
    guard waited.finding == .deadline else { return waited }
    do {
      return waited.naming(try exportSyncFile(for: access).info().pending)
    } catch {
      // An older kernel, or no descriptor left: the wait's own error is told without the names.
      return waited
    }
  }

  /// The fences that a reader or a writer has to wait for, as a sync_file of now (`DMA_BUF_IOCTL_EXPORT_SYNC_FILE`).
  ///
  /// A reader's holds the writers' fences, a writer's holds all. Those that come later do not enter it; that of an idle buffer
  /// has signalled. The caller owns it.
  ///
  /// - Throws: `DMA_BUF_IOCTL_EXPORT_SYNC_FILE` with `ENOTTY` on a kernel before 6.0 or without `CONFIG_SYNC_FILE`.
  public borrowing func exportSyncFile(for access: FenceAccess) throws(PrimeError) -> SyncFile {
    let operation: PrimeError.Operation = "DMA_BUF_IOCTL_EXPORT_SYNC_FILE"
    switch kernel.dmaBufExportSyncFile(rawDescriptor, flags: access.syncFlags) {
    case .success(let file): return SyncFile(adopting: Descriptor(adopting: file, kernel: kernel))
    case .failure(let errno):
      throw PrimeError(
        operation: operation, errno: errno, subject: subject,
        reason: errno == .notATerminal ? Self.olderKernel : PrimeError.commonReason(errno))
    }
  }

  /// Adds the fences of a sync_file to the buffer's, as a reader's or as a writer's (`DMA_BUF_IOCTL_IMPORT_SYNC_FILE`).
  ///
  /// From then on a writer waits for a reader's, and everybody waits for a writer's. The sync_file stays the caller's.
  ///
  /// - Throws: `DMA_BUF_IOCTL_IMPORT_SYNC_FILE` with `ENOTTY` on a kernel before 6.0 or without `CONFIG_SYNC_FILE`, and with
  ///   `EINVAL` for a file that is not a sync_file.
  public borrowing func importSyncFile(_ file: borrowing SyncFile, as access: FenceAccess) throws(PrimeError) {
    let operation: PrimeError.Operation = "DMA_BUF_IOCTL_IMPORT_SYNC_FILE"
    let syncFile = file.rawDescriptor
    switch kernel.dmaBufImportSyncFile(rawDescriptor, flags: access.syncFlags, syncFile: syncFile) {
    case .success: return
    case .failure(let errno):
      let reason: String? =
        switch errno {
        case .notATerminal: Self.olderKernel
        case .invalidArgument: "descriptor \(syncFile) is not a sync_file"
        default: PrimeError.commonReason(errno)
        }
      throw PrimeError(operation: operation, errno: errno, subject: subject, reason: reason)
    }
  }

  private static let olderKernel =
    "this kernel has no sync_files for dma-bufs: they need Linux 6.0 or later, built with CONFIG_SYNC_FILE"
}

extension FenceAccess {
  /// `DMA_BUF_SYNC_READ` or `DMA_BUF_SYNC_WRITE` of `linux/dma-buf.h`.
  package var syncFlags: UInt32 { UInt32(self == .read ? SyncFlags.read : SyncFlags.write) }
}
