import Dispatch
import Glibc
import Prime
import PrimeVerify
import Testing

extension OnARealKernel {
  /// cirrus is the device to pull out: it takes buffers of others, and the kernel gets over its loss (that of qxl it does
  /// not: 6.12 oopses in `qxl_irq_handler`).
  @Suite("A device that goes away")
  struct Unplugged {
    @Test func `ends its cells as errors that say so, and leaves nothing`() throws {
      try Lab.require(.heap)
      let devices = try DeviceDiscovery().devices()
      let cirrus = try Lab.device("cirrus")
      let node = try #require(cirrus.primary)
      let slot = PCISlot(cirrus.bus.identifier)
      defer { slot.plugIn(restoring: node.path) }
      let matrix = Matrix(
        exporters: [Exporter(name: "heap", node: nil, allocator: .heap)],
        importers: [Importer(name: "cirrus", node: node)],
        options: Matrix.Options(
          formats: [try #require(PixelFormat(.xrgb8888))], sizes: (0..<12).map { (256 + $0, 256) }, seed: 7,
          deadline: Lab.deadline), showingMesaOutput: false)
      // In the middle of a cell, not between two.
      let report = matrix.run(devices: devices) { done, _, _ in
        if done == 3 { DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) { slot.pullOut() } }
      }
      let verdicts = report.cells.map(\.verdict)
      // GEM-shmem only attaches there, and a buffer smaller than every mode is not shown, for which cirrus would map it.
      let taken: Verdict = Lab.isKernel("7.2") ? .held : .shared
      #expect(verdicts.count == 12)
      #expect(verdicts.prefix(3) == [taken, taken, taken])
      #expect(verdicts.last == .error)
      // A cell is as it always was, or it says what happened: nothing in between.
      #expect(Set(verdicts) == [taken, .error])
      for cell in report.cells where cell.verdict == .error {
        #expect(cell.reason?.contains(node.path) == true)
        #expect(cell.reason?.hasSuffix("the device went away during the run") == true)
      }
      #expect(report.leaks.descriptors == [])
      #expect(report.leaks.dmaBufs == [])
    }

    @Test func `is found again when it comes back`() throws {
      let cirrus = try Lab.device("cirrus")
      let path = try #require(cirrus.primary?.path)
      let slot = PCISlot(cirrus.bus.identifier)
      slot.pullOut()
      #expect(try !DeviceDiscovery().devices().contains { $0.driver == cirrus.driver })
      slot.plugIn(restoring: path)
      #expect(try Lab.device("cirrus").capabilities == cirrus.capabilities)
    }
  }
}

/// A place on the PCI bus, whose device is pulled out and put in again through sysfs.
struct PCISlot: Sendable {
  let address: String

  init(_ address: String) { self.address = address }

  func pullOut() { write("/sys/bus/pci/devices/\(address)/remove") }

  /// Finds the device again, and gives its node back to the group that udev gave it to.
  func plugIn(restoring node: String) {
    write("/sys/bus/pci/rescan")
    // udev of the lab sees the events of the boot only.
    guard let video = getgrnam("video")?.pointee.gr_gid else { return }
    chown(node, 0, video)
    chmod(node, 0o660)
  }

  private func write(_ path: String) {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = Glibc.write(descriptor, "1", 1)
    close(descriptor)
  }
}
