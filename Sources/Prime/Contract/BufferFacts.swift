/// What the kernel tells of one dma-buf in text: its fdinfo, and its lines in debugfs' `dma_buf/bufinfo`.
package enum BufferFacts {
  /// The value behind `key:` in an fdinfo; nil where there is no such line.
  package static func value(of key: String, in fdinfo: String) -> String? {
    fdinfo.split(separator: "\n").first { $0.hasPrefix("\(key):") }.map {
      $0.dropFirst(key.count + 1).trimmingPrefix(while: \.isWhitespace).description
    }
  }

  /// One dma-buf as bufinfo lists it.
  package struct Listed: Hashable, Sendable {
    /// Bytes.
    package var byteCount: UInt64
    /// Flags of `open(2)`, with which it was made.
    package var flags: UInt32
    /// Who exported it.
    package var exporter: String
    /// Its name, empty where it has none.
    package var name: String
    /// The lines of its fences.
    package var fences: [String]
    /// The names of the devices that hold it.
    package var devices: [String]
  }

  /// The entry of an inode: a line of columns (size, flags, mode, count, exporter, inode, name), then what belongs to it.
  package static func listed(inode: UInt64, in bufinfo: String) -> Listed? {
    let lines = bufinfo.split(separator: "\n")
    guard let start = lines.firstIndex(where: { columns($0)?.inode == inode }), let own = columns(lines[start])
    else { return nil }
    let rest = lines[(start + 1)...]
    let block = rest.prefix { !$0.hasPrefix("Total ") }
    let devices = block.drop { !$0.contains("Attached Devices:") }.dropFirst()
    return Listed(
      byteCount: own.byteCount, flags: own.flags, exporter: own.exporter, name: own.name,
      fences: block.filter { $0.contains(" fence:") }.map(String.init),
      devices: devices.map { $0.trimmingPrefix(while: \.isWhitespace).description })
  }

  private static func columns(
    _ line: Substring
  ) -> (byteCount: UInt64, flags: UInt32, exporter: String, inode: UInt64, name: String)? {
    let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
    guard columns.count >= 6, let byteCount = UInt64(columns[0]), let flags = UInt32(columns[1], radix: 16),
      let inode = UInt64(columns[5])
    else { return nil }
    let name = columns.count > 6 ? String(columns[6]) : ""
    return (byteCount, flags, String(columns[4]), inode, name)
  }
}

extension Check {
  /// Where debugfs lists every dma-buf.
  static let bufinfo = "/sys/kernel/debug/dma_buf/bufinfo"

  /// The text that procfs has about an open file of this process.
  func fdinfo(of descriptor: CInt) throws(Statement.Stop) -> String {
    try expect(kernel.text(of: "/proc/self/fdinfo/\(descriptor)"))
  }

  /// A device that takes the subject's buffers, vgem rather than another; nil where none does.
  var importer: DeviceDescription? {
    let takers = machine.subjects(.sharingPair).filter { $0.exporter == subject.exporter }.compactMap(\.device)
    return takers.first { $0 == machine.vgem } ?? takers.first
  }
}
