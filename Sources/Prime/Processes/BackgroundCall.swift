internal import CProcess
package import Prime
internal import Synchronization

/// A call on a thread of its own, to see whether it blocks and what lets it go on.
///
/// A statement's process has no deadline inside a call: where the call never returns, the process is ended by its parent.
package final class BackgroundCall<Value: Sendable>: Sendable {
  private final class Work: Sendable {
    let body: @Sendable () -> Value
    let result = Mutex<Value?>(nil)
    let hasBegun = Atomic<Bool>(false)

    init(_ body: @escaping @Sendable () -> Value) { self.body = body }

    func run() {
      hasBegun.store(true, ordering: .releasing)
      let value = body()
      result.withLock { $0 = value }
    }
  }

  private let work: Work
  private let thread: KernelThread

  private init(_ work: Work, on thread: KernelThread) {
    self.work = work
    self.thread = thread
  }

  /// A thread that has ended keeps its stack until somebody takes its end; one that is held up for ever keeps it anyway.
  deinit {
    let isOver = work.result.withLock { $0 != nil }
    thread.letGo(isOver: isOver)
  }

  /// Starts `body`, and returns when its thread has come to it.
  ///
  /// On a busy machine that takes a while. It fails with the errno of `pthread_create` where there is no thread to be had.
  package static func start(_ body: @escaping @Sendable () -> Value) -> CallResult<BackgroundCall> {
    let work = Work(body)
    return KernelThread.start { work.run() }.map { thread in
      let call = BackgroundCall(work, on: thread)
      _ = Pause.until(Deadline(in: .seconds(10))) { work.hasBegun.load(ordering: .acquiring) }
      return call
    }
  }

  /// What the call answered, waiting at most `limit`; nil while it blocks.
  package func result(within limit: Duration) -> Value? {
    let deadline = Deadline(in: limit)
    while true {
      if let value = work.result.withLock({ $0 }) { return value }
      if deadline.remaining == .zero { return nil }
      deadline.pause(milliseconds: 1)
    }
  }

  /// Sends the thread SIGUSR1, which does nothing but interrupt; see `Interruptions.arm`.
  package func interrupt() {
    thread.interrupt()
  }
}

/// What SIGUSR1 does to a call that waits.
package enum Interruptions {
  /// From now on SIGUSR1 interrupts; with `restarting` the kernel goes on waiting by itself (`SA_RESTART`).
  package static func arm(restarting: Bool) {
    _ = cprocess_arm_interruption(restarting ? 1 : 0)
  }
}
