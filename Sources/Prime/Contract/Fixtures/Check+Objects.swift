internal import Prime

/// GEM objects, handles and inodes: what statements about PRIME are made of.
extension Check {
  /// A number that no open file uses for a handle.
  static let nobodysHandle: UInt32 = 0xffff_fff0

  /// `DRM_CLOEXEC | DRM_RDWR`.
  static let exportFlags = PrimeFlags.closeOnExec | PrimeFlags.readWrite

  /// A GEM handle of a fresh dumb buffer of 64x64 pixels on an open file, nothing exported yet.
  func object(on device: CInt) throws(Statement.Stop) -> UInt32 {
    try prepare(kernel.createDumb(device, width: 64, height: 64)).handle
  }

  /// The inode, which tells dma-bufs apart.
  func inode(of dmaBuf: CInt) throws(Statement.Stop) -> UInt64 {
    try expect(kernel.status(dmaBuf)).inode
  }

  /// Skips where the driver says that it takes no dma-bufs at all, which none does from Linux 6.6 on.
  func needsImport() throws(Statement.Stop) {
    guard subject.device?.capabilities?.primeImport == false else { return }
    throw .skipped("\(subject.name) says that it takes no dma-bufs (DRM_CAP_PRIME)")
  }

  /// A fresh buffer of another exporter than the subject's.
  func buffer(on exporter: Subject.Exporter) throws(Statement.Stop) -> ProbeBuffer {
    switch ProbeBuffer.make(exporter, with: kernel) {
    case .success(let buffer): return buffer
    case .failure(let errno): throw .broken("a buffer of another exporter could not be made: \(errno)")
    }
  }
}
