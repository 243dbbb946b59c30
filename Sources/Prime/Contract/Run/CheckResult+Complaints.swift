internal import Prime
package import PrimeProcesses

extension CheckResult {
  /// Takes in what the kernel complained of while the statement ran; `others` ran as well.
  ///
  /// A complaint that names the process that looked or a driver that was looked at is a failure, whatever the statement saw.
  /// One that names another process and another driver is told and changes nothing. Of all others nobody knows.
  package mutating func hear(
    _ complaints: [(complaint: KernelComplaint, culprit: KernelComplaint.Culprit)], beside others: [String]
  ) {
    kernelLog += complaints.flatMap(\.complaint.excerpt)
    func first(_ culprit: KernelComplaint.Culprit) -> KernelComplaint? {
      complaints.first { $0.culprit == culprit }?.complaint
    }
    let company =
      others.isEmpty ? "" : " (\(others.joined(separator: ", ")) ran as well: \(Remedy.oneJob))"
    if let ours = first(.ours) {
      guard outcome != .fail else { return }
      outcome = .fail
      reason = "the kernel complained meanwhile of \(ours.names): \(ours.headline)\(company)"
      (expected, got) = ("a quiet kernel log", ours.headline)
    } else if let unknown = first(.unknown) {
      guard [.pass, .knownDeviation, .unexpectedPass, .deviation].contains(outcome) else { return }
      outcome = .suspect
      reason = "the kernel complained meanwhile, and nothing tells whose doing it is: \(unknown.headline)\(company)"
    } else if let foreign = first(.others) {
      reason =
        reason ?? "the kernel complained meanwhile of \(foreign.names), which has no part in this: \(foreign.headline)"
    }
  }
}
