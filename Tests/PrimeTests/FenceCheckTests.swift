import Testing

@testable import Prime
@testable import PrimeVerify

/// The fence checks over the fake kernel, whose faults are what they are for.
@Suite("The fences of a pair")
struct FenceCheckTests {
  /// A pair without a display engine, so that what the processor sees is all there is.
  private struct Scenario {
    var kernel: FakeKernel
    var pair: RulePair
    var vgem: DRMNode?

    /// `exporter` vgem puts fences on its own buffer; another exporter's are carried over from a vgem beside it.
    init(exporter: String = "vgem", hasVGEM: Bool = true) {
      var devices = [
        FakeKernel.DeviceSetup(driver: exporter, primary: "/dev/dri/card0"),
        FakeKernel.DeviceSetup(driver: "taker", primary: "/dev/dri/card1", hasGBM: false),
      ]
      if exporter != "vgem" && hasVGEM {
        devices.append(FakeKernel.DeviceSetup(driver: "vgem", primary: "/dev/dri/card2"))
        vgem = DRMNode(path: "/dev/dri/card2", kind: .primary)
      }
      kernel = FakeKernel(devices)
      kernel.misbehave { $0.bracketsAtFences = .waits }
      pair = RulePair(
        exporter: Exporter(name: exporter, node: Fixture.exporterNode, allocator: .dumb),
        importer: Importer(name: "taker", node: Fixture.importerNode))
    }

    func reports(_ misbehaviour: (inout Faults) -> Void = { _ in }) -> [String: RuleReport] {
      kernel.misbehave(misbehaviour)
      let reports = FenceCheck(pair: pair, vgem: vgem, seed: 7, kernel: kernel, deadline: kernel.deadline).run()
      kernel.expectNothingLeft()
      return Dictionary(uniqueKeysWithValues: reports.map { ($0.check, $0) })
    }
  }

  @Test func `that cannot be tried here are skipped, without an errno that no kernel gave`() {
    let report = Scenario().pair.report("commit", expected: "it waits", withControl: true) { _ in
      throw PrimeError.untestable(.witness, on: "prime-witness-gl", reason: "it does not answer")
    }
    #expect(report.verdict == .skipped)
    #expect(report.call == nil && report.errno == nil)
    #expect(report.reason == "prime-witness-gl: it does not answer")
  }

  private static let processor = ["write-busy", "read-busy", "bracket-read", "bracket-write", "snapshot", "timeout"]

  @Test(arguments: ["vgem", "maker"])
  func `hold, and each was seen failing with the fence left out`(exporter: String) {
    let scenario = Scenario(exporter: exporter)
    let reports = scenario.reports()
    for check in Self.processor {
      #expect(reports[check]?.verdict == .held, "\(check): \(reports[check]?.got ?? reports[check]?.reason ?? "")")
    }
    #expect(
      Self.processor.map { reports[$0]?.control } == [
        "poll on the importer's dma-buf before the signal: ready for reading and writing, not ready for nobody",
        "poll on the importer's dma-buf before the signal: ready for reading and writing, not ready for reading",
        "DMA_BUF_IOCTL_SYNC(START|READ) on the importer's dma-buf returned before the signal",
        "DMA_BUF_IOCTL_SYNC(START|WRITE) on the importer's dma-buf returned before the signal",
        "the sync_file from after the fence: signalled, not pending",
        "the wait ended well, not at its deadline",
      ])
    // A timeout lasts as long as it was told to, twice.
    #expect(scenario.kernel.waited >= .milliseconds(100))
    #expect(reports["commit"]?.verdict == .skipped)
    #expect(reports["commit"]?.call == "drmModeGetResources")
    #expect(reports["nothing-left"]?.verdict == .held)
  }

  @Test func `that end at once hold nobody, and every check says so`() {
    let reports = Scenario().reports { $0.fencesEndAtOnce = true }
    for check in Self.processor { #expect(reports[check]?.verdict == .broken, "\(check)") }
    #expect(
      reports["write-busy"]?.got
        == "poll on the importer's dma-buf before the signal: ready for reading and writing, not ready for nobody")
  }

  @Test func `are told from each other where one observation alone is wrong`() {
    let polled = Scenario().reports { $0.pollIgnoresFences = true }
    #expect(polled["write-busy"]?.verdict == .broken)
    #expect(polled["snapshot"]?.verdict == .held)
    let readers = Scenario().reports { $0.readersHoldReaders = true }
    #expect(readers["write-busy"]?.verdict == .held)
    #expect(
      readers["read-busy"]?.got
        == "poll on the importer's dma-buf before the signal: ready for nobody, not ready for reading")
    let brackets = Scenario().reports { $0.bracketsAtFences = .passes }
    #expect(
      brackets["bracket-read"]?.got
        == "DMA_BUF_IOCTL_SYNC(START|READ) on the importer's dma-buf returned before the signal")
    #expect(brackets["bracket-write"]?.verdict == .broken)
    #expect(brackets["timeout"]?.verdict == .held)
    let growing = Scenario().reports { $0.syncFilesGrow = true }
    #expect(growing["snapshot"]?.verdict == .broken)
    #expect(growing["snapshot"]?.got == "the sync_file from before the fence: pending, not signalled")
  }

  @Test func `break the promise of the wait where its error does not have the fence`() {
    let scenario = Scenario()
    // The sync_file from before the fence is asked twice, and then the error's.
    scenario.kernel.fail(.syncFileInfo, with: .noMemory, onCall: 3)
    let report = scenario.reports()["timeout"]
    #expect(report?.verdict == .broken)
    #expect(report?.got == "the error has 0 pending fences, not 1")
  }

  @Test func `are skipped with the reason where nothing has fences on demand`() {
    let reports = Scenario(exporter: "maker", hasVGEM: false).reports()
    for check in Self.processor {
      #expect(reports[check]?.verdict == .skipped)
      #expect(
        reports[check]?.reason
          == "nothing here has fences on demand: load vgem (`modprobe vgem`); sw_sync and syncobjs are not used")
    }
  }

  @Test func `are looked at by poll alone on a kernel without sync_files for dma-bufs`() {
    let scenario = Scenario()
    scenario.kernel.fail(.dmaBufExportSyncFile, with: .notATerminal)
    let reports = scenario.reports()
    for check in ["write-busy", "read-busy", "bracket-read", "bracket-write"] {
      #expect(reports[check]?.verdict == .held, "\(check): \(reports[check]?.got ?? reports[check]?.reason ?? "")")
    }
    for check in ["snapshot", "timeout"] {
      #expect(reports[check]?.verdict == .skipped)
      #expect(reports[check]?.errno == "ENOTTY")
      #expect(reports[check]?.reason?.contains("they need Linux 6.0 or later") == true)
    }
  }

  @Test func `that cannot be put on are an error of the call`() {
    let scenario = Scenario()
    scenario.kernel.fail(.vgemFenceAttach, with: .noMemory)
    let report = scenario.reports()["write-busy"]
    #expect(report?.verdict == .error)
    #expect(report?.call == "DRM_IOCTL_VGEM_FENCE_ATTACH")
    #expect(report?.errno == "ENOMEM")
  }

  @Test func `prove nothing where the same is seen without the cause`() {
    let report = Scenario().pair.report("any", expected: "something", withControl: true) { _ in RuleFacts() }
    #expect(report.verdict == .error)
    #expect(report.reason == "control: the same was seen with the cause left out, so this check proves nothing")
  }
}
