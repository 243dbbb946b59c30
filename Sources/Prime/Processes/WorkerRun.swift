package import Prime

/// Numbered pieces of work, done one after the other in worker processes.
///
/// A worker streams what comes of each piece. Where it dies, hangs or is killed, that piece has failed, and a new worker goes
/// on with the next. Only the parent reports, so that nothing a kernel driver does to a worker costs the results of others.
///
/// The parent must have no second thread: a worker is a fork.
package struct WorkerRun {
  /// How a piece ended that has no result.
  package enum Failure: Hashable, Sendable {
    /// A signal ended the worker, for example SIGSEGV (11).
    case killed(process: CInt, signal: CInt)
    /// The worker ended by itself in the middle of the piece.
    case exited(process: CInt, code: CInt)
    /// The piece took longer than it may; the worker was killed.
    ///
    /// `place` is where in the kernel it waited, where that can be seen. `isLeftBehind` says that it does not die: a call of
    /// the kernel holds it, uninterruptible.
    case timedOut(process: CInt, limit: Duration, place: String?, isLeftBehind: Bool)
    /// No process could be started.
    case notStarted(PrimeError)
  }

  /// What the parent is told, in the order in which it happens.
  package enum Event: Sendable {
    case began(piece: Int)
    case note(piece: Int, [UInt8])
    case result(piece: Int, [UInt8])
    case failed(piece: Int, Failure)
    /// A worker began its first piece.
    case workerStarted(process: CInt)
    /// A worker did all of its pieces, and this is what it says at its end.
    case workerEnded([UInt8])
    /// A worker is gone, or is left behind.
    case workerGone(process: CInt)
  }

  /// What a piece is given by the worker that runs it.
  package struct Context: Sendable {
    package let piece: Int
    /// Asked for when the parent was told to stop, or is gone.
    package let cancellation: Cancellation
    /// Tells the parent something before the piece has its result.
    package let note: @Sendable ([UInt8]) -> Void
  }

  /// How the whole run ended.
  package struct Outcome: Hashable, Sendable {
    /// The signal that asked the run to stop, nil where none came.
    package var stoppedBy: CInt?
    /// Whether the time ran out before every piece was begun.
    package var ranOutOfTime = false
    /// The processes that no signal ends.
    package var leftBehind: [CInt] = []
    /// Whether nobody wanted the rest.
    package var wasUnwanted = false
  }

  private let pieces: Range<Int>
  fileprivate let limit: @Sendable (Int) -> Duration
  fileprivate let end: Deadline
  private let piecesPerWorker: Int
  private let start: @Sendable () -> Void
  private let body: @Sendable (Context) -> [UInt8]
  private let finish: @Sendable () -> [UInt8]

  /// How long a worker may take to stop, putting the display back among other things, once it was asked to.
  package static let patience = Duration.seconds(12)
  /// What a piece may take beyond its limit: it has a deadline of its own and ends by itself, unless a call of the kernel holds
  /// it.
  fileprivate static let grace = Duration.seconds(3)
  /// A second signal counts as impatience only after this: GNU timeout signals its child and then the whole group.
  package static let echo = Duration.seconds(1)

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - limit: How long one piece may take.
  ///   - end: When the whole run must have ended.
  ///   - piecesPerWorker: After how many pieces a worker ends by itself and another goes on.
  ///   - start: What each worker does before its first piece.
  ///   - body: One piece of work, on the worker's own thread.
  ///   - finish: What a worker does at its end, and says there.
  package init(
    pieces: Range<Int>, limit: @escaping @Sendable (Int) -> Duration, end: Deadline, piecesPerWorker: Int = .max,
    start: @escaping @Sendable () -> Void = {}, body: @escaping @Sendable (Context) -> [UInt8],
    finish: @escaping @Sendable () -> [UInt8] = { [] }
  ) {
    self.pieces = pieces
    self.limit = limit
    self.end = end
    self.piecesPerWorker = piecesPerWorker
    self.start = start
    self.body = body
    self.finish = finish
  }

  /// Does every piece; `heard` is told of everything that happens.
  ///
  /// - Parameter isUnwanted: Asked behind whatever is heard: where nobody wants the rest, the worker is asked to stop.
  package func run(
    signals: borrowing StopSignals, isUnwanted: () -> Bool = { false }, _ heard: (Event) -> Void
  ) -> Outcome {
    var outcome = Outcome()
    var next = pieces.lowerBound
    while next < pieces.upperBound {
      guard outcome.stoppedBy == nil, !outcome.ranOutOfTime, !outcome.wasUnwanted else { break }
      guard end.remaining > .zero else {
        outcome.ranOutOfTime = true
        break
      }
      let last = min(pieces.upperBound, next.addingReportingOverflow(piecesPerWorker).partialValue)
      let upperBound = last > next ? last : pieces.upperBound
      switch WorkerProcess.start(next..<upperBound, end: end, start: start, body: body, finish: finish) {
      case .failure(let error):
        heard(.began(piece: next))
        heard(.failed(piece: next, .notStarted(error)))
        next += 1
      case .success(let worker):
        heard(.workerStarted(process: worker.identifier))
        var attendance = Attendance(of: worker, pieces: next..<upperBound, run: self)
        attendance.listen(signals, &outcome, isUnwanted: isUnwanted, heard)
        heard(.workerGone(process: worker.identifier))
        next = attendance.next
      }
    }
    return outcome
  }

}

/// The parent's side of one worker, until it is gone.
private struct Attendance {
  private let worker: WorkerProcess
  private let run: WorkerRun
  private let upperBound: Int
  /// The piece that the next worker begins with.
  private(set) var next: Int
  /// The piece that is being done.
  private var current: Int?
  /// When the worker must have said its next word: a fork may be slow, but it does not hang.
  private var silence: Deadline
  /// When the worker must be asked to stop: it knows the end of the run, and keeps it by itself unless it hangs.
  private let overtime: Deadline
  /// Since when the worker is asked to stop.
  private var stopping: (since: SuspendingClock.Instant, deadline: Deadline)?

  init(of worker: WorkerProcess, pieces: Range<Int>, run: WorkerRun) {
    self.worker = worker
    self.run = run
    next = pieces.lowerBound
    upperBound = pieces.upperBound
    silence = Deadline(in: run.limit(pieces.lowerBound) + WorkerRun.grace)
    overtime = Deadline(in: run.end.remaining + WorkerRun.grace)
  }

  /// Hears everything that the worker says, and ends it where it hangs or was asked to stop and does not.
  mutating func listen(
    _ signals: borrowing StopSignals, _ outcome: inout WorkerRun.Outcome, isUnwanted: () -> Bool,
    _ heard: (WorkerRun.Event) -> Void
  ) {
    var received: [UInt8] = []
    while true {
      let ready = Readiness.wait(for: [worker.output, signals.descriptor], within: nextLook)
      if ready.contains(signals.descriptor), let signal = signals.received() {
        outcome.stoppedBy = outcome.stoppedBy ?? signal
        if let stopping, LinuxKernel().now - stopping.since > WorkerRun.echo {
          return abandon(&outcome, heard)
        }
        askToStop()
      }
      if ready.contains(worker.output) {
        let bytes = Readiness.read(worker.output)
        received += bytes
        for message in WorkerMessage.take(from: &received) { handle(message, heard) }
        if bytes.isEmpty { return bury(&outcome, heard) }
        if stopping == nil && isUnwanted() {
          outcome.wasUnwanted = true
          askToStop()
        }
        continue
      }
      if overtime.remaining == .zero && stopping == nil {
        outcome.ranOutOfTime = true
        askToStop()
      }
      if isOverdue { return abandon(&outcome, heard) }
    }
  }

  private var nextLook: Duration {
    min(silence.remaining, stopping?.deadline.remaining ?? max(overtime.remaining, .milliseconds(10)))
  }

  private var isOverdue: Bool { silence.remaining == .zero || stopping?.deadline.remaining == .zero }

  private mutating func askToStop() {
    guard stopping == nil else { return }
    worker.askToStop()
    stopping = (LinuxKernel().now, Deadline(in: WorkerRun.patience))
    silence = Deadline(in: WorkerRun.patience)
  }

  private mutating func handle(_ message: WorkerMessage, _ heard: (WorkerRun.Event) -> Void) {
    let piece = Int(message.piece)
    if stopping == nil { silence = Deadline(in: run.limit(piece) + WorkerRun.grace) }
    switch message.kind {
    case .began:
      current = piece
      heard(.began(piece: piece))
    case .note: heard(.note(piece: piece, message.bytes))
    case .result:
      current = nil
      next = piece + 1
      heard(.result(piece: piece, message.bytes))
      worker.goOn()
    case .ended:
      current = nil
      heard(.workerEnded(message.bytes))
    }
  }

  /// The worker has closed its end of the pipe.
  private mutating func bury(_ outcome: inout WorkerRun.Outcome, _ heard: (WorkerRun.Event) -> Void) {
    switch worker.reap(within: .seconds(2)) {
    case .killed(let signal)?: fail(.killed(process: worker.identifier, signal: signal), heard)
    case .exited(0)? where current == nil && (next >= upperBound || stopping != nil || run.end.remaining == .zero):
      return
    case .exited(let code)?: fail(.exited(process: worker.identifier, code: code), heard)
    case nil: abandon(&outcome, heard)
    }
  }

  private mutating func abandon(_ outcome: inout WorkerRun.Outcome, _ heard: (WorkerRun.Event) -> Void) {
    let place = worker.waitingPlace()
    // What it was given once it was to stop, or all that a piece may take.
    let limit = stopping.map { LinuxKernel().now - $0.since } ?? run.limit(current ?? next)
    worker.kill()
    let isLeftBehind = worker.reap(within: .seconds(1)) == nil
    if isLeftBehind { outcome.leftBehind.append(worker.identifier) }
    fail(
      .timedOut(
        process: worker.identifier, limit: limit, place: place, isLeftBehind: isLeftBehind),
      heard)
  }

  /// A worker that died between two pieces would die again: the piece that it was to begin has failed.
  private mutating func fail(_ failure: WorkerRun.Failure, _ heard: (WorkerRun.Event) -> Void) {
    let piece = current ?? next
    guard piece < upperBound else { return }
    if current == nil { heard(.began(piece: piece)) }
    heard(.failed(piece: piece, failure))
    current = nil
    next = piece + 1
  }
}
