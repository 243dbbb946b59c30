import Testing

@testable import Prime
@testable import PrimeProcesses
@testable import PrimeVerify

/// What SYNC does for importers, seen on a kernel that bounces imports, and judged by what a trace tells.
@Suite("What SYNC did")
struct SyncEffectTests {
  private func sync(_ scenario: PairScenario, _ change: (inout Faults) -> Void) -> SyncEffect? {
    scenario.report(request: PairCheckTruthTests.request, change).sync
  }

  @Test func `is measured by a write without SYNC, where imports are bounced`() {
    #expect(
      sync(.blindImporter) { $0.bounces = .everyAttachment }
        == SyncEffect(waitsForFences: nil, reach: .everyAttachment, evidence: .measured))
    #expect(
      sync(.blindImporter) { $0.bounces = .ownMapping }
        == SyncEffect(waitsForFences: nil, reach: .ownMapping, evidence: .measured))
  }

  @Test func `is not known where nothing is lost and the exporter is unheard of`() {
    let unknown = SyncEffect(waitsForFences: nil, reach: .unknown, evidence: nil)
    #expect(sync(.blindImporter) { $0.bounces = .nobody } == unknown)
    #expect(sync(.blindImporter) { _ in } == unknown)
    // A bracket that somebody swallows cannot pass for one that copies.
    let swallowed = sync(.blindImporter) { faults in
      faults.bounces = .everyAttachment
      faults.syncCopiesNothing = true
    }
    #expect(swallowed == unknown)
  }

  @Test func `is nil where nothing was imported`() {
    var scenario = PairScenario.blindImporter
    scenario.importer.refusesImports = .noSuchDevice
    #expect(scenario.report { _ in }.sync == nil)
  }

  // MARK: - By what is traced

  private func judged(
    alone: Set<String> = [], shared: Set<String> = [], isBounced: Bool? = nil, guess: SyncEffect.Reach? = .unknown
  ) -> SyncEffect {
    func seen(_ synced: Set<String>) -> SyncEffect.Observation {
      var seen = DMAMapTrace.Seen()
      seen.synced = synced
      return SyncEffect.Observation(lost: false, traced: seen)
    }
    return SyncEffect(
      waitsForFences: true, alone: seen(alone), shared: seen(shared), isExporter: { $0.contains("udmabuf") },
      isImporter: { $0.contains("vkms") }, isBounced: isBounced, guess: guess)
  }

  @Test func `is traced where the kernel tells, and a disk says nothing`() {
    #expect(judged(shared: ["vkms"]).reach == .everyAttachment)
    #expect(judged(alone: ["udmabuf"], shared: ["udmabuf"]).reach == .ownMapping)
    #expect(judged(shared: ["0000:00:1f.2"], isBounced: true).reach == .none)
    #expect(judged(isBounced: true).evidence == .traced)
    for isBounced in [false, nil] {
      let guessed = judged(shared: ["0000:00:1f.2"], isBounced: isBounced, guess: .everyAttachment)
      #expect(guessed == SyncEffect(waitsForFences: true, reach: .everyAttachment, evidence: .byDriver))
    }
    #expect(judged(isBounced: nil, guess: nil).evidence == nil)
  }

  @Test func `is guessed by what the source of an exporter does, and of another not at all`() {
    #expect(SyncEffect.guess(exporterName: "system", driver: nil) == .everyAttachment)
    #expect(SyncEffect.guess(exporterName: "udmabuf", driver: nil) == .ownMapping)
    #expect(SyncEffect.guess(exporterName: "drm", driver: "vgem") == SyncEffect.Reach.none)
    #expect(SyncEffect.guess(exporterName: "drm", driver: "novel") == nil)
    #expect(SyncEffect.guess(exporterName: nil, driver: "vgem") == nil)
  }

  // MARK: - Fences

  @Test(arguments: [(AtFences.waits, true), (.passes, false)])
  func `waits for a fence of vgem's, or does not`(rule: AtFences, waits: Bool) throws {
    let kernel = FakeKernel([
      Fixture.exporter, FakeKernel.DeviceSetup(driver: "vgem", primary: "/dev/dri/card2"),
    ])
    kernel.misbehave { $0.bracketsAtFences = rule }
    do {
      let buffer = try Fixture.export(on: try Device.open(Fixture.exporterNode, kernel: kernel))
      let vgem = DRMNode(path: "/dev/dri/card2", kind: .primary)
      #expect(FenceWait(vgem: vgem, kernel: kernel).isSeen(on: buffer) { _ in } == waits)
      #expect(FenceWait(vgem: nil, kernel: kernel).isSeen(on: buffer) { _ in } == nil)
      // A fence that is over before anybody waits shows nothing.
      kernel.misbehave { $0.fencesEndAtOnce = true }
      #expect(FenceWait(vgem: vgem, kernel: kernel).isSeen(on: buffer) { _ in } == nil)
    }
    kernel.expectNothingLeft()
  }
}
