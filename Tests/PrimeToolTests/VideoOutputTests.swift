import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel.OnVideoDevices {
  private static let base = ["scanout", "--json", "--on", "vkms", "--to", "video:1"]

  private func putOut(_ arguments: String...) throws -> (Ran, ScanoutReport) {
    let ran = try Tool.run(Self.base + arguments, limit: .seconds(100))
    return (ran, try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8)))
  }

  @Test(arguments: ["vkms", "vgem", "udmabuf"])
  func `put out what a display engine wrote into their memory, each frame proven`(exporter: String) throws {
    // Without --from the display's own buffers are shown.
    let from = exporter == "vkms" ? [] : ["--from", exporter]
    let ran = try Tool.run(Self.base + ["--mode", "640x480", "--frames", "4"] + from, limit: .seconds(100))
    let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
    #expect(ran.code == 0, "\(ran.standardError)")
    #expect(report.exporter == exporter && report.target == "video:1" && report.targetNode == "/dev/video1")
    #expect(report.verdict == .proven && report.reason == nil, "\(report.reason ?? "")")
    #expect(report.witnesses == [.writeback, .v4l2])
    #expect(report.frames.map(\.content) == [.proven, .proven, .proven, .proven])
    #expect(report.restored == true && report.tolerance == 0)
    #expect(Tool.hasNoDMABufs())
  }

  @Test func `put out a frame that is told from what was to come`() throws {
    let before = try Tool.displayState()
    let tool = try RunningTool(Self.base + ["--mode", "640x480", "--frames", "1000"])
    #expect(try tool.wait { try Tool.displayState() != before }, "nothing was shown")
    // The run hides the text of vivid before its first frame; now it is over each picture that comes back.
    usleep(3_000_000)
    try setText(0)
    let ran = try tool.finish(within: .seconds(60))
    #expect(ran.code == 1)
    let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
    #expect(report.verdict == .mismatch)
    #expect(report.frames.count > 1 && report.frames.dropLast().allSatisfy { $0.content == .proven })
    #expect(report.frames.last?.content == .mismatch)
    #expect(report.reason?.contains(": v4l2 on video:1 sees something else: ") == true, "\(report.reason ?? "")")
    #expect(try Tool.displayState() == before)
  }

  @Test func `are looked at by the CPU alone where nothing comes back, which is said`() throws {
    let (ran, report) = try putOut("--mode", "320x180", "--frames", "2")
    #expect(ran.code == 0, "\(ran.standardError)")
    #expect(report.verdict == .proven && report.witnesses == [.writeback])
    #expect(
      report.reason
        == "the CPU alone looked at the memory of video:1, whose output nobody saw: vivid (/dev/video1): it has no timings of "
        + "320x180: take a size of a display, such as 640x480 or 1280x720")
    #expect(report.tried.map(\.observer) == [.v4l2])
  }

  @Test func `are given nothing by a display without writeback, and nothing where they only capture`() throws {
    let wired = try Tool.run("scanout", "--json", "--on", "cirrus", "--to", "video:1", "--mode", "640x480")
    #expect(wired.code == 77)
    #expect(wired.standardError.contains("VGA-1 of cirrus writes nothing that could be compared"))
    for (to, words) in [
      ("video:0", "--to video:0: no video device of that name puts out pictures"),
      ("cirrus", "--to cirrus: no video device of that name puts out pictures"),
    ] {
      let ran = try Tool.run("scanout", "--on", "vkms", "--to", to)
      #expect(ran.code == 64)
      #expect(ran.standardError.contains(words), "\(ran.standardError)")
    }
    let (busy, report) = try withCaptureInUse { try putOut("--mode", "640x480") }
    #expect(busy.code == 0)
    #expect(report.witnesses == [.writeback] && report.tried.map(\.errno) == ["EBUSY"], "\(report.tried)")
  }

  /// Has another file hold the capture node's queue meanwhile.
  private func withCaptureInUse<Result>(_ body: () throws -> Result) throws -> Result {
    let file = try #require(try VideoDevice.all().named("video:0").first).open()
    var queue = try VideoQueue(file, .capture)
    try queue.request(.driver, count: 1)
    return try body()
  }
}
