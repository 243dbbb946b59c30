import Glibc
import Testing

@testable import Prime
@testable import PrimeProcesses

@Suite("What the kernel's log complains of")
struct KernelLogTests {
  private func complaints(_ lines: [String]) -> [KernelComplaint] {
    var parser = KernelComplaintParser()
    for line in lines { parser.read(line) }
    return parser.take(all: true)
  }

  /// A warning in a task, as 6.12 prints it.
  private func warning(_ place: String, comm: String, pid: Int32, trace: [String] = []) -> [String] {
    [
      "------------[ cut here ]------------", "WARNING: CPU: 1 PID: \(pid) at \(place)",
      "Modules linked in: vgem vkms iwlwifi",
      "CPU: 1 UID: 0 PID: \(pid) Comm: \(comm) Not tainted 6.12.117 #1 Debian", "Call Trace:", " <TASK>",
    ]
      + trace + [" </TASK>", "---[ end trace 0000000000000000 ]---"]
  }

  @Test("A warning names its task and the modules of its trace, not those that are loaded")
  func warnings() {
    let found = complaints(
      ["usb 1-1: new device"]
        + warning(
          "drivers/x.c:5 vkms_open+0x1/0x2 [vkms]", comm: "my prog", pid: 12,
          trace: [" drm_open+0x1/0x2 [drm]", " ? iwl_left_over+0x1/0x2 [iwlwifi]"]) + ["usb 1-1: gone"])
    #expect(found.count == 1)
    #expect(found.first?.pid == 12)
    #expect(found.first?.comm == "my prog")
    #expect(found.first?.modules == ["vkms", "drm"])
    #expect(found.first?.headline == "WARNING: CPU: 1 PID: 12 at drivers/x.c:5 vkms_open+0x1/0x2 [vkms]")
  }

  @Test("A warning that is known takes its own trace with it, and no other's")
  func known() {
    let found = complaints(
      warning("vkms_composer.c:200 compose_active_planes+0x1/0x2 [vkms]", comm: "kworker/0:1", pid: 9)
        + warning("mm/x.c:5 y+0x1/0x2", comm: "a", pid: 1))
    #expect(found.map(\.comm) == ["a"])
  }

  @Test("What programs write to the log is not the kernel's")
  func records() {
    #expect(KernelRecords.text(of: "4,1,5,-;WARNING: x\n SUBSYSTEM=drm\n") == "WARNING: x")
    #expect(KernelRecords.text(of: "12,1,5,-;WARNING: x\n") == nil)
    #expect(KernelRecords.text(of: "6,339,514,-,caller=T1;a;b\n") == "a;b")
  }
}
