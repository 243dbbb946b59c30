/// What `fstat` tells of a descriptor.
package struct FileStatus: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64
  package var byteCount: Int64
  /// Major and minor of a character device, nil for every other kind of file.
  package var characterDevice: DeviceNumber?

  package init(device: UInt64, inode: UInt64, byteCount: Int64, characterDevice: DeviceNumber?) {
    self.device = device
    self.inode = inode
    self.byteCount = byteCount
    self.characterDevice = characterDevice
  }
}

/// The major and minor number of a device node.
public struct DeviceNumber: Hashable, Sendable, CustomStringConvertible {
  /// The major number; 226 is DRM's (`DRM_MAJOR`).
  public let major: UInt32
  /// The minor number.
  public let minor: UInt32

  /// Makes the pair.
  public init(major: UInt32, minor: UInt32) {
    self.major = major
    self.minor = minor
  }

  /// Reads it as sysfs writes it, `226:1`; nil for another text.
  package init?(parsing text: String) {
    let parts = text.split(separator: ":").map { UInt32($0) }
    guard parts.count == 2, let major = parts[0], let minor = parts[1] else { return nil }
    self.init(major: major, minor: minor)
  }

  /// `226:1`.
  public var description: String { "\(major):\(minor)" }
}

/// What `drmGetVersion` tells of a driver.
package struct DriverVersion: Hashable, Sendable {
  package var name: String
  package var major: Int
  package var minor: Int
  package var patch: Int
  package var date: String
  package var summary: String

  package init(name: String, major: Int, minor: Int, patch: Int, date: String, summary: String) {
    self.name = name
    self.major = major
    self.minor = minor
    self.patch = patch
    self.date = date
    self.summary = summary
  }
}

/// What the kernel chose for a dumb buffer.
package struct DumbBufferLayout: Hashable, Sendable {
  package var handle: UInt32
  package var pitch: UInt32
  package var byteCount: UInt64

  package init(handle: UInt32, pitch: UInt32, byteCount: UInt64) {
    self.handle = handle
    self.pitch = pitch
    self.byteCount = byteCount
  }
}

/// An address range that `mmap` gave.
///
/// A number pair: the owner is `Mapping`.
@safe package struct MappedRange: @unchecked Sendable {
  /// Safe to hold: it is only read through `Mapping`, which knows how long the range lives.
  package let baseAddress: UnsafeMutableRawPointer
  package let byteCount: Int

  package init(baseAddress: UnsafeMutableRawPointer, byteCount: Int) {
    unsafe self.baseAddress = baseAddress
    self.byteCount = byteCount
  }
}

/// Every call that this library makes into the kernel, one method a call.
///
/// The real one is `LinuxKernel`; tests put a fake in its place to make any call fail with any errno. Methods take and
/// give plain numbers: owners are built one layer above.
package protocol KernelCalls: BPFCalls, ClockCalls, DMABufCalls, DRMCalls, FileCalls, GBMCalls, HandoverCalls, KMSCalls,
  ScanoutCalls, SyncCalls, VideoCalls, VirtGPUCalls, Sendable
{
  /// `open(2)`, with `O_CLOEXEC` added whatever the flags.
  func open(_ path: String, flags: Int32) -> CallResult<CInt>
  /// `close(2)`.
  func close(_ descriptor: CInt)
  /// `fcntl(F_DUPFD_CLOEXEC)`.
  func duplicate(_ descriptor: CInt) -> CallResult<CInt>
  /// `fcntl(F_SETFD, FD_CLOEXEC)`.
  func closeOnExec(_ descriptor: CInt) -> CallResult<Void>
  /// `fcntl(F_GETFL)`: the access mode and status flags.
  func statusFlags(_ descriptor: CInt) -> CallResult<Int32>
  /// `fstat(2)`.
  func status(_ descriptor: CInt) -> CallResult<FileStatus>
  /// `fstatfs(2)`, the file system's magic number.
  func fileSystemMagic(_ descriptor: CInt) -> CallResult<UInt64>
  /// `lseek(descriptor, 0, SEEK_END)`.
  func seekToEnd(_ descriptor: CInt) -> CallResult<Int64>
  /// `mmap(2)`, shared; `offset` is only for a DRM node's own buffers, a dma-buf is always mapped from 0.
  func map(_ descriptor: CInt, byteCount: Int, writable: Bool, offset: UInt64) -> CallResult<MappedRange>
  /// `munmap(2)`.
  func unmap(_ range: MappedRange)
  /// `poll(2)` of one descriptor; gives `revents`, 0 when `milliseconds` passed.
  func poll(_ descriptor: CInt, events: Int16, milliseconds: Int32) -> CallResult<Int16>
  /// `memfd_create(2)` of `byteCount` bytes, sealed against any other size, ready for udmabuf.
  func createSealedMemory(_ name: String, byteCount: Int64) -> CallResult<CInt>
}

/// dma-buf, udmabuf and dma-heap.
package protocol DMABufCalls {
  /// `DMA_BUF_IOCTL_SYNC`, not restarted.
  func dmaBufSync(_ descriptor: CInt, flags: UInt64) -> CallResult<Void>
  /// `UDMABUF_CREATE`, close-on-exec.
  func udmabufCreate(_ device: CInt, memory: CInt, byteCount: UInt64) -> CallResult<CInt>
  /// `DMA_HEAP_IOCTL_ALLOC`, close-on-exec and read/write.
  func dmaHeapAllocate(_ heap: CInt, byteCount: UInt64) -> CallResult<CInt>
}

/// The DRM core: version, capabilities, master, PRIME, dumb buffers.
package protocol DRMCalls {
  /// `drmGetVersion`.
  func version(_ descriptor: CInt) -> CallResult<DriverVersion>
  /// `drmGetCap`.
  func capability(_ descriptor: CInt, _ capability: UInt64) -> CallResult<UInt64>
  /// `drmSetClientCap`.
  func setClientCapability(_ descriptor: CInt, _ capability: UInt64, _ value: UInt64) -> CallResult<Void>
  /// Whether this open file is DRM master.
  func isMaster(_ descriptor: CInt) -> Bool
  /// `drmSetMaster`.
  func setMaster(_ descriptor: CInt) -> CallResult<Void>
  /// `drmDropMaster`.
  func dropMaster(_ descriptor: CInt) -> CallResult<Void>
  /// `drmPrimeHandleToFD`, close-on-exec always.
  func primeHandleToFD(_ descriptor: CInt, handle: UInt32, writable: Bool) -> CallResult<CInt>
  /// `drmPrimeFDToHandle`, not restarted.
  func primeFDToHandle(_ descriptor: CInt, dmaBuf: CInt) -> CallResult<UInt32>
  /// `DRM_IOCTL_GEM_CLOSE`.
  func closeHandle(_ descriptor: CInt, handle: UInt32) -> CallResult<Void>
  /// `DRM_IOCTL_MODE_CREATE_DUMB`.
  func createDumb(_ descriptor: CInt, width: UInt32, height: UInt32, bitsPerPixel: UInt32)
    -> CallResult<DumbBufferLayout>
  /// `DRM_IOCTL_MODE_MAP_DUMB`: the offset to map the DRM node at.
  func mapDumb(_ descriptor: CInt, handle: UInt32) -> CallResult<UInt64>
}
