import Foundation
import Testing

extension ToolOnARealKernel {
  @Suite("prime-tool buffers")
  struct Buffers {
    /// A program that holds a dma-buf of udmabuf until it is ended, and its child that inherited it.
    private func holding(_ body: (RunningTool) throws -> Void) throws {
      let holder = try RunningTool(["export", "--from", "udmabuf", "--size", "64x48", "--", "sleep", "30"])
      #expect(
        try holder.wait { try Tool.shell("prime-tool buffers --process sleep").standardOutput.contains("sleep(") })
      try body(holder)
      holder.send(SIGTERM)
      #expect(try holder.finish().code == 143)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `shows who holds which, and who cannot be seen`() throws {
      #expect(try Tool.run("buffers").standardOutput == "no dma-buf\n")
      try holding { holder in
        let ran = try Tool.run("buffers")
        let lines = ran.standardOutput.split(separator: "\n", omittingEmptySubsequences: false)
        try #require(lines.count == 5)
        #expect(lines[0] == "INODE  SIZE      EXPORTER  HELD BY")
        #expect(
          lines[1].contains(
            #/^\d+ +12\.0 KiB  udmabuf   prime-tool\(\d+\) fd \d+ \d+(, 1 mapping)?; sleep\(\d+\) fd \d+$/#),
          "\(lines[1])")
        #expect(lines[1].contains("prime-tool(\(holder.pid))"))
        #expect(lines[3] == "1 dma-buf, 12.0 KiB")
        #expect(ran.standardError == "")
        #expect(ran.code == 0)
        let other = try Tool.run("buffers", "--process", "\(getpid())")
        #expect(other.standardOutput == "no dma-buf\n")
        let stranger = try Tool.shell("setpriv --reuid 65534 --regid 65534 --clear-groups prime-tool buffers")
        #expect(stranger.standardOutput == "no dma-buf\n")
        #expect(
          stranger.standardError.contains(
            #/the kernel's list of dma-bufs cannot be read and \d+ processes of others cannot be looked at: run it as root\n$/#
          ))
        #expect(stranger.code == 77)
      }
    }

    /// Two dma-bufs of the system heap: one held by descriptor, and one by a message alone, which no process shows.
    private static let holdsAndSends = """
      import fcntl, os, socket, struct, time
      heap = os.open("/dev/dma_heap/system", os.O_RDWR)
      def make(size):
          return struct.unpack("QIIQ", fcntl.ioctl(heap, 0xc0184800, struct.pack("QIIQ", size, 0, 0o2000002, 0)))[1]
      held, sent = make(4096), make(8192)
      fcntl.ioctl(sent, 0x40086201, b"under\\tway\\0")
      ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
      socket.send_fds(ends[0], [b"x"], [sent])
      os.close(sent)
      print("ready", flush=True)
      time.sleep(600)
      """

    @Test func `without debugfs lists what the kernel's BPF iterator does, where it has one`() throws {
      let path = NSTemporaryDirectory() + "prime-tool-buffers-holder-\(getpid())"
      try Data(Self.holdsAndSends.utf8).write(to: URL(fileURLWithPath: "\(path).py"))
      let holder = try RunningTool(command: ["sh", "-c", "exec /usr/bin/python3 \(path).py >\(path).ready"])
      defer { for end in ["py", "ready"] { unlink("\(path).\(end)") } }
      let ready = "\(path).ready"
      #expect(holder.wait(.seconds(60)) { (try? String(contentsOfFile: ready, encoding: .utf8)) == "ready\n" })
      let whole = try #require(try Tool.run("buffers", "--json").json()["buffers"] as? [[String: Any]])
      let blind = "unshare -m sh -c 'umount /sys/kernel/debug; prime-tool buffers"
      let (text, json) = (try Tool.shell("\(blind)'"), try Tool.shell("\(blind) --json'"))
      let user = try Tool.shell(
        "unshare -m sh -c 'umount /sys/kernel/debug; "
          + "setpriv --reuid 65534 --regid 65534 --clear-groups prime-tool buffers'")
      holder.send(SIGTERM)
      #expect(try holder.finish(within: .seconds(600)).code == 143)
      #expect(Tool.hasNoDMABufs())

      let report = try json.json()
      let buffers = try #require(report["buffers"] as? [[String: Any]])
      #expect(whole.map { $0["byteCount"] as? Int } == [4096, 8192])
      #expect(text.code == 0)
      #expect(user.standardError.hasSuffix("others cannot be looked at: run it as root\n"))
      #expect(user.code == 77)
      let mount = "(`mount -t debugfs none /sys/kernel/debug`)\n"
      let release = try #require(Tool.release)
      guard !["6.1.", "6.12."].contains(where: release.hasPrefix) else {
        #expect(
          text.standardError == "prime-tool: the kernel's list of dma-bufs cannot be read: run it as root, with "
            + "debugfs mounted \(mount)")
        #expect(report["showsKernel"] as? Bool == false)
        #expect(report["list"] == nil)
        #expect(buffers.map { $0["byteCount"] as? Int } == [4096])
        return
      }
      #expect(
        text.standardError == "prime-tool: attached devices, fences and what the kernel itself holds are unknown, "
          + "which the kernel's BPF iterator does not list: mount debugfs \(mount)")
      #expect(report["list"] as? String == "iterator")
      for key in ["inode", "byteCount"] {
        #expect(buffers.map { $0[key] as? Int } == whole.map { $0[key] as? Int }, "\(key)")
      }
      for key in ["exporter", "name"] {
        #expect(buffers.map { $0[key] as? String } == whole.map { $0[key] as? String }, "\(key)")
      }
      #expect(buffers.map { $0["name"] as? String } == [nil, "under\tway"])
      #expect(text.standardOutput.contains(#/ 8\.0 KiB +system +under.way +nobody that can be seen\n/#))
      // What the list does not tell is not said to be none.
      for key in ["kernelReferences", "attachedDevices", "fences"] {
        #expect(buffers.allSatisfy { $0[key] == nil } && whole.allSatisfy { $0[key] != nil }, "\(key)")
      }
    }

    @Test func `shows to a user what is that user's own`() throws {
      let ran = try Tool.shell(
        "setpriv --reuid 65534 --regid 65534 --groups video,render prime-tool export --from vgem --allocator dumb "
          + "--size 64x48 -- prime-tool buffers --json")
      let buffers = try #require(try ran.json()["buffers"] as? [[String: Any]])
      try #require(buffers.count == 1)
      #expect(buffers[0]["exporter"] as? String == "drm")
      #expect(buffers[0]["byteCount"] as? Int == 12288)
      let holders = try #require(buffers[0]["holders"] as? [[String: Any]])
      #expect(holders.map { $0["user"] as? Int } == [65534, 65534])
      // What nobody lists is not said to be none.
      #expect(buffers[0]["attachedDevices"] == nil)
      #expect(ran.code == 0)
    }

    @Test func `names the importer's device, and has reports that their schema describes`() throws {
      let shown = try RunningTool([
        "scanout", "--from", "vgem", "--on", "cirrus", "--mode", "640x480", "--hold", "60", "--timeout", "120",
      ])
      #expect(try shown.wait { try Tool.run("buffers").standardOutput.contains("(cirrus)") })
      let folder = NSTemporaryDirectory() + "prime-tool-buffers-\(getpid())"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let report = try Tool.shell("prime-tool buffers --json | tee \(folder)/report.json")
      let buffers = try #require(try report.json()["buffers"] as? [[String: Any]])
      let devices = buffers.flatMap { $0["attachedDevices"] as? [[String: Any]] ?? [] }
      #expect(Set(devices.compactMap { $0["driver"] as? String }) == ["cirrus"])
      #expect(buffers.allSatisfy { ($0["kernelReferences"] as? Int ?? 0) > 0 })
      let watched = try Tool.shell("prime-tool buffers --watch --json --timeout 1 | tail -1 | tee \(folder)/line.json")
      #expect(watched.standardOutput.contains("\"schema\":\"prime-tool/buffers/1\""))
      shown.send(SIGINT)
      #expect(try shown.finish().code == 130)
      let leaks = try Tool.shell("prime-tool buffers --leaks --json -- true >\(folder)/leaks.json")
      #expect(leaks.code == 0)
      for name in ["report", "line", "leaks"] {
        let valid = try Tool.validate("\(folder)/\(name).json", "schema/buffers-1.schema.json")
        #expect(valid.code == 0, "\(name): \(valid.standardError)")
      }
    }

    @Test func `tells what comes, changes hands and goes`() throws {
      let watch = try RunningTool(["buffers", "--watch", "--interval", "0.05"])
      usleep(1_000_000)
      let shell = try RunningTool([
        "export", "--from", "udmabuf", "--size", "64x48", "--", "sh", "-c", "sleep 2; timeout 2 sleep 9; true",
      ])
      #expect(try shell.finish().code == 0)
      usleep(500_000)
      watch.send(SIGINT)
      let ran = try watch.finish()
      #expect(ran.code == 130)
      let lines = ran.standardOutput.split(separator: "\n")
      #expect(lines.first?.contains(#/^\d+\.\d s +appeared  \d+: 12\.0 KiB, udmabuf, held by /#) == true, "\(lines)")
      #expect(lines.contains { $0.contains(#/ changed   \d+: .*held by timeout\(\d+\)/#) }, "\(lines)")
      #expect(lines.contains { $0.contains(#/ changed   \d+: .*let go by sleep\(\d+\)/#) }, "\(lines)")
      #expect(lines.last?.contains(#/^\d+\.\d s +gone      \d+: 12\.0 KiB, udmabuf$/#) == true, "\(lines)")
      let timed = try Tool.run("buffers", "--watch", "--timeout", "0.3")
      #expect(timed.standardOutput == "")
      #expect(timed.code == 0)
    }

    @Test func `finds what a command left behind, and what it did not`() throws {
      let clean = try Tool.run("buffers", "--leaks", "--", "prime-tool", "export", "--from", "heap", "--", "true")
      #expect(clean.standardError.hasPrefix("prime-tool left no dma-buf behind\n"))
      #expect(clean.standardOutput == "")
      #expect(clean.code == 0)
      let left = try Tool.run(
        "buffers", "--leaks", "--", "prime-tool", "export", "--from", "heap", "--size", "64x48", "--", "sh", "-c",
        "sleep 20 </dev/null >/dev/null 2>&1 & exit 0")
      #expect(
        left.standardError.hasPrefix("prime-tool left 1 dma-buf behind, 12.0 KiB\nINODE  SIZE      EXPORTER  HELD BY\n")
      )
      #expect(left.standardError.contains(#/ system    sleep\(\d+\) fd \d+\n/#), "\(left.standardError)")
      #expect(left.code == 1)
      #expect(try Tool.shell("pkill -x sleep").code == 0)
      #expect(Tool.hasNoDMABufs())
      let failed = try Tool.run("buffers", "--leaks", "--", "sh", "-c", "exit 3")
      #expect(failed.code == 3)
      let missing = try Tool.run("buffers", "--leaks", "--", "/no/such/program")
      #expect(missing.standardError == "prime-tool: /no/such/program could not be started: No such file or directory\n")
      #expect(missing.code == 64)
      let blind = try Tool.shell(
        "setpriv --reuid 65534 --regid 65534 --clear-groups prime-tool buffers --leaks -- true")
      #expect(blind.standardError.contains("the kernel's list of dma-bufs cannot be read"))
      #expect(blind.code == 77)
    }

    /// It gathers buffers and frees them by ending, or works with one after the other.
    @Test(arguments: [("kept.append(made)", true), ("os.close(made)", false)])
    func `tells the most that a command had, and what grew while it ran`(keeps: String, grows: Bool) throws {
      let program = """
        import fcntl, os, struct, time
        heap, kept = os.open("/dev/dma_heap/system", os.O_RDWR), []
        for turn in range(50):
            made = struct.unpack("QIIQ", fcntl.ioctl(heap, 0xc0184800, struct.pack("QIIQ", 8192, 0, 0o2000002, 0)))[1]
            time.sleep(0.4)
            \(keeps)
        """
      let path = NSTemporaryDirectory() + "prime-tool-buffers-grow-\(getpid()).py"
      try Data(program.utf8).write(to: URL(fileURLWithPath: path))
      defer { unlink(path) }
      let ran = try Tool.run("buffers", "--leaks", "--", "/usr/bin/python3", path)
      #expect(ran.code == 0)
      let most = try #require(
        ran.standardError.firstMatch(of: #/\nat most (\d+) dma-bufs?, .* descriptors? of them\n/#))
      let count = try #require(Int(most.1))
      #expect(grows ? (25...50).contains(count) : (1...3).contains(count), "\(ran.standardError)")
      for what in ["dma-bufs", "bytes", "descriptors of dma-bufs"] {
        #expect(
          ran.standardError.contains("\n\(what) grew all the time: no fewer than ") == grows, "\(ran.standardError)")
      }
      if grows {
        let strict = try Tool.run("buffers", "--leaks", "--strict", "--", "/usr/bin/python3", path)
        #expect(strict.code == 1)
      }
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `names who has the device open that the kernel holds a buffer for`() throws {
      let holder = try RunningTool(["scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x64", "--hold", "60"])
      let name = #/kernel ×\d+ \(vkms is open in worker-(\d+)\((\d+)\)\)/#
      #expect(try holder.wait { try Tool.run("buffers").standardOutput.firstMatch(of: name) != nil })
      let told = try #require(try Tool.run("buffers").standardOutput.firstMatch(of: name))
      #expect(told.1 == told.2)
      #expect(holder.children.map(String.init).contains(String(told.2)))
      holder.send(SIGTERM)
      #expect(try holder.finish().code == 143)
    }

    @Test func `lets a process that ran before keep what it makes, but for --strict`() throws {
      // The command asks another process, which was there before, for a buffer.
      let path = NSTemporaryDirectory() + "prime-tool-buffers-ask-\(getpid())"
      try #require(mkfifo(path, 0o600) == 0)
      defer { unlink(path) }
      for (strict, code) in [("", Int32(0)), ("--strict", 1)] {
        // The shell execs, so that the exporter is the process that waited.
        let other = try RunningTool(
          command: [
            "sh", "-c", "read go <\(path); exec prime-tool export --from heap --to \(path).socket --timeout 50",
          ])
        usleep(200_000)
        let asks = "echo go >\(path); while [ ! -S \(path).socket ]; do sleep 0.1; done"
        let ran = try Tool.shell("prime-tool buffers --leaks \(strict) -- sh -c '\(asks)'")
        #expect(ran.standardError.contains("sh left no dma-buf behind"), "\(ran.standardError)")
        #expect(ran.standardError.contains("made meanwhile and held by processes that ran before:\n"))
        #expect(ran.code == code)
        other.send(SIGTERM)
        #expect(try other.finish().code == 143)
        #expect(Tool.hasNoDMABufs())
      }
    }

    @Test(arguments: [
      (["--leaks"], "--leaks runs a command: give it behind --"),
      (["--", "true"], "a command behind -- is for --leaks"),
      (["--watch", "--interval", "0"], "--interval takes seconds from 0.01 to 3600, not 0"),
      (["--timeout", "3"], "--timeout is for --watch and --leaks"),
    ])
    func `asked for wrongly is a sentence`(arguments: [String], sentence: String) throws {
      let ran = try RunningTool(["buffers"] + arguments).finish()
      #expect(ran.standardError.contains(sentence), "\(ran.standardError)")
      #expect(ran.code == 64)
    }
  }
}
