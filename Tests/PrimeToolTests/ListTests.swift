import Foundation
import Testing

extension ToolOnARealKernel {
  @Suite("prime-tool list")
  struct List {
    @Test func `shows the six devices in the order of their nodes`() throws {
      let ran = try Tool.run("list")
      #expect(ran.code == 0)
      #expect(ran.standardError == "")
      let lines = ran.standardOutput.split(separator: "\n").map(String.init)
      try #require(lines.count == 15)
      let expected = [
        "DEVICE            NODES                               BUS                           PRIME  DUMB  MODIFIERS  "
          + "SYNCOBJ  ATOMIC  WRITEBACK",
        "bochs-drm 1.0.0   /dev/dri/cardN                      pci 0000:00:XX.0 [1234:1111]  both   yes   yes        "
          + "no       yes     no",
        "cirrus 2.0.0      /dev/dri/cardN                      pci 0000:00:XX.0 [1013:00b8]  both   yes   yes        "
          + "no       yes     no",
        "qxl 0.1.0         /dev/dri/cardN                      pci 0000:00:XX.0 [1b36:0100]  both   yes   yes        "
          + "no       yes     no",
        "vgem 1.0.0        /dev/dri/cardN /dev/dri/renderDN  platform vgem                 both   -     -          "
          + "no       -       -",
        "virtio_gpu 0.1.0  /dev/dri/cardN /dev/dri/renderDN  pci 0000:00:XX.0 [1af4:1050]  both   yes   no         "
          + "yes      yes     no",
        "vkms 1.0.0        /dev/dri/cardN                      platform vkms                 both   yes   yes        "
          + "no       yes     yes",
      ]
      #expect(steady(lines[0]) == expected[0])
      #expect(lines[1...6].map(steady).sorted() == expected.dropFirst().sorted())
      #expect(
        lines[7...].map(steady).sorted() == [
          "bochs-drm: /dev/dri/by-path/pci-0000:00:XX.0-card", "cirrus: /dev/dri/by-path/pci-0000:00:XX.0-card",
          "qxl: /dev/dri/by-path/pci-0000:00:XX.0-card", "vgem: /dev/dri/by-path/platform-vgem-card",
          "vgem: /dev/dri/by-path/platform-vgem-render", "virtio_gpu: /dev/dri/by-path/pci-0000:00:XX.0-card",
          "virtio_gpu: /dev/dri/by-path/pci-0000:00:XX.0-render", "vkms: /dev/dri/by-path/platform-vkms-card",
        ])
      let numbers = lines[1...6].compactMap { line in
        line.firstMatch(of: /card(\d+)/).flatMap { Int($0.1) }
      }
      #expect(numbers == [0, 1, 2, 3, 4, 5])
    }

    @Test func `tells the same as JSON`() throws {
      let ran = try Tool.run("list", "--json")
      #expect(ran.code == 0)
      #expect(ran.standardError == "")
      let report = try ran.json()
      #expect(report.keys.sorted() == ["devices", "host", "schema"])
      #expect(report["schema"] as? String == "prime-tool/list/1")
      let devices = try #require(report["devices"] as? [[String: Any]])
      let vgem = try #require(devices.first { $0["driver"] as? String == "vgem" })
      #expect(
        vgem.keys.sorted() == [
          "bus", "busID", "byPath", "capabilities", "driver", "driverVersion", "name", "primary", "render",
        ])
      // What vgem does not answer is left out, and is no "false".
      #expect(
        vgem["capabilities"] as? [String: Bool] == [
          "primeExport": true, "primeImport": true, "syncobj": false, "syncobjTimeline": false,
        ])
      let vkms = try #require(devices.first { $0["driver"] as? String == "vkms" })
      #expect(
        vkms["capabilities"] as? [String: Bool] == [
          "atomic": true, "dumbBuffer": true, "framebufferModifiers": true, "primeExport": true, "primeImport": true,
          "syncobj": false, "syncobjTimeline": false, "writeback": true,
        ])
      let qxl = try #require(devices.first { $0["driver"] as? String == "qxl" })
      #expect(qxl["pciID"] as? String == "1b36:0100")
      #expect(devices.count == 6)
    }

    /// Runs a command where the runtime power state of one device reads as suspended.
    private func asleep(_ driver: String, _ command: String) throws -> Ran {
      let devices = try #require(try Tool.run("list", "--json").json()["devices"] as? [[String: Any]])
      let name = try #require(devices.first { $0["driver"] as? String == driver }?["primary"] as? String)
      let card = try #require(name.split(separator: "/").last)
      let script =
        "echo suspended >/run/asleep; mount --bind /run/asleep /sys/class/drm/\(card)/device/power/runtime_status; "
        + command
      return try RunningTool(command: ["unshare", "-m", "sh", "-c", script]).finish()
    }

    @Test func `leaves a device asleep, says so, and wakes it on demand`() throws {
      let ran = try asleep("qxl", "prime-tool list")
      #expect(ran.code == 0)
      #expect(ran.standardError == "")
      let lines = ran.standardOutput.split(separator: "\n").map { steady(String($0)) }
      #expect(
        lines.contains(
          "qxl asleep        /dev/dri/cardN                      pci 0000:00:XX.0 [1b36:0100]  ?      -     -          -"
            + "        -       -"))
      #expect(
        lines.contains("qxl: it sleeps and was not opened, which would wake it: `prime-tool list --wake` asks it"))
      let woken = try asleep("qxl", "prime-tool list --wake")
      #expect(woken.standardOutput.contains("qxl 0.1.0 "))
      #expect(!woken.standardOutput.contains("was not opened"))
      let json = try asleep("qxl", "prime-tool list --json").json()
      let devices = try #require(json["devices"] as? [[String: Any]])
      #expect(devices.filter { $0["asleep"] as? Bool == true }.map { $0["driver"] as? String } == ["qxl"])
      #expect(devices.count == 6)
    }

    @Test(arguments: [
      ("verify --exporter vgem --importer vkms", false), ("verify --exporter heap --importer vkms", false),
      ("verify --exporter vgem --importer qxl", true), ("verify --exporter vgem", true), ("list", false),
      ("list --wake", true),
    ])
    func `and a command wakes only a device of its run`(command: String, wakes: Bool) throws {
      let report = try asleep("qxl", "prime-tool \(command) --json").json()
      let devices = try #require(report["devices"] as? [[String: Any]])
      let qxl = try #require(devices.first { $0["driver"] as? String == "qxl" })
      #expect(qxl["problem"] == nil)
      // What only the driver itself tells.
      #expect((qxl["driverVersion"] != nil) == wakes)
    }

    @Test func `shows all devices or fails, however few descriptors it has`() throws {
      var failures = 0
      for limit in 4...16 {
        let ran = try Tool.shell("ulimit -n \(limit); prime-tool list --json")
        guard ran.code == 0 else {
          failures += 1
          #expect(ran.code == 1, "\(limit): \(ran.standardError)")
          #expect(ran.standardError.contains("EMFILE") && ran.standardError.contains("ulimit -n"))
          #expect(ran.standardOutput == "")
          continue
        }
        let devices = try #require(try ran.json()["devices"] as? [[String: Any]])
        #expect(devices.count == 6, "\(limit)")
        #expect(devices.allSatisfy { $0["driverVersion"] != nil && $0["problem"] == nil }, "\(limit)")
        #expect(devices.count { $0["pciID"] != nil } == 4, "\(limit)")
      }
      #expect(failures > 0)
    }
  }
}
