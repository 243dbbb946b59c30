import Testing

@testable import Prime
@testable import PrimeVerify

/// Every call of the pair check fails once, at each of its places, with each errno that may come.
@Suite("A pair check whose calls fail")
struct PairCheckFaultTests {
  static let errnos: [Errno] = [
    .invalidArgument, .noSuchFile, .noSuchDevice, .noSuchAddress, .notImplemented, .noMemory, .tooManyOpenFiles,
    .tooManyOpenFilesInSystem, .permissionDenied, .notPermitted, .inputOutput, .busy, .notSupported, .overflow,
    .badDescriptor, .interrupted, .tryAgain, .notATerminal, .timedOut,
  ]

  /// The names under which a report may speak of a call.
  static func names(of call: KernelCall) -> Set<String> {
    switch call {
    case .open: ["open"]
    case .duplicate: ["fcntl(F_DUPFD_CLOEXEC)"]
    case .closeOnExec: ["fcntl(F_SETFD)"]
    case .statusFlags: ["fcntl(F_GETFL)"]
    case .status: ["fstat"]
    case .fileSystemMagic: ["fstatfs"]
    case .seekToEnd: ["lseek"]
    case .map: ["mmap"]
    case .poll: ["poll for the fences", "poll for the writeback fence"]
    case .createSealedMemory: ["memfd_create"]
    case .dmaBufSync: ["DMA_BUF_IOCTL_SYNC(START)", "DMA_BUF_IOCTL_SYNC(END)"]
    case .udmabufCreate: ["UDMABUF_CREATE"]
    case .dmaHeapAllocate: ["DMA_HEAP_IOCTL_ALLOC"]
    case .version: ["drmGetVersion"]
    case .capability: ["drmGetCap"]
    case .setClientCapability: ["drmSetClientCap"]
    case .setMaster: ["drmSetMaster"]
    case .dropMaster: ["drmDropMaster"]
    case .primeHandleToFD: ["drmPrimeHandleToFD"]
    case .primeFDToHandle: ["drmPrimeFDToHandle"]
    case .closeHandle: ["DRM_IOCTL_GEM_CLOSE"]
    case .createDumb: ["DRM_IOCTL_MODE_CREATE_DUMB"]
    case .mapDumb: ["DRM_IOCTL_MODE_MAP_DUMB"]
    case .gbmCreateDevice: ["gbm_create_device"]
    case .gbmCreateBuffer: ["gbm_bo_create", "gbm_bo_create_with_modifiers2"]
    case .gbmLayout: ["gbm_bo_get_plane_count", "gbm_bo_get_handle_for_plane"]
    case .gbmExport: ["gbm_bo_get_fd_for_plane"]
    case .gbmImport: ["gbm_bo_import"]
    case .gbmMap: ["gbm_bo_map"]
    case .kmsResources: ["drmModeGetResources"]
    case .kmsConnector: ["drmModeGetConnector"]
    case .kmsEncoderCRTCs: ["drmModeGetEncoder"]
    case .kmsPlanes: ["drmModeGetPlaneResources"]
    case .kmsPlane: ["drmModeGetPlane"]
    case .kmsProperties: ["drmModeObjectGetProperties"]
    case .kmsBlob: ["drmModeGetPropertyBlob"]
    case .kmsCreateBlob: ["drmModeCreatePropertyBlob"]
    case .kmsDestroyBlob: ["drmModeDestroyPropertyBlob"]
    case .kmsAddFramebuffer: ["drmModeAddFB2WithModifiers"]
    case .kmsRemoveFramebuffer: ["drmModeRmFB"]
    case .kmsCommit: ["DRM_IOCTL_MODE_ATOMIC"]
    // No pair makes these, so no report may speak of one.
    case .dmaBufExportSyncFile, .dmaBufImportSyncFile, .syncFileInfo, .syncFileMerge, .vgemFenceAttach,
      .vgemFenceSignal, .syncobjCreate, .syncobjDestroy, .syncobjToDescriptor, .syncobjFromDescriptor,
      .syncobjImportSyncFile, .syncobjSignal, .syncobjReset, .syncobjWait, .syncobjTimelineSignal, .syncobjQuery,
      .syncobjTransfer, .socket, .socketBind, .socketListen, .socketConnect, .socketAccept, .socketPeer,
      .socketIsPacket, .socketSend, .socketReceive, .bpfLoadIterator, .bpfLinkIterator, .bpfOpenIterator, .readIterator:
      []
    }
  }

  /// Why a failure of a call may leave the verdict as it is; nil for every call that matters.
  static func reasonNotToMatter(_ call: KernelCall, _ errno: Errno) -> String? {
    switch call {
    case .poll, .dmaBufSync, .kmsCommit, .primeFDToHandle:
      errno == .interrupted || errno == .tryAgain ? "interrupted: the kernel wants it made again" : nil
    case .dropMaster: "mastership goes with the open file too, and every check closes its open files"
    case .closeHandle, .kmsDestroyBlob, .kmsRemoveFramebuffer:
      "it frees what the closing of the open file frees again, after the last look"
    case .capability:
      "it only asks whether AddFB2 takes a modifier: without an answer none is stated, and the picture is looked at all "
        + "the same"
    default: nil
    }
  }

  @Test("passes when nothing fails, and says who looked", arguments: PairScenario.all)
  func baseline(scenario: PairScenario) {
    let kernel = scenario.makeKernel()
    let before = kernel.shown(on: Fixture.importerNode.path)
    let report = scenario.run(on: kernel).report
    #expect(report.verdict == scenario.verdict, "\(report)")
    #expect(report.observers == scenario.observers)
    #expect(report.call == nil && report.errno == nil && report.mismatch == nil)
    // The exporter's own look before and after, two looks of each observer, and one at C where it was written.
    let looks = 2 + 2 * scenario.observers.count + (scenario.observers.contains(.nativeMap) ? 1 : 0)
    #expect(report.controls == looks)
    #expect(kernel.shown(on: Fixture.importerNode.path) == before)
    kernel.expectNothingLeft()
  }

  @Test(
    "names the call and the errno, releases everything and never passes for what was not seen",
    arguments: PairScenario.all, KernelCall.allCases)
  func everyErrno(scenario: PairScenario, call: KernelCall) {
    let sound = scenario.makeKernel()
    _ = scenario.run(on: sound)
    let count = sound.count(of: call)
    guard count > 0 else { return }
    for number in 1...count {
      for errno in Self.errnos {
        let kernel = scenario.makeKernel()
        kernel.fail(call, with: errno, onCall: number)
        let report = scenario.run(on: kernel).report
        let namesErrno = report.reason?.contains("(\(errno.name))") == true
        let place = "\(call) \(number) of \(count), \(errno.name)"
        kernel.expectNothingLeft("\(place)")
        if report.verdict.arrives {
          expectHonestPass(report, scenario, call, errno, place)
        } else if report.verdict == .untested && report.errno == nil && namesErrno {
          // The exporter's buffer cannot be mapped, which declines nothing.
          #expect(call == .map, "\(place)")
        } else if report.verdict == .untested && report.call == nil {
          // Nobody could look any more; `tried` says why.
          #expect(scenario.observers == [.identity], "\(place)")
          #expect(hasAttempt(report, call, errno), "\(place): \(report)")
          #expect([KernelCall.primeHandleToFD, .map].contains(call), "\(place) has nothing to decline: \(report)")
        } else {
          #expect(report.verdict != .mismatch, "\(place)")
          #expect(report.observers == [], "\(place)")
          #expect(Self.names(of: call).contains(report.call ?? ""), "\(place): \(report)")
          // A protected heap's memory cannot be mapped: the heap declines nothing, and the sentence names the errno.
          #expect(report.errno == errno.name || scenario.allocator == .heap && namesErrno, "\(place): \(report)")
          #expect(report.reason?.isEmpty == false, "\(place)")
          #expect((report.verdict == .refused) == (report.refusedBy != nil), "\(place)")
        }
      }
    }
  }

  /// A check may pass after a failed call only where the call does not matter, or where an observer gave way to a weaker
  /// one and the report says so.
  private func expectHonestPass(
    _ report: CellReport, _ scenario: PairScenario, _ call: KernelCall, _ errno: Errno, _ place: String
  ) {
    if Self.reasonNotToMatter(call, errno) != nil {
      #expect(report.verdict == scenario.verdict, "\(place)")
      #expect(report.observers == scenario.observers, "\(place)")
      return
    }
    // A display that cannot be put back at once is put back the next moment.
    let isPassing = [Errno.noMemory, .busy, .interrupted, .tryAgain].contains(errno)
    if isPassing, [.kmsCommit, .kmsCreateBlob].contains(call), report.observers == scenario.observers { return }
    // A device without a cursor plane that has a hot spot.
    let isOrdinary = [Errno.invalidArgument, .notSupported].contains(errno)
    if isOrdinary, call == .setClientCapability, report.observers == scenario.observers { return }
    // The handle of a buffer object may be another file's; libgbm's own export is taken then.
    let asksGBM = scenario.allocator == .gbm && call == .primeHandleToFD && errno == .noSuchFile
    // An importer that makes no dumb buffers has no pitch to be asked for, and takes what it is given.
    if (asksGBM || call == .createDumb) && report.observers == scenario.observers { return }
    // Why a display was not asked to show it, and so to map it, is in the sentence about the handle.
    let isTold = Self.names(of: call).contains { report.reason?.contains("(\($0) \(errno.name))") == true }
    #expect(hasAttempt(report, call, errno) || isTold, "\(place) passes unmentioned: \(report)")
    #expect(report.verdict == .held || report.observers.contains { $0.isProof }, "\(place)")
  }

  /// Whether the report names the call among those of the observers that gave way.
  private func hasAttempt(_ report: CellReport, _ call: KernelCall, _ errno: Errno) -> Bool {
    report.tried.contains { attempt in
      guard !report.observers.contains(attempt.observer) else { return false }
      return Self.names(of: call).contains(attempt.call) && attempt.errno == errno.name
    }
  }

  @Test("calls every method of the seam but those about fences and sockets, so that the sweep leaves none out")
  func coversTheSeam() {
    var made: Set<KernelCall> = []
    for scenario in PairScenario.all {
      let kernel = scenario.makeKernel()
      _ = scenario.run(on: kernel)
      made.formUnion(kernel.counts.keys)
    }
    let others = KernelCall.aboutFences.union(KernelCall.aboutSockets).union(KernelCall.aboutBPF)
      .union(KernelCall.aboutAdoption)
    #expect(Set(KernelCall.allCases).subtracting(made) == others)
  }

  @Test(
    "is refused by the exporter where the buffer cannot be made or handed out",
    arguments: [(KernelCall.createDumb, Errno.noMemory), (.primeHandleToFD, .notImplemented)])
  func refusedByExporter(call: KernelCall, errno: Errno) {
    let kernel = PairScenario.display.makeKernel()
    // The first two dumb buffers ask the importer for its pitch.
    kernel.fail(call, with: errno, onCall: call == .createDumb ? 3 : 1)
    let report = PairScenario.display.run(on: kernel).report
    #expect(report.verdict == .refused)
    #expect(report.refusedBy == .exporter)
    #expect(report.errno == errno.name)
  }

  @Test("is untested where the exporter lets nobody map the buffer: nothing was refused, and nothing can be looked for")
  func unmappable() {
    let kernel = PairScenario.display.makeKernel()
    kernel.fail(.map, with: .noSuchDevice, onCall: 1)
    let report = PairScenario.display.run(on: kernel).report
    #expect(report.verdict == .untested)
    #expect(report.refusedBy == nil)
    #expect(report.errno == nil)
    #expect(
      report.reason == "maker exports the buffer and does not let the CPU map it (ENODEV), so nothing can be written "
        + "there that an importer could be seen to read")
  }

  @Test("is refused by the importer where it declines a page of everybody else's as well")
  func refusedImport() {
    var scenario = PairScenario.display
    scenario.importer.refusesImports = .noSuchDevice
    let report = scenario.report { _ in }
    #expect(report.verdict == .refused)
    #expect(report.refusedBy == .importer)
    #expect(report.call == "drmPrimeFDToHandle")
    #expect(report.errno == "ENODEV")
    #expect(
      report.reason == "taker takes no buffers of other devices, and refuses a page of udmabuf and heap too: its "
        + "driver imports only what it exported itself")
  }

  @Test("is skipped where a node may not be opened")
  func notPermitted() {
    let report = PairScenario.display.report { $0.closedPaths = ["/dev/dri/card1": .permissionDenied] }
    #expect(report.verdict == .untested)
    #expect(report.call == "open")
    #expect(report.errno == "EACCES")
    #expect(report.reason?.contains("/dev/dri/card1") == true)
  }

  @Test("ends at its deadline where a fence never signals", arguments: PairScenario.all)
  func hangs(scenario: PairScenario) {
    let report = scenario.report(within: .milliseconds(100)) { $0.neverReady = true }
    #expect(report.verdict == .error)
    #expect(report.errno == nil)
    #expect(report.call == "poll for the fences")
  }

  @Test("that somebody stops says so, and puts the display back", arguments: [1, 2, 3, 4, 5, 6])
  func stopped(poll number: Int) {
    let kernel = PairScenario.display.makeKernel()
    let before = kernel.shown(on: Fixture.importerNode.path)
    let cancellation = Cancellation()
    cancellation.request()
    // A request to stop is looked at where a wait is interrupted, as a signal does it.
    kernel.fail(.poll, with: .interrupted, onCall: number)
    let outcome = PairScenario.display.run(
      on: kernel, deadline: Deadline(in: .seconds(20), on: kernel, cancellation: cancellation))
    #expect(outcome.wasCancelled)
    #expect(outcome.report.errno == nil)
    #expect(!outcome.report.verdict.passes)
    #expect(kernel.shown(on: Fixture.importerNode.path) == before)
    kernel.expectNothingLeft()
  }

  @Test("puts the display back where somebody stops it at the very commit that puts it back")
  func stoppedWhileRestoring() {
    let kernel = PairScenario.display.makeKernel()
    let before = kernel.shown(on: Fixture.importerNode.path)
    let cancellation = Cancellation()
    cancellation.request()
    // Two looks, then the way back.
    kernel.fail(.kmsCommit, with: .interrupted, onCall: 3)
    _ = PairScenario.display.run(
      on: kernel, deadline: Deadline(in: .seconds(20), on: kernel, cancellation: cancellation))
    #expect(kernel.shown(on: Fixture.importerNode.path) == before)
    kernel.expectNothingLeft()
  }

  @Test(
    "of a device that is pulled out says so, whenever it happens, and is neither refused nor skipped",
    arguments: PairScenario.all, KernelCall.allCases)
  func unplugged(scenario: PairScenario, call: KernelCall) {
    let sound = scenario.makeKernel()
    _ = scenario.run(on: sound)
    let count = sound.count(of: call)
    guard count > 0 else { return }
    let path = scenario.isOneDevice ? Fixture.exporterNode.path : Fixture.importerNode.path
    for number in 1...count {
      let kernel = scenario.makeKernel()
      kernel.unplug(path, atCall: number, of: call)
      let report = scenario.run(on: kernel).report
      kernel.expectNothingLeft("\(call) \(number)")
      // Gone after the last look, or where only the dma-buf itself was looked at: what was seen counts.
      if report.verdict.arrives { continue }
      #expect(report.verdict == .error, "\(call) \(number): \(report)")
      #expect(report.errno == "ENODEV", "\(call) \(number)")
      #expect(report.reason?.hasSuffix("the device went away during the run") == true, "\(call) \(number): \(report)")
    }
  }

  @Test(
    "ends as an error where the device broke before the check, and is untested where it may not be opened",
    arguments: [(Errno.inputOutput, Verdict.error), (.tooManyOpenFiles, .error), (.permissionDenied, .untested)])
  func unusable(errno: Errno, verdict: Verdict) {
    let problem = PrimeError(operation: "open", errno: errno, subject: "maker (/dev/dri/card0)")
    let kernel = Fixture.kernel()
    let outcome = PairCheck(
      exporter: Exporter(name: "maker", node: Fixture.exporterNode, allocator: .dumb, problem: problem),
      importer: Importer(name: "taker", node: Fixture.importerNode), request: Fixture.request, seed: 1,
      kernel: kernel, deadline: kernel.deadline
    ).run()
    #expect(outcome.report.verdict == verdict)
    #expect(outcome.report.errno == errno.name)
    #expect(outcome.report.call == "open")
  }
}
