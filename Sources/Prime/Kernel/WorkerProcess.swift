internal import CDrm
internal import Glibc

/// One worker process, and the pipe that asks it to stop.
///
/// The worker reads the end of that pipe also when its parent is gone, however that came: it stops then as if it had been
/// asked to, and puts in order what it changed.
struct WorkerProcess {
  private let child: ChildProcess
  private let control: StopPipe

  /// The parent's end of the pipe.
  private final class StopPipe: Sendable {
    let number: CInt
    init(_ number: CInt) { self.number = number }
    deinit { _ = Glibc.close(number) }
  }

  var identifier: CInt { child.identifier }
  /// Where its messages come from.
  var output: CInt { child.output }
  func kill() { child.kill() }
  func reap(within limit: Duration) -> ChildProcess.End? { child.reap(within: limit) }
  func waitingPlace() -> String? { child.waitingPlace() }

  /// Lets the worker end its piece and then itself.
  func askToStop() {
    var byte: UInt8 = 1
    // Safe: write reads the one byte it is given. A worker that is gone needs no asking.
    _ = unsafe Glibc.write(control.number, &byte, 1)
  }

  /// Starts a worker for some pieces; see `WorkerRun.init`.
  static func start(
    _ pieces: Range<Int>, end: Deadline, start: @escaping @Sendable () -> Void,
    body: @escaping @Sendable (WorkerRun.Context) -> [UInt8], finish: @escaping @Sendable () -> [UInt8]
  ) -> CallResult<WorkerProcess> {
    var ends: [CInt] = [-1, -1]
    // Safe: pipe2 fills the two numbers it is given.
    guard unsafe pipe2(&ends, O_CLOEXEC) == 0 else { return .failure(Errno(rawValue: Glibc.errno)) }
    let (reading, writing) = (ends[0], ends[1])
    let started = ChildProcess.start(outlivesParent: true) { send in
      _ = Glibc.close(writing)
      guard let cancellation = Self.watch(reading) else { _exit(Self.withoutThread) }
      start()
      for piece in pieces where !cancellation.isRequested && end.remaining > .zero {
        send(WorkerMessage(.began, piece).encoded)
        let context = WorkerRun.Context(piece: piece, cancellation: cancellation) { bytes in
          send(WorkerMessage(.note, piece, bytes).encoded)
        }
        send(WorkerMessage(.result, piece, body(context)).encoded)
      }
      send(WorkerMessage(.ended, 0, finish()).encoded)
    }
    _ = Glibc.close(reading)
    let control = StopPipe(writing)
    return started.map { WorkerProcess(child: $0, control: control) }
  }

  /// The exit code of a worker that got no thread from the kernel.
  static let withoutThread: CInt = 71

  /// A value that is asked to stop when the parent says so or is gone; nil where the kernel gives no thread to wait with.
  private static func watch(_ control: CInt) -> Cancellation? {
    let cancellation = Cancellation()
    let thread = KernelThread.start {
      var byte: UInt8 = 0
      // Safe: read fills the one byte it is given.
      while unsafe Glibc.read(control, &byte, 1) < 0 && Glibc.errno == EINTR {}
      cancellation.request()
    }
    return thread == nil ? nil : cancellation
  }
}
