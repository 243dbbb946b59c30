import Foundation
import Glibc
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel.OnVideoDevices {
  /// The settings of vivid's nodes that stay when a file is closed.
  private struct Settings: Equatable {
    private var values: [String: Int32] = [:]
    private var timings: [String: KernelVideoTimings] = [:]
    private var formats: [String: KernelVideoFormat] = [:]

    init() throws {
      for (name, isOutput) in [("video:0", false), ("video:1", true)] {
        let file = try #require(try VideoDevice.all().named(name).first).open()
        let (kernel, descriptor) = (file.kernel, file.rawDescriptor)
        values["\(name) end"] = try kernel.videoChosenConnection(descriptor, isOutput: isOutput).get()
        // An end that is not for digital video has no timings.
        timings[name] = try? kernel.videoTimings(descriptor).get()
        formats[name] = try kernel.videoFormat(descriptor, type: isOutput ? 2 : 1).get()
        var id: UInt32 = 0
        while case .success(let control) = kernel.videoNextControl(descriptor, after: id), control.id > id {
          id = control.id
          // Not what is read only, written only, or changes by itself.
          guard control.flags & (0x1 | 0x4 | 0x40 | 0x80) == 0 else { continue }
          values["\(name) \(control.name)"] = try? kernel.videoControl(descriptor, id).get()
        }
      }
    }

    /// The names of what is other than it was; empty where nothing is.
    func changes(since before: Settings) -> [String] {
      values.keys.filter { values[$0] != before.values[$0] }.sorted()
        + timings.keys.filter { timings[$0] != before.timings[$0] }.map { "timings of \($0)" }
        + formats.keys.filter { formats[$0] != before.formats[$0] }.map { "format of \($0)" }
    }
  }

  @Test func `whose worker is killed have the settings of before`() throws {
    for round in 0..<3 {
      let before = try Settings()
      let tool = try RunningTool([
        "verify", "--json", "--size", "640x480", "--exporter", "vgem", "--exporter", "udmabuf", "--importer",
        "video:1",
      ])
      #expect(try tool.wait { try !Settings().changes(since: before).isEmpty }, "nothing was changed")
      let worker = try #require(tool.children.first, "round \(round)")
      kill(worker, SIGKILL)
      let ran = try tool.finish(within: .seconds(60))
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      let killed = report.cells.filter { $0.reason?.contains("(\(worker)) died of SIGKILL") == true }
      #expect(killed.count == 1, "round \(round)")
      #expect(try Settings().changes(since: before) == [], "round \(round)")
      #expect(ran.standardError == "", "round \(round)")
    }
  }
}
