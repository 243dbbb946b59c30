import Foundation
import Testing

@testable import Prime

@Suite("The kernel's list of dma-bufs")
struct DMABufListTests {
  static func fixture(_ name: String) throws -> String {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "fixtures/bufinfo")
    return try String(contentsOf: folder.appending(path: name), encoding: .utf8)
  }

  @Test(
    "Each kernel's is read whole, whatever a name holds",
    arguments: [
      ("6.1", "vgem unbound seq 1"), ("6.12", "vgem unbound seq 1"), ("7.2", "11:1 unbound vgem"),
    ])
  func recorded(kernel: String, fence: String) throws {
    let list = DMABufList.parse(try Self.fixture("bufinfo-\(kernel).txt")).sorted { $0.byteCount < $1.byteCount }
    #expect(list.map(\.byteCount) == [16384, 32768, 65536])
    #expect(list.map(\.exporter) == ["drm", "drm", "drm"])
    #expect(list.map(\.inode) == list.map(\.inode).sorted())
    #expect(list[0].name == nil)
    #expect(list[1].name == "scanout")
    // What the list itself cannot tell from its own lines.
    #expect(list[2].name == "two\twords")
    #expect(list.map(\.references) == [3, 7, 3])
    #expect(list.map(\.openFlags) == [2, 2, 2])
    #expect(list.map(\.attachedDevices) == [[], ["vkms"], []])
    #expect(
      list.map(\.fences) == [
        [], [.init(usage: "write", description: fence, isSignalled: false)], [],
      ])
  }

  @Test(
    "What is cut off, empty or something else is no dma-buf",
    arguments: ["", "\n", "Dma-buf Objects:\n", "00004096\t0"])
  func nothing(text: String) {
    #expect(DMABufList.parse(text).isEmpty)
  }

  @Test("A name cannot forge a dma-buf, a total or a device of another")
  func forged() {
    // 31 bytes are all that a name may have.
    let name = "x\n00004096\t0\t0\t1\tdrm\t00000009\ty"
    #expect(name.utf8.count == 31)
    let text = """
      00008192\t00000002\t00080007\t00000003\tdrm\t00000004\t\(name)
      \tAttached Devices:
      \tvkms
      Total 1 devices attached

      """
    let list = DMABufList.parse(text)
    #expect(list.map(\.inode) == [4])
    #expect(list[0].attachedDevices == ["vkms"])
  }

  @Test("Where the kernel has only the statistics of sysfs, they are the list")
  func statistics() throws {
    let tree = try FixtureTree()
    try tree.write("4096\n", to: "/sys/kernel/dmabuf/buffers/7/size")
    try tree.write("system\n", to: "/sys/kernel/dmabuf/buffers/7/exporter_name")
    let list = try #require(DMABufList(systemRoot: tree.root, by: FakeKernel([])).listed())
    #expect(list.map(\.inode) == [7])
    #expect(list[0].byteCount == 4096)
    #expect(list[0].exporter == "system")
    #expect(list[0].attachedDevices == nil)
    #expect(list[0].fences == nil)
    #expect(DMABufList(systemRoot: "\(tree.root)/nowhere", by: FakeKernel([])).listed() == nil)
  }

  @Test(
    "What is still listed is waited for until the deadline, and what is gone is not",
    arguments: [([7], [7], 2), ([7, 9], [7], 2), ([9], [], 0), ([], [], 0)] as [([UInt64], [UInt64], Int)])
  func stillListed(made: [UInt64], left: [UInt64], seconds: Int) {
    let kernel = FakeKernel([])
    kernel.addFile(
      "/sys/kernel/debug/dma_buf/bufinfo",
      """
      Dma-buf Objects:
      00004096\t00000002\t00080007\t00000001\tdrm\t00000007\t<none>
      \tAttached Devices:
      Total 0 devices attached


      Total 1 objects, 4096 bytes
      """)
    let deadline = Deadline(in: .seconds(2), on: kernel)
    #expect(DMABufList.stillListed(of: Set(made), by: kernel, deadline: deadline) == Set(left))
    #expect(kernel.waited == .seconds(seconds))
  }

  @Test("Nothing is known of what is still there where no list can be read")
  func unreadable() {
    let kernel = FakeKernel([])
    #expect(DMABufList.stillListed(of: [7], by: kernel, deadline: kernel.deadline) == nil)
    #expect(kernel.waited == .zero)
  }
}
