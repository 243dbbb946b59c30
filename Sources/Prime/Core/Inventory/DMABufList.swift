internal import Synchronization

/// One dma-buf as the kernel lists it, whoever holds it.
public struct ListedDMABuf: Hashable, Sendable {
  /// What tells it from every other since the machine was started (contract A05).
  public var inode: UInt64
  /// Its size in bytes.
  public var byteCount: Int
  /// What the exporter calls itself: `drm` for every GEM driver, `udmabuf`, a heap's name.
  public var exporter: String
  /// What `DMA_BUF_SET_NAME` gave it, nil where nothing did.
  public var name: String?
  /// The flags of `open(2)` that it was made with; nil where the list does not tell.
  public var openFlags: UInt32?
  /// How many references its file has; nil where the list does not tell.
  public var references: Int?
  /// The fences that are attached to it; nil where the list does not tell.
  public var fences: [AttachedFence]?
  /// The devices that are attached to it, by the names of the kernel's device model; nil where the list does not tell.
  public var attachedDevices: [String]?

  /// A fence in a dma-buf's reservation.
  public struct AttachedFence: Hashable, Sendable, Codable {
    /// Whom it holds back: `kernel`, `write`, `read` or `bookkeep` (`enum dma_resv_usage`).
    public var usage: String
    /// Driver, timeline and number, as the driver names them.
    public var description: String
    /// Whether it holds nobody back any more.
    public var isSignalled: Bool
  }
}

/// Where the kernel's list of dma-bufs was read.
public enum DMABufListSource: String, Hashable, Sendable, Codable {
  /// debugfs, which tells everything.
  case debugfs
  /// The statistics of sysfs (`CONFIG_DMABUF_SYSFS_STATS`), which tell sizes and exporters.
  case sysfs
  /// The kernel's BPF iterator (Linux 6.16), which tells sizes, exporters and names.
  case iterator

  /// Whether it tells references, attached devices and fences.
  public var isWhole: Bool { self == .debugfs }
}

/// The dma-bufs that the kernel lists, whoever holds them.
///
/// It may be read any number of times, and keeps what the kernel has loaded for it as long as it lives.
package final class DMABufList: Sendable {
  private static let path = "/sys/kernel/debug/dma_buf/bufinfo"
  private static let statistics = "/sys/kernel/dmabuf/buffers"

  private let systemRoot: String
  private let kernel: any KernelCalls
  private let iterator = Mutex<DMABufIterator?>(nil)

  /// What became of a try to read the list.
  package enum Reading {
    case list([ListedDMABuf], DMABufListSource)
    /// No list can be read, with why the last of them, the iterator, could not.
    case nothing(PrimeError?)
  }

  /// The list below `systemRoot`; nothing is read yet.
  package init(systemRoot: String = "", by kernel: any KernelCalls) {
    (self.systemRoot, self.kernel) = (systemRoot, kernel)
  }

  /// All of them, from the first source that can be read, in the order of `DMABufListSource`; nil where there is none.
  ///
  /// The iterator is this machine's, and not asked for another root.
  package func listed() -> [ListedDMABuf]? {
    guard case .list(let buffers, _) = read() else { return nil }
    return buffers
  }

  /// As `listed`, for one look.
  package static func listed(by kernel: any KernelCalls) -> [ListedDMABuf]? { DMABufList(by: kernel).listed() }

  /// All of them, with where they were read.
  package func read() -> Reading {
    if let buffers = Self.recorded(systemRoot + Self.path, kernel) { return .list(buffers, .debugfs) }
    if let buffers = Self.counted(systemRoot + Self.statistics, kernel) { return .list(buffers, .sysfs) }
    guard systemRoot.isEmpty else { return .nothing(nil) }
    do throws(PrimeError) {
      return .list(try loadedIterator().listed(), .iterator)
    } catch {
      return .nothing(error)
    }
  }

  private func loadedIterator() throws(PrimeError) -> DMABufIterator {
    if let iterator = iterator.withLock({ $0 }) { return iterator }
    let made = try DMABufIterator(by: kernel)
    iterator.withLock { $0 = made }
    return made
  }

  private static func recorded(_ path: String, _ kernel: any FileCalls) -> [ListedDMABuf]? {
    // A list without its last line was cut off, and says nothing of what it does not have.
    guard let text = kernel.text(of: path, limit: 64 << 20), text.contains("\nTotal "), text.hasSuffix(" bytes")
    else { return nil }
    return parse(text)
  }

  private static func counted(_ folder: String, _ kernel: any FileCalls) -> [ListedDMABuf]? {
    kernel.readableEntries(of: folder)?.compactMap { name in
      guard let inode = UInt64(name), let size = kernel.text(of: "\(folder)/\(name)/size").flatMap({ Int($0) }),
        let exporter = kernel.text(of: "\(folder)/\(name)/exporter_name")
      else { return nil }
      return ListedDMABuf(inode: inode, byteCount: size, exporter: exporter)
    }
  }

  /// The inodes of all of them; nil where no list can be read.
  package func inodes() -> Set<UInt64>? { listed().map { Set($0.map(\.inode)) } }

  /// Reads what `dma-buf.c:dma_buf_debug_show` writes.
  ///
  /// A dma-buf is a line of seven columns with tabs between them, the name last; its fences and attached devices follow,
  /// each on a line that begins with a tab. A name is at most 31 bytes of anything: it can hold tabs and line breaks, but
  /// is too short to forge the line of a dma-buf, whose first four columns alone take 36.
  package static func parse(_ text: String) -> [ListedDMABuf] {
    var found: [ListedDMABuf] = []
    var listsDevices = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if let buffer = buffer(line) {
        found.append(buffer)
        listsDevices = false
      } else if found.isEmpty {
        continue
      } else if line == "\tAttached Devices:" {
        listsDevices = true
      } else if line.hasPrefix("Total ") {
        listsDevices = false
      } else if listsDevices, line.hasPrefix("\t") {
        found[found.count - 1].attachedDevices?.append(String(line.dropFirst()))
      } else if let fence = fence(line) {
        found[found.count - 1].fences?.append(fence)
      }
    }
    return found
  }

  /// Columns: size, flags, mode, count, exporter, inode, name.
  private static func buffer(_ line: Substring) -> ListedDMABuf? {
    let columns = line.split(separator: "\t", maxSplits: 6, omittingEmptySubsequences: false)
    guard columns.count == 7, columns.prefix(4).allSatisfy({ $0.count >= 8 }),
      columns[2].allSatisfy(\.isHexDigit),
      let size = Int(columns[0]), let flags = UInt32(columns[1], radix: 16), let references = Int(columns[3]),
      let inode = UInt64(columns[5])
    else { return nil }
    let isNamed = !columns[6].isEmpty && columns[6] != "<none>"
    return ListedDMABuf(
      inode: inode, byteCount: size, exporter: String(columns[4]), name: isNamed ? String(columns[6]) : nil,
      openFlags: flags, references: references, fences: [], attachedDevices: [])
  }

  /// What `dma-resv.c:dma_resv_describe` and `dma-fence.c:dma_fence_describe` write.
  private static func fence(_ line: Substring) -> ListedDMABuf.AttachedFence? {
    guard line.hasPrefix("\t"), let colon = line.firstRange(of: " fence:") else { return nil }
    let words = line[colon.upperBound...].split(separator: " ")
    guard let state = words.last, ["signalled", "unsignalled"].contains(state) else { return nil }
    return ListedDMABuf.AttachedFence(
      usage: String(line[..<colon.lowerBound].dropFirst()), description: words.dropLast().joined(separator: " "),
      isSignalled: state == "signalled")
  }

  /// Those of the given inodes that are still there; nil where no list can be read.
  ///
  /// The kernel frees a dma-buf a moment after its last descriptor was closed, so one that is still listed is looked for
  /// again until the deadline.
  package static func stillListed(
    of inodes: Set<UInt64>, by kernel: any KernelCalls, deadline: Deadline
  ) -> Set<UInt64>? {
    guard !inodes.isEmpty else { return [] }
    let list = DMABufList(by: kernel)
    var alive = list.inodes()?.intersection(inodes)
    while let left = alive, !left.isEmpty, deadline.remaining > .zero {
      deadline.pause(milliseconds: 10)
      alive = list.inodes()?.intersection(inodes)
    }
    return alive
  }
}
