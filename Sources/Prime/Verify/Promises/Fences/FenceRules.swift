internal import Prime

/// What a fence on the exporter's buffer has to do to the importer, as far as the CPU can see it.
///
/// Each rule is looked at twice: with the fence, where everything has to be as said, and with the fence left out, where
/// something has to be amiss.
enum FenceRules {
  /// The longest that anything may take which does not have to wait: this is for hangs, and machines may be slow.
  static let patience = Duration.seconds(30)
  /// How long something that must not happen is watched for.
  static let watch = Duration.milliseconds(100)

  /// A writer's fence stands in everybody's way until it signals.
  static func writerHoldsAll(_ bench: FenceBench, _ withCause: Bool) throws -> RuleFacts {
    var facts = RuleFacts()
    var fence = try bench.fence(.write, withCause: withCause)
    try busyness(of: bench, "before the signal", reading: false, writing: false, &facts)
    try FenceBench.signal(&fence)
    try busyness(of: bench, "after the signal", reading: true, writing: true, &facts)
    return facts
  }

  /// A reader's fence stands in the way of writers alone.
  static func readerHoldsWriters(_ bench: FenceBench, _ withCause: Bool) throws -> RuleFacts {
    var facts = RuleFacts()
    var fence = try bench.fence(.read, withCause: withCause)
    try busyness(of: bench, "before the signal", reading: true, writing: false, &facts)
    try FenceBench.signal(&fence)
    try busyness(of: bench, "after the signal", reading: true, writing: true, &facts)
    return facts
  }

  /// Compares `poll` and the sync_files of the importer's view with what should be ready.
  private static func busyness(
    of bench: FenceBench, _ moment: String, reading: Bool, writing: Bool, _ facts: inout RuleFacts
  ) throws {
    let ready = try bench.view.readiness()
    facts.expect(
      "poll on the importer's dma-buf \(moment)", words(ready.forReading, ready.forWriting), is: words(reading, writing)
    )
    do throws(PrimeError) {
      for (access, isFree) in [(FenceAccess.read, reading), (.write, writing)] {
        let file = try bench.view.exportSyncFile(for: access)
        facts.expect(
          "the sync_file of a \(access == .read ? "reader" : "writer") \(moment)",
          try file.isSignalled ? "signalled" : "pending", is: isFree ? "signalled" : "pending")
      }
    } catch {
      // Where the kernel has no sync_files for dma-bufs, poll is all that there is to ask.
      guard error.errno == .notATerminal else { throw error }
    }
  }

  private static func words(_ reading: Bool, _ writing: Bool) -> String {
    switch (reading, writing) {
    case (true, true): "ready for reading and writing"
    case (true, false): "ready for reading"
    case (false, true): "ready for writing"
    case (false, false): "ready for nobody"
    }
  }

  /// `DMA_BUF_IOCTL_SYNC` itself, without the library's own wait before it, blocks until the signal.
  ///
  /// - Parameter access: Whose fence is put on; a bracket for reading waits for a writer's, one for writing for a reader's.
  static func bracketWaits(
    for access: FenceAccess, _ bench: FenceBench, _ withCause: Bool
  ) throws -> RuleFacts {
    var facts = RuleFacts()
    var fence = try bench.fence(access, withCause: withCause)
    let isReading = access == .write
    let name = "DMA_BUF_IOCTL_SYNC(START|\(isReading ? "READ" : "WRITE"))"
    if !isReading {
      // The other half of a reader's fence: who reads does not wait.
      let reader = try StartedBracket(on: bench.view, reading: true, subject: bench.importer.subject)
      guard let errno = reader.end(within: patience) else {
        throw notReturning("DMA_BUF_IOCTL_SYNC(START|READ)", bench)
      }
      facts.expect("a bracket for reading", errno.map(\.name) ?? "returned", is: "returned")
    }
    let bracket = try StartedBracket(on: bench.view, reading: isReading, subject: bench.importer.subject)
    let early = bracket.end(within: withCause ? watch : patience)
    facts.expect(early == nil, else: "\(name) on the importer's dma-buf returned before the signal")
    if withCause && early == nil {
      // vgem ends a fence by itself after ten seconds, which no slow machine may take for the signal.
      facts.expect(try !isFree(bench, access), else: "the fence was over before it was signalled")
    }
    try FenceBench.signal(&fence)
    guard let errno = early ?? bracket.end(within: patience) else { throw notReturning(.call(name), bench) }
    facts.expect("\(name) after the signal", errno.map(\.name) ?? "returned", is: "returned")
    return facts
  }

  static func isFree(_ bench: FenceBench, _ access: FenceAccess) throws(PrimeError) -> Bool {
    let ready = try bench.view.readiness()
    return access == .write ? ready.forReading : ready.forWriting
  }

  private static func notReturning(_ call: PrimeError.Operation, _ bench: FenceBench) -> PrimeError {
    PrimeError(
      operation: call, finding: .deadline, subject: bench.importer.subject,
      reason: "it did not return within \(patience.wholeSeconds), though nothing is left to wait for")
  }

  /// An exported sync_file holds the fences of its moment: none comes in later, and none that is over keeps it.
  static func snapshot(_ bench: FenceBench, _ withCause: Bool) throws -> RuleFacts {
    var facts = RuleFacts()
    let before = try syncFile(bench)
    var first = try bench.fence(.write, withCause: withCause)
    let during = try syncFile(bench)
    facts.expect("the sync_file from before the fence", state(try before.isSignalled), is: "signalled")
    facts.expect("the sync_file from after the fence", state(try during.isSignalled), is: "pending")
    try FenceBench.signal(&first)
    var second = try bench.fence(.write, withCause: withCause)
    facts.expect(
      "the first fence's sync_file, when that is over and another was put on", state(try during.isSignalled),
      is: "signalled")
    facts.expect("the second fence's sync_file", state(try syncFile(bench).isSignalled), is: "pending")
    try FenceBench.signal(&second)
    return facts
  }

  private static func syncFile(_ bench: FenceBench) throws -> SyncFile {
    do throws(PrimeError) {
      return try bench.view.exportSyncFile(for: .write)
    } catch {
      throw error.errno == .notATerminal ? RuleSkip(error.explanation, error) : error
    }
  }

  private static func state(_ isSignalled: Bool) -> String { isSignalled ? "signalled" : "pending" }

  /// A wait for a fence that does not signal ends at its deadline, with an error that has the fence, whatever its names are.
  static func timeoutNames(_ bench: FenceBench, _ withCause: Bool) throws -> RuleFacts {
    var facts = RuleFacts()
    let limit = Duration.milliseconds(50)
    // Without sync_files nobody can tell which fences are pending.
    let before = try syncFile(bench).info().pending
    var fence = try bench.fence(.write, withCause: withCause)
    let start = ContinuousClock.now
    let waited = failure { () throws(PrimeError) in
      try bench.view.awaitReadiness(for: .read, deadline: bench.deadline.atMost(limit))
    }
    facts.expect(
      waited?.finding == .deadline, else: "the wait ended \(waited.map { "with \($0)" } ?? "well"), not at its deadline"
    )
    let pending = waited?.pendingFences.count ?? 0
    facts.expect(pending == before.count + 1, else: "the error has \(pending) pending fences, not \(before.count + 1)")
    // The bracket's own wait is the library's, and has the same deadline.
    let bracketed = failure { () throws(PrimeError) in
      do {
        try bench.view.bracket(writing: false, deadline: bench.deadline.atMost(limit)) {}
      } catch let error as PrimeError {
        throw error
      } catch {}
    }
    facts.expect(
      bracketed?.finding == .deadline,
      else: "a bracket ended \(bracketed.map { "with \($0)" } ?? "well"), not at its deadline")
    facts.expect(ContinuousClock.now - start < patience, else: "the waits ended long after their deadlines")
    try FenceBench.signal(&fence)
    facts.expect("after the signal", state(try bench.view.readiness().forReading), is: "signalled")
    return facts
  }

  private static func failure(_ body: () throws(PrimeError) -> Void) -> PrimeError? {
    do throws(PrimeError) {
      try body()
      return nil
    } catch {
      return error
    }
  }
}
