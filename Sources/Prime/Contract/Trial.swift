/// One run of one statement on one subject inside the process that looks: everything but isolation and the kernel's log.
package struct Trial: Sendable {
  package let statement: Statement
  package let subject: Subject
  package let machine: Machine
  package let seed: UInt64

  package init(statement: Statement, subject: Subject, machine: Machine, seed: UInt64) {
    self.statement = statement
    self.subject = subject
    self.machine = machine
    self.seed = seed
  }

  /// The node of the display that the statement takes; nil where it takes none, or pulls it out.
  var displayNode: DRMNode? {
    statement.needs.contains(.master) && statement.subject != .removableDisplay ? subject.device?.primary : nil
  }

  /// What came of it, and which dma-bufs the kernel must have forgotten once the process is gone.
  package struct Report: Hashable, Sendable {
    package var result: CheckResult
    package var dmaBufs: Set<UInt64>
    /// How many calls were made.
    package var callCount: Int
  }

  /// Runs the body, gives everything back that it opened, and looks for what is left.
  ///
  /// Descriptors can only be counted in a process where nothing else is going on.
  package func run(with kernel: KernelProbe, countsDescriptors: Bool = true) -> Report {
    let started = ContinuousClock.now
    let descriptorsBefore = countsDescriptors ? Self.descriptors() : []
    let check = Check(subject: subject, machine: machine, kernel: kernel, seed: seed)
    var result = CheckResult(statement, on: subject, .pass)
    var endedEarly = false
    do {
      try statement.body?(check)
    } catch Statement.Stop.failed {
      // The finding is recorded.
      endedEarly = true
    } catch Statement.Stop.skipped(let reason) {
      (result.outcome, result.reason) = (.skip, reason)
    } catch Statement.Stop.broken(let reason) {
      (result.outcome, result.reason) = (.error, reason)
    } catch {
      (result.outcome, result.reason) = (.error, "\(error)")
    }
    let dmaBufs = kernel.dmaBufs
    kernel.cleanUp()
    var findings = check.findings
    let left = countsDescriptors ? Self.descriptors().subtracting(descriptorsBefore) : []
    if !left.isEmpty {
      findings.append(
        Finding(
          expected: "no descriptor left", got: left.sorted().joined(separator: ", "), call: "closing what was opened"))
    }
    result.nanoseconds = (ContinuousClock.now - started).nanoseconds
    if let first = findings.first {
      (result.expected, result.got) = (first.expected, first.got)
      result.findings = findings
      result.outcome = .fail
      result.reason =
        "\(first.call): expected \(first.expected), got \(first.got)"
        + (findings.count > 1 ? " (and \(findings.count - 1) more)" : "")
    } else if result.outcome == .pass && endedEarly {
      (result.outcome, result.reason) = (.error, "the statement ended before its end and recorded nothing")
    } else if result.outcome == .pass && check.expectationCount == 0 {
      (result.outcome, result.reason) = (.error, "the statement looked at nothing")
    } else if result.outcome == .pass {
      result.reason = check.note
    }
    if result.outcome != .pass && result.outcome != .skip {
      result.calls = kernel.calls.map { "\($0.text) = \($0.answer)" }
    }
    // What is left behind is this tool's or the kernel's fault, and no driver is known for it.
    return Report(result: left.isEmpty ? judged(result) : result, dmaBufs: dmaBufs, callCount: kernel.callCount)
  }

  /// The outcome with what is known of the driver, and with what a failure of its kind means.
  package func judged(_ result: CheckResult) -> CheckResult {
    var result = result
    let known = Contract.knownDeviations.first {
      $0.applies(to: statement.id, driver: subject.driver, kernel: machine.kernelVersion)
    }
    switch (result.outcome, known) {
    case (.fail, let known?) where known.explains(result.findings):
      result.outcome = .knownDeviation
      result.reason = known.explanation
    case (.pass, let known?):
      result.outcome = .unexpectedPass
      result.reason = "known to fail here, and held: \(known.explanation)"
    case (.fail, _) where statement.kind != .core: result.outcome = .deviation
    default: break
    }
    return result
  }

  /// Open descriptors, as `number -> target`.
  private static func descriptors() -> Set<String> {
    Set(
      FileSystem.entries(of: "/proc/self/fd").compactMap { number in
        FileSystem.linkTarget(of: "/proc/self/fd/\(number)").map { "\(number) -> \($0)" }
      }.filter { !$0.contains("/proc/") })
  }
}
