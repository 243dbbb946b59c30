import Testing

@testable import Prime
@testable import PrimeVerify

/// Every call succeeds and the buffer is wrong all the same: this is what the tool is for.
@Suite("A pair check of hardware that answers success and does it wrong")
struct PairCheckTruthTests {
  /// 64x64 XRGB8888: 256 bytes a row, 16384 bytes, four pages.
  static let request = AllocationRequest(format: Fixture.format("XRGB8888"), width: 64, height: 64)

  /// States that the check found a mismatch of this cause, seen by this observer.
  private func expect(
    _ report: CellReport, shows cause: MismatchCause, seenBy observer: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(report.verdict == .mismatch, "\(report)", sourceLocation: sourceLocation)
    #expect(report.mismatch?.cause == cause, "\(report.reason ?? "")", sourceLocation: sourceLocation)
    #expect(
      report.reason?.hasPrefix("\(observer) sees something else: ") == true, "\(report.reason ?? "")",
      sourceLocation: sourceLocation)
    #expect(report.observers == [], sourceLocation: sourceLocation)
  }

  private func pattern(_ index: Int) -> Pattern { Pattern(seed: PairScenario.seed, index: index) }

  @Test("finds a copy made at the import: the display engine still shows A when B was written")
  func staleCopy() {
    let report = PairScenario.display.report(request: Self.request) { $0.copiedImports = 2 }
    expect(report, shows: .stale(pattern(0)), seenBy: "writeback on taker")
    #expect(report.mismatch?.differing == 4096)
    // The exporter's own look and the first one of the display engine, at A, were right.
    #expect(report.controls == 2)
    #expect(report.tried.contains { $0.observer == .identity })
  }

  @Test("finds a copy made at the import through a Mesa driver too")
  func staleMesaCopy() {
    let report = PairScenario.mesa.report(request: Self.request) { $0.copiedImports = 3 }
    expect(report, shows: .stale(pattern(0)), seenBy: "gbm-map on taker")
  }

  @Test("finds a target that is a copy too, where the importer makes none itself: what was written never came back")
  func copiedTarget() {
    var scenario = PairScenario.display
    scenario.importer.makesDumbBuffers = false
    let report = scenario.report(request: Self.request) { $0.copiedImports = 3 }
    let all = UntouchedTarget(elements: 4096, firstRow: 0, lastRow: 63, wholeRows: 64, isAll: true)
    expect(report, shows: .notWritten(all), seenBy: "writeback on taker")
  }

  @Test("finds a copy made at the import where nobody can look: the handle is another dma-buf")
  func otherDMABuf() {
    let report = PairScenario.blindImporter.report(request: Self.request) { $0.copiedImports = 2 }
    #expect(report.verdict == .error)
    #expect(report.call == "identity")
    #expect(report.errno == nil)
    #expect(report.reason?.contains("the importer's handle is another dma-buf") == true)
  }

  @Test("finds writes that reach the importer too late", arguments: [PairScenario.display, .mesa])
  func lateWrites(scenario: PairScenario) {
    let observer = scenario.observers[0].rawValue
    let second = scenario.report(request: Self.request) { $0.writesArriveLateFrom = 2 }
    expect(second, shows: .stale(pattern(0)), seenBy: "\(observer) on taker")
    let first = scenario.report(request: Self.request) { $0.writesArriveLateFrom = 1 }
    expect(first, shows: .zero, seenBy: "\(observer) on taker")
    #expect(first.mismatch?.sentence.contains("nothing of what was written arrived") == true)
  }

  @Test("finds an importer that steps 64 bytes too far from row to row", arguments: [PairScenario.display, .mesa])
  func pitch(scenario: PairScenario) {
    let report = scenario.report(request: Self.request) { $0.pitchOffBy = 64 }
    #expect(report.verdict == .mismatch)
    // Only the first of 64 rows is at its place.
    #expect(report.mismatch?.differing == 4032)
    #expect(report.mismatch?.rectangle == DamagedRectangle(x: 0, y: 1, width: 64, height: 63))
    #expect(report.mismatch?.cause == .sheared(pitch: 320, declared: 256), "\(report.reason ?? "")")
  }

  @Test("finds an importer whose rows lie 64 bytes further apart, and names both pitches")
  func writtenPitch() {
    let report = PairScenario.oneDevice.report(request: Self.request) { faults in
      faults.nativeView = { bytes in
        bytes.indices.map { $0 % 320 < 256 ? bytes[$0 / 320 * 256 + $0 % 320] : 0 }
      }
    }
    expect(report, shows: .sheared(pitch: 320, declared: 256), seenBy: "native-map on maker")
  }

  @Test("finds a page of zeros and says which", arguments: [PairScenario.display, .mesa])
  func zeroPage(scenario: PairScenario) {
    let report = scenario.report(request: Self.request) { $0.zeroPage = 2 }
    #expect(report.verdict == .mismatch)
    #expect(report.mismatch?.differing == 1024, "\(report.reason ?? "")")
    #expect(report.mismatch?.rectangle == DamagedRectangle(x: 0, y: 32, width: 64, height: 16))
    let cause = report.mismatch?.cause.name
    #expect(cause == "zero" || cause == "partialPage", "\(report.reason ?? "")")
  }

  @Test("finds a row too low")
  func shifted() {
    let report = PairScenario.display.report(request: Self.request) { $0.shiftsRowsBy = 1 }
    expect(report, shows: .shifted(dx: 0, dy: -1, bytes: 0), seenBy: "writeback on taker")
  }

  @Test("finds bytes in the opposite order")
  func byteOrder() {
    let report = PairScenario.display.report(request: Self.request) { $0.swapsBytes = true }
    #expect(report.verdict == .mismatch)
    #expect(report.mismatch?.x == 0)
    #expect(report.mismatch?.y == 0)
  }

  @Test("finds bytes in the opposite order in the importer's own mapping, and names it")
  func nativeByteOrder() {
    let report = PairScenario.oneDevice.report(request: Self.request) { faults in
      faults.nativeView = { bytes in bytes.indices.map { bytes[$0 ^ 3] } }
    }
    expect(report, shows: .byteOrder(.reversed), seenBy: "native-map on maker")
  }

  @Test(
    "does not take a buffer for the importer's own that Mesa had another device make",
    arguments: [FakeKernel.GBMHandles.own, .ofAnotherFile, .alsoOfAnotherBuffer, .ofAnImport])
  func madeElsewhere(handles: FakeKernel.GBMHandles) {
    var scenario = PairScenario.oneDevice
    scenario.allocator = .gbm
    scenario.exporter.gbmHandles = handles
    // Every driver maps what it imported, as those do that hand it to the exporter's mapping.
    let report = scenario.report { $0.mapsImports = handles != .ofAnImport }
    #expect(report.observers.contains(.nativeMap) == (handles == .own))
    #expect((report.mapping == .own) == (handles == .own))
  }

  @Test("finds planes in each other's place")
  func planeOffsets() {
    // NV12 of 64x64: 4096 bytes of Y and 2048 bytes of Cb and Cr, both at a pitch of 64.
    let request = AllocationRequest(format: Fixture.format("NV12"), width: 64, height: 64)
    let report = PairScenario.oneDevice.report(request: request) { faults in
      faults.nativeView = { bytes in
        Array(bytes[4096..<6144]) + Array(bytes[0..<2048]) + Array(bytes[0..<2048]) + Array(bytes[6144...])
      }
    }
    #expect(report.verdict == .mismatch)
    #expect(report.mismatch?.damagedPlanes == [0, 1])
    #expect(report.mismatch?.cause == .planeOffset(showsPlane: 1), "\(report.reason ?? "")")
  }

  @Test("does not call proven what no observer can look at: two planes on a display engine that swaps them")
  func unseenPlanes() {
    let request = AllocationRequest(format: Fixture.format("NV12"), width: 64, height: 64)
    let report = PairScenario.display.report(request: request) { $0.swapsPlaneOffsets = true }
    #expect(report.verdict == .held)
    #expect(report.observers == [.identity])
    #expect(report.tried.map(\.observer) == [.writeback, .crc, .nativeMap, .gbmMap])
  }

  @Test("finds what is lost of the pattern written from the importer's side")
  func lostWrite() {
    // The importer's mapping is private to it: it shows A and B, and keeps C to itself.
    let report = PairScenario.oneDevice.report(request: Self.request) { $0.nativeView = { $0 } }
    #expect(report.verdict == .mismatch)
    #expect(report.reason?.hasPrefix("maker itself sees something else: ") == true, "\(report.reason ?? "")")
    #expect(report.mismatch?.cause == .stale(pattern(1)))
  }

  @Test("blames the exporter for what is wrong before the import")
  func exporterBroken() {
    let report = PairScenario.display.report(request: Self.request) { $0.scribblesAfterWrite = 1 }
    #expect(report.verdict == .mismatch)
    #expect(report.reason?.hasPrefix("maker itself sees something else: ") == true)
    // 64 bytes of 0xdb are 16 pixels of the first row.
    #expect(report.mismatch?.differing == 16)
    #expect(report.mismatch?.rectangle == DamagedRectangle(x: 0, y: 0, width: 16, height: 1))
    #expect(report.mismatch?.found.description == "0xdbdbdbdb")
  }

  @Test("finds what was written over after the first observation", arguments: PairScenario.all)
  func scribbled(scenario: PairScenario) {
    let report = scenario.report(request: Self.request) { $0.scribblesAfterWrite = 2 }
    #expect(report.verdict == .mismatch)
    #expect(report.mismatch?.differing == 16)
    #expect(report.mismatch?.rectangle == DamagedRectangle(x: 0, y: 0, width: 16, height: 1))
    #expect(report.observers == [])
  }

  @Test("does not pass over a SYNC that fails, at any place", arguments: PairScenario.all)
  func syncFails(scenario: PairScenario) {
    let sound = scenario.makeKernel()
    _ = scenario.run(on: sound)
    for number in 1...sound.count(of: .dmaBufSync) {
      let kernel = scenario.makeKernel()
      kernel.fail(.dmaBufSync, with: .inputOutput, onCall: number)
      let report = scenario.run(on: kernel).report
      #expect(report.verdict == .error)
      #expect(report.call == "DMA_BUF_IOCTL_SYNC(\(number.isMultiple(of: 2) ? "END" : "START"))")
      #expect(report.errno == "EIO")
      kernel.expectNothingLeft("SYNC \(number)")
    }
  }

  @Test("makes each access of the CPU inside a bracket, in turn", arguments: PairScenario.all)
  func brackets(scenario: PairScenario) {
    let kernel = scenario.makeKernel()
    _ = scenario.run(on: kernel)
    let log = kernel.syncLog
    #expect(log.count.isMultiple(of: 2))
    for index in stride(from: 0, to: log.count, by: 2) {
      #expect(log[index + 1] == log[index].replacing("START", with: "END"))
    }
    // A and B; C from the importer's side; the target of a display engine before each of its two captures.
    let others = scenario.isOneDevice ? 1 : scenario.observers.contains(.writeback) ? 2 : 0
    #expect(log.count { $0 == "START write" } == 2 + others)
  }

  @Test("counts a comparison that cannot fail as an error of its own")
  func control() throws {
    let layout = try PictureLayout.packed(format: Self.request.format, width: 8, height: 4)
    var bytes = [UInt8](repeating: 0, count: layout.byteCount)
    var span = bytes.mutableSpan
    try pattern(0).fill(&span, layout: layout)
    let sound = Examination(expected: pattern(0), wrong: pattern(3))
    let mismatch = try sound.look(at: bytes.span, layout: layout, ignoringUnusedBits: false)
    #expect(mismatch == nil)
    let blind = Examination(expected: pattern(0), wrong: pattern(0))
    let error = primeError { try blind.look(at: bytes.span, layout: layout, ignoringUnusedBits: false) }
    #expect(error?.operation == .control)
    #expect(error?.finding == .broken)
  }

  @Test("refuses a picture larger than the machine's memory with advice, before the kernel kills somebody")
  func tooLarge() {
    let kernel = PairScenario.blindImporter.makeKernel()
    let request = AllocationRequest(format: Fixture.format("XRGB8888"), width: 1 << 20, height: 1 << 20)
    let report = PairScenario.blindImporter.run(on: kernel, request: request).report
    #expect(report.verdict == .untested)
    #expect(report.errno == nil)
    #expect(report.reason?.contains("use a smaller buffer") == true)
    #expect(kernel.count(of: .dmaHeapAllocate) == 0)
    kernel.expectNothingLeft()
  }
}
