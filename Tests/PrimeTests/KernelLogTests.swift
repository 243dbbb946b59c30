import Glibc
import Testing

@testable import Prime

@Suite("What the kernel's log complains of")
struct KernelLogTests {
  private func complaints(_ batches: [String]...) -> [String] {
    let log = KernelLog(reading: open("/dev/null", O_RDONLY))
    return batches.flatMap { log.complaints(among: $0) }
  }

  @Test("Warnings, oopses and their traces are, ordinary lines are not")
  func unknown() {
    let lines = [
      "usb 1-1: new device", "WARNING: CPU: 0 PID: 1 at mm/x.c:5 y", "RIP: 0010:y", "Call Trace:", " z+0x1/0x2",
    ]
    #expect(complaints(lines) == [lines[1], lines[2], lines[3]])
  }

  @Test("A warning that is known takes its own trace with it, in however many pieces it comes, and no other's")
  func known() {
    let warning = "WARNING: CPU: 1 PID: 9 at vkms_composer.c:200 compose_active_planes+0x1/0x2 [vkms]"
    #expect(
      complaints(
        ["BUG: first", warning, "RIP: 0010:compose_active_planes"],
        ["Call Trace:", "---[ end trace 0000000000000000 ]---", "WARNING: another"]) == [
          "BUG: first", "WARNING: another",
        ])
  }
}
