internal import CProcess
internal import Glibc
package import Prime
internal import Synchronization

/// A child that runs one piece of work and tells about it through a pipe.
///
/// It is a fork without exec, which copies one thread, and the locks of all: the process must have no other that runs
/// (`cprocess_fork`). The child is a process group of its own, which ends as a whole.
package final class ChildProcess: Sendable {
  /// The child's process number.
  package let identifier: CInt
  /// Where its words come from; end of file when it and all its children are gone.
  package let output: CInt

  /// What became of a child.
  package enum End: Hashable, Sendable {
    /// It ended with this code.
    case exited(CInt)
    /// This signal ended it.
    case killed(CInt)

    /// A signal as people know it, `SIGSEGV`.
    package static func name(ofSignal number: CInt) -> String {
      let names: [CInt: String] = [
        4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM",
      ]
      return names[number] ?? "signal \(number)"
    }
  }

  /// The exit code of a child that got no thread from the kernel.
  package static let withoutThread: CInt = 71
  /// What is said of such a child, behind its name.
  package static let gotNoThread =
    "got no thread from the kernel: raise `ulimit -u`, or the limit of processes of its control group"
  /// The exit code of a child whose thread the kernel ended in the middle of its work, as it does after an oops.
  package static let threadEnded: CInt = 72

  /// Starts `body` in a child; it gets a function that sends bytes to the parent.
  ///
  /// The child does it on a thread of its own. `Mutex` remembers the number of the thread that locks, and a fork keeps
  /// what it remembers but not the number: its first contended lock would trap. A new thread asks for its number anew.
  ///
  /// With `naming` all of its threads, and what it starts in its turn, are called that (`/proc/PID/comm`, at most 15 bytes), in
  /// place of the program's name: the kernel's complaints name a thread, whose number nobody may know any more.
  ///
  /// It fails with `pipe2` or `fork` and the errno, and with `fork` and `unsuitable` where the process has other threads that run.
  ///
  /// - Parameter outlivesParent: Whether the child goes on where its parent dies; else the kernel ends it then.
  package static func start(
    naming name: ((_ identifier: CInt) -> String)? = nil, outlivesParent: Bool = false,
    _ body: (_ send: @escaping @Sendable ([UInt8]) -> Void) -> Void
  ) -> Result<ChildProcess, PrimeError> {
    let reading: CInt
    let writing: CInt
    switch pipe() {
    case .success(let ends): (reading, writing) = ends
    case .failure(let errno): return .failure(refused("pipe2", errno))
    }
    var others: CInt = 0
    // Safe: the call fills the number it is given.
    let child = unsafe cprocess_fork(&others)
    if child == 0 {
      _ = Glibc.close(reading)
      cprocess_enter_child(outlivesParent ? 1 : 0)
      // Safe: the name is copied for the call.
      if let name { _ = unsafe cprocess_name_thread(name(getpid())) }
      withoutActuallyEscaping(body) { body in
        // Safe: this thread does nothing but wait until the other has run it.
        nonisolated(unsafe) let work = body
        let isDone = Atomic(false)
        let isStarted = KernelThread.run {
          unsafe work { bytes in ChildProcess.send(bytes, to: writing) }
          isDone.store(true, ordering: .releasing)
        }
        // Nothing of the parent's may run twice: no handlers, no buffers. A thread that the kernel ended keeps the body, so
        // nothing here may return either.
        _exit(!isStarted ? withoutThread : isDone.load(ordering: .acquiring) ? 0 : threadEnded)
      }
    }
    let number = Glibc.errno
    _ = Glibc.close(writing)
    guard child > 0 else {
      _ = Glibc.close(reading)
      return .failure(others > 0 ? refused(beside: others) : refused("fork", Errno(rawValue: number)))
    }
    // Both sides set it, so that it is set whichever comes first.
    _ = setpgid(child, child)
    return .success(ChildProcess(identifier: child, output: reading))
  }

  /// Has the threads that there are beside this one pass for ones that only wait, as those of a process of tests do.
  package static func countThreadsAsWaiting() { cprocess_count_threads_as_waiting() }

  /// What the kernel refused this process.
  static func refused(_ operation: PrimeError.Operation, _ errno: Errno) -> PrimeError {
    PrimeError(
      operation: operation, errno: errno, subject: "process \(getpid())", reason: PrimeError.commonReason(errno))
  }

  private static func refused(beside threads: CInt) -> PrimeError {
    PrimeError(
      operation: "fork", finding: .unsuitable, subject: "process \(getpid())",
      reason:
        "\(threads) other thread\(threads == 1 ? " runs" : "s run") in it, whose locks might stay locked in the child "
        + "for ever")
  }

  private init(identifier: CInt, output: CInt) {
    self.identifier = identifier
    self.output = output
  }

  deinit { _ = Glibc.close(output) }

  /// `pipe2(2)`, close-on-exec: the end to read and the end to write; the caller closes both.
  static func pipe() -> CallResult<(reading: CInt, writing: CInt)> {
    var ends: [CInt] = [-1, -1]
    // Safe: the call fills the two numbers it is given.
    return unsafe LinuxKernel.shimmed(cprocess_pipe(&ends)).map { _ in (ends[0], ends[1]) }
  }

  private static func send(_ bytes: [UInt8], to descriptor: CInt) {
    var rest = bytes[...]
    while !rest.isEmpty {
      // Safe: write reads at most the bytes it is given.
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && Glibc.errno == EINTR { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Ends the child and everything it started, at once.
  package func kill() {
    _ = Glibc.kill(-identifier, SIGKILL)
  }

  /// How it ended; nil where it has not within the time, though it was killed: a call of the kernel holds it.
  package func reap(within limit: Duration) -> End? { Self.reap(identifier, within: limit) }

  /// How a child of this process ended; nil where it has not within the time.
  static func reap(_ identifier: CInt, within limit: Duration) -> End? {
    let deadline = Deadline(in: limit)
    var status: CInt = 0
    while true {
      // Safe: waitpid fills the number it is given.
      let found = unsafe cprocess_wait_status(identifier, &status, WNOHANG)
      if found != 0 {
        let signal = cprocess_end_signal(status)
        return signal != 0 ? .killed(signal) : .exited(cprocess_exit_code(status))
      }
      if deadline.remaining == .zero { return nil }
      deadline.pause(milliseconds: 2)
    }
  }

  /// Where in the kernel it waits, for example `dma_fence_default_wait`, as far as procfs tells.
  package func waitingPlace() -> String? {
    let kernel = LinuxKernel()
    // Its first thread only waits for the one that works.
    let tasks = kernel.entries(of: "/proc/\(identifier)/task").filter { $0 != "\(identifier)" }
    return tasks.compactMap { kernel.text(of: "/proc/\(identifier)/task/\($0)/wchan") }
      .first { $0 != "0" && !$0.isEmpty && !$0.hasPrefix("futex") }
  }
}
