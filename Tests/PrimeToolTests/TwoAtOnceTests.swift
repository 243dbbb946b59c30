import Foundation
import Glibc
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  @Suite("Two at once")
  struct TwoAtOnce {
    @Test func `one display has one master, and the other is told who it is`() throws {
      let before = try Tool.displayState()
      let first = try RunningTool([
        "scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x64", "--frames", "2", "--hold", "60",
      ])
      #expect(try first.wait { try Tool.displayState() != before })
      let second = try Tool.run("scanout", "--from", "udmabuf", "--on", "vkms", "--mode", "64x64")
      #expect(second.standardOutput.contains("prime-tool (pid \(first.pid)) is master of this display"))
      #expect(second.code == 1)
      first.send(SIGTERM)
      let ran = try first.finish()
      // It never noticed.
      #expect(ran.standardOutput.contains("\n2 frames, 2 proven, "), "\(ran.standardOutput)")
      #expect(ran.code == 143)
      #expect(try Tool.displayState() == before)
      #expect(Tool.hasNoDMABufs())
    }

    /// Both want the display of vkms for the proof, and one of them has it.
    @Test func `two runs of verify share what can be shared, and leave nothing`() throws {
      let before = try Tool.displayState()
      let pair = ["verify", "--json", "--importer", "vkms", "--importer", "vgem", "--size", "640x480"]
      let runs = try (0..<2).map { _ in try RunningTool(pair) }
      for run in try runs.map({ try $0.finish(within: .seconds(90)) }) {
        #expect(run.code == 0, "\(run.standardError)")
        let report = try JSONDecoder().decode(VerifyReport.self, from: Data(run.standardOutput.utf8))
        #expect(report.cells.count == 16)
        for cell in report.cells where cell.importer == "vkms" && cell.exporter != "qxl" && cell.exporter != "bochs-drm"
        {
          #expect(cell.verdict.passes, "\(cell.exporter): \(cell.reason ?? "")")
          let isObstructed = cell.tried.contains { $0.call == "drmSetMaster" && $0.errno == "EBUSY" }
          #expect(cell.verdict == .proven || isObstructed, "\(cell.exporter)")
        }
        #expect(report.leaks.isClean)
      }
      #expect(try Tool.displayState() == before)
      #expect(Tool.hasNoDMABufs())
    }
  }
}
