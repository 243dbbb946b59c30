/// What a run left behind in this process and in the kernel.
public struct LeakReport: Hashable, Sendable, Codable {
  /// Open descriptors of DRM nodes, dma-bufs, fences and our own memory that were not open before.
  public var descriptors: [String]
  /// The inodes of dma-bufs of this run that the kernel still lists; nil where debugfs cannot be read.
  public var dmaBufs: [UInt64]?

  /// Whether nothing was left, as far as could be seen.
  public var isClean: Bool { descriptors.isEmpty && (dmaBufs ?? []).isEmpty }

  /// One sentence on what was left, nil when nothing was.
  public var sentence: String? {
    guard !isClean else { return nil }
    let buffers = dmaBufs.map { "\($0.count) dma-bufs" } ?? "an unknown number of dma-bufs"
    return "the run left \(descriptors.count) descriptors and \(buffers) behind: "
      + (descriptors + (dmaBufs ?? []).map { "dma-buf \($0)" }).joined(separator: ", ")
  }
}

/// Counts descriptors before and after a run, and asks debugfs for the run's own dma-bufs.
struct LeakAudit {
  private let before: [String: String]

  init() {
    before = Self.descriptors()
  }

  /// What is left of a run that made the dma-bufs with these inodes.
  func report(inodes: Set<UInt64>, deadline: Deadline) -> LeakReport {
    let alive = DMABufList.stillListed(of: inodes, deadline: deadline.atMost(.seconds(1)))
    let left = Self.descriptors().filter { before[$0.key] != $0.value }
    return LeakReport(
      descriptors: left.map { "\($0.key) -> \($0.value)" }.sorted(), dmaBufs: alive.map { $0.sorted() })
  }

  /// Descriptors of the kinds this library opens.
  ///
  /// Mesa keeps files of its own open, which are not ours to count.
  private static func descriptors() -> [String: String] {
    var found: [String: String] = [:]
    for number in FileSystem.entries(of: "/proc/self/fd") {
      guard let target = FileSystem.linkTarget(of: "/proc/self/fd/\(number)") else { continue }
      let kinds = [
        "/dmabuf:", "/dev/dri/", "/dev/udmabuf", "/dev/dma_heap/", "/memfd:prime-tool", "anon_inode:sync_file",
        "socket:",
      ]
      if kinds.contains(where: target.hasPrefix) { found[number] = target }
    }
    return found
  }
}
