internal import Prime

/// One run of one statement on one subject inside the process that looks: everything but isolation and the kernel's log.
package struct Trial: Sendable {
  package let statement: Statement
  package let subject: Subject
  package let machine: Machine
  package let seed: UInt64
  /// What the driver is built on whose behaviour it shows.
  package let family: DriverFamily

  package init(
    statement: Statement, subject: Subject, machine: Machine, seed: UInt64, family: DriverFamily? = nil
  ) {
    self.family = family ?? machine.family(of: subject)
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
    let descriptorsAfter = countsDescriptors ? Self.descriptors() : []
    if descriptorsBefore == nil || descriptorsAfter == nil {
      (result.outcome, result.reason) = (.error, "/proc/self/fd could not be read, so what is left open is not known")
    }
    let left = (descriptorsAfter ?? []).subtracting(descriptorsBefore ?? descriptorsAfter ?? [])
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
    switch result.outcome {
    case .pass:
      guard let known = known(.yes) else { break }
      result.outcome = .unexpectedPass
      result.reason = "known to fail here, and held: \(known.explanation)"
    case .fail:
      if let known = known(.yes, explaining: result.findings) {
        result.outcome = .knownDeviation
        result.reason = known.explanation
      } else if let known = known(.unknown, explaining: result.findings), case .family(let family) = known.whose {
        result.outcome = .deviation
        result.reason =
          "it fails as it is known to with \(family.name), and whether \(subject.driver) is built on that is not known "
          + "(\(self.family.evidence)): \(known.explanation)"
      } else if statement.kind != .core {
        judge(&result, by: statement.rule)
      }
    default: break
    }
    return result
  }

  /// What a failure of a helper's or a driver's own statement means.
  private func judge(_ result: inout CheckResult, by rule: Statement.Rule?) {
    let found = result.reason.map { "\($0); " } ?? ""
    let names = rule.map { $0.families.map(\.name).sorted().joined(separator: ", ") } ?? ""
    switch (rule, family.family) {
    case (nil, _): result.outcome = .deviation
    case (let rule?, let own?) where rule.families.contains(own):
      result.reason = "\(found)\(subject.driver) is built on \(own.name), which promises it (\(family.evidence))"
    case (let rule?, let own?) where rule.isFreeElsewhere:
      result.outcome = .skip
      result.reason =
        "\(found)this is a rule of \(names) alone, and \(subject.driver) is built on \(own.name) (\(family.evidence))"
    case (_?, let own?):
      result.outcome = .deviation
      result.reason = "\(found)\(subject.driver) is built on \(own.name) (\(family.evidence)), where this is not sure"
    case (_?, nil):
      result.outcome = .deviation
      result.reason =
        "\(found)sure with \(names), and what \(subject.driver) is built on is not known (\(family.evidence))"
    }
  }

  /// What is known to fail here, if it is certain or not that this driver is meant; and explains what was found.
  private func known(_ match: KnownDeviation.Match, explaining findings: [Finding] = []) -> KnownDeviation? {
    Contract.knownDeviations.first {
      $0.explains(findings)
        && $0.match(statement.id, subject, family: family.family, kernel: machine.kernelVersion) == match
    }
  }

  /// Open descriptors, as `number -> target`; none where there is no `/proc`, nil where it cannot be read.
  private static func descriptors() -> Set<String>? {
    (try? DescriptorFacts.openFiles(by: LinuxKernel())).map { Set($0.map { "\($0.key) -> \($0.value)" }) }
  }
}
