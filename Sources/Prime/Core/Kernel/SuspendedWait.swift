internal import Glibc
internal import Synchronization

/// A wait for which its caller is suspended: what blocks is a thread made for it, and no thread of the task's executor.
///
/// A syncobj's wait is a call that blocks and the kernel seam polls one descriptor at a time, so each wait has a thread.
enum SuspendedWait {
  /// Runs `wait` on a thread of its own and gives what it answers.
  ///
  /// The deadline that `wait` obeys is also over when the task is cancelled. The caller goes on when `wait` has returned and not
  /// before, so that what it waits for stays open that long.
  ///
  /// - Throws: What `wait` throws, with `cancelled` for a cancelled task; `pthread_create` with `EAGAIN` where the process may
  ///   have no more threads.
  static func run<Value: Sendable>(
    on subject: String, deadline: Deadline, _ wait: @escaping @Sendable (Deadline) throws(PrimeError) -> Value
  ) async throws(PrimeError) -> Value {
    let cancellation = Cancellation(orWhere: { deadline.isCancelled })
    let obeyed = deadline.obeying(cancellation)
    let work = LentWork(wait)
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, PrimeError>, Never>) in
        let started = KernelThread.startAlone {
          continuation.resume(returning: work.run(until: obeyed))
        }
        guard case .failure(let errno) = started else { return }
        continuation.resume(
          returning: .failure(
            PrimeError(
              operation: "pthread_create", errno: errno, subject: subject,
              reason:
                "each asynchronous wait has a thread: wait for fewer at a time, or raise the limit with `ulimit -u`")
          ))
      }
    } onCancel: {
      cancellation.request()
    }
    return try result.get()
  }
}

/// Work that another thread does once.
///
/// What it holds, open files perhaps, has been let go of when its result is there: the thread itself ends some time later.
private final class LentWork<Value: Sendable>: Sendable {
  typealias Body = @Sendable (Deadline) throws(PrimeError) -> Value

  private let body: Mutex<Body?>

  init(_ body: @escaping Body) { self.body = Mutex(body) }

  func run(until deadline: Deadline) -> Result<Value, PrimeError> {
    let taken = body.withLock { $0.take() }
    return Result { () throws(PrimeError) in
      guard let taken else {
        throw PrimeError(operation: "pthread_create", finding: .broken, subject: "a wait", reason: "it was begun twice")
      }
      return try taken(deadline)
    }
  }
}

extension KernelCalls {
  /// As `awaitEvents`, for a caller that is suspended; the descriptor has to stay open until this returns.
  func suspendUntilEvents(
    _ events: Int16, of descriptor: CInt, _ what: String, deadline: Deadline, on subject: String
  ) async throws(PrimeError) {
    try await SuspendedWait.run(on: subject, deadline: deadline) { [self] (deadline) throws(PrimeError) in
      try awaitEvents(events, of: descriptor, what, deadline: deadline, on: subject)
    }
  }
}
