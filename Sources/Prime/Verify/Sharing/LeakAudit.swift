package import Prime

/// What a run left behind in this process and in the kernel.
public struct LeakReport: Hashable, Sendable, Codable {
  /// Open descriptors of DRM nodes, dma-bufs, fences and our own memory that were not open before.
  public var descriptors: [String]
  /// The inodes of dma-bufs of this run that the kernel still lists; nil where its list cannot be read.
  public var dmaBufs: [UInt64]?

  init(descriptors: [String], dmaBufs: [UInt64]?) {
    self.descriptors = descriptors
    self.dmaBufs = dmaBufs
  }

  /// Asks the kernel which of the dma-bufs with these inodes it still lists.
  package init(descriptors: [String], leftOf inodes: Set<UInt64>, by kernel: any KernelCalls, deadline: Deadline) {
    self.descriptors = descriptors
    dmaBufs = DMABufList.stillListed(of: inodes, by: kernel, deadline: deadline.atMost(.seconds(1)))
      .map { $0.sorted() }
  }

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

/// Counts descriptors before and after a run, and asks the kernel's list for the run's own dma-bufs.
package struct LeakAudit: Sendable {
  private let kernel: any KernelCalls
  private let before: [String: String]

  package init(by kernel: any KernelCalls) {
    self.kernel = kernel
    before = Self.descriptors(kernel)
  }

  /// What is left of a run that made the dma-bufs with these inodes.
  package func report(inodes: Set<UInt64>, deadline: Deadline) -> LeakReport {
    LeakReport(descriptors: leftDescriptors, leftOf: inodes, by: kernel, deadline: deadline)
  }

  /// The descriptors that were not open before, as `NUMBER -> FILE`.
  package var leftDescriptors: [String] {
    Self.descriptors(kernel).filter { before[$0.key] != $0.value }.map { "\($0.key) -> \($0.value)" }.sorted()
  }

  /// Descriptors of the kinds this library opens.
  ///
  /// Mesa keeps files of its own open, which are not ours to count.
  private static func descriptors(_ kernel: any KernelCalls) -> [String: String] {
    let kinds = [
      "/dmabuf:", "/dev/dri/", "/dev/udmabuf", "/dev/dma_heap/", "/memfd:prime-tool", "anon_inode:sync_file", "socket:",
    ]
    return ((try? DescriptorFacts.openFiles(by: kernel)) ?? [:]).filter { kinds.contains(where: $0.value.hasPrefix) }
  }
}
