import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel.OnAGPU {
  private typealias Handover = ToolOnARealKernel.Handover

  /// Runs both ends with a small picture, once more where a busy machine kept a program of Mesa's from answering in time.
  private static func handOver(
    _ exporting: [String], _ importing: [String], by importer: String = Tool.path
  ) throws -> (exporter: Ran, importer: Ran) {
    for _ in 0..<4 {
      let ran = try handOverOnce(exporting, importing, by: importer)
      let isLate = [ran.exporter, ran.importer].contains { $0.standardOutput.contains(" does not answer within ") }
      guard isLate else { return ran }
    }
    return try handOverOnce(exporting, importing, by: importer)
  }

  private static func handOverOnce(
    _ exporting: [String], _ importing: [String], by importer: String
  ) throws -> (exporter: Ran, importer: Ran) {
    let address = Handover.newPath()
    let options = ["--json", "--timeout", "40"]
    let exporting = try RunningTool(["export", "--to", address, "--size", "128x96"] + options + exporting)
    let importing = try RunningTool(command: [importer, "import", "--from", address] + options + importing)
    let imported = try importing.finish(within: .seconds(120))
    return (try exporting.finish(within: .seconds(120)), imported)
  }

  @Test(arguments: ["dumb", "gbm"])
  func `has its own buffer handed over, behind the transfer that nobody else makes`(allocator: String) throws {
    let ran = try Self.handOver(
      ["--from", "virtio_gpu", "--allocator", allocator, "--write-back"], ["--on", "virtio_gpu"])
    let importer = try Handover.report(ran.importer)
    #expect(importer.verdict == .proven, "\(importer.reason ?? "")")
    #expect(importer.observers == [.gpu, .nativeMap, .identity])
    #expect(importer.wroteBack)
    #expect(importer.witness?.kind == .device)
    #expect(importer.witness?.transfer == "DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST")
    #expect(importer.warning?.hasPrefix("virtio_gpu has two copies of its buffer that nobody transfers: ") == true)
    #expect(try Handover.report(ran.exporter).verdict == .reported)
    #expect([ran.exporter.code, ran.importer.code] == [0, 0], "\(ran.importer.standardError)")
  }

  @Test func `that no program looks with has a copy of its own, of which nothing is known`() throws {
    let folder = "\(NSTemporaryDirectory())/prime-tool-alone-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.copyItem(atPath: Tool.path, toPath: "\(folder)/prime-tool")
    let ran = try Self.handOver(["--from", "virtio_gpu"], ["--on", "virtio_gpu"], by: "\(folder)/prime-tool")
    let importer = try Handover.report(ran.importer)
    #expect(importer.verdict == .proven)
    #expect(importer.observers == [.nativeMap, .identity])
    #expect(
      importer.warning
        == "virtio_gpu has two copies of its buffer that nobody transfers, and its GPU's was not looked at: "
        + "no prime-witness-gl was asked")
    #expect([ran.exporter.code, ran.importer.code] == [0, 0])
  }

  @Test(arguments: ["vkms", "virtio_gpu"])
  func `draws what is handed over, and leaves nothing behind`(importer: String) throws {
    let ran = try Self.handOver(["--from", "gpu:virtio_gpu", "--write-back"], ["--on", importer])
    let exporter = try Handover.report(ran.exporter)
    #expect(exporter.verdict == .reported, "\(exporter.reason ?? "")")
    #expect(exporter.wroteBack)
    #expect(exporter.drawnBy?.kind == .device)
    #expect(exporter.drawnBy?.transfer == "DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST")
    #expect(exporter.warning?.contains("what its GPU drew is seen by the CPU and by importers only after") == true)
    let imported = try Handover.report(ran.importer)
    #expect(imported.verdict == .proven, "\(imported.reason ?? "")")
    #expect(imported.observers.first == (importer == "vkms" ? .writeback : .gpu))
    #expect([ran.exporter.code, ran.importer.code] == [0, 0], "\(ran.importer.standardError)")
    #expect(Tool.hasNoDMABufs())
  }

  /// vgem's render node makes no buffers for Mesa's software driver, and its primary node does.
  @Test func `that is none draws on the primary node, and is told to be the processor`() throws {
    let arguments = [
      "verify", "--json", "--size", "128x96", "--cell-timeout", "60", "--exporter", "gpu:vgem", "--importer", "vkms",
    ]
    var ran = try Tool.run(arguments, limit: .seconds(100))
    for _ in 0..<3 where ran.standardOutput.contains(" does not answer within ") {
      ran = try Tool.run(arguments, limit: .seconds(100))
    }
    let cell = try #require(
      try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)).cells.first)
    #expect(cell.verdict == .proven, "\(cell.reason ?? "")")
    #expect(cell.proofs == [.writeback])
    #expect(cell.drawnBy?.kind == .software)
    #expect(cell.warning?.hasPrefix("no GPU drew this: llvmpipe") == true, "\(cell.warning ?? "no warning")")
    #expect(ran.code == 0)
  }

  @Test func `needs more than SYNC for what the CPU writes`() throws {
    let ran = try Tool.run(
      [
        "verify", "--json", "--size", "128x96", "--cell-timeout", "40", "--exporter", "virtio_gpu", "--importer",
        "virtio_gpu", "--importer", "vkms", "--coherency",
      ], limit: .seconds(200))
    let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
    let coherency = try #require(report.coherency)
    #expect(coherency.map(\.importer) == ["virtio_gpu", "vkms"])
    #expect(coherency.map(\.answer) == [.neededAndNotDone, .notNeeded])
    #expect(
      coherency.first?.reason
        == "virtio_gpu has two copies of its buffer: what the CPU writes reaches its GPU by "
        + "DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, and by no SYNC")
    #expect(ran.code == 1)
  }
}
