import Foundation
import Glibc
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// Machines and users that have less than the lab's root.
  @Suite("Where something is missing")
  struct Scarcity {
    /// `setpriv` for somebody who is in no group but these.
    private func unprivileged(_ groups: String, _ arguments: [String]) throws -> Ran {
      try RunningTool(
        command: ["setpriv", "--reuid=65534", "--regid=65534", groups, Tool.path] + arguments
      ).finish()
    }

    @Test func `no permission names the group to join`() throws {
      let ran = try unprivileged(
        "--clear-groups", ["verify", "--exporter", "vgem", "--importer", "vkms", "--seed", "7"])
      let node = try #require(ran.standardOutput.firstMatch(of: /open EACCES: (\/dev\/dri\/card\d+):/)).1
      let sentence =
        "\(node): it belongs to the group video: join it with `sudo usermod -aG video $USER` and log in again"
      #expect(ran.standardError == "prime-tool: \(sentence)\n")
      #expect(
        ran.standardOutput == """
          1024x768 XRGB8888
          exporter \\ importer  vkms
          vgem dumb            untested

          untested it could not be looked at here

          untested: vgem → vkms
              open EACCES: \(sentence)

          0 of 1 pass: 0 proven, 0 shared, 0 held, 0 refused, 0 mismatch, 1 untested, 0 error · kernel \
          \(try #require(Tool.release)) · seed 7

          """)
      #expect(ran.code == 77)
    }

    @Test func `no permission still lists the devices, with what to do`() throws {
      let ran = try unprivileged("--clear-groups", ["list"])
      #expect(ran.code == 0)
      #expect(ran.standardError == "")
      #expect(
        steady(ran.standardOutput).contains(
          "\nvirtio_gpu: open on /dev/dri/cardN: EACCES (Permission denied): it belongs to the group video: join it with "
            + "`sudo usermod -aG video $USER` and log in again\n"))
    }

    @Test func `the group render alone means render nodes`() throws {
      let ran = try unprivileged(
        "--groups=render", ["verify", "--json", "--size", "64x64", "--importer", "vgem", "--importer", "virtio_gpu"])
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      // Mesa complains about each of these; a person should not have to read it.
      #expect(ran.standardError.split(separator: "\n").count == 1, "\(ran.standardError)")
      #expect(ran.code == 77)
      for cell in report.cells {
        #expect(cell.importerNode?.hasPrefix("/dev/dri/renderD") == true)
        let has = ["vgem", "virtio_gpu"].contains(cell.exporter)
        if has {
          #expect(cell.exporterNode?.hasPrefix("/dev/dri/renderD") == true)
          // Without a GPU Mesa allocates dumb buffers, which a render node has not.
          #expect(cell.allocator == .gbm)
          #expect(cell.reason?.contains("allocates dumb buffers, which need the primary node /dev/dri/card") == true)
        }
        #expect(cell.verdict == .untested)
      }
    }

    @Test(arguments: ["gbm", "dumb"])
    func `a render node alone makes no dumb buffers, and the one that does is asked for`(allocator: String) throws {
      let ran = try Tool.shell(
        """
        unshare -m sh -c 'mkdir -p /run/nodes; mount -t tmpfs none /run/nodes; cp -a /dev/dri/renderD* /run/nodes;
        mount --bind /run/nodes /dev/dri
        exec prime-tool verify --exporter virtio_gpu --importer vgem --size 64x64 --allocator \(allocator)'
        """)
      #expect(
        ran.standardError.hasSuffix(
          "which only a primary node makes (EACCES on a render node): make the device's /dev/dri/card* visible here\n"),
        "\(ran.standardError)")
      #expect(ran.standardOutput.contains("virtio_gpu \(allocator)"))
      #expect(ran.standardOutput.contains(" 1 untested, "))
      #expect(ran.code == 77)
    }

    @Test func `another program that is master is named, and what it keeps from being proven`() throws {
      let master = try RunningTool(["scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x64", "--hold", "60"])
      let before = try Tool.displayState()
      #expect(try master.wait { try Tool.displayState() != before })
      let sentence =
        #/writeback and crc could not look: drmSetMaster EBUSY: vkms \(\/dev\/dri\/card\d+\): prime-tool \(pid (\d+)\) is master of this display: stop it, or switch to a free virtual terminal/#
      let pair = ["--exporter", "vgem", "--importer", "vkms", "--size", "64x64"]
      let plain = try Tool.run(["verify"] + pair, limit: .seconds(60))
      let required = try Tool.run(["verify"] + pair + ["--require-proof", "vgem:vkms"], limit: .seconds(60))
      master.send(SIGTERM)
      let number = master.pid
      _ = try master.finish()
      #expect(plain.code == 0)
      #expect(plain.standardOutput.contains("\nnot proven: vgem → vkms\n    "))
      #expect(plain.standardOutput.firstMatch(of: sentence).map { "\($0.1)" } == "\(number)")
      #expect(required.code == 1)
      #expect(
        required.standardError.hasPrefix("prime-tool: vgem:vkms had to be proven and is shared: writeback and crc"))
      #expect(required.standardError.firstMatch(of: sentence) != nil, "\(required.standardError)")
    }

    @Test func `no device at all is said, with what to load`() throws {
      let empty = "mount -t tmpfs none /sys/class/drm; mount -t tmpfs none /dev/dri; "
      let sentence =
        "prime-tool: this machine shows no DRM device: load the virtual one with `sudo modprobe vgem`, or run the "
        + "command in the lab with `lab/run -- prime-tool verify`\n"
      for command in ["verify", "list"] {
        let ran = try RunningTool(command: ["unshare", "-m", "sh", "-c", empty + "prime-tool \(command)"]).finish()
        #expect(ran.standardError == sentence)
        #expect(ran.code == 77)
        #expect(!ran.standardOutput.contains("dumb"))
      }
    }

    @Test func `sixteen descriptors are enough`() throws {
      let ran = try Tool.shell(
        "ulimit -n 16; prime-tool verify --size 64x64 --seed 7 --importer vkms --importer cirrus")
      #expect(ran.standardError == "")
      #expect(
        ran.standardOutput.contains(
          "12 of 16 pass: 7 proven, 5 shared, 0 held, 4 refused, 0 mismatch, 0 untested, 0 error"))
      #expect(ran.code == 0)
    }

    // No descriptor for a worker's pipes, for the second device, for the second buffer, for the fence.
    @Test(arguments: [9, 10, 11, 13])
    func `too few descriptors are an error that says how to get more`(limit: Int) throws {
      let ran = try Tool.shell(
        "ulimit -n \(limit); prime-tool verify --size 64x64 --seed 7 --exporter vgem --importer vkms --json")
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      let cell = try #require(report.cells.first)
      #expect(cell.verdict == .error)
      #expect(cell.errno == "EMFILE")
      #expect(
        cell.reason?.hasSuffix("this process has no free file descriptor left: raise the limit with `ulimit -n`")
          == true)
      #expect(ran.standardError == "")
      #expect(ran.code == 1)
      #expect(Tool.hasNoDMABufs())
    }
  }
}
