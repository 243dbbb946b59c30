internal import CDrm
internal import Glibc
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
  private let thread: Mutex<pthread_t>

  private init(_ work: Work, on thread: pthread_t) {
    self.work = work
    self.thread = Mutex(thread)
  }

  /// A thread that has ended keeps its stack until somebody takes its end; one that is held up for ever keeps it anyway.
  deinit {
    let isOver = work.result.withLock { $0 != nil }
    _ = cdrm_let_thread_go(thread.withLock { $0 }, isOver ? 1 : 0)
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
    _ = cdrm_interrupt_thread(thread.withLock { $0 })
  }
}

/// A thread of this process.
enum KernelThread {
  /// Starts `body`.
  ///
  /// It fails with the errno of `pthread_create`. The thread is to be joined or let go.
  static func start(_ body: @escaping @Sendable () -> Void) -> CallResult<pthread_t> {
    var started = pthread_t()
    let argument = unsafe Self.argument(body)
    let result = unsafe cdrm_start_thread(&started, Self.work, argument)
    guard result == 0 else {
      // Safe: no thread took the reference over.
      unsafe Unmanaged<AnyWork>.fromOpaque(argument).release()
      return .failure(Errno(rawValue: -result))
    }
    return .success(started)
  }

  /// Runs `body` to its end on a thread of its own, which may fork; false where the kernel gives no thread.
  static func run(_ body: @escaping @Sendable () -> Void) -> Bool {
    unsafe cdrm_run_on_thread(Self.work, Self.argument(body)) == 0
  }

  /// Safe: the thread takes over the reference it is given and releases it.
  private static func argument(_ body: @escaping @Sendable () -> Void) -> UnsafeMutableRawPointer {
    unsafe Unmanaged.passRetained(AnyWork(body)).toOpaque()
  }

  private static let work: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
    guard let argument = unsafe argument else { return nil }
    // Safe: this is the reference that was handed over, once.
    unsafe Unmanaged<AnyWork>.fromOpaque(argument).takeRetainedValue().body()
    return nil
  }

  /// What a C thread function can be handed.
  private final class AnyWork: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

/// What SIGUSR1 does to a call that waits.
package enum Interruptions {
  /// From now on SIGUSR1 interrupts; with `restarting` the kernel goes on waiting by itself (`SA_RESTART`).
  package static func arm(restarting: Bool) {
    _ = cdrm_arm_interruption(restarting ? 1 : 0)
  }
}
