import Foundation
import Prime
import PrimeProcesses
import PrimeVerify

/// The work of `scanout` in a worker process, so that nothing a driver does to it costs the report or the display.
struct ScanoutRun {
  let request: ScanoutRequest
  let devices: [DeviceDescription]
  /// How long the frames and the hold may take.
  let limit: Duration
  /// Where the picture goes that was written back; nil where nobody wants it.
  let capture: OutputFile?
  let showsMesaOutput: Bool
  let supervisor: Supervisor

  /// What a run gives.
  struct Outcome {
    /// What is said of the first display, with the others in `alongside`.
    var report: ScanoutReport
    /// What the run left behind; nil where nobody is left to say it.
    var leaks: LeakReport?
    var capture: Capture
    /// Whether it was ended because nobody reads what it says.
    var wasUnwanted = false
  }

  /// What became of the picture that was to be captured.
  enum Capture: Codable, Hashable {
    /// The run did not come to it.
    case none
    /// No display engine wrote one.
    case withoutPicture
    /// It is in the draft.
    case drafted
    /// Why it could not be written, in a sentence.
    case failed(String)
  }

  /// What happens before the end.
  fileprivate enum Event: Codable {
    case chose(ScanoutReport)
    case frame(ScanoutReport.Frame)
  }

  /// The scanout, and behind it the file, in the same worker: what goes wrong with a file costs no report.
  fileprivate enum Piece: Codable {
    /// The frames were told before.
    case shown(ScanoutReport, LeakReport?)
    case captured(Capture)
  }

  /// How much longer than the run a step may take: it has a deadline of its own, which it keeps unless a call hangs.
  private static let grace = Duration.seconds(2)
  /// How long a picture may take to become a file: the largest has 256 million pixels.
  private static let fileLimit = Duration.seconds(120)

  /// Shows the frames; what is told meanwhile comes in the order in which it happens.
  ///
  /// - Parameters:
  ///   - chose: Hears what was chosen, before anything is shown.
  ///   - progress: Hears of each frame that was shown.
  ///   - isUnwanted: Whether nobody wants the rest.
  func run(
    chose: (ScanoutReport) -> Void, progress: (ScanoutReport.Frame) -> Void, isUnwanted: () -> Bool
  ) -> Outcome {
    var chosen = blankReport
    var frames = FramesOfDisplays(count: request.displays.count)
    let pieceCount = capture == nil ? 1 : 2
    let own = limit + Self.grace
    // A display that is being put back when the time is over has time for that.
    let end = Deadline(in: limit + WorkerRun.patience + (capture == nil ? .zero : Self.fileLimit))
    let work = ScanoutWork(self)
    let run = supervisor.run(
      pieceCount, limit: { $0 == 0 ? own : Self.fileLimit }, end: end,
      body: { piece, context in piece == 0 ? work.show(context) : work.draft(context) },
      heard: { data in
        switch try? JSONDecoder().decode(Event.self, from: data) {
        case .chose(let report)?:
          chosen = report
          chose(report)
        case .frame(let frame)?:
          frames.append(frame)
          progress(frame)
        case nil: break
        }
      },
      judge: { _, piece, complaints in
        guard case .shown(let report, let leaks) = piece else { return }
        piece = .shown(blamed(report, complaints), leaks)
      },
      isUnwanted: isUnwanted,
      failed: { piece, failure in
        guard piece == 0 else { return .captured(.failed(failure.sentence)) }
        return .shown(self.failed(chosen, failure), nil)
      })
    var outcome = Outcome(report: interrupted(chosen), leaks: nil, capture: .none, wasUnwanted: run.wasUnwanted)
    for piece in run.pieces {
      switch piece {
      case .shown(let report, let leaks):
        outcome.report = report
        outcome.leaks = leaks
      case .captured(let capture): outcome.capture = capture
      }
    }
    outcome.report.change { index, report in
      report.frames = frames.frames[index]
      if let isPutBack = report.displayNode.flatMap({ supervisor.putBack[$0] }) { report.restored = isPutBack }
    }
    return outcome
  }

  // MARK: - Reports of what did not come to its end

  private var blankReport: ScanoutReport { ScanoutCheck(request).blankReport }

  private func failed(_ report: ScanoutReport, _ failure: Supervisor.Failure) -> ScanoutReport {
    var failed = report
    failed.change { _, report in
      report.verdict = .error
      report.reason = failure.told
      report.errno = failure.errno?.name
    }
    return failed
  }

  /// What is said where a signal came before the worker began.
  private func interrupted(_ report: ScanoutReport) -> ScanoutReport {
    var interrupted = report
    interrupted.change { _, report in
      report.verdict = .error
      report.reason = "interrupted before anything was shown"
    }
    return interrupted
  }

  private func blamed(_ report: ScanoutReport, _ complaints: Supervisor.Complaints) -> ScanoutReport {
    var report = report
    let videos = [request.exporter.video, request.target?.video?.device].compactMap { $0?.driver }
    let exporters = [request.exporter, request.overlay?.exporter].compactMap(\.?.node)
    report.change { index, report in
      let nodes = exporters + [request.displays[index].node]
      report.blame(complaints, on: devices.drivers(of: nodes).union(videos))
    }
    return report
  }
}

/// The worker's side of a scanout; the parent's own is never used.
private final class ScanoutWork: @unchecked Sendable {
  private let request: ScanoutRequest
  private let capture: OutputFile?
  private let showsMesaOutput: Bool
  /// What the first piece leaves for the second; only touched on the one thread that does a worker's pieces.
  private var outcome: ScanoutCheck.Outcome?

  init(_ run: ScanoutRun) {
    request = run.request
    capture = run.capture
    showsMesaOutput = run.showsMesaOutput
  }

  func show(_ context: Supervisor.Context) -> ScanoutRun.Piece {
    var request = request
    request.deadline = request.deadline.obeying(context.cancellation)
    var check = ScanoutCheck(request, showingMesaOutput: showsMesaOutput)
    check.onStep = context.step
    check.trace = DMAMapTrace(by: LinuxKernel())
    let outcome = check.run(
      chose: { context.event(ScanoutRun.Event.chose($0)) }, progress: { context.event(ScanoutRun.Event.frame($0)) })
    self.outcome = outcome
    var report = outcome.report
    report.change { _, report in report.frames = [] }
    return .shown(report, outcome.leaks)
  }

  func draft(_ context: Supervisor.Context) -> ScanoutRun.Piece {
    guard let capture, let outcome, outcome.leaks.isClean,
      outcome.report.displays.allSatisfy({ $0.verdict.arrives && $0.restored != false })
    else { return .captured(.none) }
    guard let image = outcome.captured else { return .captured(.withoutPicture) }
    context.step("capture")
    do throws(OutputError) {
      try PNGFile.write(image, to: capture)
      return .captured(.drafted)
    } catch {
      return .captured(.failed("\(error)"))
    }
  }
}

/// The frames of each display: the worker tells of one display after the other, in their order, for each frame.
private struct FramesOfDisplays {
  private(set) var frames: [[ScanoutReport.Frame]]
  private var next = 0

  init(count: Int) {
    frames = [[ScanoutReport.Frame]](repeating: [], count: count)
  }

  mutating func append(_ frame: ScanoutReport.Frame) {
    frames[next].append(frame)
    next = (next + 1) % frames.count
  }
}

extension ScanoutReport {
  /// The reports of all displays, in their order.
  var displays: [ScanoutReport] { [self] + (alongside ?? []) }

  /// Changes the report of each display, by its number.
  fileprivate mutating func change(_ body: (Int, inout ScanoutReport) -> Void) {
    body(0, &self)
    guard var others = alongside else { return }
    for index in others.indices { body(index + 1, &others[index]) }
    alongside = others
  }
}
