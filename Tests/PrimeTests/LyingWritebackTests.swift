import Testing

@testable import Prime

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
    for change: @Sendable (inout Faults) -> Void in [{ $0.exportsGiveFirst = true }, { $0.importsGiveFirst = true }] {
      let report = PairScenario.display.report(request: Self.request) { faults in
        faults.writeback = lie
        change(&faults)
      }
      #expect(report.verdict == .error)
      #expect(report.call == "control")
      #expect(report.errno == "EIO")
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
}
