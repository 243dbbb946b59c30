internal import Glibc
internal import Synchronization

/// The mappings for DMA that the calling thread has a driver make, as the kernel's trace events tell (`trace/events/dma.h`, from
/// Linux 6.12 on; root).
///
/// It uses an instance of its own below tracefs, so that nobody else's trace changes.
package final class DMAMapTrace: Sendable {
  private let folder: String
  private let found = Mutex<Set<String>>([])

  /// What every mapping for DMA goes through: one page, a list of them, memory of another device.
  private static let events = ["dma_map_sg", "dma_map_page", "dma_map_phys", "dma_map_resource"]
  private static let instances = "/sys/kernel/tracing/instances"

  /// Traces the thread that calls; nil where the kernel has no such events, or this user may not see them.
  package init?() {
    let folder = "\(Self.instances)/\(Self.name(of: getpid()))"
    guard FileSystem.exists("/sys/kernel/tracing/events/dma/dma_map_sg/enable"),
      FileSystem.create(folder: folder)
    else { return nil }
    self.folder = folder
    let thread = "\(gettid())"
    guard FileSystem.write("64", to: "\(folder)/buffer_size_kb"),
      FileSystem.write(thread, to: "\(folder)/set_event_pid"),
      FileSystem.write("1", to: "\(folder)/events/dma/dma_map_sg/enable")
    else {
      remove()
      return nil
    }
    // Newer and older kernels each lack one of these.
    for event in Self.events.dropFirst() { _ = FileSystem.write("1", to: "\(folder)/events/dma/\(event)/enable") }
  }

  deinit { remove() }

  private func remove() { _ = FileSystem.remove(folder: folder) }

  private static func name(of process: CInt) -> String { "prime-tool-\(process)" }

  /// Removes the instance of a process that died before it could.
  package static func removeLeftOver(of process: CInt) {
    _ = FileSystem.remove(folder: "\(instances)/\(name(of: process))")
  }

  /// Forgets what was traced so far.
  package func clear() {
    found.withLock {
      _ = newDevices()
      $0 = []
    }
  }

  /// The devices that a mapping was made for since `clear`, by the kernel's names for them, such as `0000:00:02.0`; nil where
  /// the trace cannot be read.
  package func devices() -> Set<String>? {
    found.withLock {
      guard let new = newDevices() else { return nil }
      $0.formUnion(new)
      return $0
    }
  }

  /// Takes what is there out of the pipe: to empty or to read `trace` itself waits for every processor (`synchronize_rcu`), tens
  /// of milliseconds each time.
  private func newDevices() -> Set<String>? {
    FileSystem.available(in: "\(folder)/trace_pipe").map(Self.devices(in:))
  }

  /// Reads the lines of a trace: `TASK-PID [CPU] FLAGS TIME: EVENT: DEVICE dir=…`.
  package static func devices(in text: String) -> Set<String> {
    var found: Set<String> = []
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      guard let event = words.firstIndex(where: { $0.last == ":" && events.contains(String($0.dropLast())) }),
        event + 1 < words.count
      else { continue }
      found.insert(String(words[event + 1]))
    }
    return found
  }
}
