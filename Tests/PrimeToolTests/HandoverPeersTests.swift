import Foundation
import Glibc
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// Who may take part, what may be in the way, and what becomes of one end when the other goes.
  @Suite("The two ends of a hand-over")
  struct HandoverPeers {
    private func newPath() -> String { Handover.newPath() }

    /// `prime-tool` as nobody, in the group of the render nodes.
    private func asNobody(_ arguments: [String]) throws -> RunningTool {
      try RunningTool(
        command: ["setpriv", "--reuid=65534", "--regid=65534", "--groups=render", Tool.path] + arguments)
    }

    private func mode(_ path: String) -> mode_t {
      var status = stat()
      return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    @Test func `may belong to two users, the importer unprivileged on a render node`() throws {
      let path = newPath()
      let exporter = try RunningTool(
        ["export", "--from", "udmabuf", "--to", path, "--size", "64x48", "--write-back", "--allow-uid", "65534"])
      #expect(exporter.wait { self.mode(path) == 0o666 })
      let importer = try asNobody(["import", "--on", "vgem", "--from", path, "--allow-uid", "0", "--json"]).finish()
      let report = try Handover.report(importer)
      #expect(report.node?.hasPrefix("/dev/dri/renderD") == true)
      #expect(report.verdict == .shared)
      #expect(report.wroteBack)
      #expect(importer.code == 0)
      let exported = try exporter.finish()
      #expect(
        exported.standardOutput == """
          reported: udmabuf 64x48 XRGB8888 linear → user 65534, written back and seen: \
          the importer reports that it holds the buffer, which is not this side's look

          """)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `have the verdicts of one process for every pair with a render node, as two users`() throws {
      let one = try Tool.run(
        "verify", "--json", "--size", "64x48", "--importer", "vgem", "--importer", "virtio_gpu", limit: .seconds(300))
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(one.standardOutput.utf8))
      #expect(report.cells.count == 16)
      for cell in report.cells {
        let path = newPath()
        let name = "\(cell.exporter) → \(cell.importer)"
        let exporter = try RunningTool([
          "export", "--from", cell.exporter, "--to", path, "--size", "64x48", "--write-back", "--json", "--allow-uid",
          "65534",
        ])
        // One whose buffers cannot be had ends before anybody connects.
        #expect(exporter.wait { self.mode(path) == 0o666 })
        let importer = try Handover.report(
          asNobody(["import", "--on", cell.importer, "--from", path, "--allow-uid", "0", "--json"]).finish())
        let exported = try Handover.report(exporter.finish())
        // A render node maps no dumb buffers, so the view that is left there is the dma-buf's own.
        let isSeenByPrimaryAlone = cell.observers.first == .nativeMap
        // Without root only the driver's name tells whether it maps at import.
        let left: Verdict = cell.importer == "vgem" ? .shared : .held
        #expect(importer.verdict == (isSeenByPrimaryAlone ? left : cell.verdict), "\(name): \(importer.reason ?? "")")
        let told: Verdict = importer.verdict.arrives ? .reported : importer.verdict
        #expect(exported.verdict == told, "\(name): \(exported.reason ?? "")")
        #expect([importer.call, importer.errno] == [cell.call, cell.errno], "\(name)")
        #expect(importer.node?.hasPrefix("/dev/dri/renderD") == true, "\(name)")
        #expect([importer.peerUser, exported.peerUser] == [0, 65534], "\(name)")
      }
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `keep strangers out by the file's mode and by the kernel's word`() throws {
      let path = newPath()
      let exporter = try RunningTool(["export", "--from", "heap", "--to", path, "--timeout", "40"])
      #expect(exporter.wait { self.mode(path) != 0 })
      #expect(mode(path) == 0o600)
      let barred = try asNobody(["import", "--on", "vgem", "--from", path, "--timeout", "5"]).finish()
      #expect(
        barred.standardOutput.contains(
          "connect EACCES: \(path): it is not for this user: the exporter's --allow-uid 65534 opens it"),
        "\(barred.standardOutput)")
      #expect(barred.code == 1)
      // The wait goes on for whoever may come.
      let welcome = try Tool.run("import", "--on", "vgem", "--from", path)
      #expect(welcome.code == 0)
      #expect(try exporter.finish().code == 0)

      let name = "abstract:prime-tool-strangers"
      let open = try RunningTool(["export", "--from", "heap", "--to", name, "--timeout", "40"])
      let stranger = try asNobody(
        ["import", "--on", "vgem", "--from", name, "--allow-uid", "0", "--timeout", "20"]
      ).finish()
      #expect(stranger.standardOutput.contains("the other end went away before an offer came"))
      #expect(stranger.code == 1)
      #expect(try Tool.run("import", "--on", "vgem", "--from", name).code == 0)
      let exported = try open.finish()
      #expect(
        exported.standardError
          == "prime-tool: turned away: the other end is user 65534: only user 0 may take part; --allow-uid 65534 lets it\n"
      )
      #expect(exported.code == 0)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `open the socket to other users by its own mode, whatever the umask, and name its path once`() throws {
      let path = newPath()
      let trace = path + ".trace"
      defer { unlink(trace) }
      let ran = try Tool.shell(
        """
        umask 077; strace -f -o \(trace) -e trace=chmod,fchmod,fchmodat,bind,unlink,unlinkat \
          prime-tool export --from heap --to \(path) --allow-uid 65534 --timeout 20 &
        until [ -S \(path) ]; do sleep 0.05; done; stat -c %a \(path); prime-tool import --on vgem --from \(path); wait $!
        """)
      #expect(ran.standardOutput.hasPrefix("666\n"), "\(ran.standardOutput)\(ran.standardError)")
      #expect(ran.code == 0)
      let calls = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n").filter { $0.contains(path) }
      #expect(
        calls.map { $0.drop { $0.isNumber || $0 == " " }.prefix { $0 != "(" } } == ["bind", "unlink"], "\(calls)")
    }

    @Test func `are told at once of a path that is no socket, and of a socket that nobody listens on`() throws {
      let path = newPath()
      defer { unlink(path) }
      try Data().write(to: URL(fileURLWithPath: path))
      let file = try Tool.run("import", "--on", "vgem", "--from", path, "--timeout", "30")
      #expect(
        file.standardOutput
          == "error: nobody → vgem: connect ECONNREFUSED: \(path): something is there that is no socket: name the path "
          + "that `prime-tool export --to` was given\n")
      #expect(file.code == 1)
      #expect(file.duration < .seconds(15))

      unlink(path)
      let killed = try RunningTool(["export", "--from", "heap", "--to", path])
      #expect(killed.wait { self.mode(path) != 0 })
      killed.send(SIGKILL)
      _ = try killed.finish()
      let abandoned = try Tool.run("import", "--on", "vgem", "--from", path, "--timeout", "1.5")
      #expect(abandoned.standardError == "prime-tool: nobody exports at \(path) yet; waiting\n")
      #expect(
        abandoned.standardOutput
          == "error: nobody → vgem: connect: \(path): nobody exports there: start `prime-tool export --to \(path)`, "
          + "or raise --timeout\n")
      #expect(abandoned.code == 1)
    }

    @Test func `replace a socket that nobody listens on, and nothing else`() throws {
      let path = newPath()
      let killed = try RunningTool(["export", "--from", "heap", "--to", path])
      #expect(killed.wait { self.mode(path) != 0 })
      let second = try Tool.run("export", "--from", "heap", "--to", path)
      #expect(
        second.standardOutput.contains("bind EADDRINUSE: \(path): somebody listens there: end the other export"),
        "\(second.standardOutput)")
      #expect(second.code == 1)
      killed.send(SIGKILL)
      _ = try killed.finish()
      #expect(mode(path) != 0)
      let next = try RunningTool(["export", "--from", "heap", "--to", path, "--size", "64x48"])
      let imported = try Tool.run("import", "--on", "vgem", "--from", path)
      #expect(imported.code == 0, "\(imported.standardOutput)\(imported.standardError)")
      #expect(try next.finish().code == 0)
      try Data("mine".utf8).write(to: URL(fileURLWithPath: path))
      let file = try Tool.run("export", "--from", "heap", "--to", path)
      #expect(file.standardOutput.contains("something is there that is no socket"), "\(file.standardOutput)")
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
      unlink(path)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `may be started with one socket each`() throws {
      var ends: [CInt] = [-1, -1]
      try #require(socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
      // Each process gets one end: an end that somebody else holds too is never closed.
      let commands = [
        ["export", "--from", "vgem", "--to", "fd:\(ends[0])"], ["import", "--on", "vgem", "--from", "fd:\(ends[1])"],
      ]
      var tools: [RunningTool] = []
      for (index, command) in commands.enumerated() {
        #expect(fcntl(ends[1 - index], F_SETFD, FD_CLOEXEC) == 0)
        #expect(fcntl(ends[index], F_SETFD, 0) == 0)
        tools.append(try RunningTool(command))
      }
      for end in ends { close(end) }
      for (tool, verdict) in zip(tools, ["reported", "held"]) {
        let ran = try tool.finish()
        #expect(ran.standardOutput.hasPrefix(verdict), "\(ran.standardOutput)\(ran.standardError)")
        #expect(ran.code == 0)
      }
      let file = try Tool.shell("prime-tool import --on vgem --from fd:7 7</dev/null")
      #expect(file.standardOutput.contains("getsockopt ENOTSOCK: fd:7"), "\(file.standardOutput)")
      #expect(file.code == 1)
    }

    /// `PRIME_HANDOVER_KILLS`, or few enough for every run.
    @Test func `survive each other's death at any moment`() throws {
      let kills = ProcessInfo.processInfo.environment["PRIME_HANDOVER_KILLS"].flatMap(Int.init) ?? 10
      let limit = 6
      var (succeeded, failed) = (0, 0)
      var generator = SystemRandomNumberGenerator()
      for round in 0..<kills {
        let path = newPath()
        // One in three has little enough to do that it may be done before.
        let time = ["--timeout", "\(limit)", "--count", round % 3 == 0 ? "1" : "1000"]
        let exporter = try RunningTool(
          ["export", "--from", "vgem", "--to", path, "--size", "64x48", "--write-back"] + time)
        let importer = try RunningTool(["import", "--on", "vgem", "--from", path] + time)
        // Half of them while they are at work, half from their very start on.
        // Two that are quick are done before the file is seen.
        if round % 2 == 0 { _ = exporter.wait(.seconds(2)) { self.mode(path) != 0 } }
        usleep(UInt32.random(in: 0...700_000, using: &generator))
        let (victim, survivor) = round / 2 % 2 == 0 ? (exporter, importer) : (importer, exporter)
        victim.send(SIGKILL)
        _ = try victim.finish()
        // Its own deadline and what ends it when it does not obey that, on a machine that may be slow to start it.
        let ran = try survivor.finish(within: .seconds(limit + 60))
        #expect([0, 1].contains(ran.code), "round \(round): \(ran.code) \(ran.standardError)")
        if ran.code == 0 {
          succeeded += 1
        } else {
          failed += 1
          #expect(
            ran.standardOutput.contains("the other end went away")
              || ran.standardOutput.contains("nobody exports there")
              || ran.standardOutput.contains("it did not finish within")
              // The worker of an importer that is gone says so before it ends.
              || ran.standardOutput.contains("vgem: interrupted"), "round \(round): \(ran.standardOutput)")
        }
        #expect(Tool.hasNoDMABufs(), "round \(round)")
        unlink(path)
      }
      print("\(kills) kills: \(failed) survivors said what happened, \(succeeded) had succeeded")
    }

    @Test func `tell a whole report where the worker that imports is killed`() throws {
      let path = newPath()
      let shown = try Tool.displayState()
      let exporter = try RunningTool(["export", "--from", "vgem", "--to", path, "--count", "100000", "--size", "64x48"])
      let importer = try RunningTool(
        ["import", "--on", "vkms", "--from", path, "--count", "100000", "--write-back", "--json"])
      #expect(importer.wait { (try? Tool.displayState()) != shown }, "it does not look")
      kill(try #require(importer.children.first), SIGKILL)
      let ran = try importer.finish()
      let report = try JSONDecoder().decode(HandoverReport.self, from: Data(ran.standardOutput.utf8))
      #expect(report.verdict == .error)
      #expect(report.reason?.contains(/the process that ran this check \(\d+\) died of SIGKILL/) == true)
      #expect(report.device == "vkms")
      #expect(ran.code == 1)
      #expect(try Tool.displayState() == shown)
      #expect(try exporter.finish().standardOutput.contains("the other end went away"))
      #expect(Tool.hasNoDMABufs())
    }

    /// `PRIME_HANDOVERS`, or few enough for every run.
    @Test func `hand over many times and need no more than for one`() throws {
      let count = ProcessInfo.processInfo.environment["PRIME_HANDOVERS"].flatMap(Int.init) ?? 100
      let arguments = ["--count", "\(count)", "--timeout", "3000"]
      let path = newPath()
      let exporter = try RunningTool(
        // Mesa, which keeps memory of its own, is not asked about a picture of two planes.
        ["export", "--from", "vgem", "--to", path, "--size", "32x32", "--format", "NV12", "--write-back"] + arguments)
      let importer = try RunningTool(["import", "--on", "vgem", "--from", path] + arguments)
      var samples: [[Sample]] = [[], []]
      let start = ContinuousClock.now
      // The importer's hand-overs are its worker's.
      #expect(importer.wait { !importer.children.isEmpty })
      while let worker = importer.children.first, Sample(worker) != nil {
        for (index, process) in [exporter.pid, worker].enumerated() {
          if let sample = Sample(process) { samples[index].append(sample) }
        }
        usleep(20_000)
      }
      let imported = try importer.finish(within: .seconds(3100))
      let exported = try exporter.finish(within: .seconds(3100))
      #expect(imported.standardOutput.contains("\n\(count) of \(count) hand-overs in "), "\(imported.standardOutput)")
      #expect(exported.standardOutput.contains("\n\(count) of \(count) hand-overs in "), "\(exported.standardOutput)")
      for (name, found) in zip(["exporter", "importer"], samples) {
        try #require(found.count > 20)
        // From when everything is loaded until the end.
        let steady = found.dropFirst(found.count / 4).dropLast(2)
        let descriptors = steady.map(\.descriptors)
        let early = steady.prefix(steady.count / 4)
        let late = steady.suffix(steady.count / 4)
        let heap = (early: early.map(\.heap).max() ?? 0, late: late.map(\.heap).max() ?? 0)
        let space = (early: early.map(\.addressSpace).max() ?? 0, late: late.map(\.addressSpace).max() ?? 0)
        let most = steady.map(\.dmaBufs).max() ?? 0
        let mapped = steady.map(\.mappings).max() ?? 0
        print(
          "\(name): \(count) hand-overs, descriptors \(descriptors.min() ?? 0) to \(descriptors.max() ?? 0), "
            + "of dma-bufs at most \(most), mappings of them \(mapped), heap \(heap.early) KiB early, \(heap.late) KiB late"
        )
        #expect((descriptors.max() ?? 0) < 40)
        #expect(most <= 6)
        #expect(mapped <= 3)
        #expect(heap.late < heap.early + 256)
        #expect(space.late < space.early + 1024)
      }
      print("\(count) hand-overs in \(ContinuousClock.now - start)")
      #expect(Tool.hasNoDMABufs())
    }

    /// What a process holds at one moment; nil when it has ended.
    struct Sample {
      var descriptors = 0
      var dmaBufs = 0
      /// Mappings of dma-bufs.
      var mappings = 0
      /// Resident private memory, in KiB.
      ///
      /// Pages of the program's own files come and go with what it last did, so they are no measure.
      var heap = 0
      /// In KiB.
      var addressSpace = 0

      init?(_ process: pid_t) {
        let folder = "/proc/\(process)/fd"
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder), !names.isEmpty else {
          return nil
        }
        descriptors = names.count
        dmaBufs = names.count {
          (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == "/dmabuf:"
        }
        let proc = URL(filePath: "/proc/\(process)")
        guard let maps = try? String(contentsOf: proc.appending(path: "maps"), encoding: .utf8),
          let status = try? String(contentsOf: proc.appending(path: "status"), encoding: .utf8)
        else { return nil }
        mappings = maps.split(separator: "\n").count { $0.contains("/dmabuf:") }
        func kibibytes(_ name: String) -> Int? {
          status.split(separator: "\n").first { $0.hasPrefix(name) }?.split(whereSeparator: \.isWhitespace)
            .dropFirst().first.flatMap { Int($0) }
        }
        // A process that is ending has none of these any more.
        guard let anonymous = kibibytes("RssAnon:"), let all = kibibytes("VmSize:") else { return nil }
        (heap, addressSpace) = (anonymous, all)
      }
    }
  }
}
