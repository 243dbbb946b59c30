/// A page flip, or a first picture with its mode, that the kernel accepted and that nobody has waited for yet.
public struct StartedFlip: ~Copyable, Sendable {
  /// Signals when the picture is shown (`OUT_FENCE_PTR`): a sync_file for other devices and processes, which closes itself.
  public let outFence: SyncFile
  fileprivate let number: UInt64
  fileprivate let begun: SuspendingClock.Instant
}

extension DisplayPipe {
  /// Commits another picture without waiting for anything (`DRM_MODE_ATOMIC_NONBLOCK`).
  ///
  /// The engine waits by itself, for the writers' fences of the picture's buffer and for `fence`, the descriptor of
  /// a sync_file (`IN_FENCE_FD`), which stays the caller's. The caller ends the flip with `finish`.
  ///
  /// - Throws: `unsupported` without a call on the legacy path; `DRM_IOCTL_MODE_ATOMIC` with its errno, `EBUSY` where another
  ///   flip is under way; `broken` where the kernel gives no fence.
  package func start(
    flipTo picture: Picture, after fence: CInt?, deadline: Deadline
  ) throws(PrimeError) -> StartedFlip {
    guard route.isAtomic else { throw withoutFences }
    return try started(submit(picture, after: fence, givingFence: true, deadline: deadline))
  }

  /// Commits a mode and a picture without waiting for anything, as `start(flipTo:after:deadline:)`.
  package func start(
    showing picture: Picture, mode: DisplayMode, after fence: CInt?, deadline: Deadline
  ) throws(PrimeError) -> StartedFlip {
    guard let objects = route.objects else { throw withoutFences }
    return try started(submit(picture, mode: mode, on: objects, after: fence, deadline: deadline))
  }

  private var withoutFences: PrimeError {
    PrimeError(
      operation: "DRM_IOCTL_MODE_ATOMIC", finding: .unsupported, subject: route.device.subject,
      reason: "it has no atomic mode setting, and the legacy calls give no fence")
  }

  private func started(_ submission: consuming Submission) throws(PrimeError) -> StartedFlip {
    let (number, begun) = (submission.number, submission.begun)
    guard let outFence = submission.outFence else {
      throw PrimeError(
        operation: "DRM_IOCTL_MODE_ATOMIC", finding: .broken, subject: route.device.subject,
        reason: "the kernel accepted the commit and gave no fence")
    }
    return StartedFlip(outFence: outFence, number: number, begun: begun)
  }

  /// Waits until the picture is shown, and written where there is a target.
  ///
  /// - Throws: `poll for the page flip` or `poll for the writeback fence` with `deadline` or `cancelled`.
  @discardableResult
  public func finish(_ flip: borrowing StartedFlip, deadline: Deadline) throws(PrimeError) -> Flip {
    let shown = try awaitFlip(flip.number, deadline: deadline).flip(since: flip.begun, on: route.device.kernel)
    try finishWriting(deadline: deadline)
    return shown
  }

  /// As the blocking `finish`, for a task: it is suspended, and a thread made for it blocks.
  ///
  /// - Throws: As the blocking `finish`, with `cancelled` where the task is cancelled; `pthread_create` where there is no thread.
  @discardableResult
  public func finish(_ flip: borrowing StartedFlip, deadline: Deadline) async throws(PrimeError) -> Flip {
    let shown = try await suspendUntilFlip(flip.number, deadline: deadline).flip(
      since: flip.begun, on: route.device.kernel)
    try await suspendUntilWritten(deadline: deadline)
    return shown
  }
}
