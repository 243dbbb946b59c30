internal import Glibc
internal import Prime
internal import PrimeProcesses

/// A device on a hot-pluggable bus that is pulled out and brought back, by command or through the kernel's PCI core.
///
/// `/sys/bus/pci/devices/ADDRESS/remove` is the kernel's own way to take a device away under its users; a rescan of the bus
/// finds it again. A command that pulls it out for good, as QEMU or a real cable does, leaves nothing for the next statement.
extension Check {
  /// Runs `body` while the subject's device is away, and brings it back whatever comes of it.
  func whileUnplugged(_ body: () throws -> Void) throws {
    guard let device = subject.device, let path = device.primary?.path else { return }
    let folder = "/sys/bus/pci/devices/\(device.bus.identifier)"
    let system = kernel.unrecorded
    let node = NodeOwnership(path, system)
    try pullOut(device, folder)
    guard waits(for: { !system.exists(path) && !system.exists(folder) }) else {
      throw Statement.Stop.broken("\(path) is still there ten seconds after \(subject.name) was pulled out")
    }
    defer {
      // What is still open keeps the device's number taken, so that it would come back under another.
      kernel.cleanUp()
      if machine.unplugging == .sysfs { node.bringBack() }
    }
    try body()
  }

  private func pullOut(_ device: DeviceDescription, _ folder: String) throws {
    switch machine.unplugging {
    case .sysfs:
      guard kernel.unrecorded.write("1", to: "\(folder)/remove") else {
        throw Statement.Stop.broken("\(folder)/remove cannot be written")
      }
    case .command(let command):
      let words = ["/bin/sh", "-c", "\(command) \"$0\"", device.driver]
      guard ProgramProcess.run(words, within: .seconds(100)) else {
        throw Statement.Stop.broken("`\(command) \(device.driver)` failed")
      }
    case nil: throw Statement.Stop.skipped(SubjectKind.removableDisplay.absence)
    }
  }

  private func waits(for condition: () -> Bool) -> Bool {
    Pause.until(Deadline(in: .seconds(10), on: kernel.unrecorded), condition)
  }

  /// A buffer of the subject's device.
  func bufferOfItsOwn() throws -> ProbeBuffer {
    guard let device = subject.device else { throw Statement.Stop.broken("this subject has no device") }
    guard machine.subjects(.exporter).contains(where: { $0.exporter == .dumb(device) }) else {
      throw Statement.Stop.skipped("\(subject.name) makes no dma-bufs")
    }
    return try buffer(on: .dumb(device))
  }

  /// A buffer of something that stays.
  func bufferOfAnother() throws -> ProbeBuffer {
    let others = machine.subjects(.exporter).filter { $0.nodes.isDisjoint(with: subject.nodes) }
    guard let exporter = others.compactMap(\.exporter).last else {
      throw Statement.Stop.skipped("nothing else here makes dma-bufs")
    }
    return try buffer(on: exporter)
  }

  /// Another device, where there is one: vgem first, which takes most buffers.
  func openOther() throws -> CInt? {
    let other = machine.vgem ?? machine.devices.first { $0 != subject.device && $0.primary == $0.usableNode }
    guard let path = other?.primary?.path else { return nil }
    return try prepare(kernel.openDevice(path))
  }
}

/// How devices may be pulled out.
package enum Unplugging: Hashable, Sendable {
  /// Through the kernel's PCI core, and back by a rescan.
  case sysfs
  /// With a command, which is told the driver's name, for good.
  case command(String)
}

/// A node of a device that may be pulled out, and who it belongs to: nobody restores that where udev does not run.
struct NodeOwnership {
  private let path: String
  private let system: any KernelCalls
  private let status: stat?

  init(_ path: String, _ system: any KernelCalls) {
    self.path = path
    self.system = system
    var found = stat()
    // Safe: fstatat fills the struct it is given.
    status = unsafe fstatat(AT_FDCWD, path, &found, 0) == 0 ? found : nil
  }

  /// Has the kernel look for devices, where this one is away, and waits for the node.
  func bringBack() {
    if !system.exists(path) {
      system.write("1", to: "/sys/bus/pci/rescan")
      _ = Pause.until(Deadline(in: .seconds(20), on: system)) { system.exists(path) }
    }
    guard let status else { return }
    // Safe: the path is copied for the calls.
    _ = unsafe chown(path, status.st_uid, status.st_gid)
    _ = unsafe chmod(path, status.st_mode & 0o7777)
  }
}
