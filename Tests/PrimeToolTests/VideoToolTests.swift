import Foundation
import Prime
import PrimeVerify
import Testing

extension Trait where Self == ConditionTrait {
  /// Runs where vivid and vim2m are.
  static var onAVideoMachine: Self {
    let with = ProcessInfo.processInfo.environment["PRIME_LAB_WITH"] ?? ""
    let parts = with.split(whereSeparator: { " ,".contains($0) })
    return .enabled(
      if: parts.contains("video") && !parts.contains("contiguous"),
      "this needs vivid and vim2m: run it in `lab/run --video`")
  }
}

extension ToolOnARealKernel {
  @Suite("Video devices in the lab", .onAVideoMachine)
  struct OnVideoDevices {
    private static let exporters = [
      "vgem", "vkms", "cirrus", "bochs-drm", "virtio_gpu", "qxl", "udmabuf", "heap:system",
    ]

    private func verify(_ arguments: String...) throws -> VerifyReport { try verify(arguments) }

    private func verify(_ arguments: [String]) throws -> VerifyReport {
      let ran = try Tool.run(["verify", "--json", "--seed", "7"] + arguments, limit: .seconds(120))
      #expect(ran.code == 0, "\(ran.standardError)")
      return try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
    }

    private var exporterArguments: [String] { Self.exporters.flatMap { ["--exporter", $0] } }

    private func reload(_ options: String) throws {
      let ran = try Tool.shell("modprobe -r vivid && modprobe vivid \(options)")
      try #require(ran.code == 0, "\(ran.standardError)")
    }

    // MARK: - list

    @Test func `are listed behind the DRM devices`() throws {
      let ran = try Tool.run("list")
      #expect(ran.code == 0)
      #expect(
        ran.standardOutput.split(separator: "\n").suffix(6) == [
          "VIDEO    DRIVER  NODE         BUS                 PICTURES",
          "video:0  vivid   /dev/video0  platform:vivid-000  capture",
          "video:1  vivid   /dev/video1  platform:vivid-000  output",
          "video:2  vivid   /dev/video2  platform:vivid-000  no pictures",
          "video:3  vivid   /dev/video3  platform:vivid-000  no pictures",
          "video:4  vim2m   /dev/video4  platform:vim2m      mem2mem",
        ])
    }

    @Test func `are told in JSON as the schemas say`() throws {
      let list = try Tool.run("list", "--json")
      let videos = try #require(try list.json()["videoDevices"] as? [[String: Any]])
      #expect(videos.map { $0["name"] as? String } == ["video:0", "video:1", "video:2", "video:3", "video:4"])
      #expect(videos.map { $0["roles"] as? [String] } == [["capture"], ["output"], [], [], ["mem2mem"]])
      let verify = try Tool.run(
        "verify", "--json", "--size", "640x480", "--exporter", "video:0", "--importer", "vivid", "--importer", "vim2m")
      let folder = "\(NSTemporaryDirectory())/video-json-\(getpid())"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      for (name, ran) in [("list-1", list), ("verify-2", verify)] {
        try ran.standardOutput.write(toFile: "\(folder)/\(name).json", atomically: true, encoding: .utf8)
      }
      // One interpreter for both, since it takes seconds to load.
      let valid = try Tool.validate(
        ["list-1", "verify-2"].map { ("\(folder)/\($0).json", "schema/\($0).schema.json") })
      #expect(valid.code == 0, "\(valid.standardError.suffix(600))")
    }

    // MARK: - verify

    @Test func `that read and that write have every pixel of every exporter`() throws {
      let ran = try Tool.run(
        ["verify", "--json", "--size", "640x480", "--exporter", "video:0", "--importer", "Vivid"] + exporterArguments,
        limit: .seconds(120))
      #expect(ran.code == 0, "\(ran.standardError)")
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      for importer in ["video:0", "video:1"] {
        let cells = report.cells.filter { $0.importer == importer }
        #expect(cells.map(\.exporter) == ["video:0"] + Self.exporters)
        for cell in cells {
          let observer: ObserverName = importer == "video:0" ? .v4l2Capture : .v4l2
          #expect(cell.verdict == .proven, "\(cell.exporter) → \(importer): \(cell.reason ?? "")")
          #expect(cell.proofs == [observer] && cell.observers == [observer])
          #expect(cell.controls == (importer == "video:0" ? 3 : 4))
          #expect(cell.shownAs == "XRGB8888" && cell.importerNode == "/dev/\(importer.replacing(":", with: ""))")
        }
      }
    }

    @Test func `that have another format read the same bytes as that`() throws {
      // 320x480 pixels of four bytes are 307,200 of two.
      let report = try verify(["--importer", "vim2m", "--size", "320x480"] + exporterArguments)
      #expect(report.cells.map(\.exporter) == Self.exporters)
      #expect(report.cells.map(\.verdict) == [Verdict](repeating: .proven, count: 8))
      #expect(report.cells.map(\.proofs) == [[ObserverName]?](repeating: [.v4l2], count: 8))
      #expect(report.cells.map(\.shownAs) == [String?](repeating: "RGB565", count: 8))
    }

    @Test func `that read are part of every run, with the memory of what captures it`() throws {
      let byExporter = try verify("--importer", "vkms", "--importer", "video:1", "--importer", "video:4")
      let exporters = byExporter.cells.filter { $0.importer == "vkms" }.map(\.exporter)
      #expect(exporters.sorted() == (Self.exporters + ["video:0"]).sorted())
      let byImporter = try verify("--exporter", "video:0")
      let importers = byImporter.cells.map(\.importer)
      #expect(importers.suffix(2) == ["video:1", "video:4"] && importers.count == 8)
      #expect(byImporter.cells.first { $0.importer == "vkms" }?.proofs == [.writeback])
      let reads = byExporter.cells.filter { $0.importer == "video:1" }
      #expect(reads.map(\.verdict) == [Verdict](repeating: .proven, count: 9))
      // vim2m has no picture of this size.
      let small = byExporter.cells.filter { $0.importer == "video:4" }
      #expect(small.allSatisfy { $0.verdict == .untested && $0.errno == nil })
    }

    @Test func `keep fences and lifetimes as exporters`() throws {
      let report = try verify("--exporter", "video:0", "--importer", "vgem", "--fences", "--lifetime")
      let rules = try #require(report.fences) + (try #require(report.lifetimes))
      #expect(rules.count { $0.verdict == .held } == 16)
      #expect(rules.count { $0.verdict == .broken || $0.verdict == .error } == 0)
    }

    @Test func `that only capture are never asked by themselves, and prove nothing`() throws {
      try reload("node_types=0x1")
      defer { #expect(throws: Never.self) { try reload("") } }
      let all = try VideoDevice.all()
      #expect(all.map(\.name) == ["video:0", "video:4"])
      #expect(Importer.readingVideo(among: all).map(\.name) == ["video:4"])
      let report = try verify(
        "--exporter", "vgem", "--exporter", "bochs-drm", "--importer", "video0", "--size", "640x480")
      #expect(report.cells.map(\.verdict) == [.shared, .shared])
      #expect(report.cells.map(\.observers) == [[.v4l2Capture], [.v4l2Capture]])
      #expect(report.cells.map(\.proofs) == [[], []])
    }

    @Test func `that take one piece only are quoted with the kernel's errno`() throws {
      try reload("allocators=1,1")
      defer { #expect(throws: Never.self) { try reload("") } }
      let report = try verify(
        "--exporter", "vgem", "--exporter", "heap", "--exporter", "video:0", "--importer", "vivid", "--size", "1280x720"
      )
      let refused = report.cells.filter { $0.exporter != "video:0" }
      #expect(refused.map(\.verdict) == [.refused, .refused, .refused, .refused])
      #expect(refused.allSatisfy { $0.call == "VIDIOC_QBUF" && $0.errno == "EFAULT" && $0.refusedBy == .either })
      #expect(report.cells.filter { $0.exporter == "video:0" }.map(\.verdict) == [.proven, .proven])
    }

    @Test func `that are not there are no such device`() throws {
      let ran = try Tool.run("verify", "--importer", "video:9")
      #expect(ran.code == 64)
      #expect(ran.standardError.contains("no device is called 'video:9'"))
      #expect(ran.standardError.contains("video:0, video:1, video:2, video:3, video:4"))
    }

    // MARK: - scanout

    private func scanout(_ arguments: String...) throws -> (Ran, ScanoutReport) {
      let ran = try Tool.run(
        ["scanout", "--json", "--on", "vkms", "--mode", "320x180"] + arguments, limit: .seconds(60))
      return (ran, try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8)))
    }

    @Test func `write sixty frames into their own buffers, which a display shows, each of them proven`() throws {
      let (ran, report) = try scanout("--from", "video:0", "--frames", "60")
      #expect(ran.code == 0, "\(ran.standardError)")
      #expect(report.exporterNode == "/dev/video0" && report.allocator == .v4l2 && report.pattern == "camera")
      #expect(report.verdict == .proven && report.witnesses == [.writeback] && report.restored == true)
      #expect(report.frames.map(\.index) == Array(0..<60))
      #expect(report.frames.count { $0.content == .proven } == 60)
      #expect(report.tolerance == 0)
    }

    /// Sets the text that vivid draws over its picture, which is the only thing in it that changes.
    func setText(_ item: Int32) throws {
      let file = try #require(try VideoDevice.all().named("video:0").first).open()
      var id: UInt32 = 0
      while case .success(let control) = file.kernel.videoNextControl(file.rawDescriptor, after: id) {
        id = control.id
        guard control.name == "OSD Text Mode" else { continue }
        _ = try file.kernel.videoSetControl(file.rawDescriptor, control.id, item).get()
        return
      }
      Issue.record("vivid has no control of its text")
    }

    @Test func `that write one picture twice prove no frame, since an old one could not be told`() throws {
      try setText(2)
      defer { #expect(throws: Never.self) { try setText(0) } }
      let (ran, report) = try scanout("--from", "video:0", "--frames", "3")
      #expect(ran.code == 77)
      #expect(report.verdict == .untested)
      #expect(report.reason?.contains("frames 0 and 1 of video:0 are one picture") == true, "\(report.reason ?? "")")
    }

    @Test func `hold a given picture, which is drawn by the CPU`() throws {
      let (ran, report) = try scanout("--from", "video:0", "--frames", "3", "--pattern", "smpte")
      #expect(ran.code == 0)
      #expect(report.verdict == .proven && report.pattern == "smpte")
    }

    @Test func `are told from what is no camera`() throws {
      for (from, words) in [("vgem", "vgem is no capture node"), ("vivid", "say which of video:0, video:1")] {
        let ran = try Tool.run("scanout", "--from", from, "--on", "vkms", "--pattern", "camera")
        #expect(ran.code == 64)
        #expect(ran.standardError.contains(words))
      }
    }
  }
}
