import Testing

@testable import Prime
@testable import PrimeVerify

/// Displays that nobody can look at: the verdict is what the handle is worth.
@Suite("A scanout that nobody can look at")
struct ScanoutWithoutWitnessTests {
  /// A display with a wire, without writeback, whose checksums cannot be read.
  private static func blindKernel() -> FakeKernel {
    var importer = Fixture.importer
    importer.hasWriteback = false
    importer.hasOverlay = false
    importer.checksumSources = ["auto"]
    let kernel = Fixture.kernel(importer: importer)
    kernel.misbehave { $0.closedPaths = ["/crc/control": .noSuchFile] }
    return kernel
  }

  private func scanout(
    from exporter: DRMNode = Fixture.exporterNode, testOnly: Bool = false, _ change: (inout Faults) -> Void = { _ in },
    release: KernelRelease? = nil
  ) -> ScanoutReport {
    let kernel = Self.blindKernel()
    kernel.misbehave(change)
    var request = ScanoutRequest(
      exporter: Exporter(name: "maker", node: exporter, allocator: .dumb), displayName: "taker",
      display: Fixture.importerNode, format: Fixture.format("XRGB8888"), seed: 7, deadline: kernel.deadline)
    request.frames = 2
    request.testOnly = testOnly
    var check = ScanoutCheck(request, kernel: kernel)
    check.release = release
    let report = check.run().report
    kernel.expectNothingLeft()
    return report
  }

  @Test("is held where nothing tells that the buffer was mapped", arguments: [false, true])
  func unknownMapping(testOnly: Bool) {
    let report = scanout(testOnly: testOnly)
    #expect(report.verdict == .held)
    #expect(report.frames.count == (testOnly ? 0 : 2))
    #expect(report.reason?.hasSuffix("; whether the buffer was mapped for taker cannot be seen here") == true)
  }

  @Test("is shared where the display shows a buffer of its own", arguments: [false, true])
  func own(testOnly: Bool) {
    let report = scanout(from: Fixture.importerNode, testOnly: testOnly)
    #expect(report.verdict == .shared, "\(report.reason ?? "")")
  }

  @Test("is an error where a handle is another dma-buf, the first or the second", arguments: [1, 2], [false, true])
  func copy(imports: Int, testOnly: Bool) {
    let report = scanout(testOnly: testOnly, { $0.copiedImports = imports })
    #expect(report.verdict == .error)
    #expect(report.call == "identity")
    #expect(report.errno == nil)
    #expect(report.reason?.contains("the importer's handle is another dma-buf") == true, "\(report.reason ?? "")")
    #expect(report.restored == true)
  }

  @Test("says beside the verdict where a handle cannot be exported again")
  func unexportable() {
    let kernel = Self.blindKernel()
    // The first two are the exporter's own.
    kernel.fail(.primeHandleToFD, with: .notSupported, onCalls: 3...4)
    let request = ScanoutRequest(
      exporter: Exporter(name: "maker", node: Fixture.exporterNode, allocator: .dumb), displayName: "taker",
      display: Fixture.importerNode, format: Fixture.format("XRGB8888"), seed: 7, deadline: kernel.deadline)
    let report = ScanoutCheck(request, kernel: kernel).run().report
    #expect(report.verdict == .held)
    #expect(report.tried.contains { $0.observer == .identity && $0.call == "drmPrimeHandleToFD" })
    kernel.expectNothingLeft()
  }
}
