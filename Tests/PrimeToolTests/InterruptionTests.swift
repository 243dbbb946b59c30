import Foundation
import Glibc
import Testing

extension ToolOnARealKernel {
  @Suite("A run that is cut short")
  struct CutShort {
    /// Cells that take their time, and keep the display of vkms busy.
    private let long =
      ["verify", "--exporter", "vgem", "--importer", "vkms", "--seed", "7"]
      + (0..<60).flatMap { ["--size", "\(800 + $0)x600"] }

    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(CInt, Int32)])
    func `by a signal says how far it got, and leaves the machine as it was`(signal: CInt, code: Int32) throws {
      let before = try Tool.displayState()
      let tool = try RunningTool(long)
      // It is at work, and no longer at the first cell: the buffers of that one are 1,921,024 bytes each, and a page has a fence.
      #expect(tool.wait { Tool.dmaBufs().bytes > 2 * 1_921_024 + 4096 })
      tool.send(signal)
      let ran = try tool.finish()
      #expect(ran.code == code)
      #expect(
        ran.standardError.wholeMatch(of: /prime-tool: interrupted after \d+ of 60 cells\n/) != nil,
        "\(ran.standardError)")
      #expect(ran.standardOutput.hasPrefix("800x600 XRGB8888\n"))
      #expect(Tool.hasNoDMABufs())
      #expect(try Tool.displayState() == before)
      try stillWorks()
    }

    @Test func `by its own deadline ends soon and says so`() throws {
      let before = try Tool.displayState()
      let ran = try RunningTool(long + ["--timeout", "0.5"]).finish()
      #expect(ran.code == 1)
      #expect(
        ran.standardError.wholeMatch(of: /prime-tool: the time ran out after \d+ of 60 cells: raise --timeout\n/)
          != nil,
        "\(ran.standardError)")
      #expect(ran.duration < .seconds(8))
      #expect(ran.standardOutput.contains(" pass: "))
      #expect(Tool.hasNoDMABufs())
      #expect(try Tool.displayState() == before)
      try stillWorks()
    }

    /// Ctrl-Z, and `fg` once its time would have been over: of what works in a worker, and of what does not.
    @Test(arguments: [
      ["scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x64", "--hold", "3", "--timeout", "9"],
      ["export", "--from", "vgem", "--timeout", "9", "--", "sleep", "3"],
    ])
    func `by a stop goes on afterwards, as if there had been none`(arguments: [String]) throws {
      let before = try Tool.displayState()
      let tool = try RunningTool(arguments)
      usleep(1_500_000)
      // The group: the processes that it has started are stopped as well.
      kill(-tool.pid, SIGSTOP)
      sleep(21)
      kill(-tool.pid, SIGCONT)
      let ran = try tool.finish(within: .seconds(60))
      #expect(ran.code == 0, "\(ran.standardOutput)\(ran.standardError)")
      #expect(!ran.standardOutput.contains("TIMEDOUT"), "\(ran.standardOutput)")
      #expect(try Tool.displayState() == before)
    }

    @Test func `by the size of a picture ends as well`() throws {
      let ran = try Tool.run(
        "verify", "--exporter", "vgem", "--importer", "vkms", "--size", "8192x8192", "--timeout", "2")
      #expect(ran.code == 1)
      #expect(ran.standardOutput.contains("ERROR deadline"))
      #expect(Tool.hasNoDMABufs())
    }

    /// The next run finds everything as this one did.
    private func stillWorks() throws {
      let ran = try Tool.run(
        "verify", "--exporter", "vgem", "--importer", "vkms", "--size", "64x64", "--timeout", "20", "--require-proof",
        "vgem:vkms")
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
    }

    @Test func `by a device that goes away names it`() throws {
      let list = try Tool.run("list", "--json").json()
      let devices = try #require(list["devices"] as? [[String: Any]])
      let cirrus = try #require(devices.first { $0["driver"] as? String == "cirrus" })
      let address = try #require(cirrus["busID"] as? String)
      let node = try #require(cirrus["primary"] as? String)
      defer {
        try? Data("1".utf8).write(to: URL(fileURLWithPath: "/sys/bus/pci/rescan"))
        // udev of the lab sees the events of the boot only.
        if let video = getgrnam("video") { chown(node, 0, video.pointee.gr_gid) }
        chmod(node, 0o660)
      }
      let tool = try RunningTool(
        ["verify", "--exporter", "heap", "--importer", "cirrus", "--seed", "7"]
          + (0..<40).flatMap { ["--size", "\(256 + $0)x256"] })
      #expect(tool.wait { Tool.dmaBufs().count == 1 })
      try Data("1".utf8).write(to: URL(fileURLWithPath: "/sys/bus/pci/devices/\(address)/remove"))
      let ran = try tool.finish()
      #expect(ran.code == 1)
      #expect(ran.standardOutput.contains(": \(node): the device went away during the run\n"))
      #expect(ran.standardOutput.contains("heap:system          ERROR ENOENT"))
      #expect(!ran.standardOutput.contains("untested "))
      #expect(ran.standardError == "")
      #expect(Tool.hasNoDMABufs())
    }
  }
}
