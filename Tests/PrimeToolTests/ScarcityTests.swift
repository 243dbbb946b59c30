import Foundation
import Glibc
import Prime
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
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      for cell in report.cells {
        #expect(cell.importerNode?.hasPrefix("/dev/dri/renderD") == true)
        let has = ["vgem", "virtio_gpu"].contains(cell.exporter)
        if has {
          #expect(cell.exporterNode?.hasPrefix("/dev/dri/renderD") == true)
          // Without a GPU Mesa allocates dumb buffers, which a render node has not.
          #expect(cell.allocator == .gbm)
          #expect(cell.verdict == .refused)
          #expect(cell.call == "gbm_bo_create")
          #expect(cell.errno == "EACCES")
        } else {
          #expect(cell.verdict == .untested)
        }
      }
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
