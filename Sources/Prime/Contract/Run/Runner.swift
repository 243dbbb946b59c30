internal import Glibc
internal import Prime
internal import PrimeProcesses

/// Runs statements, each in a child process with a deadline of its own, several at a time where they do not meet.
package struct Runner {
  /// How to run.
  package struct Options: Sendable {
    /// How long one statement may take on one subject.
    package var limit: Duration
    /// How long everything may take.
    package var total: Duration
    /// How many run at a time.
    package var jobs: Int
    /// Repeats patterns; shuffles where `shuffled`.
    package var seed: UInt64
    /// Whether the order is one that the seed gives.
    package var shuffled: Bool
    /// Whether each statement is also run with altered answers, which it must notice.
    package var controls: Bool

    package init(
      limit: Duration = .seconds(30), total: Duration = .seconds(600), jobs: Int = 1, seed: UInt64 = 1,
      shuffled: Bool = false, controls: Bool = false
    ) {
      self.limit = limit
      self.total = total
      self.jobs = jobs
      self.seed = seed
      self.shuffled = shuffled
      self.controls = controls
    }
  }

  /// Everything that came of a run.
  package struct Outcomes: Sendable {
    package var results: [CheckResult]
    /// The signal that stopped the run, nil where it went to its end.
    package var stoppedBy: CInt?
    /// Whether the time ran out.
    package var ranOutOfTime: Bool
  }

  private let machine: Machine
  private let options: Options
  private let kernel = LinuxKernel()

  package init(machine: Machine, options: Options) {
    self.machine = machine
    self.options = options
  }

  private struct Running {
    var index: Int
    var trial: Trial
    var child: ChildProcess
    var deadline: Deadline
    var received: [UInt8] = []
    /// What the kernel complained of while it ran, of which some is others'.
    var complaints: [KernelComplaint] = []
    /// What ran when the kernel complained.
    var companions: Set<String> = []
    /// The node of a device that this may pull out, to bring back where the child does not.
    var node: NodeOwnership?
    /// What its display showed before, where it takes one.
    var display: DisplayKeeper?
  }

  /// A command may take 100 seconds to pull a device out (`Unplugging.command`).
  private static let unplugging = Duration.seconds(150)

  /// What a leak makes a failure.
  private static let ran: Set<CheckOutcome> = [.pass, .knownDeviation, .unexpectedPass, .deviation]

  private func limit(of trial: Trial) -> Duration {
    trial.statement.subject == .removableDisplay ? max(options.limit, Self.unplugging) : options.limit
  }

  /// Runs all of them; `progress` hears of each before it starts.
  ///
  /// The process must have no second thread: children are forks.
  package func run(_ statements: [Statement], progress: (_ done: Int, _ total: Int, String) -> Void) -> Outcomes {
    var results: [Int: CheckResult] = [:]
    var waiting: [(index: Int, trial: Trial)] = []
    for statement in statements { plan(statement, &waiting, &results) }
    let total = waiting.count
    if options.shuffled {
      var generator = SplitMix(state: options.seed)
      waiting.shuffle(using: &generator)
    }
    let signals = StopSignals()
    let log = KernelLog()
    let end = Deadline(in: options.total)
    var running: [Running] = []
    var stoppedBy: CInt?
    var done = 0
    while !(waiting.isEmpty && running.isEmpty) {
      if stoppedBy != nil || end.remaining == .zero {
        for run in running {
          run.child.kill()
          _ = run.child.reap(within: .seconds(1))
          _ = run.display?.putBack()
        }
        break
      }
      while running.count < options.jobs,
        let next = waiting.firstIndex(where: { mayStart($0.trial, beside: running) })
      {
        let (index, trial) = waiting.remove(at: next)
        progress(done, total, "\(trial.statement.id) \(trial.subject.name)")
        done += 1
        var node: NodeOwnership?
        if trial.statement.subject == .removableDisplay, let path = trial.subject.device?.primary?.path {
          guard kernel.exists(path) else {
            results[index] = CheckResult(
              trial.statement, on: trial.subject, .skip,
              reason: "\(trial.subject.name) was pulled out before and has not come back")
            continue
          }
          node = NodeOwnership(path, kernel)
        }
        let display = trial.displayNode.flatMap { DisplayKeeper($0, kernel: kernel) }
        switch start(trial) {
        case .success(let child):
          running.append(
            Running(
              index: index, trial: trial, child: child, deadline: Deadline(in: limit(of: trial)), node: node,
              display: display))
        case .failure(let error):
          results[index] = CheckResult(
            trial.statement, on: trial.subject, .error, reason: "no process could be started: \(error)")
        }
      }
      let next = running.map(\.deadline.remaining).min() ?? .zero
      let ready = Readiness.wait(
        for: running.map(\.child.output) + [signals.descriptor], within: min(next, end.remaining))
      if ready.contains(signals.descriptor) { stoppedBy = signals.received() }
      hear(log?.complaints() ?? [], &running)
      for index in running.indices.reversed() {
        let run = running[index]
        if ready.contains(run.child.output) {
          let bytes = Readiness.read(run.child.output)
          running[index].received += bytes
          guard bytes.isEmpty else { continue }
        } else if run.deadline.remaining > .zero {
          continue
        }
        results[run.index] = finish(index, of: &running, log)
      }
    }
    return Outcomes(
      results: results.keys.sorted().compactMap { results[$0] }, stoppedBy: stoppedBy,
      ranOutOfTime: stoppedBy == nil && !(waiting.isEmpty && running.isEmpty))
  }

  /// One entry for each subject, or a skip with what is missing.
  private func plan(
    _ statement: Statement, _ waiting: inout [(index: Int, trial: Trial)], _ results: inout [Int: CheckResult]
  ) {
    func next() -> Int { waiting.count + results.count }
    guard statement.body != nil else { return }
    let subjects = machine.subjects(statement.subject)
    if subjects.isEmpty {
      results[next()] = CheckResult(statement, on: nil, .skip, reason: machine.absence(of: statement.subject))
    }
    for subject in subjects {
      let missing = statement.needs.compactMap { machine.missing($0, for: subject) }
      if let reason = missing.first {
        results[next()] = CheckResult(statement, on: subject, .skip, reason: reason)
      } else {
        waiting.append(
          (next(), Trial(statement: statement, subject: subject, machine: machine, seed: options.seed)))
      }
    }
  }

  /// Two statements that need to be master, or to be alone on a device, do not run beside each other there.
  private func mayStart(_ trial: Trial, beside running: [Running]) -> Bool {
    guard !running.isEmpty else { return true }
    if trial.statement.needs.contains(.alone) { return false }
    return !running.contains { run in
      run.trial.statement.needs.contains(.alone)
        || (run.trial.statement.needs.contains(.master) || trial.statement.needs.contains(.master))
          && !run.trial.subject.nodes.isDisjoint(with: trial.subject.nodes)
    }
  }

  private func start(_ trial: Trial) -> Result<ChildProcess, PrimeError> {
    let controls = options.controls
    return ChildProcess.start(naming: Self.taskName) { send in
      let announcing = { @Sendable (call: String) in send(TrialMessage.call(call)) }
      if controls {
        send(TrialMessage.report(Control(trial: trial, announce: announcing).run()))
      } else {
        send(TrialMessage.report(trial.run(with: KernelProbe(announce: announcing))))
      }
    }
  }

  /// How the threads of a child are called, and all that it starts, so that the kernel's complaints name it.
  private static func taskName(_ child: CInt) -> String { "check-\(child)" }

  /// Gives each complaint to whom it names, or to all that run where it names none of them.
  private func hear(_ complaints: [KernelComplaint], _ running: inout [Running]) {
    let names = running.map { Self.name(of: $0.trial) }
    for complaint in complaints {
      let named = running.indices.filter { culprit(of: complaint, in: running[$0]) == .ours }
      for index in named.isEmpty ? Array(running.indices) : named {
        running[index].complaints.append(complaint)
        running[index].companions.formUnion(named.isEmpty ? names : named.map { names[$0] })
      }
    }
  }

  private func culprit(of complaint: KernelComplaint, in run: Running) -> KernelComplaint.Culprit {
    complaint.culprit(
      pids: [run.child.identifier], comms: [Self.taskName(run.child.identifier)],
      drivers: run.trial.subject.drivers)
  }

  /// What came of a child that is at its end or over its time; it no longer runs.
  private func finish(_ index: Int, of running: inout [Running], _ log: KernelLog?) -> CheckResult {
    var result = end(running[index])
    // What it made the kernel say at its very end is in the log by now.
    hear(log?.allComplaints() ?? [], &running)
    let run = running.remove(at: index)
    result.hear(
      run.complaints.map { ($0, culprit(of: $0, in: run)) },
      beside: run.companions.subtracting([Self.name(of: run.trial)]).sorted())
    return result
  }

  private static func name(of trial: Trial) -> String { "\(trial.statement.id) on \(trial.subject.name)" }

  /// How a child that is at its end or over its time ended, and what it told.
  private func end(_ run: Running) -> CheckResult {
    let limit = limit(of: run.trial)
    let isLate = run.deadline.remaining == .zero
    let place = isLate ? run.child.waitingPlace() : nil
    // The group as a whole: a statement's own children end with it.
    if isLate { run.child.kill() }
    let end = run.child.reap(within: .seconds(5))
    run.child.kill()
    let (lastCall, report) = TrialMessage.parse(run.received, run.trial)
    let during = lastCall.map { " in \($0)" } ?? ""
    var result: CheckResult
    switch (report, end) {
    case (let report?, _):
      result = report.result
      if Self.ran.contains(result.outcome),
        let leaked = DMABufList.stillListed(
          of: report.dmaBufs, by: kernel, deadline: Deadline(in: .seconds(5), on: kernel)), !leaked.isEmpty
      {
        result = Self.failing(
          run.trial, expected: "no dma-buf left when its process is gone",
          got: "still listed: \(leaked.sorted().map(String.init).joined(separator: ", "))", call: "bufinfo")
      }
    case (nil, nil):
      result = Self.failing(
        run.trial, expected: "an end within \(limit.wholeSeconds)",
        got: "it hangs and cannot be ended" + (place.map { " (in \($0))" } ?? ""), call: lastCall ?? "no call")
    case (nil, _) where isLate:
      result = Self.failing(
        run.trial, expected: "an end within \(limit.wholeSeconds)",
        got: "it hangs" + (place.map { " (in \($0))" } ?? ""), call: lastCall ?? "no call")
    case (nil, .killed(SIGBUS)):
      result = Self.failing(run.trial, expected: "memory", got: "SIGBUS", call: lastCall ?? "no call")
    case (nil, .killed(let signal)):
      result = CheckResult(
        run.trial.statement, on: run.trial.subject, .error, reason: "signal \(signal) ended the check\(during)")
    case (nil, .exited(ChildProcess.withoutThread)):
      result = CheckResult(
        run.trial.statement, on: run.trial.subject, .error,
        reason: "its process \(ChildProcess.gotNoThread)")
    case (nil, .exited(ChildProcess.threadEnded)):
      result = CheckResult(
        run.trial.statement, on: run.trial.subject, .error,
        reason: "the kernel ended its thread in a call, as it does after an oops\(during); the kernel log says more")
    case (nil, .exited(let code)):
      result = CheckResult(
        run.trial.statement, on: run.trial.subject, .error, reason: "the check ended with code \(code)\(during)")
    }
    if report == nil, machine.unplugging == .sysfs { run.node?.bringBack() }
    if let changes = run.display?.putBack(), report != nil, Self.ran.contains(result.outcome) {
      result = Self.failing(
        run.trial, expected: "the display as it was", got: changes, call: "putting the display back")
    }
    return result
  }

  private static func failing(_ trial: Trial, expected: String, got: String, call: String) -> CheckResult {
    var result = CheckResult(
      trial.statement, on: trial.subject, .fail, reason: "\(call): expected \(expected), got \(got)")
    (result.expected, result.got) = (expected, got)
    result.findings = [Finding(expected: expected, got: got, call: call)]
    return result
  }
}
