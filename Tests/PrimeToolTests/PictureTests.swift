import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  @Suite("Pictures of every kind")
  struct Pictures {
    private func report(_ arguments: [String]) throws -> VerifyReport {
      let ran = try RunningTool(["verify", "--json", "--seed", "7"] + arguments).finish()
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      return try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
    }

    @Test func `of odd and of common sizes are proven`() throws {
      let sizes = ["1x1", "17x3", "1023x769", "1920x1080"]
      let cells = try report(
        ["--exporter", "vgem", "--importer", "vkms"] + sizes.flatMap { ["--size", $0] }
      ).cells
      #expect(cells.map { "\($0.width)x\($0.height)" } == sizes)
      #expect(cells.map(\.verdict) == [.proven, .proven, .proven, .proven])
      #expect(cells.allSatisfy { $0.observers == [.writeback, .identity] && $0.controls == 6 })
    }

    @Test func `of 3840x2160 are proven with two buffers and little else in memory`() throws {
      let tool = try RunningTool(
        ["verify", "--json", "--exporter", "vgem", "--importer", "vkms", "--size", "3840x2160"], watchesBuffers: true)
      let ran = try tool.finish()
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      #expect(report.cells.map(\.verdict) == [.proven])
      // The picture and the target of the writeback, 3840 * 2160 * 4 bytes each, a page that a fence comes from, and nothing
      // that grows with them.
      #expect(ran.peakBuffers == 2 * 33_177_600 + 4096)
      #expect(ran.peakMemory > 0)
      #expect(ran.peakMemory <= 32 << 20)
      print("peak memory: process \(ran.peakMemory) bytes, dma-bufs \(ran.peakBuffers) bytes")
    }

    @Test func `too large for this machine are skipped, with the numbers`() throws {
      let ran = try Tool.run(
        "verify", "--exporter", "vgem", "--importer", "vkms", "--size", "16384x16384", "--format", "XRGB16161616")
      #expect(ran.code == 77)
      #expect(
        ran.standardError.wholeMatch(
          of:
            /prime-tool: vgem: the buffer needs 2048 MiB and this machine has \d+ MiB available: use a smaller --size\n/
        ) != nil)
      #expect(ran.standardOutput.contains("vgem dumb            untested"))
    }

    @Test func `too large for udmabuf are refused, with the limit`() throws {
      let cell = try #require(
        try report(["--exporter", "udmabuf", "--importer", "vkms", "--size", "16384x16384"]).cells.first)
      #expect(cell.verdict == .refused)
      #expect(cell.refusedBy == .exporter)
      #expect(cell.call == "UDMABUF_CREATE")
      #expect(cell.errno == "EINVAL")
      #expect(
        cell.reason
          == "/dev/udmabuf: the buffer needs 1024 MiB and udmabuf allows 64: raise "
          + "/sys/module/udmabuf/parameters/size_limit_mb or use a smaller --size")
    }

    @Test func `of every depth are proven`() throws {
      let formats = ["RGB565", "ARGB8888", "XRGB16161616", "R8"]
      let cells = try report(
        ["--exporter", "vgem", "--importer", "vkms", "--size", "64x32"] + formats.flatMap { ["--format", $0] }
      ).cells
      #expect(cells.map(\.format) == formats)
      #expect(cells.map(\.verdict) == [.proven, .proven, .proven, .proven])
    }

    @Test func `that GBM allocates arrive as those of the kernel do`() throws {
      let cells = try report(
        [
          "--allocator", "gbm", "--size", "64x64", "--exporter", "virtio_gpu", "--importer", "vkms", "--importer",
          "vgem", "--importer", "qxl",
        ]
      ).cells
      #expect(cells.map(\.allocator) == [.gbm, .gbm, .gbm])
      #expect(cells.map(\.modifier) == ["invalid", "invalid", "invalid"])
      #expect(cells.map(\.verdict) == [.proven, .shared, .refused])
      #expect(cells.last?.errno == "ENOSYS")
    }

    @Test func `with a modifier that Mesa cannot allocate are refused by that call`() throws {
      let cell = try #require(
        try report(
          [
            "--allocator", "gbm", "--modifier", "linear", "--size", "64x64", "--exporter", "virtio_gpu", "--importer",
            "vkms",
          ]
        ).cells.first)
      #expect(cell.verdict == .refused)
      #expect(cell.refusedBy == .exporter)
      #expect(cell.call == "gbm_bo_create_with_modifiers2")
      #expect(cell.errno == "EINVAL")
      #expect(cell.modifier == "linear")
      #expect(
        cell.reason?.hasSuffix(
          "its Mesa driver allocates with none of these modifiers: leave --modifier out for an implicit one") == true)
    }
  }
}
