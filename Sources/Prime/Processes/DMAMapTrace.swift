internal import CProcess
internal import Glibc
package import Prime
internal import Synchronization

/// The mappings for DMA that the calling thread has a driver make, what is made coherent of them and what of them is bounced, as
/// the kernel's trace events tell (`trace/events/dma.h`, from Linux 6.12 on, `trace/events/swiotlb.h`; root).
///
/// It uses an instance of its own below tracefs, so that nobody else's trace changes.
package final class DMAMapTrace: Sendable {
  /// A piece of memory as a device reaches it.
  package struct Piece: Hashable, Sendable {
    /// The address that its driver was given.
    package var address: UInt64
    /// How many bytes it has.
    package var byteCount: Int
  }

  /// What was traced, by the kernel's names for devices, such as `0000:00:02.0`.
  package struct Seen: Hashable, Sendable {
    /// A mapping was made for them.
    package var mapped: Set<String> = []
    /// A mapping of theirs was made coherent, for the CPU or for the device (`dma_sync_sg_for_cpu`, `dma_sync_sg_for_device`).
    ///
    /// The kernel leaves the call out, and this with it, for a device whose mappings need none (`dma_skip_sync`, from 6.10 on).
    package var synced: Set<String> = []
    /// The largest piece, in bytes, that went or was to go through a bounce buffer for them (`swiotlb_bounced`).
    package var bounced: [String: Int] = [:]
    /// What the last `dma_map_sg` of each says behind its name; read where somebody asks, as every import has one.
    fileprivate var lists: [String: String] = [:]

    /// The last list of pieces that was mapped for each, where the event holds all of it: 128 at the most.
    package var pieces: [String: [Piece]] { lists.compactMapValues(DMAMapTrace.pieces(in:)) }

    package init() {}

    /// Adds what was seen later.
    package mutating func add(_ other: Seen) {
      mapped.formUnion(other.mapped)
      synced.formUnion(other.synced)
      bounced.merge(other.bounced, uniquingKeysWith: max)
      lists.merge(other.lists) { $1 }
    }
  }

  private let folder: String
  private let kernel: any KernelCalls
  /// Whether the kernel tells of bounce buffers: `swiotlb_bounced` is there since Linux 3.13, where it is built with them.
  package let tellsBounces: Bool
  private let found = Mutex<Seen>(Seen())

  /// What every mapping for DMA goes through: one page, a list of them, memory of another device.
  private static let events = ["dma_map_sg", "dma_map_page", "dma_map_phys", "dma_map_resource"]
  private static let syncEvents = [
    "dma_sync_sg_for_cpu", "dma_sync_sg_for_device", "dma_sync_single_for_cpu", "dma_sync_single_for_device",
  ]
  private static let bounceEvent = "swiotlb_bounced"
  private static let instances = "/sys/kernel/tracing/instances"

  /// Traces the thread that calls; nil where the kernel has no such events, or this user may not see them.
  package init?(by kernel: any KernelCalls) {
    let folder = "\(Self.instances)/\(Self.name(of: getpid()))"
    guard kernel.exists("/sys/kernel/tracing/events/dma/dma_map_sg/enable"),
      case .success = kernel.createFolder(folder)
    else { return nil }
    self.folder = folder
    self.kernel = kernel
    let thread = "\(cprocess_thread_number())"
    guard kernel.write("64", to: "\(folder)/buffer_size_kb"),
      kernel.write(thread, to: "\(folder)/set_event_pid"),
      kernel.write("1", to: "\(folder)/events/dma/dma_map_sg/enable")
    else {
      _ = kernel.removeFolder(folder)
      return nil
    }
    // Newer and older kernels each lack one of these.
    for event in Self.events.dropFirst() + Self.syncEvents {
      _ = kernel.write("1", to: "\(folder)/events/dma/\(event)/enable")
    }
    tellsBounces = kernel.write("1", to: "\(folder)/events/swiotlb/\(Self.bounceEvent)/enable")
  }

  deinit { _ = kernel.removeFolder(folder) }

  private static func name(of process: CInt) -> String { "prime-tool-\(process)" }

  /// Removes the instance of a process that died before it could.
  package static func removeLeftOver(of process: CInt) {
    _ = LinuxKernel().removeFolder("\(instances)/\(name(of: process))")
  }

  /// Forgets what was traced so far.
  package func clear() {
    found.withLock {
      _ = newlySeen()
      $0 = Seen()
    }
  }

  /// The devices that a mapping was made for since `clear`; nil where the trace cannot be read.
  package func devices() -> Set<String>? { seen()?.mapped }

  /// What was traced since `clear`; nil where the trace cannot be read.
  package func seen() -> Seen? {
    found.withLock {
      guard let new = newlySeen() else { return nil }
      $0.add(new)
      return $0
    }
  }

  /// Takes what is there out of the pipe: to empty or to read `trace` itself waits for every processor (`synchronize_rcu`), tens
  /// of milliseconds each time.
  private func newlySeen() -> Seen? {
    kernel.available(in: "\(folder)/trace_pipe").map(Self.seen(in:))
  }

  /// The devices that a mapping was made for, by the lines of a trace.
  package static func devices(in text: String) -> Set<String> { seen(in: text).mapped }

  /// Reads the lines of a trace: `TASK-PID [CPU] FLAGS TIME: EVENT: DEVICE dir=…`, and for a bounce
  /// `… swiotlb_bounced: dev_name: DEVICE dma_mask=… dev_addr=… size=BYTES FORCE`.
  package static func seen(in text: String) -> Seen {
    var seen = Seen()
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      let isEvent = { (word: Substring) in word.last == ":" && kind(of: word.dropLast()) != nil }
      guard let index = words.firstIndex(where: isEvent), index + 1 < words.count,
        let kind = kind(of: words[index].dropLast())
      else { continue }
      switch kind {
      case .mapping:
        let device = String(words[index + 1])
        seen.mapped.insert(device)
        if words[index] == "dma_map_sg:" { seen.lists[device] = String(line[words[index + 1].endIndex...]) }
      case .sync: seen.synced.insert(String(words[index + 1]))
      case .bounce:
        guard words[index + 1] == "dev_name:", index + 2 < words.count else { continue }
        let size = words.first { $0.hasPrefix("size=") }.flatMap { Int($0.dropFirst("size=".count)) }
        seen.bounced.merge([String(words[index + 2]): size ?? 0], uniquingKeysWith: max)
      }
    }
    return seen
  }

  /// Reads `dma_addrs={0x…,…} sizes={0x…,…}`; nil where the event was cut.
  private static func pieces(in text: String) -> [Piece]? {
    let words = text.split(separator: " ")
    guard !words.contains("[TRUNCATED]") else { return nil }
    func numbers(_ key: String) -> [UInt64] {
      let list = words.first { $0.hasPrefix("\(key)={") }?.dropFirst(key.count + 2).prefix { $0 != "}" }
      return list?.split(separator: ",").compactMap { UInt64(hexadecimal: String($0)) } ?? []
    }
    let (addresses, sizes) = (numbers("dma_addrs"), numbers("sizes"))
    guard !addresses.isEmpty, addresses.count == sizes.count else { return nil }
    return zip(addresses, sizes).compactMap { address, size in
      Int(exactly: size).map { Piece(address: address, byteCount: $0) }
    }
  }

  private enum Kind { case mapping, sync, bounce }

  private static func kind(of event: Substring) -> Kind? {
    let name = String(event)
    if events.contains(name) { return .mapping }
    if syncEvents.contains(name) { return .sync }
    return name == bounceEvent ? .bounce : nil
  }
}
