internal import CDrm
internal import Glibc

/// The kernel this process runs on.
package struct LinuxKernel: KernelCalls {
  /// Whether standard error goes nowhere while Mesa, which prints there by itself, is at work.
  let silencesMesa: Bool

  package init(silencesMesa: Bool = false) {
    self.silencesMesa = silencesMesa
  }

  /// The value, or the errno of a shim call, which answers 0 or above, or a negative errno.
  package static func shimmed<Value: SignedInteger>(_ result: Value) -> CallResult<Value> {
    result < 0 ? .failure(Errno(rawValue: Int32(-result))) : .success(result)
  }

  package func open(_ path: String, flags: Int32) -> CallResult<CInt> {
    // Safe: the path is copied for the call and the descriptor is a plain number.
    unsafe Self.shimmed(cdrm_open(path, flags))
  }

  package func close(_ descriptor: CInt) {
    // Linux frees the number also when close fails, so there is nothing to do about an error here.
    _ = Glibc.close(descriptor)
  }

  package func duplicate(_ descriptor: CInt) -> CallResult<CInt> {
    Self.shimmed(cdrm_duplicate(descriptor))
  }

  package func closeOnExec(_ descriptor: CInt) -> CallResult<Void> {
    Self.shimmed(cdrm_close_on_exec(descriptor)).map { _ in }
  }

  package func statusFlags(_ descriptor: CInt) -> CallResult<Int32> {
    Self.shimmed(cdrm_status_flags(descriptor))
  }

  package func status(_ descriptor: CInt) -> CallResult<FileStatus> {
    var status = stat()
    // Safe: fstat fills the struct it is given and keeps no pointer.
    return unsafe Self.shimmed(cdrm_fstat(descriptor, &status)).map { _ in Self.fileStatus(status) }
  }

  /// What `fstat(2)` and its like filled in.
  static func fileStatus(_ status: stat) -> FileStatus {
    let isCharacterDevice = status.st_mode & S_IFMT == S_IFCHR
    return FileStatus(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), byteCount: Int64(status.st_size),
      characterDevice: isCharacterDevice
        ? DeviceNumber(major: cdrm_major(status.st_rdev), minor: cdrm_minor(status.st_rdev)) : nil)
  }

  package func fileSystemMagic(_ descriptor: CInt) -> CallResult<UInt64> {
    var magic: UInt64 = 0
    // Safe: the shim fills the one number it is given.
    return unsafe Self.shimmed(cdrm_file_system_magic(descriptor, &magic)).map { _ in magic }
  }

  package func seekToEnd(_ descriptor: CInt) -> CallResult<Int64> {
    Self.shimmed(cdrm_seek_to_end(descriptor))
  }

  package func map(_ descriptor: CInt, byteCount: Int, writable: Bool, offset: UInt64) -> CallResult<MappedRange> {
    let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
    var address: UnsafeMutableRawPointer? = nil
    // Safe: the kernel chooses the address; the range is used only through `Mapping`, which bounds it.
    return unsafe Self.shimmed(cdrm_map(descriptor, byteCount, protection, offset, &address)).flatMap { _ in
      guard let address = unsafe address else { return .failure(.noMemory) }
      return unsafe .success(MappedRange(baseAddress: address, byteCount: byteCount))
    }
  }

  package func unmap(_ range: MappedRange) {
    // Safe: `Mapping` calls this once, when nothing can look at the range any more.
    _ = unsafe munmap(range.baseAddress, range.byteCount)
  }

  package func poll(_ descriptor: CInt, events: Int16, milliseconds: Int32) -> CallResult<Int16> {
    Self.shimmed(cdrm_poll(descriptor, events, milliseconds)).map { Int16(truncatingIfNeeded: $0) }
  }

  package func createSealedMemory(_ name: String, byteCount: Int64) -> CallResult<CInt> {
    // Safe: the name is copied for the call and the descriptor is a plain number.
    unsafe Self.shimmed(cdrm_sealed_memory(name, byteCount))
  }
}

// MARK: - dma-buf, udmabuf, dma-heap

extension LinuxKernel {
  package func dmaBufSync(_ descriptor: CInt, flags: UInt64) -> CallResult<Void> {
    Self.shimmed(cdrm_dma_buf_sync(descriptor, flags)).map { _ in }
  }

  package func udmabufCreate(_ device: CInt, memory: CInt, byteCount: UInt64) -> CallResult<CInt> {
    Self.shimmed(cdrm_udmabuf_create(device, UInt32(memory), UInt32(UDMABUF_FLAGS_CLOEXEC), 0, byteCount))
  }

  package func dmaHeapAllocate(_ heap: CInt, byteCount: UInt64) -> CallResult<CInt> {
    Self.shimmed(cdrm_dma_heap_allocate(heap, byteCount, UInt32(O_CLOEXEC | O_RDWR)))
  }
}
