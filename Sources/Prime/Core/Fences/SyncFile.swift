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

  /// Takes over a sync_file that another library or process made, for example `EGL_ANDROID_native_fence_sync` or Vulkan.
  ///
  /// From then on this value closes the descriptor, and nobody else may. `exec` closes it as well
  /// (`fcntl(F_SETFD, FD_CLOEXEC)`). Where the maker keeps its descriptor, use `init(duplicating:)`.
  ///
  /// - Throws: `fstatfs` with `unsuitable` or `SYNC_IOC_FILE_INFO` with `ENOTTY` for a file that is not a sync_file; `fstatfs` with
  ///   `EBADF` for a number that is not open. The descriptor stays the caller's then, as it was.
  public init(adopting descriptor: CInt) throws(PrimeError) {
    try self.init(adopting: descriptor, kernel: LinuxKernel())
  }

  /// As `init(adopting:)`, of any kernel.
  package init(adopting descriptor: CInt, kernel: any KernelCalls) throws(PrimeError) {
    try Self.check(descriptor, kernel)
    self.init(adopting: try Descriptor(claiming: descriptor, kernel: kernel))
  }

  /// The same fences behind a descriptor of this value's; the caller's is only looked at (`fcntl(F_DUPFD_CLOEXEC)`).
  ///
  /// - Throws: As `init(adopting:)`, and `fcntl(F_DUPFD_CLOEXEC)` with `EMFILE` where the process has no descriptor left.
  public init(duplicating descriptor: CInt) throws(PrimeError) {
    try self.init(duplicating: descriptor, kernel: LinuxKernel())
  }

  /// As `init(duplicating:)`, of any kernel.
  package init(duplicating descriptor: CInt, kernel: any KernelCalls) throws(PrimeError) {
    try Self.check(descriptor, kernel)
    self.init(
      adopting: try Descriptor.duplicating(descriptor, kernel: kernel, subject: Descriptor.subject(descriptor)))
  }

  /// Runs `body` with the descriptor, for a call that borrows or duplicates it.
  ///
  /// The descriptor is open until `body` returns and stays this value's to close.
  ///
  /// - Throws: What `body` throws.
  public borrowing func withDescriptor<Result: ~Copyable, Failure: Error>(
    _ body: (CInt) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try descriptor.withRawValue(body)
  }

  /// Gives the descriptor away, for a library that takes it over: the caller closes it.
  public consuming func relinquish() -> CInt {
    descriptor.relinquish()
  }

  /// Asks the kernel whether a descriptor is a sync_file.
  ///
  /// The file system comes first: on a device's node the number of `SYNC_IOC_FILE_INFO` may be a call of its driver's.
  private static func check(_ descriptor: CInt, _ kernel: any KernelCalls) throws(PrimeError) {
    let subject = Descriptor.subject(descriptor)
    let magic = kernel.fileSystemMagic(descriptor)
    guard try magic.orThrow("fstatfs", on: subject, reason: Descriptor.reason(magic)) == anonymousInodes else {
      throw PrimeError(operation: "fstatfs", finding: .unsuitable, subject: subject, reason: noSyncFile)
    }
    _ = try ask(descriptor, kernel, room: 0, subject: subject)
  }

  /// `ANON_INODE_FS_MAGIC` of `linux/magic.h`.
  private static let anonymousInodes: UInt64 = 0x0904_1934

  package var rawDescriptor: CInt { descriptor.rawValue }

  private var kernel: any KernelCalls { descriptor.kernel }

  var subject: String { "sync_file \(rawDescriptor)" }

  /// Waits until every fence has signalled and gives the status, which says whether the work ended well.
  ///
  /// - Throws: `poll for the fences` with `deadline` and its `pendingFences`, or with `cancelled`; else as `info`.
  public borrowing func wait(deadline: Deadline) throws(PrimeError) -> FenceStatus {
    do throws(PrimeError) {
      try kernel.awaitEvents(Int16(POLLIN), of: rawDescriptor, "the fences", deadline: deadline, on: subject)
    } catch {
      throw namingPending(error)
    }
    return try info().status
  }

  /// As the blocking wait, for a task: it is suspended, and a thread made for it blocks.
  ///
  /// - Throws: As the blocking wait, with `cancelled` where the task is cancelled; `pthread_create` where there is no thread.
  public borrowing func wait(deadline: Deadline) async throws(PrimeError) -> FenceStatus {
    if try !isSignalled {
      do throws(PrimeError) {
        try await kernel.suspendUntilEvents(
          Int16(POLLIN), of: rawDescriptor, "the fences", deadline: deadline, on: subject)
      } catch {
        throw namingPending(error)
      }
    }
    return try info().status
  }

  /// The error of a wait, with what is still pending where its time is over.
  private borrowing func namingPending(_ error: PrimeError) -> PrimeError {
    // The file may be what is wrong, so that it cannot be asked either. The error of the wait is the one to tell.
    guard error.finding == .deadline, let info = try? info() else { return error }
    return error.naming(info.pending)
  }

  /// Whether every fence has signalled at this moment (`poll`), well or with an error.
  ///
  /// - Throws: `poll for the fences` with its errno.
  public var isSignalled: Bool {
    get throws(PrimeError) {
      // Poll and not the status of FILE_INFO: it is what makes a fence of fences look at its parts.
      try kernel.currentEvents(Int16(POLLIN), of: rawDescriptor, "the fences", on: subject) != 0
    }
  }

  /// A new sync_file that signals when this one and the other have (`SYNC_IOC_MERGE`); the caller owns it.
  ///
  /// - Parameters:
  ///   - other: The other sync_file, which stays as it is.
  ///   - name: At most 31 bytes, for people who look at fences.
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
  ///
  /// - Throws: `fcntl(F_DUPFD_CLOEXEC)` with `EMFILE` where the process has no descriptor left.
  public borrowing func duplicate() throws(PrimeError) -> SyncFile {
    SyncFile(adopting: try descriptor.duplicate(subject: subject))
  }

  /// What the file and its fences tell of themselves (`SYNC_IOC_FILE_INFO`).
  ///
  /// - Throws: `SYNC_IOC_FILE_INFO` with `ENOTTY` for a file of another kind, and with `tooLarge` where it claims more than
  ///   4096 fences.
  public borrowing func info() throws(PrimeError) -> SyncFileInfo {
    let count = try Self.ask(rawDescriptor, kernel, room: 0, subject: subject).fenceCount
    guard (0...Self.mostFences).contains(count) else {
      throw PrimeError(
        operation: Self.infoOperation, finding: .tooLarge, subject: subject,
        reason: "it claims \(count) fences, and more than \(Self.mostFences) are not believed")
    }
    // The number cannot change between the calls: a sync_file keeps the fences that it was made with.
    let answer = try Self.ask(rawDescriptor, kernel, room: count, subject: subject)
    return SyncFileInfo(
      name: answer.name, status: FenceStatus(kernelStatus: answer.status), fences: answer.fences.map(FenceInfo.init))
  }

  private static let infoOperation: PrimeError.Operation = "SYNC_IOC_FILE_INFO"
  private static let mostFences = 4096
  private static let noSyncFile = "this file is not a sync_file"

  private static func ask(
    _ descriptor: CInt, _ kernel: any KernelCalls, room: Int, subject: @autoclosure () -> String
  ) throws(PrimeError) -> KernelSyncFileInfo {
    switch kernel.syncFileInfo(descriptor, room: room) {
    case .success(let answer): return answer
    case .failure(let errno):
      throw PrimeError(
        operation: infoOperation, errno: errno, subject: subject(),
        reason: errno == .notATerminal ? noSyncFile : PrimeError.commonReason(errno))
    }
  }
}
