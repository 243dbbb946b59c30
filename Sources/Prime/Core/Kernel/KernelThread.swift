internal import CProcess
internal import Glibc

/// A thread of this process, to be let go once.
package struct KernelThread: Sendable {
  private let number: pthread_t

  /// Starts `body`.
  ///
  /// It fails with the errno of `pthread_create`.
  package static func start(_ body: @escaping @Sendable () -> Void) -> CallResult<KernelThread> {
    var started = pthread_t()
    let argument = unsafe Self.argument(body)
    let result = unsafe cprocess_start_thread(&started, Self.work, argument)
    guard result == 0 else {
      // Safe: no thread took the reference over.
      unsafe Unmanaged<AnyWork>.fromOpaque(argument).release()
      return .failure(Errno(rawValue: -result))
    }
    return .success(KernelThread(number: started))
  }

  /// Starts `body` on a thread that nobody joins: it frees itself.
  ///
  /// It fails with the errno of `pthread_create`.
  static func startAlone(_ body: @escaping @Sendable () -> Void) -> CallResult<Void> {
    start(body).map { $0.letGo(isOver: false) }
  }

  /// Has its stack freed: now where its body is over, else when it ends.
  package func letGo(isOver: Bool) {
    _ = cprocess_let_thread_go(number, isOver ? 1 : 0)
  }

  /// Sends it SIGUSR1.
  package func interrupt() {
    _ = cprocess_interrupt_thread(number)
  }

  /// Runs `body` to its end on a thread of its own, which may fork; false where the kernel gives no thread.
  package static func run(_ body: @escaping @Sendable () -> Void) -> Bool {
    unsafe cprocess_run_on_thread(Self.work, Self.argument(body)) == 0
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
