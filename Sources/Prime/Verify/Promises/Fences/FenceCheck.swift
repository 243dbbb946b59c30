internal import Prime

/// Looks whether a fence on an exporter's buffer holds back one importer: its CPU and its display engine.
struct FenceCheck {
  let pair: RulePair
  /// The device whose fences are used; nil where there is none.
  let vgem: DRMNode?
  let seed: UInt64
  let kernel: any KernelCalls
  let deadline: Deadline

  /// A name for reports, what is promised, and how to look.
  private struct Rule: Sendable {
    let name: String
    let expected: String
    let observe: @Sendable (FenceBench, _ withCause: Bool) throws -> RuleFacts
  }

  private static let rules = [
    Rule(
      name: "write-busy", expected: "a pending writer holds readers and writers, in poll and in both sync_files",
      observe: FenceRules.writerHoldsAll),
    Rule(
      name: "read-busy", expected: "a pending reader holds writers and no readers, in poll and in both sync_files",
      observe: FenceRules.readerHoldsWriters),
    Rule(name: "bracket-read", expected: "SYNC START for reading blocks until a writer's fence signals") {
      try FenceRules.bracketWaits(for: .write, $0, $1)
    },
    Rule(name: "bracket-write", expected: "SYNC START for writing blocks until a reader's fence signals") {
      try FenceRules.bracketWaits(for: .read, $0, $1)
    },
    Rule(
      name: "snapshot", expected: "an exported sync_file holds the fences of its moment and no later one",
      observe: FenceRules.snapshot),
    Rule(
      name: "timeout",
      expected: "a wait for a fence that does not signal ends at its deadline and names driver and timeline",
      observe: FenceRules.timeoutNames),
  ]

  /// Runs every check; what it opened is closed when it returns.
  func run() -> [RuleReport] {
    let audit = LeakAudit(by: kernel)
    var inodes: Set<UInt64> = []
    return processorRules(&inodes) + displayRules(&inodes) + [pair.nothingLeft(audit, inodes, deadline)]
  }

  private func processorRules(_ inodes: inout Set<UInt64>) -> [RuleReport] {
    let bench = Result { try FenceBench(pair, vgem: vgem, size: (64, 16), kernel: kernel, deadline: deadline) }
    let reports = Self.rules.map { rule in
      pair.report(rule.name, expected: rule.expected, withControl: true) { withCause in
        try deadline.check(.promise(rule.name), on: pair.importer.name)
        return try rule.observe(bench.get(), withCause)
      }
    }
    if case .success(let bench) = bench { inodes.formUnion(bench.inodes) }
    return reports
  }

  private func displayRules(_ inodes: inout Set<UInt64>) -> [RuleReport] {
    let display = Result { try FenceDisplay(pair, vgem: vgem, seed: seed, kernel: kernel, deadline: deadline) }
    let way = "returns at once, and neither its out-fence nor its event comes before the signal"
    let content = (try? display.get().seesContent) == true ? "; then it shows what was written before the signal" : ""
    var reports = [("commit", false), ("commit-in-fence", true)].map { name, explicit in
      let cause = explicit ? "with IN_FENCE_FD" : "of a buffer with a writer's fence"
      return pair.report(
        name, expected: "a nonblocking commit \(cause) \(way)\(content)", withControl: true
      ) { withCause in
        try deadline.check(.promise(name), on: pair.importer.name)
        return try display.get().commitWaits(explicit: explicit, withCause)
      }
    }
    guard case .success(let display) = display else { return reports }
    inodes.formUnion(display.inodes)
    do throws(PrimeError) {
      try display.close()
    } catch {
      reports[reports.count - 1].fail(error)
    }
    return reports
  }
}

extension RuleReport {
  /// Makes it the report of a check that broke.
  mutating func fail(_ error: PrimeError) {
    verdict = .error
    note(error)
  }
}

extension RulePair {
  /// The last check of a pair: what it opened is closed and what it allocated is free.
  func nothingLeft(_ audit: LeakAudit, _ inodes: Set<UInt64>, _ deadline: Deadline) -> RuleReport {
    report(
      "nothing-left", expected: "no descriptor, no handle and no dma-buf of these checks is left", withControl: false
    ) { _ in
      let leaks = audit.report(inodes: inodes, deadline: deadline)
      var facts = RuleFacts()
      facts.expect(leaks.isClean, else: leaks.sentence ?? "")
      return facts
    }
  }
}
