import Foundation
import Prime
import PrimeProcesses
import PrimeVerify

/// The hand-overs of `import` in a worker process, so that nothing a driver does to it costs the report.
struct ImportRun {
  let importing: @Sendable (Deadline) -> HandoverImport
  let address: HandoverAddress
  let users: HandoverUsers
  /// How long all hand-overs may take.
  let limit: Duration
  /// The drivers that the kernel may complain of.
  let drivers: Set<String>
  let supervisor: Supervisor

  /// What happens before the end.
  private enum Event: Codable {
    case note(String)
    case completed(Int)
  }

  /// How much longer than the run the worker may take: it keeps the deadline by itself, unless a call hangs.
  private static let grace = Duration.seconds(2)

  /// Takes the buffers; `note` hears what is worth saying meanwhile.
  func run(note: (String) -> Void) -> HandoverReport {
    let deadline = Deadline(in: limit)
    let own = limit + Self.grace
    var completed = 0
    let run = supervisor.run(
      1, limit: { _ in own }, end: Deadline(in: limit + WorkerRun.patience),
      body: { [importing, address, users] _, context in
        var importing = importing(deadline.obeying(context.cancellation))
        importing.onStep = context.step
        importing.trace = DMAMapTrace(by: LinuxKernel())
        return importing.run(
          at: address, for: users, completed: { context.event(Event.completed($0)) },
          note: { context.event(Event.note($0)) })
      },
      heard: { data in
        switch try? JSONDecoder().decode(Event.self, from: data) {
        case .note(let sentence)?: note(sentence)
        case .completed(let count)?: completed = count
        case nil: break
        }
      },
      judge: { _, report, complaints in report.blame(complaints, on: drivers) },
      failed: { [importing] _, failure in
        var report = importing(deadline).blankReport
        report.completed = completed
        report.reason = failure.told
        report.errno = failure.errno?.name
        return report
      })
    guard let report = run.pieces.first else {
      var report = importing(deadline).blankReport
      report.reason = "interrupted before anything was handed over"
      report.interrupted = true
      return report
    }
    return report
  }
}
