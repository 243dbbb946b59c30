import Testing

@testable import Prime
@testable import PrimeVerify

/// What SYNC decides, over the fake kernel that bounces every import by one of three rules.
@Suite("The coherency of a pair")
struct CoherencyTests {
  private func report(
    heap: Bool = true, importer: FakeKernel.DeviceSetup = PairScenario.blind, _ change: (inout Faults) -> Void
  ) -> CoherencyReport {
    let kernel = Fixture.kernel(importer: importer)
    kernel.misbehave(change)
    let exporter =
      heap
      ? Exporter(name: "heap:system", node: nil, allocator: .heap)
      : Exporter(name: "maker", node: Fixture.exporterNode, allocator: .dumb)
    var check = CoherencyCheck(
      pair: RulePair(exporter: exporter, importer: Importer(name: "taker", node: Fixture.importerNode)),
      seed: 7, kernel: kernel, deadline: kernel.deadline, release: KernelRelease(6, 12))
    check.size = (64, 64)
    let report = check.run()
    kernel.expectNothingLeft()
    return report
  }

  private func lost(_ report: CoherencyReport, _ observer: CoherencyLook.Observer = .cpu) -> [CoherencyVariant] {
    report.looks.filter { $0.observer == observer && $0.saw == .earlier }.map(\.variant)
  }

  @Test func `is needed and kept where START and END renew every importer's copy`() {
    let report = report { $0.bounces = .everyAttachment }
    #expect(report.answer == .neededAndKept, "\(report.reason ?? "")")
    #expect(lost(report) == [.unsynced, .endLeftOut, .insideReadBracket, .unsyncedThenClosed])
    #expect(report.looks.contains { $0.saw == .other } == false)
    #expect(report.control?.hasPrefix("unsynced: cpu saw") == true)
    #expect(report.sync?.reach == .everyAttachment)
  }

  @Test func `is seen by a display engine too, which reads the copy`() {
    let report = report(importer: Fixture.importer) { $0.bounces = .everyAttachment }
    #expect(report.answer == .neededAndKept, "\(report.reason ?? "")")
    #expect(lost(report, .writeback) == [.unsynced, .endLeftOut, .insideReadBracket])
    #expect(report.looks.count { $0.observer == .writeback } == 5)
  }

  @Test func `is untold to the CPU where SYNC reaches the exporter's own copy only, and told by an engine`() {
    let untold = report { $0.bounces = .ownMapping }
    #expect(untold.answer == .untold)
    #expect(lost(untold) == [.unsynced, .endLeftOut, .insideReadBracket, .unsyncedThenClosed])
    let told = report(importer: Fixture.importer) { $0.bounces = .ownMapping }
    #expect(told.answer == .neededAndNotDone)
    #expect(told.reason?.hasPrefix("bracketed: writeback saw") == true, "\(told.reason ?? "")")
  }

  @Test func `is needed and not done where an engine reads a copy that nobody renews`() {
    let report = report(heap: false, importer: Fixture.importer) { $0.bounces = .nobody }
    #expect(report.answer == .neededAndNotDone)
    #expect(lost(report, .writeback) == [.bracketed, .unsynced, .emptyBracket, .endLeftOut, .insideReadBracket])
  }

  @Test func `is untold where leaving SYNC out changes nothing, and that proves nothing`() {
    for change: (inout Faults) -> Void in [{ _ in }, { $0.bounces = .nobody }] {
      let report = report(heap: false, change)
      #expect(report.answer == .untold)
      #expect(report.control == nil)
      #expect(report.reason?.contains("proves nothing about SYNC") == true)
      #expect(lost(report) == [])
    }
  }

  @Test func `is found missing where somebody swallows SYNC`() {
    let report = report(importer: Fixture.importer) { faults in
      faults.bounces = .everyAttachment
      faults.syncCopiesNothing = true
    }
    #expect(report.answer == .neededAndNotDone)
    #expect(lost(report, .writeback).contains(.bracketed))
    // As seen on 6.12 with a preloaded library that answers every SYNC by itself.
    #expect(lost(report, .memory) == [.bracketedThenClosed, .unsyncedThenClosed])
  }

  @Test func `is untold where a step fails, with the call`() {
    var refusing = PairScenario.blind
    refusing.refusesImports = .noSuchDevice
    let report = report(importer: refusing) { _ in }
    #expect(report.answer == .untold)
    #expect(report.call == "drmPrimeFDToHandle")
    #expect(report.errno == "ENODEV")
  }

  // MARK: - The answer by what is known beside the looks

  private func concluded(
    looks: [CoherencyLook] = [], bounced: Bool?, reach: SyncEffect.Reach = .unknown, isOwn: Bool = false,
    devicesSeeCaches: Bool = true
  ) -> CoherencyReport {
    let pair = RulePair(
      exporter: Exporter(name: "a", node: nil, allocator: .heap), importer: Importer(name: "b", node: nil))
    var report = CoherencyReport(pair)
    report.looks = looks
    report.bounced = bounced
    report.sync = SyncEffect(waitsForFences: nil, reach: reach, evidence: .traced)
    report.conclude(isOwn: isOwn, devicesSeeCaches: devicesSeeCaches)
    return report
  }

  @Test func `takes what the kernel traced where nothing was lost`() {
    #expect(concluded(bounced: true, reach: .none).answer == .neededAndNotDone)
    #expect(concluded(bounced: false).answer == .notNeeded)
    #expect(concluded(bounced: false, devicesSeeCaches: false).answer == .untold)
    #expect(concluded(bounced: nil, isOwn: true).answer == .notNeeded)
    #expect(concluded(bounced: nil).answer == .untold)
    #expect(concluded(bounced: true, reach: .everyAttachment).answer == .untold)
  }

  @Test func `takes a loss for the importer's only where SYNC reaches the importer`() {
    let lost = [CoherencyLook(.bracketed, .cpu, .rewritten), CoherencyLook(.unsynced, .cpu, .earlier)]
    #expect(concluded(looks: lost, bounced: true, reach: .ownMapping).answer == .neededAndNotDone)
    #expect(concluded(looks: lost, bounced: false, reach: .ownMapping).answer == .notNeeded)
    #expect(concluded(looks: lost, bounced: nil, reach: .everyAttachment).answer == .neededAndKept)
    #expect(concluded(looks: lost, bounced: true).answer == .untold)
    #expect(concluded(looks: lost + [CoherencyLook(.bracketed, .memory, .other)], bounced: true).answer == .untold)
  }
}
