import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// A link to the system heap stands for a second heap, which a board has: the folder is what tells them.
  @Suite("Several dma-heaps")
  struct Heaps {
    private func withSecondHeap(_ command: String) throws -> Ran {
      let folder = "/run/prime-tool-heaps"
      let script =
        "rm -rf \(folder); mkdir \(folder); cp -a /dev/dma_heap/system \(folder)/system; "
        + "cp -a /dev/dma_heap/system '\(folder)/linux,cma'; mount --bind \(folder) /dev/dma_heap; \(command)"
      return try RunningTool(command: ["unshare", "-m", "sh", "-c", script]).finish()
    }

    private func exporters(_ ran: Ran) throws -> [String] {
      try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)).cells.map(\.exporter)
    }

    @Test(arguments: [
      ("--exporter heap", ["heap:system", "heap:linux,cma"]), ("--allocator heap", ["heap:system", "heap:linux,cma"]),
      ("--exporter heap:linux,cma", ["heap:linux,cma"]),
      ("--exporter heap:system --exporter heap", ["heap:system", "heap:linux,cma"]),
    ])
    func `are exporters of their own, and heap is all of them`(options: String, expected: [String]) throws {
      let ran = try withSecondHeap("prime-tool verify --json --size 64x64 --importer vkms \(options)")
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      #expect(try exporters(ran) == expected)
    }

    @Test func `can be required together or one by one, by names with colons`() throws {
      let verify =
        "prime-tool verify --size 64x64 --exporter heap --importer vkms --importer cirrus --importer virtio_gpu "
      let list = try Tool.run("list", "--json").json()
      let devices = try #require(list["devices"] as? [[String: Any]])
      let cirrus = try #require(devices.first { $0["driver"] as? String == "cirrus" }?["busID"] as? String)
      for held in ["heap:vkms", "heap:system:vkms", "heap:linux,cma:cirrus", "heap:system:pci:\(cirrus)"] {
        #expect(try withSecondHeap(verify + "--require \(held)").code == 0, "\(held)")
      }
      let refused = try withSecondHeap(verify + "--require heap:linux,cma:virtio_gpu")
      #expect(refused.code == 1)
      #expect(refused.standardError.hasPrefix("prime-tool: heap:linux,cma:virtio_gpu had to be "))
    }

    @Test func `that are not there are told from those that are`() throws {
      let ran = try withSecondHeap("prime-tool verify --exporter heap:reserved --importer vkms")
      #expect(
        ran.standardError
          == "prime-tool: no exporter is called 'heap:reserved': present are heap:system, heap:linux,cma\n")
      #expect(ran.code == 64)
      let several = try withSecondHeap("prime-tool export --from heap -- true")
      #expect(several.standardError.contains("heap:system heap, heap:linux,cma heap: name one"))
      #expect(several.code == 64)
    }

    @Test func `may not be opened by everybody, which is told under each name`() throws {
      let user = "setpriv --reuid=65534 --regid=65534 --groups=video "
      let ran = try withSecondHeap(user + "prime-tool verify --json --exporter heap --importer vkms")
      #expect(ran.code == 77)
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      #expect(report.cells.map(\.exporter) == ["heap:system", "heap:linux,cma"])
      for cell in report.cells {
        #expect(cell.errno == "EACCES")
        let heap = cell.exporter.dropFirst("heap:".count)
        #expect(cell.reason?.hasPrefix("/dev/dma_heap/\(heap): only root may open it") == true)
      }
    }
  }
}
