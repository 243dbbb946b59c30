import Foundation
import Prime
import PrimeVerify
import Testing

extension Trait where Self == ConditionTrait {
  /// Runs where virtio_gpu draws in 3D.
  static var onAGPU: Self {
    let with = ProcessInfo.processInfo.environment["PRIME_LAB_WITH"] ?? ""
    return .enabled(
      if: with.split(whereSeparator: { " ,".contains($0) }).contains("gpu"),
      "this needs a GPU in the guest: run it in `lab/run --gpu`")
  }
}

extension ToolOnARealKernel {
  /// The first program to use the GPU finds nothing of Mesa in the guest's caches, for which cells have more time.
  @Suite("A GPU in the lab", .onAGPU)
  struct OnAGPU {
    private static let size = ["--size", "128x96", "--cell-timeout", "40"]

    static func report(_ arguments: [String]) throws -> (ran: Ran, report: VerifyReport) {
      let ran = try Tool.run(["verify", "--json"] + size + arguments, limit: .seconds(200))
      return (ran, try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)))
    }

    /// One run without `--witness` for the tests of this suite.
    static let run = Result {
      try report([
        "--exporter", "virtio_gpu", "--exporter", "gpu:virtio_gpu", "--exporter", "vgem", "--importer", "virtio_gpu",
        "--importer", "vkms",
      ])
    }

    private func cell(_ exporter: String, _ importer: String) throws -> CellReport {
      let cells = try Self.run.get().report.cells
      return try #require(cells.first { $0.exporter == exporter && $0.importer == importer })
    }

    @Test func `reads its own buffer, behind the transfer that nobody else makes`() throws {
      let cell = try cell("virtio_gpu", "virtio_gpu")
      #expect(cell.verdict == .proven)
      #expect(cell.proofs == [.gpu, .nativeMap])
      let witness = try #require(cell.witness)
      #expect(witness.renderer.hasPrefix("virgl ("))
      #expect(witness.kind == .device)
      #expect(witness.transfer == "DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST")
      #expect(witness.isUpsideDown == true)
      #expect(
        cell.warning
          == "virtio_gpu has two copies of its buffer that nobody transfers: its GPU sees what the CPU wrote only after "
          + "DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST and DRM_IOCTL_VIRTGPU_WAIT, which this tool makes; SYNC carries nothing "
          + "over; the GPU has the picture upside down, as virgl keeps what a display shows")
    }

    @Test func `takes no buffer of another device`() throws {
      let cell = try cell("vgem", "virtio_gpu")
      #expect(cell.verdict == .refused)
      #expect(cell.errno == "ENODEV")
      #expect(cell.refusedBy == .importer)
      #expect(cell.reason?.contains("its driver imports only what it exported itself") == true)
    }

    @Test func `draws buffers that a display shows, behind a transfer`() throws {
      let cell = try cell("gpu:virtio_gpu", "vkms")
      #expect(cell.verdict == .proven)
      #expect(cell.proofs == [.writeback])
      #expect(cell.drawnBy?.kind == .device)
      #expect(cell.drawnBy?.transfer == "DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST")
      #expect(cell.warning?.contains("what its GPU drew is seen by the CPU and by importers only after") == true)
    }

    @Test func `sees what it drew itself without a transfer`() throws {
      let cell = try cell("gpu:virtio_gpu", "virtio_gpu")
      #expect(cell.verdict == .proven)
      #expect(cell.proofs?.first == .gpu)
      #expect(cell.witness?.transfer == nil)
    }

    @Test func `is not asked where a display engine looks`() throws {
      let cell = try cell("virtio_gpu", "vkms")
      #expect(cell.proofs == [.writeback])
      #expect(cell.witness == nil)
      #expect(!cell.tried.contains { $0.observer == .gpu })
    }

    @Test func `is reported as the schema says, without a failure`() throws {
      let (ran, report) = try Self.run.get()
      #expect(ran.code == 0, "\(ran.standardError)")
      #expect(report.leaks.isClean)
      let path = NSTemporaryDirectory() + "prime-tool-gpu-\(getpid()).json"
      defer { unlink(path) }
      try ran.standardOutput.write(toFile: path, atomically: true, encoding: .utf8)
      let valid = try Tool.validate(path, "schema/verify-2.schema.json")
      #expect(valid.code == 0, "\(valid.standardError)")
    }

    @Test func `is left alone with --witness none`() throws {
      let (_, report) = try Self.report([
        "--witness", "none", "--exporter", "virtio_gpu", "--importer", "virtio_gpu",
      ])
      #expect(report.cells.map(\.proofs) == [[.nativeMap]])
    }

    @Test func `draws what scanout shows`() throws {
      let ran = try Tool.run(
        "scanout", "--from", "gpu:virtio_gpu", "--on", "vkms", "--mode", "128x96", "--frames", "4")
      #expect(ran.standardOutput.contains("\n4 frames, 4 proven, "), "\(ran.standardOutput)\(ran.standardError)")
      #expect(ran.standardOutput.contains("\nproven by writeback: virtio_gpu has two copies"))
      #expect(ran.code == 0)
    }

    /// Mesa 22.3 imports another device's buffer into its software driver, shows something else, and dies.
    @Test func `that is the processor is not believed, and costs nothing but its look`() throws {
      let (ran, report) = try Self.report(["--witness", "gl", "--exporter", "udmabuf", "--importer", "vgem"])
      let cell = try #require(report.cells.first)
      #expect(cell.verdict == .shared)
      #expect(cell.proofs == [])
      #expect(cell.tried.contains { $0.observer == .gpu && $0.call == "witness" && $0.errno == nil })
      #expect(cell.warning?.hasPrefix("prime-witness-gl ") == true, "\(cell.warning ?? "no warning")")
      #expect(ran.code == 0)
    }

    private static func liar(_ way: String) -> String { "/usr/bin/python3 fixtures/witnesses/liar.py \(way)" }

    @Test func `is not what a program says that has the buffer mapped`() throws {
      let (_, report) = try Self.report([
        "--witness", Self.liar("device"), "--exporter", "udmabuf", "--importer", "vgem",
      ])
      let cell = try #require(report.cells.first)
      #expect(cell.verdict == .shared)
      #expect(cell.observers == [.gpu, .identity])
      #expect(cell.proofs == [])
      #expect(cell.witness?.kind == .software)
    }

    @Test(arguments: [
      ("crash", "was ended by SIGSEGV"), ("hang", "does not answer within "),
    ])
    func `is not believed where its program does wrong`(way: String, sentence: String) throws {
      let ran = try Tool.run(
        [
          "verify", "--json", "--size", "128x96", "--cell-timeout", "30", "--witness", Self.liar(way), "--exporter",
          "udmabuf", "--importer", "vgem",
        ], limit: .seconds(90))
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      let cell = try #require(report.cells.first)
      #expect(cell.verdict == .shared, "\(cell.reason ?? "")")
      #expect(cell.proofs == [])
      #expect(cell.warning?.contains(sentence) == true, "\(cell.warning ?? "no warning")")
      #expect(ran.code == 0)
      let left = try Tool.shell("pgrep -f 'liar[.]py'")
      #expect(left.standardOutput == "")
    }
  }
}
