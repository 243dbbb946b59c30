import Prime
import PrimeProcesses

extension WorkerRun.Failure {
  /// What became of the process, in a sentence.
  var sentence: String {
    switch self {
    case .killed(let process, let signal):
      return
        "the process that ran this check (\(process)) died of \(ChildProcess.End.name(ofSignal: signal)); the kernel log may say why"
    case .exited(let process, ChildProcess.withoutThread):
      return "the process that ran this check (\(process)) \(ChildProcess.gotNoThread)"
    case .exited(let process, ChildProcess.threadEnded):
      return "the kernel ended the thread that ran this check (of process \(process)) in a call, as it does after an "
        + "oops; the kernel log says more"
    case .exited(let process, let code):
      return "the process that ran this check (\(process)) ended in its middle with code \(code)"
    case .timedOut(let process, let limit, let place, let isLeftBehind):
      let where_ = place.map { " (it waited in \($0))" } ?? ""
      let seconds = Int(limit / .seconds(1))
      guard isLeftBehind else {
        return "a call of the kernel did not return within \(seconds) s\(where_), and the process was killed"
      }
      return "a call of the kernel did not return within \(seconds) s\(where_) and cannot be interrupted: process "
        + "\(process) is left behind, and holds its devices until the call returns"
    case .notStarted(let error):
      return "no process could be started: "
        + (error.errno.map { "\($0)" + (error.reason.map { ": \($0)" } ?? "") } ?? error.explanation)
    }
  }

  /// What the kernel refused a process with; nil where one was started.
  var errno: Errno? {
    if case .notStarted(let error) = self { error.errno } else { nil }
  }
}
