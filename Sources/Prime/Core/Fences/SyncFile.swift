internal import Glibc

/// A sync_file: a descriptor that holds fences and becomes readable when all of them have signalled.
///
/// It holds the fences that there were when it was made: none enters or leaves it later (`drivers/dma-buf/sync_file.c`).
/// It closes itself.
public struct SyncFile: ~Copyable, Sendable {
  private let descriptor: Descriptor

  /// Takes over a descriptor that the kernel gave for a sync_file.
  package init(adopting descriptor: consuming Descriptor) {
    self.descriptor = descriptor
  }

  package var rawDescriptor: CInt { descriptor.rawValue }

  private var kernel: any KernelCalls { descriptor.kernel }

  var subject: String { "sync_file \(rawDescriptor)" }

  /// Waits until every fence has signalled and gives the status, which says whether the work ended well.
  ///
  /// - Throws: `poll for the fences` with `deadline` and the drivers and timelines that are still pending, or with
  ///   `cancelled`; else as `info`.
  public borrowing func wait(deadline: Deadline) throws(PrimeError) -> FenceStatus {
    do throws(PrimeError) {
      try kernel.awaitEvents(Int16(POLLIN), of: rawDescriptor, "the fences", deadline: deadline, on: subject)
    } catch {
      // The file may be what is wrong, so that it cannot be asked either. The error of the wait is the one to tell.
      guard error.finding == .deadline, let pending = (try? info())?.pendingInWords else { throw error }
      throw error.explained("\(error.reason.map { "\($0); " } ?? "")still pending: \(pending)")
    }
    return try info().status
  }

  /// Whether every fence has signalled at this moment (`poll`), well or with an error.
  public var isSignalled: Bool {
    get throws(PrimeError) {
      // Poll and not the status of FILE_INFO: it is what makes a fence of fences look at its parts.
      try kernel.currentEvents(Int16(POLLIN), of: rawDescriptor, "the fences", on: subject) != 0
    }
  }

  /// A new sync_file that signals when this one and the other have (`SYNC_IOC_MERGE`); the caller owns it.
  ///
  /// - Parameter name: At most 31 bytes, for people who look at fences.
  /// - Throws: `SYNC_IOC_MERGE` with `unsuitable` without asking the kernel for a name that does not fit, which the kernel would
  ///   cut; `ENOENT` where the other is no sync_file.
  public borrowing func merge(with other: borrowing SyncFile, name: String) throws(PrimeError) -> SyncFile {
    let operation: PrimeError.Operation = "SYNC_IOC_MERGE"
    guard name.utf8.count <= Self.longestName, !name.utf8.contains(0) else {
      throw PrimeError(
        operation: operation, finding: .unsuitable, subject: subject,
        reason: "the name of a sync_file is at most \(Self.longestName) bytes without a zero: give a shorter one")
    }
    let otherDescriptor = other.rawDescriptor
    switch kernel.syncFileMerge(rawDescriptor, with: otherDescriptor, name: name) {
    case .success(let merged): return SyncFile(adopting: Descriptor(adopting: merged, kernel: kernel))
    case .failure(let errno):
      let reason: String? =
        switch errno {
        case .noSuchFile: "descriptor \(otherDescriptor) is not a sync_file"
        case .notATerminal: Self.noSyncFile
        default: PrimeError.commonReason(errno)
        }
      throw PrimeError(operation: operation, errno: errno, subject: subject, reason: reason)
    }
  }

  /// `sync_merge_data.name` less the zero that ends it.
  private static let longestName = 31

  /// Another descriptor of the same sync_file; the caller owns it (`fcntl(F_DUPFD_CLOEXEC)`).
  public borrowing func duplicate() throws(PrimeError) -> SyncFile {
    SyncFile(adopting: try descriptor.duplicate(subject: subject))
  }

  /// What the file and its fences tell of themselves (`SYNC_IOC_FILE_INFO`).
  ///
  /// - Throws: `SYNC_IOC_FILE_INFO` with `ENOTTY` for a file of another kind, and with `tooLarge` where it claims more than
  ///   4096 fences.
  public borrowing func info() throws(PrimeError) -> SyncFileInfo {
    let count = try ask(room: 0).fenceCount
    guard (0...Self.mostFences).contains(count) else {
      throw PrimeError(
        operation: Self.infoOperation, finding: .tooLarge, subject: subject,
        reason: "it claims \(count) fences, and more than \(Self.mostFences) are not believed")
    }
    // The number cannot change between the calls: a sync_file keeps the fences that it was made with.
    let answer = try ask(room: count)
    return SyncFileInfo(
      name: answer.name, status: FenceStatus(kernelStatus: answer.status), fences: answer.fences.map(FenceInfo.init))
  }

  private static let infoOperation: PrimeError.Operation = "SYNC_IOC_FILE_INFO"
  private static let mostFences = 4096
  private static let noSyncFile = "this file is not a sync_file"

  private borrowing func ask(room: Int) throws(PrimeError) -> KernelSyncFileInfo {
    switch kernel.syncFileInfo(rawDescriptor, room: room) {
    case .success(let answer): return answer
    case .failure(let errno):
      throw PrimeError(
        operation: Self.infoOperation, errno: errno, subject: subject,
        reason: errno == .notATerminal ? Self.noSyncFile : PrimeError.commonReason(errno))
    }
  }
}
