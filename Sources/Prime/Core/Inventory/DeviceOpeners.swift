/// Which processes have a device open: they may hold handles of its buffers, which no descriptor shows.
struct DeviceOpeners {
  /// Who has each node open, by the node's number.
  private var processes: [DeviceNumber: [DMABufInventory.Opener]] = [:]
  /// The folders of hardware that each node stands for, from sysfs.
  private let folders: [DeviceNumber: Set<Substring>]

  /// The classes of sysfs whose devices import dma-bufs and have nodes.
  private static let classes = ["drm", "video4linux", "accel"]

  init(systemRoot: String, kernel: any FileCalls) {
    var folders: [DeviceNumber: Set<Substring>] = [:]
    for name in Self.classes {
      let root = "\(systemRoot)/sys/class/\(name)"
      for node in kernel.entries(of: root) {
        guard let number = kernel.text(of: "\(root)/\(node)/dev").flatMap(DeviceNumber.init(parsing:)),
          let folder = kernel.resolved("\(root)/\(node)/device")
        else { continue }
        folders[number] = Set(folder.split(separator: "/"))
      }
    }
    self.folders = folders
  }

  /// Whether a node is one of those that can hold handles of buffers.
  func knows(_ number: DeviceNumber) -> Bool { folders[number] != nil }

  mutating func add(_ opener: DMABufInventory.Opener, of nodes: Set<DeviceNumber>) {
    for number in nodes { processes[number, default: []].append(opener) }
  }

  /// The processes that have a node open of the hardware that the kernel calls so, each once.
  ///
  /// The memory of a virtio device is mapped for the PCI device that carries it, a folder above the node's own.
  func openers(of device: String) -> [DMABufInventory.Opener] {
    let found = folders.filter { $0.value.contains { $0 == device } }.keys.flatMap { processes[$0] ?? [] }
    return Set(found).sorted { $0.process < $1.process }
  }
}

extension DMABufInventory {
  /// A process that has a device open.
  public struct Opener: Hashable, Sendable, Codable {
    /// The process's number.
    public var process: Int32
    /// What the process calls itself (`/proc/PID/comm`).
    public var command: String

    /// `weston(812)`.
    public var label: String { "\(command)(\(process))" }
  }
}
