import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// What `scanout` shows, and what its witnesses say of it.
  @Suite("Scanout")
  struct Scanout {
    private func report(_ arguments: [String], code: Int32 = 0) throws -> ScanoutReport {
      let ran = try RunningTool(["scanout", "--json", "--seed", "7"] + arguments).finish()
      #expect(ran.standardError == "")
      #expect(ran.code == code)
      return try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
    }

    @Test(arguments: ["vgem", "virtio_gpu", "cirrus", "udmabuf", "heap"])
    func `of every exporter is proven by writeback`(_ exporter: String) throws {
      let report = try report(["--from", exporter, "--on", "vkms", "--mode", "320x240", "--frames", "2"])
      #expect(report.verdict == .proven)
      #expect(report.witnesses == [.writeback])
      #expect(report.frames.map(\.content) == [.proven, .proven])
      // No component of any pixel is off by a single step.
      #expect(report.tolerance == 0)
      #expect(report.connector == "Writeback-1")
      #expect(report.path == "atomic")
      #expect(report.format == "XRGB8888")
      #expect(report.mode?.hasPrefix("320x240@") == true)
      #expect(report.reason == nil)
      #expect(report.restored == true)
      #expect(Tool.hasNoDMABufs())
    }

    @Test(arguments: ["vgem", "virtio_gpu", "cirrus", "udmabuf", "heap"])
    func `of every exporter is proven by checksum`(_ exporter: String) throws {
      let report = try report(
        ["--from", exporter, "--on", "vkms", "--connector", "Virtual-1", "--mode", "640x480", "--frames", "3"])
      #expect(report.verdict == .proven)
      #expect(report.witnesses == [.crc])
      #expect(report.frames.map(\.content) == [.proven, .unseen, .proven])
      #expect(report.reason == "crc looked at the first and the last of 3 frames")
      #expect(report.connector == "Virtual-1")
      #expect(report.mode == "640x480@59.940")
      #expect(report.restored == true)
    }

    /// The tolerance is that of the conversion to what the connector writes: none, or one step of five bits.
    @Test(arguments: [("XRGB8888", 0), ("ARGB8888", 0), ("RGB565", 9), ("XRGB16161616", 0)])
    func `in every format is proven within its bound`(_ format: String, _ tolerance: Int) throws {
      let report = try report(["--from", "vgem", "--on", "vkms", "--mode", "320x240", "--format", format])
      #expect(report.verdict == .proven)
      #expect(report.format == format)
      #expect(report.tolerance == tolerance)
      #expect(report.witnesses == [.writeback])
    }

    @Test(arguments: [["--from", "vgem"], ["--from", "virtio_gpu"], ["--from", "heap", "--legacy"]])
    func `on cirrus is shared, and says who could not look`(_ arguments: [String]) throws {
      let report = try report(arguments + ["--on", "cirrus", "--mode", "640x480", "--frames", "2"])
      #expect(report.verdict == .shared)
      #expect(report.witnesses == [])
      #expect(
        report.reason == "the kernel accepted every frame; nothing here could look at what the display engine fetched")
      let attempt = try #require(report.tried.first)
      #expect(attempt.observer == .crc)
      #expect(attempt.call == "open")
      #expect(attempt.errno == "ENOENT")
      #expect(attempt.reason?.hasSuffix("/crtc-0/crc/control: this driver gives no frame checksums") == true)
      #expect(report.path == (arguments.contains("--legacy") ? "legacy" : "atomic"))
      #expect(report.frames.map(\.content) == [.unseen, .unseen])
      #expect(report.restored == true)
    }

    @Test func `by the calls from before atomic mode setting is proven by checksum`() throws {
      let report = try report(
        ["--from", "vgem", "--on", "vkms", "--connector", "Virtual-1", "--mode", "640x480", "--legacy"])
      #expect(report.path == "legacy")
      #expect(report.verdict == .proven)
      #expect(report.witnesses == [.crc])
    }

    @Test func `that is only asked for shows nothing`() throws {
      let before = try Tool.displayState()
      let ran = try Tool.run("scanout", "--from", "vgem", "--on", "vkms", "--mode", "320x240", "--test-only")
      #expect(
        ran.standardOutput.split(separator: "\n").last
          == "shared: the kernel would show it (TEST_ONLY); nothing was shown")
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      #expect(try Tool.displayState() == before)
    }

    @Test(arguments: ["smpte", "gradient", "checker"])
    func `captures the picture that was looked at`(_ pattern: String) throws {
      let path = "\(NSTemporaryDirectory())/capture-\(pattern).png"
      defer { unlink(path) }
      let ran = try Tool.run(
        "scanout", "--from", "vgem", "--on", "vkms", "--pattern", pattern, "--mode", "320x240", "--capture", path)
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      // The same writer and the same pixels give the same bytes; that is more than equal pixels.
      let captured = try Data(contentsOf: URL(filePath: path))
      let looked = try Data(contentsOf: URL(filePath: "fixtures/pictures/\(pattern)-320x240.png"))
      #expect(captured == looked)
      // The captured file, given as a pattern, is shown and proven again.
      let again = try report(["--from", "udmabuf", "--on", "vkms", "--pattern", path, "--mode", "320x240"])
      #expect(again.verdict == .proven)
      #expect(again.pattern == "image")
    }
  }

  /// Many frames, each with content of its own.
  @Suite("600 flips")
  struct Flips {
    private static let arguments = ["scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48", "--frames", "600"]

    @Test func `are proven in order and leave nothing`() throws {
      let ran = try RunningTool(Self.arguments + ["--json"]).finish(within: .seconds(180))
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
      #expect(report.verdict == .proven)
      #expect(report.frames.map(\.index) == Array(0..<600))
      #expect(report.frames.allSatisfy { $0.content == .proven })
      let sequences = report.frames.compactMap(\.sequence)
      #expect(sequences.count == 599)
      #expect(zip(sequences, sequences.dropFirst()).allSatisfy { $0 < $1 })
      #expect(report.frames.dropFirst().allSatisfy { $0.latency > 0 && $0.latency < 10_000_000_000 })
      #expect(report.restored == true)
      #expect(Tool.hasNoDMABufs())
      let latencies = report.frames.dropFirst().map(\.latency).sorted()
      print(
        "latency: median \(latencies[299] / 1000) us, largest \(latencies[598] / 1000) us, "
          + "\(report.lostWritebacks) writebacks lost")
    }

    /// The `VmRSS` of a process in KiB; nil where it is gone.
    private static func memory(of process: pid_t) -> Int? {
      let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
      return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
    }

    /// Keeps `khugepaged` off, and gives what puts it back.
    ///
    /// It makes one page of 2 MiB of a heap that has most of it, whenever it comes by: the memory then grows by what was missing, 352
    /// KiB, and the process has done nothing.
    private static func keepPagesSmall() throws -> () throws -> Void {
      let path = "/sys/kernel/mm/transparent_hugepage/enabled"
      let choices = try String(contentsOfFile: path, encoding: .utf8)
      let chosen = try #require(choices.split(separator: "[").last?.split(separator: "]").first.map(String.init))
      try "never".write(toFile: path, atomically: false, encoding: .utf8)
      return { try chosen.write(toFile: path, atomically: false, encoding: .utf8) }
    }

    @Test func `hold the memory of tool and worker from frame 100 to 600`() throws {
      let allowLargePages = try Self.keepPagesSmall()
      defer { #expect(throws: Never.self) { try allowLargePages() } }
      let path = "\(NSTemporaryDirectory())/flips-\(getpid()).txt"
      defer { unlink(path) }
      // Line by line, so that the number of lines tells which frame is on the screen.
      let line = "exec stdbuf -oL prime-tool \(Self.arguments.joined(separator: " ")) -v >\(path)"
      let tool = try RunningTool(command: ["sh", "-c", line])
      var samples: [(frame: Int, tool: Int, worker: Int)] = []
      while samples.last?.frame ?? 0 < 590 {
        let frame = ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").count - 2
        let memories = ([tool.pid] + tool.children).compactMap(Self.memory)
        // It has ended, or its worker has.
        guard memories.count == 2 else {
          if samples.isEmpty && Self.memory(of: tool.pid) != nil { continue }
          break
        }
        if frame >= 100 && frame >= (samples.last?.frame ?? 0) + 50 {
          samples.append((frame, memories[0], memories[1]))
        }
        usleep(20_000)
      }
      #expect(try tool.finish(within: .seconds(180)).code == 0)
      #expect(samples.count >= 4)
      #expect((100...200).contains(samples.first?.frame ?? 0))
      #expect(samples.last?.frame ?? 0 >= 500)
      let first = try #require(samples.first)
      // Each side's report grows by some dozen bytes a frame, nothing else may: 500 frames are less than 256 KiB.
      #expect(samples.allSatisfy { $0.tool - first.tool <= 256 && $0.worker - first.worker <= 256 })
      print("VmRSS: " + samples.map { "frame \($0.frame): \($0.tool) and \($0.worker) KiB" }.joined(separator: ", "))
    }
  }
}
