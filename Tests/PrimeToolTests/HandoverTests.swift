import Foundation
import Glibc
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// `export` and `import` in two processes.
  @Suite("A buffer handed to another process")
  struct Handover {
    /// A path that no other test uses.
    static func newPath() -> String { "\(NSTemporaryDirectory())/handover-\(UInt32.random(in: 0 ... .max))" }

    static func report(_ ran: Ran) throws -> HandoverReport {
      try JSONDecoder().decode(HandoverReport.self, from: Data(ran.standardOutput.utf8))
    }

    /// Runs both ends with a small picture, and gives what each of them printed.
    func handOver(
      _ exporting: [String], _ importing: [String], at address: String = newPath(), limit: Duration = .seconds(60)
    ) throws -> (exporter: Ran, importer: Ran) {
      let exporter = try RunningTool(["export", "--to", address, "--size", "64x48"] + exporting)
      let importer = try RunningTool(["import", "--from", address] + importing)
      let imported = try importer.finish(within: limit)
      return (try exporter.finish(within: limit), imported)
    }

    @Test func `is shared, written back and seen on both ends`() throws {
      let path = Self.newPath()
      let ran = try handOver(["--from", "vgem", "--write-back"], ["--on", "vgem"], at: path)
      #expect(ran.exporter.standardError == "")
      #expect(
        ran.exporter.standardOutput == """
          reported: vgem dumb 64x48 XRGB8888 linear → user 0, written back and seen: \
          the importer reports that it holds the buffer, which is not this side's look

          """)
      #expect(
        ran.importer.standardOutput == """
          held by gbm-map, identity: user 0 64x48 XRGB8888 linear → vgem, written back and seen: \
          vgem took the handle; whether it mapped the buffer cannot be seen here: the kernel's trace events tell it to \
          root, from Linux 6.12 on, where another device made the buffer

          """)
      #expect([ran.exporter.code, ran.importer.code] == [0, 0])
      #expect(!FileManager.default.fileExists(atPath: path))
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `in a dma-buf for each plane arrives, and what is written back into both is seen`() throws {
      let ran = try handOver(
        ["--from", "vgem", "--format", "NV12", "--disjoint", "--write-back", "--json"], ["--on", "vkms", "--json"])
      let importer = try Self.report(ran.importer)
      #expect(importer.verdict == .shared)
      #expect(importer.observers == [.identity])
      #expect(importer.format == "NV12")
      let exporter = try Self.report(ran.exporter)
      #expect(exporter.verdict == .reported)
      #expect(exporter.wroteBack)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `through the abstract name space reaches a display engine`() throws {
      let ran = try handOver(
        ["--from", "udmabuf", "--json"], ["--on", "vkms", "--json", "--write-back"], at: "abstract:prime-tool-test")
      let importer = try Self.report(ran.importer)
      #expect(importer.verdict == .proven)
      #expect(importer.observers == [.writeback, .identity])
      #expect(importer.wroteBack)
      let exporter = try Self.report(ran.exporter)
      #expect(exporter.verdict == .reported)
      #expect(exporter.reason == "the importer reports that it proved the content, which is not this side's look")
      #expect(exporter.wroteBack)
      #expect(exporter.seed == importer.seed)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `is refused by the importer's kernel, and both ends say why`() throws {
      let ran = try handOver(["--from", "heap"], ["--on", "virtio_gpu"])
      let reason =
        "drmPrimeFDToHandle ENODEV: virtio_gpu takes no buffers of other devices, and refuses a page of udmabuf, heap, vgem "
        + "and vkms too, while vgem takes this buffer of the exporter: its driver imports only what it exported itself\n"
      #expect(
        ran.importer.standardOutput.hasSuffix(reason)
          && ran.importer.standardOutput.hasPrefix("refused: user 0 64x48 XRGB8888 linear → virtio_gpu: "),
        "\(ran.importer.standardOutput)")
      #expect(
        ran.exporter.standardOutput == "refused: heap:system 64x48 XRGB8888 linear → user 0: \(reason)",
        "\(ran.exporter.standardOutput)")
      #expect([ran.exporter.code, ran.importer.code] == [1, 1])
    }

    /// Nobody tells the importer which device a buffer is of, so that its own mapping of it, which would be a proof on that
    /// device alone, is not asked.
    ///
    /// Every exporter to two importers and every importer from one exporter; each pair with `PRIME_HANDOVER_PAIRS=all`, which the soak sets.
    @Test func `has the verdicts of one process in two, but for those of native-map`() throws {
      let one = try Tool.run("verify", "--json", "--size", "64x48", limit: .seconds(300))
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(one.standardOutput.utf8))
      #expect(report.cells.count == 48)
      let wantsAll = ProcessInfo.processInfo.environment["PRIME_HANDOVER_PAIRS"] == "all"
      let cells = report.cells.filter { wantsAll || ["vgem", "vkms"].contains($0.importer) || $0.exporter == "vgem" }
      #expect(cells.count == (wantsAll ? 48 : 20))
      for cell in cells {
        let ran = try handOver(
          ["--from", cell.exporter, "--json", "--write-back"], ["--on", cell.importer, "--json"], limit: .seconds(120))
        let name = "\(cell.exporter) → \(cell.importer)"
        let importer = try Self.report(ran.importer)
        let exporter = try Self.report(ran.exporter)
        let observers = cell.observers.filter { $0 != .nativeMap }
        let verdict = cell.verdict == .proven && observers == [.identity] ? .held : cell.verdict
        #expect(importer.verdict == verdict, "\(name): \(importer.reason ?? "")")
        #expect(exporter.verdict == (verdict.arrives ? .reported : verdict), "\(name): \(exporter.reason ?? "")")
        // Mesa is asked where nobody else could look; its map in the lab is no copy.
        #expect(importer.observers.filter { $0 != .gbmMap } == observers, "\(name)")
        #expect([importer.call, importer.errno] == [cell.call, cell.errno], "\(name)")
      }
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `is taken and given by a client in C that knows the documentation alone`() throws {
      let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("examples/handover.c").path
      let client = Self.newPath()
      defer { unlink(client) }
      let built = try RunningTool(
        command: ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-o", client, source]
      ).finish(within: .seconds(120))
      try #require(built.code == 0, "\(built.standardError)")
      let path = Self.newPath()
      let exporter = try RunningTool(["export", "--from", "vgem", "--to", path, "--write-back"])
      #expect(exporter.wait { FileManager.default.fileExists(atPath: path) })
      let taken = try RunningTool(command: [client, "import", path]).finish()
      #expect(taken.standardOutput == "1024x768 verified, written back and seen\n", "\(taken.standardError)")
      let exported = try exporter.finish()
      #expect(
        exported.standardOutput == """
          reported: vgem dumb 1024x768 XRGB8888 linear → user 0, written back and seen: \
          the importer reports that it holds the buffer, which is not this side's look

          """)
      #expect([taken.code, exported.code] == [0, 0])
      let giving = try RunningTool(command: [client, "export", path])
      let imported = try Tool.run("import", "--on", "vgem", "--from", path)
      let given = try giving.finish()
      #expect(given.standardOutput == "64x48 written back and verified\n", "\(given.standardError)")
      #expect(
        imported.standardOutput == "shared by identity: user 0 64x48 XRGB8888 linear → vgem, written back and seen\n")
      #expect([given.code, imported.code] == [0, 0])
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `is inherited by a program, alone and described`() throws {
      let ran = try Tool.shell(
        "prime-tool export --from vgem --size 64x48 --seed 5 -- sh -c '"
          + "test \"$(readlink /proc/self/fd/$PRIME_FD)\" = /dmabuf: || exit 99; ls /proc/self/fd | wc -w; "
          + "echo $PRIME_FOURCC $PRIME_WIDTH $PRIME_HEIGHT $PRIME_PITCH $PRIME_OFFSET $PRIME_MODIFIER $PRIME_SIZE "
          + "$PRIME_SEED $PRIME_PLANES; exit 7'")
      // Standard ones, the folder that ls reads, and the dma-buf.
      #expect(ran.standardOutput == "5\nXR24 64 48 256 0 0x0000000000000000 12288 5 1\n")
      #expect(ran.standardError == "")
      #expect(ran.code == 7)
      let idle = try Tool.run("export", "--from", "vgem", "--size", "64x48", "--write-back", "--", "true")
      #expect(idle.standardError.contains("it still shows pattern A, written earlier"), "\(idle.standardError)")
      #expect(idle.code == 1)
      let missing = try Tool.run("export", "--from", "vgem", "--", "/no/such/program")
      #expect(
        missing.standardError == "prime-tool: /no/such/program could not be started: No such file or directory\n")
      #expect(missing.code == 64)
      let slow = try Tool.run("export", "--from", "vgem", "--timeout", "6", "--", "sleep", "50")
      #expect(slow.standardError == "prime-tool: the program did not end in time and was ended: raise --timeout\n")
      #expect(slow.code == 1)
      #expect(Tool.hasNoDMABufs())
    }

    /// Twice in a moment is how `timeout` sends it.
    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT], [1, 2])
    func `waited for in vain is given up at a signal`(signal: CInt, count: Int) throws {
      let path = Self.newPath()
      let exporter = try RunningTool(["export", "--from", "heap", "--to", path])
      #expect(exporter.wait { FileManager.default.fileExists(atPath: path) })
      for _ in 0..<count { exporter.send(signal) }
      let ran = try exporter.finish(within: .seconds(20))
      #expect(ran.code == 128 + signal)
      #expect(ran.standardError == "prime-tool: interrupted after 0 of 1 hand-overs\n")
      #expect(!FileManager.default.fileExists(atPath: path))
      #expect(Tool.hasNoDMABufs())
    }

    @Test(arguments: [
      (["export", "--from", "vgem"], "give either --to with an address, or a program behind --"),
      (["export", "--from", "vgem", "--to", "x", "--", "true"], "give either --to with an address"),
      (["export", "--from", "vgem", "--to", "fd:x"], "--to takes a path or abstract:NAME, of at most 107 bytes"),
      (["import", "--on", "vgem", "--from", "fd:3", "--count", "2"], "--from fd:N is one connection"),
    ])
    func `asked for wrongly is a sentence`(arguments: [String], sentence: String) throws {
      let ran = try RunningTool(arguments).finish()
      #expect(ran.standardError.contains(sentence), "\(ran.standardError)")
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }
  }
}
