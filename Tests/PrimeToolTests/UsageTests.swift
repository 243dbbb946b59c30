import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// What a person who mistypes is told: one sentence on standard error, nothing on standard output.
  @Suite("A command line that asks for what cannot be")
  struct Usage {
    static let usage = """
      Usage: prime-tool verify <options>
        See 'prime-tool verify --help' for more information.

      """

    @Test(arguments: [
      ("/dev/null", "/dev/null: this is not a DRM node: name one of /dev/dri/card* or /dev/dri/renderD*"),
      (
        "/dev/dri/card99",
        "/dev/dri/card99: there is no such node; `prime-tool list` shows the devices of this machine"
      ),
      ("/no/such/path", "/no/such/path: there is no such node; `prime-tool list` shows the devices of this machine"),
    ])
    func `names a path that is no device`(path: String, sentence: String) throws {
      let ran = try Tool.run("verify", "--importer", path)
      #expect(ran.standardError == "prime-tool: \(sentence)\n")
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    @Test func `names a device that is not there, and hears which are`() throws {
      let ran = try Tool.run("verify", "--exporter", "amdgpu")
      let start = "prime-tool: no device is called 'amdgpu': present are "
      try #require(ran.standardError.hasPrefix(start) && ran.standardError.hasSuffix("\n"))
      // The order is that of the nodes, which changes from boot to boot.
      let present = ran.standardError.dropFirst(start.count).dropLast().split(separator: ", ").sorted()
      #expect(present == ["bochs-drm", "cirrus", "qxl", "vgem", "virtio_gpu", "vkms"])
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    @Test(arguments: [
      (["veryfy"], "there is no command 'veryfy', did you mean 'verify'? known are list, verify, scanout, "),
      (["probe"], "there is no command 'probe': known are list, verify, scanout, "),
      (["verify", "--exporter", "vgm"], "no device is called 'vgm', did you mean 'vgem'? present are "),
      (["check", "--device", "v"], "no device is called 'v': present are "),
      (["verify", "--exporter", "heap:sistem"], "no exporter is called 'heap:sistem', did you mean 'heap:system'? "),
    ])
    func `has a slip in a name, and hears what was meant`(arguments: [String], start: String) throws {
      let ran = try Tool.run(arguments, limit: .seconds(60))
      #expect(ran.standardError.hasPrefix("prime-tool: \(start)"), "\(ran.standardError)")
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    /// A PCI address has colons as EXPORTER:IMPORTER has.
    @Test func `names devices in each option by node, address, first letters, in capitals`() throws {
      let list = try Tool.run("list", "--json").json()
      let devices = try #require(list["devices"] as? [[String: Any]])
      func value(_ key: String, of driver: String) throws -> String {
        let device = try #require(devices.first { $0["driver"] as? String == driver })
        return try #require(device[key] as? String)
      }
      let node = try value("primary", of: "vkms").split(separator: "/").last ?? ""
      let address = try value("busID", of: "cirrus")
      let ran = try Tool.run(
        "verify", "--json", "--size", "64x64", "--exporter", "VGEM", "--exporter", "HEAP:System", "--importer",
        "\(node)", "--importer", address, "--require", "vge:\(address.dropFirst(5))", "--require-proof",
        "Heap:VKMS", limit: .seconds(60))
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      #expect(
        report.cells.map { "\($0.exporter) \($0.importer)" } == [
          "vgem vkms", "vgem cirrus", "heap:system vkms", "heap:system cirrus",
        ])
      #expect(ran.code == 0, "\(ran.standardError)")
    }

    @Test(arguments: ["0x0", "-1x5", "99999999999999999999x1", "65536x1"])
    func `has an impossible size`(size: String) throws {
      let ran = try Tool.run("verify", "--size", size)
      #expect(
        ran.standardError == """
          Error: The value '\(size)' is invalid for '--size <size>': a size is WIDTHxHEIGHT, each from 1 to 65535, \
          for example 1920x1080
          Help:  --size <size>  WIDTHxHEIGHT in pixels (repeatable; default: 1024x768, and smaller where that cannot be mapped).

          """ + Self.usage)
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    @Test func `has a format that nobody knows`() throws {
      let ran = try Tool.run("verify", "--format", "ZZZZ")
      #expect(
        ran.standardError == """
          Error: The value 'ZZZZ' is invalid for '--format <format>': no such format; known are XRGB8888, ARGB8888, \
          XBGR8888, ABGR8888, RGBX8888, RGBA8888, BGRX8888, BGRA8888, RGB888, BGR888, RGB565, BGR565, XRGB1555, \
          ARGB1555, XRGB4444, ARGB4444, XRGB2101010, ARGB2101010, XBGR2101010, ABGR2101010, XRGB16161616, \
          ARGB16161616, XBGR16161616, ABGR16161616, XBGR16161616F, ABGR16161616F, R8, GR88, R16, NV12, NV21, NV16, \
          P010, YUV420, YVU420, YUYV, UYVY
          Help:  --format <format>  A pixel format by name or code, XRGB8888 or XR24 (repeatable; default: XRGB8888).

          """ + Self.usage)
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    @Test(arguments: ["0", "nan"])
    func `gives it no time`(timeout: String) throws {
      let ran = try Tool.run("verify", "--timeout=\(timeout)")
      let number = timeout == "nan" ? "nan" : "\(timeout).0"
      #expect(ran.standardError == "Error: --timeout takes seconds above 0, not \(number)\n" + Self.usage)
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    @Test func `requires a pair that the run has not`() throws {
      let ran = try Tool.run("verify", "--exporter", "vgem", "--importer", "vkms", "--require", "vgem:qxl")
      #expect(
        ran.standardError
          == "prime-tool: 'vgem:qxl' names no pair of this run as EXPORTER:IMPORTER: exporters are vgem; importers are "
          + "vkms\n")
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    @Test func `has an allocator that the exporter has not`() throws {
      let ran = try Tool.run("verify", "--exporter", "vgem", "--allocator", "heap")
      #expect(
        ran.standardError
          == "prime-tool: no exporter allocates through heap: udmabuf and the heaps are exporters of their own, gbm and dumb "
          + "need a device, v4l2 a video device\n")
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }
  }

  @Suite("What a run must show")
  struct Requirements {
    private let small = ["verify", "--size", "64x64", "--seed", "7"]

    @Test func `fails it where a pair is refused`() throws {
      let ran = try RunningTool(small + ["--exporter", "vgem", "--importer", "qxl", "--require", "vgem:qxl"]).finish()
      #expect(
        ran.standardError
          == "prime-tool: vgem:qxl had to be proven or shared and is refused: qxl takes no buffers of other devices, and "
          + "refuses a page of udmabuf, heap and vkms too, while vkms takes this buffer of vgem: its driver or the "
          + "exporter's does not implement it; that it advertises DRM_CAP_PRIME import says nothing\n")
      #expect(ran.standardOutput.contains("vgem dumb            - ENOSYS\n"))
      #expect(ran.code == 1)
    }

    @Test func `fails it where a pair is shared and proof is asked for`() throws {
      let ran = try RunningTool(
        small + ["--exporter", "vkms", "--importer", "vgem", "--require-proof", "vkms:vgem"]
      ).finish()
      #expect(
        ran.standardError.hasPrefix("prime-tool: vkms:vgem had to be proven and is shared: writeback could not look: "))
      #expect(ran.code == 1)
    }

    @Test func `is content with what holds`() throws {
      let ran = try RunningTool(
        small + [
          "--exporter", "vgem", "--importer", "vkms", "--require", "vgem:vkms", "--require-proof", "vgem:vkms",
        ]
      ).finish()
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
    }
  }
}
