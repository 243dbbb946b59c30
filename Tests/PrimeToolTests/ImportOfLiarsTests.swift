import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// Drivers that hang and crash in the middle of a hand-over.
  @Suite("Import by drivers that lie", .enabled(if: Tool.hasLiars, "this needs `lab/run --liars`"))
  struct ImportOfLiars {
    /// A hand-over to a liar: what the importer says, and how it ended.
    private func handOver(to liar: String) throws -> (HandoverReport, Ran) {
      let path = "abstract:liar-\(UInt32.random(in: 0 ... .max))"
      let exporter = try RunningTool(["export", "--from", "vgem", "--to", path, "--timeout", "20"])
      let ran = try RunningTool(["import", "--on", "liar-\(liar)", "--from", path, "--timeout", "5", "--json"])
        .finish(within: .seconds(40))
      #expect(try exporter.finish().code == 1)
      return (try JSONDecoder().decode(HandoverReport.self, from: Data(ran.standardOutput.utf8)), ran)
    }

    @Test(.enabled(if: Tool.has(liar: "import-hang")))
    func `that hang in an import cost the result, and nothing else`() throws {
      let (report, ran) = try handOver(to: "import-hang")
      #expect(report.verdict == .error)
      #expect(report.reason?.hasPrefix("in the step 'import': a call of the kernel did not return within ") == true)
      #expect(report.reason?.hasSuffix("and the process was killed") == true, "\(report.reason ?? "")")
      #expect(ran.standardError == "")
      #expect(ran.code == 1)
    }

    @Test(.enabled(if: Tool.has(liar: "import-hang-uninterruptible")))
    func `that hang and cannot be interrupted leave a process behind, which is named`() throws {
      let (report, ran) = try handOver(to: "import-hang-uninterruptible")
      #expect(report.reason?.contains("cannot be interrupted: process ") == true, "\(report.reason ?? "")")
      #expect(ran.standardError.contains(/prime-tool: process \d+ is left behind: a call of the kernel holds it/))
      #expect(ran.code == 1)
    }

    @Test(.enabled(if: Tool.has(liar: "import-oops")))
    func `that crash the kernel cost the result, and its words are told`() throws {
      let (report, ran) = try handOver(to: "import-oops")
      #expect(report.verdict == .error)
      #expect(report.reason?.hasPrefix("in the step 'import': the kernel ended the thread that ran this check") == true)
      #expect(report.kernelLog?.contains { $0.contains("NULL pointer dereference") } == true)
      #expect(ran.standardError == "")
      #expect(ran.duration < .seconds(5))
    }
  }
}
