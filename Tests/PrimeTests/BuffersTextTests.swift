import Testing

@testable import Prime
@testable import prime_tool

@Suite("Dma-bufs as people read them")
struct BuffersTextTests {
  private func inventory(
    _ buffers: [DMABufInventory.Entry], list: DMABufListSource? = .debugfs, hidden: Int = 0
  ) -> DMABufInventory {
    DMABufInventory(buffers: buffers, list: list, hiddenProcesses: hidden)
  }

  private func holder(_ command: String, _ descriptors: [Int32], mappings: Int = 0) -> DMABufHolder {
    DMABufHolder(
      process: 812, command: command, user: 0, descriptors: descriptors,
      mappings: Array(repeating: .init(byteCount: 4096, isWritable: true), count: mappings), startTime: 1)
  }

  @Test("Nothing that a process chose reaches the terminal as an order")
  func hostile() {
    let text = BuffersText().text(
      inventory([
        .init(
          inode: 7, byteCount: 4096, exporter: "drm", name: "two\twords\n\u{1b}[31mred", holders: [holder("a\rb", [3])])
      ]))
    #expect(
      text == """
        INODE  SIZE     EXPORTER  NAME                HELD BY
        7      4.0 KiB  drm       two\u{fffd}words\u{fffd}\u{fffd}[31mred  a\u{fffd}b(812) fd 3

        1 dma-buf, 4.0 KiB

        """)
  }

  @Test("What the kernel holds is told with the processes that have an attached device open")
  func openers() {
    let devices: [DMABufInventory.AttachedDevice] = [
      .init(
        name: "vkms", driver: "vkms", openIn: [.init(process: 812, command: "weston"), .init(process: 9, command: "x")]),
      .init(name: "0000:00:02.0", driver: "i915"),
    ]
    let text = BuffersText().text(
      inventory([
        .init(inode: 7, byteCount: 4096, exporter: "drm", holders: [], kernelReferences: 3, attachedDevices: devices)
      ]))
    #expect(
      text == """
        INODE  SIZE     EXPORTER  HELD BY                                        ATTACHED
        7      4.0 KiB  drm       kernel ×3 (vkms is open in weston(812), x(9))  vkms, 0000:00:02.0 (i915)

        1 dma-buf, 4.0 KiB

        """)
  }

  @Test("Columns that nothing is in are left out, and what is not known is not said")
  func columns() {
    let buffers: [DMABufInventory.Entry] = [
      .init(
        inode: 7, byteCount: 8 << 20, exporter: "drm", holders: [holder("weston", [3, 4, 5, 6, 7, 8], mappings: 2)],
        kernelReferences: 3, attachedDevices: [.init(name: "0000:00:02.0", driver: "i915")],
        fences: [.init(usage: "write", description: "x", isSignalled: false)]),
      .init(inode: 8, holders: []),
    ]
    #expect(
      BuffersText().text(inventory(buffers)) == """
        INODE  SIZE     EXPORTER  HELD BY                                                   ATTACHED             FENCES
        7      8.0 MiB  drm       weston(812) fd 3 4 5 6 and 2 more, 2 mappings; kernel ×3  0000:00:02.0 (i915)  1 pending
        8      ?        ?         nobody that can be seen

        2 dma-bufs, 8.0 MiB

        """)
  }

  @Test(
    "What could not be seen is said, with what to do",
    arguments: [
      (.debugfs, 0, nil),
      (.debugfs, 1, "1 process of others cannot be looked at: run it as root"),
      (
        nil, 0,
        "the kernel's list of dma-bufs cannot be read: run it as root, with debugfs mounted "
          + "(`mount -t debugfs none /sys/kernel/debug`)"
      ),
      (
        nil, 12,
        "the kernel's list of dma-bufs cannot be read and 12 processes of others cannot be looked at: run it as root"
      ),
      (
        .iterator, 0,
        "attached devices, fences and what the kernel itself holds are unknown, which the kernel's BPF iterator does "
          + "not list: mount debugfs (`mount -t debugfs none /sys/kernel/debug`)"
      ),
      (
        .sysfs, 2,
        "2 processes of others cannot be looked at: run it as root; attached devices, fences and what the kernel "
          + "itself holds are unknown, which sysfs does not list: run it as root, with debugfs mounted "
          + "(`mount -t debugfs none /sys/kernel/debug`)"
      ),
    ] as [(DMABufListSource?, Int, String?)])
  func limits(list: DMABufListSource?, hidden: Int, sentence: String?) {
    #expect(BuffersText.limits(of: inventory([], list: list, hidden: hidden)) == sentence)
  }

  @Test("Why root was refused the kernel's iterator is said")
  func refusal() {
    var seen = inventory([], list: nil)
    seen.listRefusal =
      "bpf(BPF_PROG_LOAD) on the BPF iterator over dma-bufs: EPERM (Operation not permitted)"
    #expect(
      BuffersText.limits(of: seen)
        == "the kernel's list of dma-bufs cannot be read: run it as root, with debugfs mounted "
        + "(`mount -t debugfs none /sys/kernel/debug`); bpf(BPF_PROG_LOAD) on the BPF iterator over dma-bufs: EPERM "
        + "(Operation not permitted)")
  }

  @Test("Whose holdings are not there for the caller is said")
  func scope() {
    var seen = inventory([])
    seen.scope = .namespace
    #expect(
      BuffersText.limits(of: seen)
        == "processes outside of this PID namespace cannot be seen, nor what they hold: run it outside of the "
        + "container")
    seen.scope = .none
    seen.hiddenProcesses = 1
    #expect(
      BuffersText.limits(of: seen)
        == "1 process of others cannot be looked at: run it as root; no process can be seen, nor what it holds: "
        + "mount /proc "
        + "(`mount -t proc none /proc`)")
  }
}
