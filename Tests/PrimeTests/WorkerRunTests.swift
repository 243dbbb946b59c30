import Glibc
import Testing

@testable import Prime
@testable import PrimeProcesses

/// Each run is a process of its own: workers are forks, and the process of the tests has threads that work.
///
/// A run has some as well, of the library of tests, which only wait.
@Suite("Pieces of work in worker processes")
struct WorkerRunTests {
  /// What a run told.
  private struct Told {
    var results: [Int: [UInt8]] = [:]
    var failures: [Int: WorkerRun.Failure] = [:]
    /// Every word of a piece's story, in order, for example `0 began`.
    var story: [String] = []
    var workers: [CInt] = []
    var ends: [[UInt8]] = []
    var outcome = WorkerRun.Outcome()
  }

  /// Runs three pieces; each answers its number where `body` does not end it before.
  private static func run(
    limit: Duration = .seconds(60), end: Duration = .seconds(120), piecesPerWorker: Int = .max,
    heard: (WorkerRun.Event, _ workers: [CInt]) -> Void = { _, _ in },
    _ body: @escaping @Sendable (WorkerRun.Context) -> Void
  ) -> Told {
    ChildProcess.countThreadsAsWaiting()
    let work = WorkerRun(
      pieces: 0..<3, limit: { _ in limit }, end: Deadline(in: end), piecesPerWorker: piecesPerWorker,
      body: { context in
        body(context)
        return [UInt8(context.piece)]
      },
      finish: { [99] })
    var told = Told()
    told.outcome = work.run(signals: StopSignals()) { event in
      switch event {
      case .began(let piece): told.story.append("\(piece) began")
      case .note(let piece, let bytes): told.story.append("\(piece) noted \(bytes)")
      case .result(let piece, let bytes):
        told.story.append("\(piece) done")
        told.results[piece] = bytes
      case .failed(let piece, let failure):
        told.story.append("\(piece) failed")
        told.failures[piece] = failure
      case .workerStarted(let process): told.workers.append(process)
      case .workerEnded(let bytes): told.ends.append(bytes)
      case .workerGone: break
      }
      heard(event, told.workers)
    }
    return told
  }

  @Test func `are done one after the other by one worker, which says something at its end`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run { $0.note([7]) }
      #expect(told.story == (0..<3).flatMap { ["\($0) began", "\($0) noted [7]", "\($0) done"] })
      #expect(told.results == [0: [0], 1: [1], 2: [2]])
      #expect(told.workers.count == 1)
      #expect(told.ends == [[99]])
      #expect(told.outcome == WorkerRun.Outcome())
    }
  }

  @Test func `are done by a new worker each where that is asked for`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run(piecesPerWorker: 1) { _ in }
      #expect(told.results.count == 3)
      #expect(Set(told.workers).count == 3)
      #expect(told.ends == [[99], [99], [99]])
    }
  }

  @Test func `cost their own result where a signal ends the worker, and what it said before is heard`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run { context in
        guard context.piece == 1 else { return }
        context.note([5])
        kill(getpid(), SIGKILL)
      }
      #expect(told.story == ["0 began", "0 done", "1 began", "1 noted [5]", "1 failed", "2 began", "2 done"])
      #expect(told.workers.count == 2)
      #expect(told.failures == [1: .killed(process: told.workers[0], signal: SIGKILL)])
    }
  }

  @Test func `cost their own result where the worker ends by itself, whatever its code`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run { context in
        if context.piece < 2 { _exit(context.piece == 0 ? 0 : 7) }
      }
      #expect(told.workers.count == 3)
      #expect(
        told.failures == [
          0: .exited(process: told.workers[0], code: 0), 1: .exited(process: told.workers[1], code: 7),
        ])
      #expect(told.results == [2: [2]])
    }
  }

  /// As after an oops in a call: the kernel ends the thread that made it, and not the process.
  @Test func `cost their own result where the kernel ends the thread of the worker`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run { context in
        if context.piece == 1 { pthread_exit(nil) }
      }
      #expect(told.story == ["0 began", "0 done", "1 began", "1 failed", "2 began", "2 done"])
      #expect(told.failures == [1: .exited(process: told.workers[0], code: ChildProcess.threadEnded)])
    }
  }

  @Test func `cost the next result where the worker dies between two of them`() async {
    await #expect(processExitsWith: .success) {
      // It waits for the parent's word then.
      let told = Self.run(heard: { event, workers in
        if case .result(0, _) = event { kill(workers[0], SIGKILL) }
      }) { _ in }
      #expect(told.story == ["0 began", "0 done", "1 began", "1 failed", "2 began", "2 done"])
      #expect(told.failures == [1: .killed(process: told.workers[0], signal: SIGKILL)])
    }
  }

  @Test func `cost nothing where the worker dies behind the last of them`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run(heard: { event, workers in
        if case .result(2, _) = event { kill(workers[0], SIGKILL) }
      }) { _ in }
      #expect(told.results.count == 3)
      #expect(told.failures.isEmpty)
      #expect(told.ends.isEmpty)
    }
  }

  @Test func `are ended where they take longer than they may, and named`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run(limit: .milliseconds(200)) { context in
        if context.piece == 1 { Pause.forever(atMost: Deadline(in: .seconds(60))) }
      }
      guard case .timedOut(told.workers[0], .milliseconds(200), _, isLeftBehind: false) = told.failures[1] else {
        Issue.record("\(told.failures)")
        return
      }
      #expect(told.story == ["0 began", "0 done", "1 began", "1 failed", "2 began", "2 done"])
      #expect(told.outcome.leftBehind == [])
      // It is gone, and not only forgotten.
      #expect(kill(told.workers[0], 0) == -1 && errno == ESRCH)
    }
  }

  @Test func `are asked to stop by a signal, and the rest is left out`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run(heard: { event, _ in
        // To this thread, which has it blocked; others of this process have not.
        if case .began(1) = event { pthread_kill(pthread_self(), SIGTERM) }
      }) { context in
        guard context.piece == 1 else { return }
        _ = Pause.until(Deadline(in: .seconds(30))) { context.cancellation.isRequested }
      }
      #expect(told.story == ["0 began", "0 done", "1 began", "1 done"])
      #expect(told.outcome.stoppedBy == SIGTERM)
      #expect(told.ends == [[99]])
    }
  }

  @Test func `are not begun where the time has run out`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run(end: .zero) { _ in }
      #expect(told.story == [])
      #expect(told.outcome.ranOutOfTime)
    }
  }

  /// The error of a child that was not started; nil where it ran to its end.
  private static func refusal() -> PrimeError? {
    switch ChildProcess.start({ _ in }) {
    case .success(let child):
      #expect(child.reap(within: .seconds(60)) == .exited(0))
      return nil
    case .failure(let error): return error
    }
  }

  @Test func `are no forks beside a thread that runs, whose locks they would have for ever`() async {
    await #expect(processExitsWith: .success) {
      ChildProcess.countThreadsAsWaiting()
      #expect(Self.refusal() == nil)
      let cancellation = Cancellation()
      let thread = try KernelThread.start { while !cancellation.isRequested { usleep(1000) } }.get()
      let error = Self.refusal()
      #expect(error?.operation == "fork")
      #expect(error?.finding == .unsuitable)
      #expect(error?.subject == "process \(getpid())")
      #expect(
        error?.reason == "1 other thread runs in it, whose locks might stay locked in the child for ever")
      cancellation.request()
      thread.letGo(isOver: true)
      #expect(Self.refusal() == nil)
    }
  }

  @Test func `may have children of their own, though one of their threads waits for a word to stop`() async {
    await #expect(processExitsWith: .success) {
      let told = Self.run { context in context.note(Self.refusal() == nil ? [1] : [0]) }
      #expect(told.story.filter { $0.contains("noted") } == ["0 noted [1]", "1 noted [1]", "2 noted [1]"])
    }
  }
}
