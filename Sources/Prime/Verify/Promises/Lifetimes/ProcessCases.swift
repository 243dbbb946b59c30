package import Prime
internal import PrimeProcesses

/// Exporter and importer in processes of their own: one is killed, one inherits, one is sent the same descriptor twice.
///
/// It runs in a process without threads, since it forks.
package struct ProcessCases {
  private let pair: RulePair
  private let seed: UInt64
  private let kernel: any KernelCalls
  private let deadline: Deadline
  private let patterns: (a: Pattern, b: Pattern, wrong: Pattern)

  /// Prepares the cases of one pair.
  package init(exporter: Exporter, importer: Importer, seed: UInt64, deadline: Deadline) {
    pair = RulePair(exporter: exporter, importer: importer)
    self.seed = seed
    self.deadline = deadline
    kernel = LinuxKernel(silencesMesa: true)
    patterns = (Pattern(seed: seed, index: 0), Pattern(seed: seed, index: 1), Pattern(seed: seed, index: 2))
  }

  /// Runs all of them.
  package func run() -> [RuleReport] {
    let audit = LeakAudit(by: kernel)
    var inodes: Set<UInt64> = []
    // Mesa starts threads in the process that uses it, so the cases that allocate after their fork come first.
    var reports = [sentTwice(&inodes), inherited(&inodes), exporterKilled(&inodes), importerKilled(&inodes)]
    var last = pair.nothingLeft(audit, inodes, deadline)
    last.check = "processes-nothing-left"
    reports.append(last)
    return reports
  }

  // MARK: - The cases

  private func sentTwice(_ inodes: inout Set<UInt64>) -> RuleReport {
    pair.report(
      "sent-twice", expected: "a descriptor that another process sends twice is imported to the same handle",
      withControl: true
    ) { withCause in
      var facts = RuleFacts()
      let peer = try ExporterProcess(pair, patterns.a, sendingAnother: !withCause, kernel: kernel, deadline: deadline)
      defer { peer.end() }
      let first = try peer.receive(deadline: deadline).takeFirst()
      let second = try peer.receive(deadline: deadline).takeFirst()
      inodes.formUnion([first.identity.inode, second.identity.inode])
      let importer = try openImporter()
      let handle = try GEMHandle(importing: first, into: importer)
      let again = try GEMHandle(importing: second, into: importer)
      facts.expect(
        handle.rawValue == again.rawValue && first.identity == second.identity,
        else: "handles \(handle.rawValue) and \(again.rawValue) of inodes \(first.identity.inode) and "
          + "\(second.identity.inode)")
      return facts
    }
  }

  private func inherited(_ inodes: inout Set<UInt64>) -> RuleReport {
    pair.report(
      "fork",
      expected: "a forked child reads and writes the buffer it inherits, and its end takes nothing from the parent",
      withControl: false
    ) { _ in
      guard pair.exporter.allocator != .gbm else {
        throw RuleSkip("Mesa starts threads, and a fork is sound only in a process without")
      }
      var facts = RuleFacts()
      let shared = try HeldBuffer(pair, patterns.a, kernel: kernel, deadline: deadline)
      inodes.insert(shared.picture.first.identity.inode)
      let importer = try openImporter()
      let imported = try shared.picture.imported(into: importer)
      let child = try started { tell in
        let found = try shared.picture.examine(
          Examination(expected: patterns.a, wrong: patterns.wrong), deadline: deadline)
        try shared.picture.fill(patterns.b, deadline: deadline)
        tell(found?.sentence ?? "held")
      }
      let words = try heard(from: child)
      facts.expect("what the child sees", words, is: "held")
      let seen = try imported.export(.readWrite).examine(
        Examination(expected: patterns.b, earlier: [patterns.a], wrong: patterns.wrong), deadline: deadline)
      facts.expect(seen == nil, else: "the importer does not see what the child wrote: \(seen?.sentence ?? "")")
      return facts
    }
  }

  private func exporterKilled(_ inodes: inout Set<UInt64>) -> RuleReport {
    pair.report(
      "exporter-killed",
      expected: "the importer shows and reads the buffer on when SIGKILL ends the exporter's process",
      withControl: false
    ) { _ in
      var facts = RuleFacts()
      let size = ImporterView.size(for: pair, kernel: kernel)
      let peer = try ExporterProcess(pair, patterns.a, size: size, kernel: kernel, deadline: deadline)
      defer { peer.end() }
      let picture = try peer.receive(deadline: deadline)
      _ = try peer.receive(deadline: deadline)
      inodes.insert(picture.first.identity.inode)
      let importer = try openImporter()
      let view = try ImporterView(
        pair, picture.imported(into: importer), of: picture, kernel: kernel, deadline: deadline)
      inodes.formUnion(view.inodes)
      try view.look(patterns.a, wrong: patterns.wrong, "before the kill", &facts)
      let end = peer.kill()
      facts.expect(end == .killed(9), else: "SIGKILL did not end the exporter's process")
      try view.look(patterns.a, wrong: patterns.wrong, "after the exporter was killed", &facts)
      try picture.fill(patterns.b, deadline: deadline)
      try view.look(patterns.b, wrong: patterns.wrong, "of what was written after the kill", &facts)
      facts.note = try view.close()
      return facts
    }
  }

  private func importerKilled(_ inodes: inout Set<UInt64>) -> RuleReport {
    pair.report(
      "importer-killed",
      expected: "the exporter writes on when SIGKILL ends the importer's process, and can share again",
      withControl: false
    ) { _ in
      guard pair.exporter.allocator != .gbm else {
        throw RuleSkip("Mesa starts threads, and a fork is sound only in a process without")
      }
      var facts = RuleFacts()
      let size = ImporterView.size(for: pair, kernel: kernel)
      let shared = try HeldBuffer(pair, patterns.a, size: size, kernel: kernel, deadline: deadline)
      inodes.insert(shared.picture.first.identity.inode)
      let child = try started { tell in
        let importer = try openImporter()
        let view = try ImporterView(
          pair, shared.picture.imported(into: importer), of: shared.picture, kernel: kernel, deadline: deadline)
        var seen = RuleFacts()
        try view.look(patterns.a, wrong: patterns.wrong, "of the importer's process", &seen)
        tell(seen.complaint ?? "held")
        // It shows the buffer until it is killed.
        withExtendedLifetime(view) { Pause.forever(atMost: deadline) }
      }
      facts.expect("what the importer's process sees", try heard(from: child), is: "held")
      try shared.picture.fill(patterns.b, deadline: deadline)
      child.kill()
      // It dies meanwhile.
      for index in 3..<8 { try shared.picture.fill(Pattern(seed: seed, index: index), deadline: deadline) }
      let last = Pattern(seed: seed, index: 8)
      try shared.picture.fill(last, deadline: deadline)
      facts.expect(child.reap(within: .seconds(10)) == .killed(9), else: "SIGKILL did not end the importer's process")
      let found = try shared.picture.examine(
        Examination(expected: last, wrong: patterns.wrong), deadline: deadline)
      facts.expect(found == nil, else: "the exporter sees something else than it wrote: \(found?.sentence ?? "")")
      let importer = try openImporter()
      let view = try ImporterView(
        pair, shared.picture.imported(into: importer), of: shared.picture, kernel: kernel, deadline: deadline)
      inodes.formUnion(view.inodes)
      try view.look(last, wrong: patterns.wrong, "of the next importer", &facts)
      facts.note = try view.close()
      return facts
    }
  }

  // MARK: - Processes

  private func openImporter() throws(PrimeError) -> Device {
    try pair.importer.open(by: kernel)
  }

  /// Starts a child that tells one sentence, its own or its error's.
  private func started(_ body: (_ tell: (String) -> Void) throws -> Void) throws(PrimeError) -> ChildProcess {
    try ChildProcess.start { send in
      do {
        try body { send(Array("\($0)\n".utf8)) }
      } catch {
        send(Array("\(error)\n".utf8))
      }
    }.get()
  }

  private func heard(from child: ChildProcess) throws(PrimeError) -> String {
    var words: [UInt8] = []
    while words.last != UInt8(ascii: "\n") {
      try deadline.check("read", on: "process \(child.identifier)")
      guard !Readiness.wait(for: [child.output], within: .milliseconds(50)).isEmpty else { continue }
      let more = Readiness.read(child.output)
      guard !more.isEmpty else { break }
      words += more
    }
    return String(decoding: words, as: UTF8.self).split(separator: "\n").first.map(String.init)
      ?? "it ended without a word"
  }
}
