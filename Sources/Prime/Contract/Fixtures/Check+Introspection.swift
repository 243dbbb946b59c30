internal import Prime

/// What the kernel tells of a buffer in text.
extension Check {
  /// Where debugfs lists every dma-buf.
  static let bufinfo = "/sys/kernel/debug/dma_buf/bufinfo"

  /// What debugfs says of a dma-buf; nil where it does not list it.
  func listed(inode: UInt64) throws(Statement.Stop) -> ListedDMABuf? {
    DMABufList.parse(try expect(kernel.text(of: Check.bufinfo))).first { $0.inode == inode }
  }

  /// The text that procfs has about an open file of this process.
  func fdinfo(of descriptor: CInt) throws(Statement.Stop) -> String {
    try expect(kernel.text(of: "/proc/self/fdinfo/\(descriptor)"))
  }

  /// The file that a mapping of this process is of; nil where procfs does not tell.
  func file(behind mapping: ProbeMapping) -> String? {
    let (start, end) = (mapping.address, mapping.address + UInt64(mapping.byteCount))
    return kernel.unrecorded.linkTarget(
      of: "/proc/self/map_files/\(hexadecimal(start, digits: 1))-\(hexadecimal(end, digits: 1))")
  }

  /// A device that takes the subject's buffers, vgem rather than another; nil where none does.
  var importer: DeviceDescription? {
    let takers = machine.subjects(.sharingPair).filter { $0.exporter == subject.exporter }.compactMap(\.device)
    return takers.first { $0 == machine.vgem } ?? takers.first
  }
}
