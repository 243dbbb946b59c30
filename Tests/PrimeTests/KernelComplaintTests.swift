import Foundation
import Testing

@testable import Prime
@testable import PrimeContract
@testable import PrimeProcesses

@Suite("A complaint of the kernel")
struct KernelComplaintTests {
  /// What a recorded log complains of.
  private func recorded(_ name: String) throws -> [KernelComplaint] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "fixtures/kernel-log")
    let text = try String(contentsOf: folder.appending(path: "\(name).kmsg"), encoding: .utf8)
    return complaints(text.split(separator: "\n").compactMap { KernelRecords.text(of: String($0)) })
  }

  private func complaints(_ lines: [String]) -> [KernelComplaint] {
    var parser = KernelComplaintParser()
    for line in lines { parser.read(line) }
    return parser.take(all: true)
  }

  @Test(
    "names the task and the module that ran, whatever its kind",
    arguments: [
      ("task-6.12", "WARNING: CPU: 0 PID: 262 at labwarn/labwarn.c:66 labwarn_write+0x80/0x290 [labwarn]", 262),
      ("refcount-6.12", "refcount_t: addition on 0; use-after-free.", 265),
      ("dump-6.12", "labwarn: only a trace", 266),
      ("oops-6.12", "BUG: kernel NULL pointer dereference, address: 0000000000000008", 268),
      ("task-7.2", "WARNING: labwarn.c:66 at labwarn_write+0x89/0x286 [labwarn], CPU#0: a program/235", 235),
      ("refcount-7.2", "refcount_t: addition on 0; use-after-free.", 238),
      ("dump-7.2", "labwarn: only a trace", 239),
      ("oops-7.2", "BUG: kernel NULL pointer dereference, address: 0000000000000008", 241),
    ])
  func task(file: String, headline: String, pid: Int32) throws {
    let found = try recorded(file)
    #expect(found.map(\.headline) == [headline])
    #expect(found.map(\.pid) == [pid])
    #expect(found.map(\.comm) == ["a program"])
    #expect(found.map(\.modules) == [["labwarn"]])
  }

  @Test("of a task that hangs names that task, each time", arguments: [("hang-6.12", Int32(267)), ("hang-7.2", 240)])
  func hang(file: String, pid: Int32) throws {
    let found = try recorded(file)
    #expect(found.map(\.headline).first == "INFO: task a program:\(pid) blocked for more than 1 seconds.")
    #expect(Set(found.map(\.pid)) == [pid])
    #expect(Set(found.map(\.comm)) == ["a program"])
    #expect(found.count > 1)
  }

  @Test("of a worker names the worker, which works for anybody", arguments: ["worker-6.12", "worker-7.2"])
  func worker(file: String) throws {
    let found = try #require(try recorded(file).first)
    #expect(found.comm?.hasPrefix("kworker/") == true)
    #expect(found.modules == ["labwarn"])
    #expect(found.culprit(pids: [1000], drivers: ["vkms"]) == .others)
    #expect(found.culprit(pids: [1000], drivers: ["labwarn"]) == .ours)
  }

  @Test(
    "in an interrupt says nothing of the task that was interrupted",
    arguments: [("interrupt-6.12", Int32(264)), ("interrupt-7.2", 237)])
  func interrupt(file: String, pid: Int32) throws {
    let found = try #require(try recorded(file).first)
    #expect(found.pid == nil)
    #expect(found.comm == nil)
    #expect(found.culprit(pids: [pid], comms: ["a program"], drivers: ["vkms"]) == .others)
    #expect(found.culprit(pids: [pid], comms: ["a program"], drivers: ["labwarn"]) == .ours)
  }

  /// A warning of one function of a worker, as 6.12 prints it.
  private func warning(_ function: String, saying: String? = nil, comm: String = "kworker/0:1") throws
    -> KernelComplaint
  {
    let lines =
      ["------------[ cut here ]------------"] + [saying].compactMap { $0 }
      + [
        "WARNING: CPU: 1 PID: 9 at drivers/x.c:5 \(function)", "Modules linked in: vgem vkms iwlwifi",
        "CPU: 1 UID: 0 PID: 9 Comm: \(comm) Not tainted 6.12.117 #1 Debian", "RIP: 0010:\(function)", "Call Trace:",
        " <TASK>", " drm_ioctl+0x1/0x2 [drm]", " ? left_over+0x1/0x2 [vkms]", " </TASK>",
        "---[ end trace 0000000000000000 ]---",
      ]
    let found = complaints(lines)
    #expect(found.count == 1)
    return try #require(found.first)
  }

  @Test(
    "is ours where it names our task or a driver that something was done with, and others' where it names both of others"
  )
  func culprit() throws {
    let ours = try warning("drm_x+0x1/0x2 [drm]", comm: "check-77")
    #expect(ours.culprit(pids: [9], drivers: ["vgem"]) == .ours)
    #expect(ours.culprit(pids: [8], comms: ["check-77"], drivers: ["vgem"]) == .ours)
    #expect(ours.culprit(pids: [8], drivers: ["vgem"]) == .unknown)
    let foreign = try warning("iwl_x+0x1/0x2 [iwlwifi]")
    #expect(foreign.culprit(pids: [8], drivers: ["vgem"]) == .others)
    #expect(try warning("i915_x+0x1/0x2 [i915]", comm: "Xorg").culprit(pids: [8], drivers: ["vgem"]) == .others)
    // What the core does may be for anybody; a `?` is left over from what ran before.
    #expect(try warning("drm_x+0x1/0x2 [drm]").culprit(pids: [8], drivers: ["vkms"]) == .unknown)
    #expect(try warning("y+0x1/0x2").culprit(pids: [8], drivers: ["vkms"]) == .unknown)
  }

  @Test("is of a driver by any of its names")
  func names() throws {
    #expect(try warning("bochs_x+0x1/0x2 [bochs]").culprit(pids: [], drivers: ["bochs-drm"]) == .ours)
    #expect(try warning("persona_x+0x1/0x2 [persona]").culprit(pids: [], drivers: ["persona-ttm"]) == .ours)
    #expect(try warning("cirrus_x+0x1/0x2 [cirrus_qemu]").culprit(pids: [], drivers: ["cirrus-qemu"]) == .ours)
    #expect(try warning("i9_x+0x1/0x2 [i9]").culprit(pids: [], drivers: ["i915"]) == .others)
    // drm_WARN names the device where the core runs.
    let core = try warning(
      "drm_x+0x1/0x2 [drm]", saying: "bochs-drm 0000:00:02.0: [drm] vblank wait timed out on crtc 0")
    #expect(core.culprit(pids: [], drivers: ["bochs-drm"]) == .ours)
    #expect(core.culprit(pids: [], drivers: ["vkms"]) == .others)
    #expect(
      try warning("drm_x+0x1/0x2 [drm]", saying: "platform vkms: [drm] x").culprit(pids: [], drivers: ["vkms"]) == .ours
    )
  }

  @Test("of newer kernels, of ARM, of lockdep and of KASAN is read as well")
  func forms() {
    // 7.2: the task stands at the end of the headline.
    let newer = complaints([
      "------------[ cut here ]------------", "WARNING: mm/x.c:5 at y+0x1/0x2 [vkms], CPU#1: my/prog/12",
      "---[ end trace 0000000000000000 ]---",
    ])
    #expect(newer.map(\.pid) == [12])
    #expect(newer.map(\.comm) == ["my/prog"])
    #expect(newer.map(\.modules) == [["vkms"]])
    // arm64: no `<IRQ>`; the functions before el1_interrupt are the interrupt's.
    let interrupted = complaints([
      "------------[ cut here ]------------", "WARNING: CPU: 0 PID: 7 at x.c:5 panfrost_irq+0x1/0x2 [panfrost]",
      "CPU: 0 UID: 0 PID: 7 Comm: check-7 Not tainted 6.12.0 #1", "pc : panfrost_irq+0x1/0x2 [panfrost]", "Call trace:",
      " panfrost_irq+0x1/0x2 [panfrost]", " el1_interrupt+0x34/0x58", " el1h_64_irq+0x6c/0x70",
      " vgem_open+0x1/0x2 [vgem]",
      "---[ end trace 0000000000000000 ]---",
    ])
    #expect(interrupted.map(\.pid) == [nil])
    #expect(interrupted.map(\.modules) == [["panfrost"]])
    let others = complaints([
      "======================================================",
      "WARNING: possible circular locking dependency detected",
      "6.12.0 #1 Not tainted", "------------------------------------------------------",
      "a prog/31 is trying to acquire lock:", "stack backtrace:",
      "CPU: 0 UID: 0 PID: 31 Comm: a prog Not tainted 6.12.0 #1", "Call Trace:", " <TASK>", " vkms_x+0x1/0x2 [vkms]",
      " </TASK>", "==================================================================",
      "BUG: KASAN: slab-use-after-free in udl_x+0x1/0x2 [udl]", "Read of size 8 at addr ffff0000 by task b/32", "",
      "CPU: 0 UID: 0 PID: 32 Comm: b Not tainted 6.12.0 #1", "Call Trace:", " <TASK>", " udl_x+0x1/0x2 [udl]",
      " </TASK>", "",
      "Allocated by task 1:", " vgem_y+0x1/0x2 [vgem]",
      "==================================================================", "usb 1-1: new device",
    ])
    #expect(others.map(\.headline).map { $0.prefix(12) } == ["WARNING: pos", "BUG: KASAN: "])
    #expect(others.map(\.pid) == [31, 32])
    #expect(others.map(\.modules.count) == [1, 2])
  }

  @Test("of vivid's thread that came late is none, and that of another driver is", arguments: ["vivid", "uvcvideo"])
  func late(module: String) {
    let found = complaints([
      "schedule_timeout: wrong timeout value fffffffffffffff0",
      "CPU: 0 UID: 0 PID: 453 Comm: vivid-000-vid-c Not tainted 6.12.117+deb12-amd64 #1", "Call Trace:", " <TASK>",
      " dump_stack_lvl+0x64/0x80", " schedule_timeout+0x142/0x170",
      " thread_vid_cap+0x3b2/0x440 [\(module)]", " kthread+0xcf/0x100", " </TASK>",
    ])
    #expect(found.count == (module == "vivid" ? 0 : 1))
  }

  @Test("whose end has not come yet is told when it has")
  func inPieces() {
    var parser = KernelComplaintParser()
    for line in ["------------[ cut here ]------------", "WARNING: CPU: 1 PID: 9 at x.c:5 y+0x1/0x2 [vkms]"] {
      parser.read(line)
    }
    #expect(parser.take().isEmpty)
    #expect(parser.isWithinComplaint)
    parser.read("---[ end trace 0000000000000000 ]---")
    #expect(parser.take().map(\.modules) == [["vkms"]])
    #expect(!parser.isWithinComplaint)
  }

  @Test("fails a statement that it is of, is told where it is others', and leaves the rest suspect")
  func outcomes() throws {
    let statement = Statement("A01", .core, on: .machine, "a pipe has two ends", source: "pipe(7)") { _ in }
    let complaint = try warning("iwl_x+0x1/0x2 [iwlwifi]")
    func heard(_ outcome: CheckOutcome, _ culprit: KernelComplaint.Culprit) -> CheckResult {
      var result = CheckResult(statement, on: nil, outcome)
      result.hear([(complaint, culprit)], beside: [])
      return result
    }
    #expect(heard(.pass, .ours).outcome == .fail)
    #expect(heard(.skip, .ours).outcome == .fail)
    #expect(heard(.knownDeviation, .unknown).outcome == .suspect)
    #expect(heard(.skip, .unknown).outcome == .skip)
    #expect(heard(.pass, .others).outcome == .pass)
    #expect(heard(.pass, .others).kernelLog.first == "WARNING: CPU: 1 PID: 9 at drivers/x.c:5 iwl_x+0x1/0x2 [iwlwifi]")
    #expect(
      heard(.pass, .others).reason
        == "the kernel complained meanwhile of kworker/0:1 (process 9) in iwlwifi, which has no part in this: "
        + "WARNING: CPU: 1 PID: 9 at drivers/x.c:5 iwl_x+0x1/0x2 [iwlwifi]")
  }
}
