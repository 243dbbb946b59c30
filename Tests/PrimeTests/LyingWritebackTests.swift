import Testing

@testable import Prime
@testable import PrimeVerify

/// Display engines whose calls all succeed and that did not write what they were shown.
@Suite("A display engine that lies about what it wrote")
struct LyingWritebackTests {
  /// 64x64 XRGB8888.
  static let request = PairCheckTruthTests.request

  @Test(
    "is found by what was put into its target before, and the rows that it left are named",
    arguments: [
      (.nothing, "nothing of the picture arrived", 4096), (.upperHalf, "rows 32 to 63 were not written", 2048),
      (.withoutLastRow, "row 63 was not written", 64),
      (.withoutOddRows, "32 rows were not written, from row 1 to row 63", 2048),
      (.firstRowOnly, "rows 1 to 63 were not written", 4032),
      (.withoutLastPixel, "1 element in row 63 was not written", 1),
    ] as [(WritebackLie, String, Int)])
  func unwritten(lie: WritebackLie, sentence: String, differing: Int) {
    let report = PairScenario.display.report(request: Self.request) { $0.writeback = lie }
    #expect(report.verdict == .mismatch)
    #expect(report.observers == [])
    #expect(report.reason?.hasPrefix("writeback on taker sees something else: ") == true)
    #expect(report.reason?.hasSuffix(sentence) == true, "\(report.reason ?? "")")
    #expect(report.mismatch?.differing == differing)
  }

  @Test(
    "is found at the second look where it shows the first picture again",
    arguments: [WritebackLie.firstPicture, .oneFrameLate])
  func stale(lie: WritebackLie) {
    let report = PairScenario.display.report(request: Self.request) { $0.writeback = lie }
    #expect(report.verdict == .mismatch)
    #expect(report.mismatch?.cause == .stale(Pattern(seed: PairScenario.seed, index: 0)), "\(report.reason ?? "")")
  }

  @Test(
    "is not believed where its target is the picture itself, whatever it writes",
    arguments: [WritebackLie.none, .nothing])
  func targetIsPicture(lie: WritebackLie) {
    // The target comes from the picture's exporter only where the importer makes none.
    var ofExporter = PairScenario.display
    ofExporter.importer.makesDumbBuffers = false
    let lies: [(PairScenario, @Sendable (inout Faults) -> Void)] = [
      (ofExporter, { $0.exportsGiveFirst = true }), (ofExporter, { $0.importsGiveFirst = true }),
      (.display, { $0.exportsGiveFirst = true }),
    ]
    for (scenario, change) in lies {
      let report = scenario.report(request: Self.request) { faults in
        faults.writeback = lie
        change(&faults)
      }
      #expect(report.verdict == .error)
      #expect(report.call == "control")
      #expect(report.errno == nil)
      #expect(report.reason?.contains("the second buffer is no other than the first") == true, "\(report.reason ?? "")")
    }
  }

  @Test("is given the rows as XRGB8888 whatever the format is, and that is said beside what its plane lists")
  func shownAs() throws {
    let kernel = PairScenario.display.makeKernel()
    let importer = try Device.open(Fixture.importerNode, kernel: kernel)
    let route = try DisplayRoute(on: importer, to: .writeback)
    for (name, isListed) in [("XRGB8888", true), ("XBGR8888", false), ("NV12", true)] {
      let layout = try PictureLayout.packed(format: Fixture.format(name), width: 64, height: 64)
      let showing = Showing(BufferDescription(layout: layout, modifier: .linear), as: .xrgb8888, on: route)
      #expect(showing.shownAs == .xrgb8888)
      #expect((showing.objection == nil) == isListed)
    }
  }

  // MARK: - Scanout

  private func scanout(
    _ content: ScanoutRequest.Content, frames: Int = 12, on display: FakeKernel.DeviceSetup = Fixture.importer,
    _ change: (inout Faults) -> Void
  ) -> ScanoutReport {
    let kernel = Fixture.kernel(importer: display)
    kernel.misbehave(change)
    var request = ScanoutRequest(
      exporter: Exporter(name: "maker", node: Fixture.exporterNode, allocator: .dumb), displayName: "taker",
      display: Fixture.importerNode, format: Fixture.format("XRGB8888"), seed: 7, deadline: kernel.deadline)
    request.mode = ModeRequest(parsing: "64x48")
    request.content = content
    request.frames = frames
    let report = ScanoutCheck(request, kernel: kernel).run().report
    kernel.expectNothingLeft()
    return report
  }

  static let contents: [ScanoutRequest.Content] = [
    .seed, .picture(.smpte), .picture(.gradient), .picture(.checker),
    .picture(.image(RGBImage(width: 1, height: 1, pixels: [0x123456]))),
  ]

  @Test("proves each of twelve frames of any content where it does not lie", arguments: contents)
  func honestFrames(content: ScanoutRequest.Content) {
    let report = scanout(content) { _ in }
    #expect(report.verdict == .proven, "\(report.reason ?? "")")
    #expect(report.frames.map(\.content) == [ScanoutReport.Frame.Content](repeating: .proven, count: 12))
  }

  @Test(
    "is found at the frame after the one that it shows again, whatever the picture",
    arguments: contents, [WritebackLie.firstPicture, .oneFrameLate])
  func staleFrames(content: ScanoutRequest.Content, lie: WritebackLie) {
    let report = scanout(content) { $0.writeback = lie }
    #expect(report.verdict == .mismatch)
    #expect(report.frames.map(\.content) == [.proven, .mismatch])
    // Every pixel tells it, and not a mark alone.
    #expect(report.reason?.contains("3,072 of 3,072 elements differ") == true, "\(report.reason ?? "")")
  }

  @Test(
    "is found at the first frame by what is left of its target", arguments: contents,
    [
      (.nothing, "nothing of the picture arrived"), (.upperHalf, "rows 24 to 47 were not written"),
      (.withoutOddRows, "24 rows were not written, from row 1 to row 47"),
      (.withoutLastPixel, "1 element in row 47 was not written"),
    ] as [(WritebackLie, String)])
  func unwrittenFrames(content: ScanoutRequest.Content, lie: (WritebackLie, String)) {
    let report = scanout(content) { $0.writeback = lie.0 }
    #expect(report.verdict == .mismatch)
    #expect(report.reason?.hasSuffix(lie.1) == true, "\(report.reason ?? "")")
  }

  @Test("is not believed where a frame is its own target", arguments: [WritebackLie.none, .nothing])
  func frameIsTarget(lie: WritebackLie) {
    for makesOwnTarget in [true, false] {
      var display = Fixture.importer
      display.makesDumbBuffers = makesOwnTarget
      let report = scanout(.picture(.smpte), on: display) { faults in
        faults.writeback = lie
        faults.exportsGiveFirst = true
      }
      #expect(report.verdict == .error)
      #expect(report.call == "control")
    }
  }
}
