import Testing

@testable import Prime
@testable import PrimeVerify

/// amdgpu and xe move a buffer for the CPU's first look, so an import before it is another question than one behind it.
@Suite("An import before the CPU touches the buffer")
struct UntouchedImportTests {
  /// The report where the importer refuses these of its imports.
  private func report(refusing numbers: ClosedRange<Int>) -> CellReport {
    let kernel = PairScenario.display.makeKernel()
    kernel.fail(.primeFDToHandle, with: .notSupported, onCalls: numbers)
    let report = PairScenario.display.run(on: kernel).report
    kernel.expectNothingLeft()
    return report
  }

  @Test("that is refused, where one behind a look of the CPU is not, is said of the pair that shares")
  func moves() {
    let report = report(refusing: 1...1)
    #expect(report.verdict == .proven)
    #expect(
      report.reason == "taker refuses the buffer where maker made it (drmPrimeFDToHandle EOPNOTSUPP), and takes it "
        + "once the CPU has begun to read it, for which maker may move it")
  }

  @Test("that is refused, as the one behind a look is, ends the check: nothing has to be written")
  func refuses() {
    let report = report(refusing: 1...2)
    #expect(report.verdict == .refused)
    #expect(report.errno == "EOPNOTSUPP")
    #expect(report.nanoseconds["write"] == nil)
    #expect(report.nanoseconds["import"] != nil)
  }

  @Test("that is taken, where the one behind the CPU's writes is not, is said of the refusal")
  func changesItsMind() {
    let report = report(refusing: 2...2)
    #expect(report.verdict == .refused)
    let sentence = "taker took this buffer before the CPU had touched it, and does not now: "
    #expect(report.reason?.hasPrefix(sentence) == true)
  }
}
