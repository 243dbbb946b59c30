internal import CProcess
internal import Glibc
internal import Prime

/// One worker process, and the two pipes that tell it to go on and to stop.
///
/// The worker reads the end of them also when its parent is gone, however that came: it stops then as if it had been
/// asked to, and puts in order what it changed.
struct WorkerProcess {
  private let child: ChildProcess
  private let stop: PipeEnd
  private let turns: PipeEnd

  /// The parent's end of a pipe.
  private final class PipeEnd: Sendable {
    let number: CInt
    init(_ number: CInt) { self.number = number }
    deinit { _ = Glibc.close(number) }

    /// Says the one word that there is.
    ///
    /// A worker that is gone needs not be told. One that is not told would wait for ever, so an error is no end.
    func send() {
      var byte: UInt8 = 1
      // Safe: write reads the one byte it is given.
      for _ in 0..<8 where unsafe Glibc.write(number, &byte, 1) == 1 || Glibc.errno == EPIPE { return }
    }
  }

  var identifier: CInt { child.identifier }
  /// Where its messages come from.
  var output: CInt { child.output }
  func kill() { child.kill() }
  func reap(within limit: Duration) -> ChildProcess.End? { child.reap(within: limit) }
  func waitingPlace() -> String? { child.waitingPlace() }

  /// Lets the worker end its piece and then itself.
  func askToStop() { stop.send() }

  /// Lets the worker begin its next piece.
  func goOn() { turns.send() }

  /// Starts a worker for some pieces; see `WorkerRun.init`.
  static func start(
    _ pieces: Range<Int>, end: Deadline, start: @escaping @Sendable () -> Void,
    body: @escaping @Sendable (WorkerRun.Context) -> [UInt8], finish: @escaping @Sendable () -> [UInt8]
  ) -> Result<WorkerProcess, PrimeError> {
    let stop: (reading: CInt, writing: PipeEnd)
    let turns: (reading: CInt, writing: PipeEnd)
    switch pipe() {
    case .success(let ends): stop = ends
    case .failure(let errno): return .failure(ChildProcess.refused("pipe2", errno))
    }
    switch pipe() {
    case .success(let ends): turns = ends
    case .failure(let errno):
      _ = Glibc.close(stop.reading)
      return .failure(ChildProcess.refused("pipe2", errno))
    }
    let started = ChildProcess.start(naming: MasterHolder.taskName(ofWorker:), outlivesParent: true) { send in
      for end in [stop.writing, turns.writing] { _ = Glibc.close(end.number) }
      guard let cancellation = Self.watch(stop.reading) else { _exit(ChildProcess.withoutThread) }
      start()
      for piece in pieces where !cancellation.isRequested && end.remaining > .zero {
        send(WorkerMessage(.began, piece).encoded)
        let context = WorkerRun.Context(piece: piece, cancellation: cancellation) { bytes in
          send(WorkerMessage(.note, piece, bytes).encoded)
        }
        send(WorkerMessage(.result, piece, body(context)).encoded)
        // What the kernel says from now on is of the next piece: the parent has to have heard what it said of this one.
        cprocess_await_byte(turns.reading)
      }
      send(WorkerMessage(.ended, 0, finish()).encoded)
    }
    for end in [stop.reading, turns.reading] { _ = Glibc.close(end) }
    return started.map { WorkerProcess(child: $0, stop: stop.writing, turns: turns.writing) }
  }

  private static func pipe() -> CallResult<(reading: CInt, writing: PipeEnd)> {
    ChildProcess.pipe().map { ($0.reading, PipeEnd($0.writing)) }
  }

  /// A value that is asked to stop when the parent says so or is gone; nil where the kernel gives no thread to wait with.
  private static func watch(_ control: CInt) -> Cancellation? {
    let cancellation = Cancellation()
    let thread = KernelThread.start {
      // The body may fork while this waits.
      cprocess_await_byte(control)
      cancellation.request()
    }
    // It ends with the process.
    guard case .success = thread else { return nil }
    return cancellation
  }
}
