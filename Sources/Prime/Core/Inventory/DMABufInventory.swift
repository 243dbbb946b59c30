/// Every dma-buf of the machine that the caller may see, at one moment.
///
/// Processes tell what they hold (`/proc`), the kernel's own list what nobody holds by descriptor or mapping and which
/// devices are attached (debugfs, for root; other lists tell less). A descriptor that lies in a socket's queue is in neither,
/// and counts as one of the kernel's references.
public struct DMABufInventory: Hashable, Sendable {
  /// The dma-bufs in the order in which they were made.
  public var buffers: [Entry]
  /// Where the kernel's list was read; nil where none could be: a dma-buf that no visible process holds is not seen then.
  public var list: DMABufListSource?
  /// Why no list could be read, where the kernel has its iterator and root was refused it; nil otherwise.
  public var listRefusal: String?
  /// How many processes could not be looked at.
  public var hiddenProcesses: Int
  /// Whose holdings could be seen at all.
  public var scope = ProcessScope.machine

  /// Whether the kernel's list could be read.
  public var showsKernel: Bool { list != nil }

  /// Which processes `/proc` shows.
  public enum ProcessScope: String, Hashable, Sendable, Codable {
    /// Those of the whole machine.
    case machine
    /// Those of this PID namespace: holders outside of it are not there for the caller.
    case namespace
    /// None, since `/proc` is not mounted.
    case none
  }

  /// One dma-buf and who holds it.
  public struct Entry: Hashable, Sendable, Codable {
    /// What tells it from every other since the machine was started.
    public var inode: UInt64
    /// Its size in bytes; nil where a process only maps it and the kernel's list cannot be read.
    public var byteCount: Int?
    /// What the exporter calls itself; nil as above.
    public var exporter: String?
    /// What `DMA_BUF_SET_NAME` gave it, nil where nothing did.
    public var name: String?
    /// The processes that hold it, by their numbers.
    public var holders: [DMABufHolder]
    /// References that no descriptor or mapping explains: GEM handles, framebuffers, messages under way; nil where the kernel's
    /// list does not tell, or it or a process could not be looked at.
    public var kernelReferences: Int?
    /// The devices that are attached to it; nil where the kernel's list cannot be read or does not tell.
    public var attachedDevices: [AttachedDevice]?
    /// The fences that are attached to it; nil as above.
    public var fences: [ListedDMABuf.AttachedFence]?

    /// Whether nobody holds it by descriptor or mapping.
    public var isHeldByKernelAlone: Bool { holders.isEmpty }
  }

  /// A device that may reach a dma-buf's memory.
  public struct AttachedDevice: Hashable, Sendable, Codable {
    /// Its name in the kernel's device model: a PCI address, `vkms`.
    public var name: String
    /// The driver that it is bound to, nil where no bus has a device of that name with one.
    public var driver: String?
    /// The processes that have it open, whose handles are among the kernel's references.
    public var openIn: [Opener]?
  }

  /// How many bytes all of them have, as far as their size is known.
  public var byteCount: Int { buffers.reduce(0) { $0 + ($1.byteCount ?? 0) } }

  /// Looks at this machine.
  public static func current() -> DMABufInventory { look(systemRoot: "", by: LinuxKernel()) }

  /// The dma-bufs of this machine with what processes hold by descriptors that were started at a time or after it, in clock
  /// ticks since the machine was; nothing of devices and of other processes, which is much quicker.
  static func holdings(
    ofProcessesSince startTime: UInt64, _ list: DMABufList, by kernel: any KernelCalls
  ) -> [Entry] {
    var entries: [UInt64: Entry] = [:]
    for process in kernel.entries(of: "/proc") {
      guard let number = Int32(process), let state = ProcessState("/proc/\(process)", by: kernel),
        state.startTime >= startTime
      else {
        continue
      }
      for (inode, holding) in ProcessHoldings(of: process, systemRoot: "", by: kernel).holdings {
        var entry = entries[inode] ?? Entry(inode: inode, byteCount: holding.byteCount, holders: [])
        entry.holders.append(
          DMABufHolder(
            process: number, command: "", user: 0, descriptors: holding.descriptors, mappings: holding.mappings,
            startTime: state.startTime))
        entries[inode] = entry
      }
    }
    for buffer in list.listed() ?? [] where entries[buffer.inode] == nil {
      entries[buffer.inode] = Entry(inode: buffer.inode, byteCount: buffer.byteCount, holders: [])
    }
    return Array(entries.values)
  }

  /// Looks at `systemRoot/proc` and `systemRoot/sys`.
  ///
  /// The two are read one after the other: where dma-bufs were made or freed meanwhile they are read again, a few times.
  package static func look(systemRoot: String, by kernel: any KernelCalls) -> DMABufInventory {
    look(systemRoot: systemRoot, DMABufList(systemRoot: systemRoot, by: kernel), by: kernel)
  }

  /// As `look(systemRoot:by:)`, with a list that is read more often.
  static func look(systemRoot: String, _ list: DMABufList, by kernel: any KernelCalls) -> DMABufInventory {
    var before = list.listed()
    var inventory = DMABufInventory(buffers: [], hiddenProcesses: 0)
    for _ in 0..<3 {
      let listed: [ListedDMABuf]?
      (inventory, listed) = readOnce(systemRoot: systemRoot, list, kernel)
      if before?.map(\.inode) == listed?.map(\.inode) { break }
      before = listed
    }
    return inventory
  }

  private static func readOnce(
    systemRoot: String, _ list: DMABufList, _ kernel: any KernelCalls
  ) -> (DMABufInventory, [ListedDMABuf]?) {
    var entries: [UInt64: Entry] = [:]
    var hidden = 0
    let processes = kernel.entries(of: "\(systemRoot)/proc").filter { Int32($0) != nil }
    let scope = scope(processes, systemRoot: systemRoot, kernel)
    var openers = DeviceOpeners(systemRoot: systemRoot, kernel: kernel)
    for process in processes {
      guard let number = Int32(process) else { continue }
      let found = ProcessHoldings(of: process, systemRoot: systemRoot, by: kernel)
      if !found.isVisible { hidden += 1 }
      let devices = found.openDevices.filter(openers.knows)
      if !devices.isEmpty {
        let command = kernel.text(of: "\(systemRoot)/proc/\(process)/comm") ?? "?"
        openers.add(Opener(process: number, command: command), of: devices)
      }
      for (inode, holding) in found.holdings {
        var entry = entries[inode] ?? Entry(inode: inode, holders: [])
        entry.byteCount = entry.byteCount ?? holding.byteCount
        entry.exporter = entry.exporter ?? holding.exporter
        entry.name = entry.name ?? holding.name
        entry.holders.append(holder(number, holding, folder: "\(systemRoot)/proc/\(process)", kernel))
        entries[inode] = entry
      }
    }
    // Read last: what a process held and the list does not have is gone by now.
    let reading = list.read()
    if case .list(let listed, _) = reading {
      let drivers = Drivers(systemRoot: systemRoot, kernel: kernel)
      entries = Dictionary(
        listed.map { buffer in
          let isWhole = hidden == 0 && scope == .machine
          return (buffer.inode, joined(buffer, entries[buffer.inode], drivers, openers, isWhole: isWhole))
        },
        uniquingKeysWith: { first, _ in first })
    }
    for inode in entries.keys { entries[inode]?.holders.sort { $0.process < $1.process } }
    var inventory = DMABufInventory(
      buffers: entries.values.sorted { $0.inode < $1.inode }, hiddenProcesses: hidden, scope: scope)
    switch reading {
    case .list(let listed, let source):
      inventory.list = source
      return (inventory, listed)
    case .nothing(let error):
      // Where a user is refused, or a kernel has no iterator, there is nothing to be said of it.
      if let error, error.errno != .noSuchFile, error.finding != .absent, kernel.effectiveUser == 0 {
        inventory.listRefusal = "\(error)"
      }
      return (inventory, nil)
    }
  }

  /// The machine's own PID namespace has a number that never changes (`PROC_PID_INIT_INO`, `linux/proc_ns.h`).
  private static func scope(
    _ processes: [String], systemRoot: String, _ kernel: any FileCalls
  ) -> ProcessScope {
    if processes.isEmpty { return .none }
    let namespace = kernel.linkTarget(of: "\(systemRoot)/proc/self/ns/pid")
    return namespace == nil || namespace == "pid:[4026531836]" ? .machine : .namespace
  }

  private static func holder(
    _ process: Int32, _ holding: ProcessHoldings.Holding, folder: String, _ kernel: any FileCalls
  ) -> DMABufHolder {
    let user = (kernel.text(of: "\(folder)/status") ?? "").split(separator: "\n").first { $0.hasPrefix("Uid:") }
    return DMABufHolder(
      process: process, command: kernel.text(of: "\(folder)/comm") ?? "?",
      // Real, effective, saved and file system's.
      user: user?.split(whereSeparator: \.isWhitespace).dropFirst(2).first.flatMap { UInt32($0) } ?? 0,
      descriptors: holding.descriptors, mappings: holding.mappings,
      startTime: ProcessState(folder, by: kernel)?.startTime ?? 0)
  }

  private static func joined(
    _ listed: ListedDMABuf, _ entry: Entry?, _ drivers: Drivers, _ openers: DeviceOpeners, isWhole: Bool
  ) -> Entry {
    let holders = entry?.holders ?? []
    // A mapping keeps the file as a descriptor does.
    let explained = holders.reduce(0) { $0 + $1.descriptors.count + $1.mappings.count }
    return Entry(
      inode: listed.inode, byteCount: listed.byteCount, exporter: listed.exporter,
      // A process tells the name as it is, the list in a line of its own format.
      name: entry?.name ?? listed.name, holders: holders,
      // Two processes that share a table of descriptors have each of them once.
      kernelReferences: isWhole ? listed.references.map { max(0, $0 - explained) } : nil,
      attachedDevices: listed.attachedDevices?.map { name in
        let open = openers.openers(of: name)
        return AttachedDevice(name: name, driver: drivers.driver(of: name), openIn: open.isEmpty ? nil : open)
      },
      fences: listed.fences)
  }
}

/// Which driver a device is bound to, whatever bus it is on.
private struct Drivers {
  private let folders: [String]
  private let kernel: any FileCalls

  init(systemRoot: String, kernel: any FileCalls) {
    self.kernel = kernel
    let folder = "\(systemRoot)/sys/bus"
    folders = kernel.entries(of: folder).map { "\(folder)/\($0)/devices" }
  }

  func driver(of device: String) -> String? {
    guard !device.contains("/") else { return nil }
    return folders.lazy.compactMap { kernel.linkTarget(of: "\($0)/\(device)/driver") }.first
      .map(\.lastComponent)
  }
}
