import Foundation
import Testing

@testable import Prime

/// A machine of files: `/proc` with processes, and debugfs.
///
/// A descriptor is a link to a file in a folder that is called `dmabuf:`, whose inode is the dma-buf's.
private struct FakeMachine {
  let tree: FixtureTree

  init() throws { tree = try FixtureTree() }

  func addProcess(_ number: Int, _ command: String, user: Int = 1000, startTime: Int = 500, state: String = "S") throws
  {
    let rest = "1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 \(startTime) 0"
    try tree.write("\(number) (a ) b) \(state) \(rest)\n", to: "/proc/\(number)/stat")
    try tree.write("\(command)\n", to: "/proc/\(number)/comm")
    try tree.write("Name:\tx\nUid:\t0\t\(user)\t0\t0\n", to: "/proc/\(number)/status")
    try tree.write("7f00-7f01 r--p 00000000 08:01 99 /usr/lib/libc.so\n", to: "/proc/\(number)/maps")
    try tree.write("", to: "/proc/\(number)/fd/.keep")
  }

  func map(_ process: Int, inode: UInt64, byteCount: UInt64) throws {
    let end = String(0x7f31_0000_0000 + byteCount, radix: 16)
    let line = "7f3100000000-\(end) rw-s 100004000 00:0b \(inode)                         /dmabuf:scan out\n"
    try tree.write(line, to: "/proc/\(process)/maps")
  }

  func list(_ rows: [(inode: UInt64, size: Int, count: Int, devices: [String])]) throws {
    let text = rows.map { row in
      let line = String(
        format: "%08ld\t00000002\t00080007\t%08ld\tdrm\t%08ld\t<none>\n", row.size, row.count, Int(row.inode))
      let devices = row.devices.map { "\t\($0)\n" }.joined()
      return "\(line)\tAttached Devices:\n\(devices)Total \(row.devices.count) devices attached\n\n"
    }
    try tree.write(
      "\nDma-buf Objects:\n" + text.joined() + "\nTotal \(rows.count) objects, 0 bytes\n",
      to: "/sys/kernel/debug/dma_buf/bufinfo")
  }

  func look() -> DMABufInventory { DMABufInventory.look(systemRoot: tree.root, by: LinuxKernel()) }
}

@Suite("Who holds which dma-buf")
struct DMABufInventoryTests {
  /// The node is one that every machine has, whose number stands in for DRM's.
  @Test("The processes that have an attached device open are told with it, once each")
  func openers() throws {
    let machine = try FakeMachine()
    for (number, command) in [(812, "weston"), (900, "Xwayland"), (950, "sleep")] {
      try machine.addProcess(number, command)
    }
    try machine.tree.write("1:3\n", to: "/sys/class/drm/card1/dev")
    try machine.tree.write("", to: "/sys/devices/pci0000:00/0000:00:02.0/vendor")
    try machine.tree.link("/sys/class/drm/card1/device", to: "../../../devices/pci0000:00/0000:00:02.0")
    try machine.tree.link("/proc/812/fd/7", to: "/dev/null")
    try machine.tree.link("/proc/812/fd/9", to: "/dev/null")
    try machine.tree.link("/proc/900/fd/4", to: "/dev/null")
    try machine.tree.link("/proc/950/fd/4", to: "/dev/zero")
    try machine.list([(4711, 8192, 2, ["0000:00:02.0", "vkms"])])
    let devices = machine.look().buffers.first?.attachedDevices
    #expect(
      devices == [
        .init(
          name: "0000:00:02.0",
          openIn: [.init(process: 812, command: "weston"), .init(process: 900, command: "Xwayland")]),
        .init(name: "vkms"),
      ])
  }

  @Test("A mapping is found among others, with its process; what it does not explain is the kernel's")
  func mapping() throws {
    let machine = try FakeMachine()
    try machine.addProcess(812, "weston", user: 1000)
    try machine.map(812, inode: 4711, byteCount: 8192)
    try machine.list([(4711, 8192, 4, ["0000:00:02.0", "vkms"])])
    try machine.tree.link(
      "/sys/bus/pci/devices/0000:00:02.0/driver", to: "../../../../bus/pci/drivers/i915")
    let inventory = machine.look()
    #expect(inventory.list == .debugfs)
    #expect(inventory.hiddenProcesses == 0)
    #expect(
      inventory.buffers == [
        .init(
          inode: 4711, byteCount: 8192, exporter: "drm", name: nil,
          holders: [
            .init(
              process: 812, command: "weston", user: 1000, descriptors: [],
              mappings: [.init(byteCount: 8192, isWritable: true)], startTime: 500)
          ],
          kernelReferences: 3,
          attachedDevices: [.init(name: "0000:00:02.0", driver: "i915"), .init(name: "vkms", driver: nil)], fences: [])
      ])
    #expect(inventory.buffers[0].attachedDevices?.map(\.label) == ["0000:00:02.0 (i915)", "vkms"])
  }

  @Test("Without the kernel's list, what only a process tells is all, and its limits are said")
  func unlisted() throws {
    let machine = try FakeMachine()
    try machine.addProcess(812, "weston")
    try machine.map(812, inode: 4711, byteCount: 8192)
    let inventory = machine.look()
    #expect(!inventory.showsKernel)
    let entry = try #require(inventory.buffers.first)
    #expect(entry.inode == 4711)
    #expect(entry.byteCount == nil)
    #expect(entry.kernelReferences == nil)
    #expect(entry.attachedDevices == nil)
    #expect(inventory.byteCount == 0)
  }

  @Test("Of a list that tells no references, devices and fences, these are not known to be none")
  func statistics() throws {
    let machine = try FakeMachine()
    try machine.addProcess(812, "weston")
    try machine.map(812, inode: 4711, byteCount: 8192)
    for inode in [4711, 4712] {
      try machine.tree.write("8192\n", to: "/sys/kernel/dmabuf/buffers/\(inode)/size")
      try machine.tree.write("drm\n", to: "/sys/kernel/dmabuf/buffers/\(inode)/exporter_name")
    }
    let inventory = machine.look()
    #expect(inventory.list == .sysfs)
    #expect(inventory.buffers.map(\.inode) == [4711, 4712])
    #expect(inventory.buffers.map(\.holders.count) == [1, 0])
    #expect(inventory.buffers.allSatisfy { $0.kernelReferences == nil && $0.attachedDevices == nil })
    #expect(inventory.buffers.allSatisfy { $0.fences == nil })
    let encoded = String(decoding: try JSONEncoder().encode(inventory.buffers), as: UTF8.self)
    for key in ["kernelReferences", "attachedDevices", "fences"] { #expect(!encoded.contains(key)) }
  }

  @Test("A process that cannot be looked at is counted, one that has ended or is the kernel's own is not")
  func hidden() throws {
    let machine = try FakeMachine()
    for number in [2, 3, 4] { try machine.addProcess(number, "x", state: number == 3 ? "Z" : "S") }
    for number in [2, 3, 4] { try machine.tree.remove("/proc/\(number)/fd") }
    let flags = "1 1 1 0 -1 \(0x20_8040) 0 0 0 0 0 0 0 0 20 0 1 0 9 0"
    try machine.tree.write("4 (kworker) I \(flags)\n", to: "/proc/4/stat")
    // A thread group's own files.
    try machine.tree.write("", to: "/proc/self/stat")
    try machine.list([(1, 4096, 3, [])])
    let inventory = machine.look()
    #expect(inventory.hiddenProcesses == 1)
    // What the hidden one holds may be any of the references.
    #expect(inventory.buffers.map(\.kernelReferences) == [nil])
  }

  @Test("In a PID namespace what nobody visible holds is not said to be the kernel's")
  func namespace() throws {
    let machine = try FakeMachine()
    try machine.addProcess(1, "sh")
    try machine.tree.link("/proc/self/ns/pid", to: "pid:[4026532190]")
    try machine.list([(4711, 8192, 4, [])])
    let inside = machine.look()
    #expect(inside.scope == .namespace)
    #expect(inside.buffers.map(\.kernelReferences) == [nil])
    try machine.tree.remove("/proc/self/ns/pid")
    try machine.tree.link("/proc/self/ns/pid", to: "pid:[4026531836]")
    let outside = machine.look()
    #expect(outside.scope == .machine)
    #expect(outside.buffers.map(\.kernelReferences) == [4])
  }

  @Test("Without /proc nobody is seen to hold anything, and nothing is said of whose it is")
  func noProcesses() throws {
    let machine = try FakeMachine()
    try machine.list([(4711, 8192, 4, [])])
    let inventory = machine.look()
    #expect(inventory.scope == .none)
    #expect(inventory.buffers.map(\.kernelReferences) == [nil])
  }

  @Test("What a process held and the kernel does not list any more is gone")
  func gone() throws {
    let machine = try FakeMachine()
    try machine.addProcess(812, "weston")
    try machine.map(812, inode: 4711, byteCount: 8192)
    try machine.list([])
    #expect(machine.look().buffers.isEmpty)
  }

  private func holder(_ process: Int32, _ descriptors: [Int32], startTime: UInt64 = 10) -> DMABufHolder {
    DMABufHolder(
      process: process, command: "p\(process)", user: 0, descriptors: descriptors, mappings: [], startTime: startTime)
  }

  private func inventory(_ entries: [DMABufInventory.Entry]) -> DMABufInventory {
    DMABufInventory(buffers: entries, list: .debugfs, hiddenProcesses: 0)
  }

  @Test("Changes are told, and a reused process number is another process")
  func changes() {
    let before = inventory([
      .init(inode: 1, holders: [holder(5, [3])], attachedDevices: []),
      .init(inode: 2, holders: [holder(5, [4])], attachedDevices: [.init(name: "vkms", driver: nil)]),
      .init(inode: 3, holders: []),
    ])
    let after = inventory([
      .init(
        inode: 1, name: "front", holders: [holder(5, [3, 9])], attachedDevices: [.init(name: "vkms", driver: nil)]),
      .init(inode: 2, holders: [holder(5, [4], startTime: 77)], attachedDevices: []),
      .init(inode: 4, holders: []),
    ])
    let changes = after.changes(since: before)
    #expect(changes.map(\.kind) == [.changed, .changed, .gone, .appeared])
    #expect(changes.map(\.buffer.inode) == [1, 2, 3, 4])
    #expect(changes[0].details == ["named front", "attached vkms", "p5(5) by descriptor 3 9"])
    #expect(changes[1].details == ["detached vkms", "held by p5(5)", "let go by p5(5)"])
    #expect(after.changes(since: after).isEmpty)
    #expect(after.changes(since: nil).map(\.kind) == [.present, .present, .present])
  }

  @Test("A leak is what nobody, or somebody who came with the command, holds")
  func leaks() {
    let before = inventory([.init(inode: 1, holders: [])])
    let after = inventory([
      .init(inode: 1, holders: []),
      .init(inode: 2, holders: []),
      .init(inode: 3, holders: [holder(5, [3], startTime: 99)]),
      .init(inode: 4, holders: [holder(6, [3], startTime: 100)]),
      .init(inode: 5, holders: [holder(5, [3], startTime: 99), holder(6, [3], startTime: 100)]),
    ])
    let leaks = DMABufLeaks(before: before, after: after, commandStart: 100)
    #expect(leaks.left.map(\.inode) == [2, 4, 5])
    #expect(leaks.elsewhere.map(\.inode) == [3])
  }
}
