import Testing

@testable import Prime
@testable import PrimeVerify

/// Importers without writeback, whose CRTC has a checksum for each frame.
@Suite("The checksum of a CRTC")
struct LyingChecksumTests {
  /// 64x64 XRGB8888.
  static let request = PairCheckTruthTests.request

  private static func scenario(_ change: (inout FakeKernel.DeviceSetup) -> Void = { _ in }) -> PairScenario {
    var scenario = PairScenario.display
    scenario.importer.hasWriteback = false
    scenario.importer.hasOverlay = false
    scenario.importer.hasGBM = false
    scenario.importer.checksumSources = ["auto"]
    change(&scenario.importer)
    return scenario
  }

  private func crc(_ report: CellReport) -> String? { report.tried.first { $0.observer == .crc }?.reason }

  @Test("proves a buffer where it covers the whole picture")
  func honest() {
    let report = Self.scenario().report(request: Self.request) { _ in }
    #expect(report.verdict == .proven, "\(report)")
    #expect(report.observers == [.crc, .identity])
  }

  @Test(
    "is not believed where it does not change with one row or pixel, whatever the engine fetches",
    arguments: [
      (.constant, "does not tell pictures apart"), (.firstRowOnly, "does not change with row "),
      (.withoutOddRows, "does not change with row "), (.withoutEvenRows, "does not change with row "),
      (.upperHalf, "does not change with "),
      (.withoutLastRow, "does not change with the blue of the pixel (0,63) alone"),
      (.withoutLastColumn, "does not change with the green of the pixel (63,0) alone"),
      (.withoutUpperLeftPixel, "does not change with the red of the pixel (0,0) alone"),
      (.blueOnly, "does not change with the red of the pixel (0,0) alone"),
      (.withoutBlue, "does not change with the blue of the pixel (0,63) alone"),
      (.sum, "exchanged, so it does not cover"), (.sumOfRows, "exchanged, so it does not cover"),
    ] as [(ChecksumLie, String)], [true, false])
  func partial(lie: (ChecksumLie, String), fetchesAsChecksum: Bool) {
    let report = Self.scenario().report(request: Self.request) { faults in
      faults.checksum = lie.0
      faults.fetchesAsChecksum = fetchesAsChecksum
    }
    #expect(report.verdict == .held, "\(report)")
    #expect(report.observers == [.identity])
    #expect(crc(report)?.contains(lie.1) == true, "\(crc(report) ?? "")")
  }

  @Test(
    "tells an engine that does not fetch all of an import", arguments: [ChecksumLie.withoutOddRows, .withoutLastRow])
  func partialFetch(lie: ChecksumLie) {
    // The checksum itself is computed of everything: only the default source lies, and there is none of it.
    let report = Self.scenario().report(request: Self.request) { faults in
      faults.checksum = lie
      faults.fetchesAsChecksum = true
      faults.badSources = []
    }
    #expect(report.verdict == .mismatch)
    #expect(report.reason?.contains("is not that of the same picture drawn on the device itself") == true)
  }

  @Test("gives up within seconds where it never settles or never comes", arguments: [ChecksumLie.neverSettles, .never])
  func unsteady(lie: ChecksumLie) {
    let kernel = Self.scenario().makeKernel()
    kernel.misbehave { $0.checksum = lie }
    let report = Self.scenario().run(on: kernel, request: Self.request).report
    kernel.expectNothingLeft()
    #expect(report.verdict == .held)
    let sentence = lie == .never ? "no frame checksum came within 3 s" : "frame checksums of one picture agree"
    #expect(crc(report)?.contains(sentence) == true, "\(crc(report) ?? "")")
    #expect(kernel.waited < .seconds(15))
  }

  @Test(
    "is taken from another source of the driver where the default one does not do",
    arguments: [ChecksumLie.cannotStart, .firstRowOnly, .constant])
  func otherSource(lie: ChecksumLie) {
    let report = Self.scenario { $0.checksumSources = ["none", "auto", "other", "dprx"] }
      .report(request: Self.request) { $0.checksum = lie }
    #expect(report.verdict == .proven, "\(report)")
    #expect(report.observers == [.crc, .identity])
  }

  @Test("is taken of a buffer as large as the mode where the plane has to cover it")
  func covering() {
    let small = AllocationRequest(format: Fixture.format("XRGB8888"), width: 48, height: 32)
    #expect(Self.scenario().report(request: small) { _ in }.observers == [.crc, .identity])
    let report = Self.scenario { $0.planeCoversMode = true }.report(request: small) { _ in }
    #expect(report.verdict == .proven, "\(report)")
    #expect(report.observers == [.crc, .identity])
  }

  @Test("is compared with what an earlier look of the run drew, and drawn again where the two differ")
  func history() {
    let scenario = Self.scenario()
    let kernel = scenario.makeKernel()
    let history = LookHistory()
    func report() -> (CellReport, commits: Int) {
      let before = kernel.count(of: .kmsCommit)
      let report = scenario.run(on: kernel, request: Self.request, history: history).report
      return (report, kernel.count(of: .kmsCommit) - before)
    }
    let (first, second, third) = (report(), report(), report())
    for (report, _) in [first, second, third] {
      #expect(report.verdict == .proven, "\(report)")
      #expect(report.observers == [.crc, .identity])
    }
    // The first tries every control. The second sees pattern B drawn, the third has seen all.
    #expect(first.commits > second.commits)
    #expect(third.commits <= second.commits)
    // Of two imports, the second of which the picture is seen through, both are copies.
    kernel.misbehave { $0.copiedImports = 2 }
    let copied = report().0
    #expect(copied.verdict == .mismatch, "\(copied)")
    #expect(copied.reason?.contains("is not that of the same picture drawn on the device itself") == true)
  }

  @Test("tries rows and pixels at every edge, at an even and an odd row, and at none outside")
  func controls() {
    for (width, height) in [(1, 1), (2, 2), (64, 48), (33, 21), (8, 1), (1, 9)] {
      for seed in 0..<40 as Range<UInt64> {
        let content = PictureContent.pattern(Pattern(seed: seed, index: 0))
        let controls = ChecksumControl.all(
          of: ScanoutExpectation(content: content, wrong: content), size: (width, height),
          format: Fixture.format("XRGB8888")
        ).map(\.alteration)
        let rows = controls.compactMap { control in if case .row(let y) = control { y } else { nil } }
        let pixels = controls.compactMap { control in
          if case .element(let x, let y, _) = control { [x, y] } else { nil }
        }
        #expect(rows.allSatisfy { (0..<height).contains($0) })
        #expect(pixels.allSatisfy { (0..<width).contains($0[0]) && (0..<height).contains($0[1]) })
        for corner in [[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]] {
          #expect(pixels.contains(corner))
        }
        #expect(rows.contains { $0.isMultiple(of: 2) })
        let exchanges = controls.compactMap { control -> [Int]? in
          switch control {
          case .exchangedRows(let one, let other): [one, other]
          default: nil
          }
        }
        #expect(exchanges.count == (height > 1 ? 1 : 0))
        #expect(exchanges.allSatisfy { $0[0] != $0[1] && $0.allSatisfy { (0..<height).contains($0) } })
        #expect(height < 2 || rows.contains { !$0.isMultiple(of: 2) })
      }
    }
  }
}
