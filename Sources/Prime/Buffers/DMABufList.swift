/// The dma-bufs that the kernel lists in debugfs, whoever holds them.
package enum DMABufList {
  private static let path = "/sys/kernel/debug/dma_buf/bufinfo"

  /// The inodes of all of them; nil where debugfs cannot be read.
  ///
  /// Columns of a line: size, flags, mode, count, exporter, inode, name.
  package static func inodes() -> Set<UInt64>? {
    guard let text = FileSystem.text(of: path, limit: 16 << 20) else { return nil }
    return Set(
      text.split(separator: "\n").compactMap { line in
        let columns = line.split(whereSeparator: \.isWhitespace)
        guard columns.count >= 6, columns[0].allSatisfy(\.isHexDigit), columns[0].count >= 8 else { return nil }
        return UInt64(columns[5])
      })
  }

  /// Those of the given inodes that are still there; nil where debugfs cannot be read.
  ///
  /// The kernel frees a dma-buf a moment after its last descriptor was closed, so one that is still listed is looked for
  /// again until the deadline.
  package static func stillListed(of inodes: Set<UInt64>, deadline: Deadline) -> Set<UInt64>? {
    guard !inodes.isEmpty else { return [] }
    var alive = self.inodes()?.intersection(inodes)
    while let left = alive, !left.isEmpty, deadline.remaining > .zero {
      Pause.milliseconds(10)
      alive = self.inodes()?.intersection(inodes)
    }
    return alive
  }
}
