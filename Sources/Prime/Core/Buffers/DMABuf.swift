internal import Glibc

/// A dma-buf: the descriptor through which a buffer crosses from one device to another.
///
/// It keeps the buffer alive by itself: the handle and the device it came from may be closed before it.
public struct DMABuf: ~Copyable, Sendable {
  /// What the holder of a descriptor may do with its mapping.
  public enum Access: String, Hashable, Sendable, Codable {
    /// `O_RDONLY`: exported without `DRM_RDWR`.
    case read
    /// `O_RDWR`: exported with `DRM_RDWR`.
    case readWrite
  }

  /// What tells one dma-buf from another, equal for every descriptor of it (`fstat`).
  public struct Identity: Hashable, Sendable {
    let device: UInt64
    /// The inode number, unique for each dma-buf while it lives; debugfs prints it.
    public let inode: UInt64
  }

  private let descriptor: Descriptor
  /// The size in bytes, a multiple of the page size (`lseek(SEEK_END)`).
  public let byteCount: Int
  /// What this descriptor allows (`fcntl(F_GETFL)`).
  public let access: Access
  /// Which buffer this is.
  public let identity: Identity

  /// Takes over a descriptor and asks the kernel what it is; a file that is not a dma-buf is refused with `EINVAL`.
  package init(adopting descriptor: consuming Descriptor) throws(PrimeError) {
    let kernel = descriptor.kernel
    let rawValue = descriptor.rawValue
    let subject = "descriptor \(rawValue)"
    guard try kernel.fileSystemMagic(rawValue).orThrow("fstatfs", on: subject) == Self.fileSystemMagic else {
      throw PrimeError(
        operation: "fstatfs", errno: .invalidArgument, subject: subject, reason: "this file is not a dma-buf")
    }
    let size = try kernel.seekToEnd(rawValue).orThrow("lseek", on: subject)
    guard size > 0, let byteCount = Int(exactly: size) else {
      throw PrimeError(
        operation: "lseek", errno: .invalidArgument, subject: subject, reason: "the dma-buf reports no size")
    }
    let flags = try kernel.statusFlags(rawValue).orThrow("fcntl(F_GETFL)", on: subject)
    let status = try kernel.status(rawValue).orThrow("fstat", on: subject)
    self.byteCount = byteCount
    self.access = flags & O_ACCMODE == O_RDWR ? .readWrite : .read
    self.identity = Identity(device: status.device, inode: status.inode)
    self.descriptor = descriptor
  }

  /// `DMA_BUF_MAGIC` of `linux/magic.h`.
  static let fileSystemMagic: UInt64 = 0x444d_4142

  package var rawDescriptor: CInt { descriptor.rawValue }

  package var kernel: any KernelCalls { descriptor.kernel }

  package var subject: String { "dma-buf \(identity.inode)" }

  /// Another descriptor of the same dma-buf; the caller owns it.
  public borrowing func duplicate() throws(PrimeError) -> DMABuf {
    try DMABuf(adopting: descriptor.duplicate(subject: subject))
  }

  /// The exporter's name as `/proc/self/fdinfo` prints it: `drm` for GEM, `udmabuf`, or the heap's name.
  public var exporterName: String? {
    kernel.text(of: "/proc/self/fdinfo/\(rawDescriptor)")?.split(separator: "\n")
      .first { $0.hasPrefix("exp_name:") }
      .map { $0.dropFirst("exp_name:".count).drop { $0.isWhitespace } }
      .map(String.init)
  }
}
