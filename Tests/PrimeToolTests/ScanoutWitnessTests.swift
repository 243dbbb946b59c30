import Foundation
import Testing

@testable import Prime
@testable import PrimeVerify

extension ToolOnARealKernel {
  /// A display engine whose writeback is not there: the checksum of its CRTC is all that can tell what it fetched.
  ///
  /// It loads vkms again, whose connectors may then have other numbers, so it stays away from tests that know those.
  @Suite("Without a writeback connector")
  struct WithoutWriteback {
    /// Runs the body with a vkms that has no writeback connector, and loads the module again as it was.
    func withoutWriteback(_ body: () throws -> Void) throws {
      let reload = "modprobe -r vkms && modprobe vkms"
      try #require(try Tool.shell("\(reload) enable_writeback=0").code == 0)
      defer {
        let code = try? Tool.shell(reload).code
        #expect(code == 0, "vkms is not what it was for the tests behind this one")
      }
      #expect(!(try Tool.shell("cat /sys/class/drm/card*-Writeback-*/status").code == 0))
      try body()
    }

    @Test func `a buffer is proven by checksum alone, and verify names it`() throws {
      try withoutWriteback {
        let ran = try Tool.run(
          "verify", "--exporter", "vgem", "--importer", "vkms", "--size", "320x240", "--json", limit: .seconds(240))
        #expect(ran.standardError == "")
        #expect(ran.code == 0)
        let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
        let cell = try #require(report.cells.first)
        #expect(report.cells.count == 1)
        #expect(cell.verdict == .proven)
        #expect(cell.observers == [.crc, .identity])
        let attempt = try #require(cell.tried.first)
        #expect(attempt.observer == .writeback)
        #expect(attempt.call == "drmModeGetConnector")
        #expect(attempt.errno == nil, "the kernel refused nothing")
        let sentence = /it has no writeback connector: it has Virtual-\d \((connected|unknown)\)$/
        #expect(attempt.reason?.contains(sentence) == true)
        #expect(cell.lostWritebacks == nil)
      }
    }

    @Test func `a frame is proven by checksum alone, and scanout names it`() throws {
      try withoutWriteback {
        let ran = try Tool.run(
          "scanout", "--from", "vgem", "--on", "vkms", "--mode", "640x480", "--frames", "2", "--json",
          limit: .seconds(240))
        #expect(ran.standardError == "")
        #expect(ran.code == 0)
        let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.verdict == .proven)
        #expect(report.witnesses == [.crc])
        #expect(report.connector?.hasPrefix("Virtual-") == true)
        #expect(report.frames.map(\.content) == [.proven, .proven])
        #expect(report.restored == true)
      }
      #expect(Tool.hasNoDMABufs())
    }
  }

  /// A display engine that loses a picture, because somebody else switches its composer off.
  @Suite("Scanout with lost writebacks")
  struct ScanoutWithLostWritebacks {
    /// Closing a CRTC's checksums switches the composer of vkms off, also under a writeback that was not composed yet.
    private static let interference = """
      for n in $(seq 400); do
        true </sys/kernel/debug/dri/vkms/crtc-0/crc/data
        sleep 0.1
      done 2>/dev/null
      """

    @Test func `has them composed again, counts them, and leaves an engine that works`() throws {
      // Whether a picture is lost in a run is chance.
      var lost = 0
      for _ in 0..<6 where lost == 0 { lost = try lostWhileDisturbed() }
      #expect(lost > 0)
      // A fence that came one job late would show the picture before.
      let after = try Tool.run(
        "scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48", "--frames", "5", "--json")
      let second = try JSONDecoder().decode(ScanoutReport.self, from: Data(after.standardOutput.utf8))
      #expect(second.verdict == .proven)
      #expect(second.lostWritebacks == 0)
      #expect(Tool.hasNoDMABufs())
    }

    /// How many pictures a run lost, which proves every frame all the same.
    private func lostWhileDisturbed() throws -> Int {
      let tool = try RunningTool(
        ["scanout", "--json", "--from", "vgem", "--on", "vkms", "--mode", "64x48", "--frames", "100"])
      let other = try RunningTool(command: ["sh", "-c", Self.interference])
      let ran = try tool.finish(within: .seconds(300))
      other.send(SIGKILL)
      _ = try other.finish()
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
      #expect(report.verdict == .proven)
      #expect(report.frames.map(\.content) == [ScanoutReport.Frame.Content](repeating: .proven, count: 100))
      #expect(report.restored == true)
      return report.lostWritebacks
    }
  }

  /// What the kernel itself says of a call that it refused.
  @Suite("Scanout with the kernel's own words")
  struct ScanoutKernelWords {
    private static let parameter = "/sys/module/drm/parameters/debug"
    private static let arguments = ["scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48"]
    /// `DRM_MODE_ROTATE_0` and `DRM_MODE_ROTATE_90`.
    private static let upright: UInt64 = 1
    private static let onItsSide: UInt64 = 2

    /// Leaves the primary plane of vkms as a program may that turned its picture, and turns it back behind the body.
    ///
    /// The device stays open meanwhile: the last one to close it has the kernel put the plane straight.
    private func withTurnedPlane(_ body: () throws -> Void) throws {
      let node = try #require(DeviceDiscovery().devices().first { $0.driver == "vkms" }?.primary)
      let device = try Device.open(node)
      let route = try DisplayRoute(on: device, to: .writeback)
      func turn(_ rotation: UInt64) throws {
        try device.becomeMaster()
        defer { device.dropMaster() }
        var commit = AtomicCommit()
        try commit.set(try #require(route.objects?.plane), "rotation", rotation)
        _ = try commit.send(on: device, flags: .allowModeset, deadline: Deadline(in: .seconds(10)))
      }
      try turn(Self.onItsSide)
      defer { #expect(throws: Never.self) { try turn(Self.upright) } }
      try body()
    }

    @Test func `is shown upright on a plane that another program turned, and -v has nothing of the kernel's to show`()
      throws
    {
      let before = try String(contentsOfFile: Self.parameter, encoding: .utf8)
      try withTurnedPlane {
        let ran = try RunningTool(Self.arguments + ["-v"]).finish()
        #expect(ran.code == 0)
        #expect(ran.standardOutput.contains("\nproven by writeback"))
        #expect(!ran.standardOutput.contains("  kernel: "))
      }
      // What is not refused says nothing.
      let shown = try RunningTool(Self.arguments + ["-v"]).finish()
      #expect(shown.code == 0)
      #expect(!shown.standardOutput.contains("  kernel: "))
      #expect(try String(contentsOfFile: Self.parameter, encoding: .utf8) == before)
    }
  }
}
