internal import Prime

/// The proof that a statement can fail: it is run once as it is, and then with the kernel's answers altered, one call
/// at a time, until it notices.
package struct Control: Sendable {
  private let trial: Trial
  private let countsDescriptors: Bool
  private let announce: @Sendable (String) -> Void

  package init(trial: Trial, countsDescriptors: Bool = true, announce: @escaping @Sendable (String) -> Void) {
    self.trial = trial
    self.countsDescriptors = countsDescriptors
    self.announce = announce
  }

  /// `pass` where an altered answer made it fail, with the call and the message as the reason; else `fail`.
  package func run() -> Trial.Report {
    var report = trial.run(with: KernelProbe(announce: announce), countsDescriptors: countsDescriptors)
    guard [.pass, .unexpectedPass].contains(report.result.outcome) else {
      // A statement that fails by itself has shown that it can.
      if report.result.outcome != .skip && report.result.outcome != .error { report.result.outcome = .pass }
      return report
    }
    // The last calls are those that the statement is about; the first prepare for it.
    for index in (0..<report.callCount).reversed() {
      for kind in KernelProbe.Alteration.Kind.allCases {
        let kernel = KernelProbe(alteration: KernelProbe.Alteration(index: index, kind: kind), announce: announce)
        let altered = trial.run(with: kernel, countsDescriptors: countsDescriptors)
        // A skip with a finding is one of a driver that is free to do otherwise.
        guard let call = kernel.alteredCall,
          [.fail, .deviation, .knownDeviation].contains(altered.result.outcome)
            || altered.result.outcome == .skip && !altered.result.findings.isEmpty
        else { continue }
        report.result.reason = "noticed that the answer of \(call) was altered: \(altered.result.reason ?? "")"
        report.result.outcome = .pass
        return report
      }
    }
    report.result.outcome = .fail
    report.result.reason = "no altered answer of its \(report.callCount) calls made it fail"
    return report
  }
}
