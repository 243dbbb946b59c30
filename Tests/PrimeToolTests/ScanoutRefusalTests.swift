import Foundation
import Testing

extension ToolOnARealKernel {
  /// What `scanout` does not do, and the sentence it says instead.
  @Suite("Scanout refuses")
  struct ScanoutRefusals {
    /// A command line and all that it must print.
    struct Case: CustomTestStringConvertible, Sendable {
      let arguments: String
      var output = ""
      var error = ""
      let code: Int32
      var testDescription: String { arguments }
    }

    static let cases: [Case] = [
      Case(
        arguments: "--from vgem --on cirrus --mode 1024x769",
        output: "refused: scanout: cirrus (/dev/dri/cardN): VGA-1 offers no mode 1024x769; the nearest are "
          + "1024x768@60.004, 1280x768@59.870, 1280x768@59.995\n",
        code: 1),
      Case(
        arguments: "--from vgem --on cirrus --connector HDMI-A-1",
        output: "refused: drmModeGetConnector: cirrus (/dev/dri/cardN): it has no connector HDMI-A-1: it has "
          + "VGA-1 (connected)\n",
        code: 1),
      Case(
        arguments: "--from vgem --on vkms --connector DP-1",
        output: "refused: drmModeGetConnector: vkms (/dev/dri/cardN): it has no connector DP-1: it has "
          + "Virtual-1 (connected), Writeback-1 (unknown)\n",
        code: 1),
      Case(
        arguments: "--from vgem --on cirrus --format XRGB16161616",
        output: "refused: scanout: cirrus (/dev/dri/cardN): plane N does not fetch XRGB16161616: it lists "
          + "RGB565, RGB888, XRGB8888\n",
        code: 1),
      Case(
        arguments: "--from vgem --on vgem",
        output: "refused: drmModeGetResources EOPNOTSUPP: vgem (/dev/dri/cardN): this device has no display engine (no "
          + "mode setting)\n",
        code: 1),
      Case(
        arguments: "--from vgem --on vkms --mode 9000x64",
        output: "refused: scanout: vkms (/dev/dri/cardN): 9000x64 is no size of its framebuffers, which go from "
          + "10x10 to 8192x8192\n",
        code: 1),
      Case(
        arguments: "--from vgem --on nothing",
        error: "prime-tool: no device is called 'nothing': present are vgem, vkms, cirrus, bochs-drm, virtio_gpu, "
          + "qxl\n",
        code: 64),
      Case(
        arguments: "--from vgem --on /dev/dri/card99",
        error: "prime-tool: /dev/dri/card99: there is no such node; `prime-tool list` shows the devices of this "
          + "machine\n",
        code: 64),
      Case(
        arguments: "--from vgem --on vkms --pattern README.md",
        error: "prime-tool: --pattern is smpte, gradient, checker, seed, camera or a PNG file, and README.md is not a "
          + "PNG file\n",
        code: 64),
      Case(
        arguments: "--from vgem --on cirrus --mode 640x480 --capture /tmp/none.png",
        output: "vgem dumb, XRGB8888 linear → cirrus: VGA-1, CRTC 0, plane N, atomic, mode 640x480@59.940, seed\n"
          + "shared: the kernel accepted every frame; nothing here could look at what the display engine fetched\n"
          + "  crc could not look: open ENOENT: /sys/kernel/debug/dri/N/crtc-0/crc/control: this driver gives no frame "
          + "checksums\n",
        error: "prime-tool: --capture needs a writeback connector, and VGA-1 is none\n",
        code: 1),
      Case(
        arguments: "--from vgem --on bochs-drm --mode 640x480",
        output: "refused: drmPrimeFDToHandle EINVAL: bochs-drm (/dev/dri/cardN): its driver has no "
          + "gem_prime_import_sg_table, or needs memory in one contiguous piece; `prime-tool verify` of the whole "
          + "matrix shows which of the two refuses\n",
        code: 1),
    ]

    /// Object ids and the folders of debugfs go by the order in which drivers were loaded.
    private func plain(_ text: String) -> String {
      steady(text).replacing(/plane \d+/, with: "plane N").replacing(/dri\/\d+\//, with: "dri/N/")
    }

    @Test func `and no buffer of another modifier is written in rows`() throws {
      let ran = try RunningTool(
        ["scanout", "--from", "vgem", "--on", "cirrus", "--modifier", "0x0100000000000001"]
      ).finish()
      let sentence = "vgem (/dev/dri/cardN): dumb buffers are linear, and linear is not among the modifiers asked for\n"
      #expect(plain(ran.standardOutput) == "untested: " + sentence)
      #expect(plain(ran.standardError) == "prime-tool: " + sentence)
      #expect(ran.code == 77)
    }

    @Test(arguments: cases)
    func `with one sentence`(_ wanted: Case) throws {
      let before = try Tool.displayState()
      let ran = try RunningTool(["scanout"] + wanted.arguments.split(separator: " ").map(String.init)).finish()
      #expect(plain(ran.standardOutput) == wanted.output)
      #expect(ran.standardError == wanted.error)
      #expect(ran.code == wanted.code)
      #expect(try Tool.displayState() == before)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `less than one frame`() throws {
      let ran = try Tool.run("scanout", "--from", "vgem", "--on", "vkms", "--frames", "0")
      #expect(ran.standardError.hasPrefix("Error: --frames takes 1 to 1000000, not 0\n"))
      #expect(ran.standardOutput == "")
      #expect(ran.code == 64)
    }

    @Test func `a mode that no framebuffer can be`() throws {
      let ran = try Tool.run("scanout", "--from", "vgem", "--on", "vkms", "--mode", "70000x10")
      #expect(ran.standardError.contains("a mode is WIDTHxHEIGHT or WIDTHxHEIGHT@HZ, for example 1920x1080@60\n"))
      #expect(ran.code == 64)
    }

    @Test func `a render node`() throws {
      let ran = try Tool.shell(
        "for n in /dev/dri/renderD*; do prime-tool scanout --from vgem --on $n; echo $?; done")
      #expect(ran.standardOutput.contains("EOPNOTSUPP") || ran.standardError.contains("has no primary node"))
    }
  }

  /// How `scanout` ends when it is told to, and what is left.
  @Suite("Scanout ends")
  struct ScanoutEnds {
    private static let base = ["scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48"]

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT], [["--hold", "60"], ["--frames", "1000000"]])
    func `at a signal with the display as it was`(_ signal: CInt, _ way: [String]) throws {
      let before = try Tool.displayState()
      let tool = try RunningTool(Self.base + way)
      #expect(try tool.wait { try Tool.displayState() != before }, "nothing was shown")
      #expect(Tool.dmaBufs().count == 3)
      // Some frames in, or some of the hold gone.
      usleep(300_000)
      tool.send(signal)
      let ran = try tool.finish(within: .seconds(30))
      #expect(ran.code == 128 + signal)
      #expect(
        ran.standardError.wholeMatch(of: /prime-tool: interrupted after \d+ of (1|1000000) frames\n/) != nil)
      #expect(try Tool.displayState() == before)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `when its time is over, in the middle of the frames`() throws {
      let before = try Tool.displayState()
      let ran = try Tool.run(
        "scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48", "--frames", "1000000", "--timeout", "3",
        "--json")
      let report = try ran.json()
      #expect(report["verdict"] as? String == "error")
      #expect(report["finding"] as? String == "deadline")
      #expect((report["frames"] as? [Any])?.count ?? 0 > 1)
      #expect(report["restored"] as? Bool == true)
      #expect(ran.standardError == "")
      #expect(ran.code == 1)
      #expect(try Tool.displayState() == before)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `at once where another program is master, and names it`() throws {
      let before = try Tool.displayState()
      let holder = try RunningTool(Self.base + ["--hold", "60"])
      #expect(try holder.wait { try Tool.displayState() != before }, "nothing was shown")
      let held = try Tool.displayState()
      let ran = try RunningTool(Self.base).finish()
      #expect(
        steady(ran.standardOutput)
          == "refused: drmSetMaster EBUSY: vkms (/dev/dri/cardN): prime-tool (pid \(holder.pid)) is master of this display: "
          + "stop it, or switch to a free virtual terminal\n")
      #expect(ran.standardError == "")
      #expect(ran.code == 1)
      #expect(try Tool.displayState() == held)
      holder.send(SIGTERM)
      #expect(try holder.finish(within: .seconds(30)).code == 143)
      #expect(try Tool.displayState() == before)
    }
  }
}
