/// A process that holds a dma-buf by descriptors, by mappings, or by both.
public struct DMABufHolder: Hashable, Sendable, Codable {
  /// The process's number.
  public var process: Int32
  /// What the process calls itself (`/proc/PID/comm`).
  public var command: String
  /// The user it acts as.
  public var user: UInt32
  /// Its descriptors of the dma-buf.
  public var descriptors: [Int32]
  /// Its mappings of the dma-buf.
  public var mappings: [Mapping]
  /// When it was started, in clock ticks since the machine was: with the number it tells one process from another.
  package var startTime: UInt64

  private enum CodingKeys: CodingKey {
    case process, command, user, descriptors, mappings
  }

  package init(
    process: Int32, command: String, user: UInt32, descriptors: [Int32], mappings: [Mapping], startTime: UInt64
  ) {
    self.process = process
    self.command = command
    self.user = user
    self.descriptors = descriptors
    self.mappings = mappings
    self.startTime = startTime
  }

  /// Reads what `encode` writes, which does not have the start time.
  ///
  /// - Throws: What the decoder throws.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    process = try container.decode(Int32.self, forKey: .process)
    command = try container.decode(String.self, forKey: .command)
    user = try container.decode(UInt32.self, forKey: .user)
    descriptors = try container.decode([Int32].self, forKey: .descriptors)
    mappings = try container.decode([Mapping].self, forKey: .mappings)
    startTime = 0
  }

  /// A part of a dma-buf in a process's memory.
  ///
  /// Where in the dma-buf it begins is not told: for GEM exporters the kernel shows an offset of the DRM file's
  /// (drm_prime.c:drm_gem_prime_mmap).
  public struct Mapping: Hashable, Sendable, Codable {
    /// How much of it is mapped, in bytes.
    public var byteCount: UInt64
    /// Whether the process may write through it.
    public var isWritable: Bool
  }
}

/// The dma-bufs that one process holds, as `/proc` tells.
package struct ProcessHoldings {
  /// One dma-buf of the process.
  package struct Holding {
    var descriptors: [Int32] = []
    package var mappings: [DMABufHolder.Mapping] = []
    /// In bytes, nil where it is only mapped and its file could not be looked at.
    var byteCount: Int?
    var exporter: String?
    var name: String?
  }

  package private(set) var holdings: [UInt64: Holding] = [:]
  /// The devices that the process has open, of those in `/dev`.
  private(set) var openDevices: Set<DeviceNumber> = []
  /// Whether all of it could be looked at.
  private(set) var isVisible = true

  private static let prefix = "/dmabuf:"

  /// Looks at `systemRoot/proc/PROCESS`.
  ///
  /// A process that ends meanwhile holds nothing.
  package init(of process: String, systemRoot: String, by kernel: any KernelCalls) {
    let folder = "\(systemRoot)/proc/\(process)"
    readDescriptors(of: folder, kernel)
    readMappings(of: folder, kernel)
    if !isVisible, let state = ProcessState(folder, by: kernel) { isVisible = !state.mayHoldFiles }
  }

  private mutating func readDescriptors(of folder: String, _ kernel: any KernelCalls) {
    guard let numbers = kernel.readableEntries(of: "\(folder)/fd") else { return isVisible = false }
    for number in numbers {
      guard let descriptor = Int32(number), let target = kernel.linkTarget(of: "\(folder)/fd/\(number)") else {
        continue
      }
      if target.hasPrefix("/dev/"), case .success(let device) = kernel.nodeNumber("\(folder)/fd/\(number)") {
        openDevices.insert(device)
      }
      guard target.hasPrefix(Self.prefix),
        // A file of that name is none, and says so.
        let facts = kernel.text(of: "\(folder)/fdinfo/\(number)"),
        let exporter = DescriptorFacts.value(of: "exp_name", in: facts),
        case .success(let status) = kernel.pathStatus("\(folder)/fd/\(number)")
      else { continue }
      var holding = holdings[status.inode] ?? Holding()
      holding.descriptors.append(descriptor)
      (holding.byteCount, holding.exporter, holding.name) = (
        Int(status.byteCount), exporter, DescriptorFacts.value(of: "name", in: facts)
      )
      holdings[status.inode] = holding
    }
    for inode in holdings.keys { holdings[inode]?.descriptors.sort() }
  }

  /// Lines of `START-END PERMISSIONS OFFSET DEVICE INODE PATH`, numbers hexadecimal but for the inode (proc_pid_maps(5)).
  private mutating func readMappings(of folder: String, _ kernel: any FileCalls) {
    guard let bytes = kernel.bytes(of: "\(folder)/maps", limit: 256 << 20) else { return isVisible = false }
    let mark = Array(Self.prefix.utf8)
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      // Only dma-bufs, of thousands of lines: their path is the only one with this beginning.
      guard let slash = line.firstIndex(of: mark[0]), line[slash...].starts(with: mark) else { continue }
      let columns = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 5)
      guard columns.count == 6, let dash = columns[0].firstIndex(of: "-"),
        let start = UInt64(columns[0][..<dash], radix: 16),
        let end = UInt64(columns[0][dash...].dropFirst(), radix: 16), start < end,
        // The file system of dma-bufs is on no device.
        columns[3].hasPrefix("00:"), let inode = UInt64(columns[4])
      else { continue }
      holdings[inode, default: Holding()].mappings.append(
        DMABufHolder.Mapping(byteCount: end - start, isWritable: columns[1].dropFirst().first == "w"))
    }
  }
}

/// What `/proc/PID/stat` says of a process.
package struct ProcessState {
  /// Whether it can hold files: threads of the kernel and processes that have ended hold none.
  let mayHoldFiles: Bool
  /// When it was started, in clock ticks since the machine was.
  package let startTime: UInt64

  private static let kernelThread: UInt64 = 0x20_0000

  /// Reads `stat` in a folder of `/proc`; nil where the process is gone.
  package init?(_ folder: String, by kernel: any FileCalls) {
    // The second column is the command in parentheses, which may hold anything, parentheses too.
    guard let text = kernel.text(of: "\(folder)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let columns = text[end...].dropFirst().split(separator: " ")
    guard columns.count > 19, let flags = UInt64(columns[6]), let startTime = UInt64(columns[19]) else { return nil }
    mayHoldFiles = flags & Self.kernelThread == 0 && columns[0] != "Z" && columns[0] != "X"
    self.startTime = startTime
  }
}
