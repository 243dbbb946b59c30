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

  /// Takes over a descriptor and asks the kernel what it is; one that is refused is closed with its owner.
  package init(adopting descriptor: consuming Descriptor) throws(PrimeError) {
    let facts = try Facts(of: descriptor.rawValue, descriptor.kernel)
    self.init(descriptor, facts)
  }

  private init(_ descriptor: consuming Descriptor, _ facts: Facts) {
    self.byteCount = facts.byteCount
    self.access = facts.access
    self.identity = facts.identity
    self.descriptor = descriptor
  }

  /// Takes over a dma-buf that another library or process made, for example EGL, Vulkan, V4L2 or a Wayland client.
  ///
  /// From then on this value closes the descriptor, and nobody else may. `exec` closes it as well
  /// (`fcntl(F_SETFD, FD_CLOEXEC)`). Where the maker keeps its descriptor, use `init(duplicating:)`.
  ///
  /// - Throws: `fstatfs` with `unsuitable` for a file that is not a dma-buf and with `EBADF` for a number that is not open;
  ///   `lseek`, `fcntl` or `fstat` with their errno. The descriptor stays the caller's then, as it was.
  public init(adopting descriptor: CInt) throws(PrimeError) {
    try self.init(adopting: descriptor, kernel: LinuxKernel())
  }

  /// As `init(adopting:)`, of any kernel.
  package init(adopting descriptor: CInt, kernel: any KernelCalls) throws(PrimeError) {
    let facts = try Facts(of: descriptor, kernel)
    self.init(try Descriptor(claiming: descriptor, kernel: kernel), facts)
  }

  /// The same dma-buf behind a descriptor of this value's; the caller's is only looked at (`fcntl(F_DUPFD_CLOEXEC)`).
  ///
  /// - Throws: `fcntl(F_DUPFD_CLOEXEC)` with `EBADF` for a number that is not open; else as `init(adopting:)`.
  public init(duplicating descriptor: CInt) throws(PrimeError) {
    try self.init(duplicating: descriptor, kernel: LinuxKernel())
  }

  /// As `init(duplicating:)`, of any kernel.
  package init(duplicating descriptor: CInt, kernel: any KernelCalls) throws(PrimeError) {
    try self.init(
      adopting: Descriptor.duplicating(descriptor, kernel: kernel, subject: Descriptor.subject(descriptor)))
  }

  /// Runs `body` with the descriptor, for a library that borrows or duplicates it.
  ///
  /// The descriptor is open until `body` returns and stays this value's to close.
  ///
  /// - Throws: What `body` throws.
  public borrowing func withDescriptor<Result: ~Copyable, Failure: Error>(
    _ body: (CInt) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try descriptor.withRawValue(body)
  }

  /// Gives the descriptor away, for a library that takes it over: the caller closes it.
  public consuming func relinquish() -> CInt {
    descriptor.relinquish()
  }

  /// What the kernel says of an open file that is a dma-buf.
  private struct Facts {
    let byteCount: Int
    let access: Access
    let identity: Identity

    init(of descriptor: CInt, _ kernel: any KernelCalls) throws(PrimeError) {
      let subject = Descriptor.subject(descriptor)
      let magic = kernel.fileSystemMagic(descriptor)
      guard try magic.orThrow("fstatfs", on: subject, reason: Descriptor.reason(magic)) == FileSystemMagic.dmaBuf else {
        throw PrimeError(
          operation: "fstatfs", finding: .unsuitable, subject: subject, reason: "this file is not a dma-buf")
      }
      let size = try kernel.seekToEnd(descriptor).orThrow("lseek", on: subject)
      guard size > 0, let byteCount = Int(exactly: size) else {
        throw PrimeError(
          operation: "lseek", finding: .unsuitable, subject: subject, reason: "the dma-buf reports no size")
      }
      let flags = try kernel.statusFlags(descriptor).orThrow("fcntl(F_GETFL)", on: subject)
      let status = try kernel.status(descriptor).orThrow("fstat", on: subject)
      self.byteCount = byteCount
      self.access = flags & O_ACCMODE == O_RDWR ? .readWrite : .read
      self.identity = Identity(device: status.device, inode: status.inode)
    }
  }

  package var rawDescriptor: CInt { descriptor.rawValue }

  package var kernel: any KernelCalls { descriptor.kernel }

  package var subject: String { "dma-buf \(identity.inode)" }

  /// Another descriptor of the same dma-buf; the caller owns it (`fcntl(F_DUPFD_CLOEXEC)`).
  ///
  /// - Throws: `fcntl(F_DUPFD_CLOEXEC)` with `EMFILE` where the process has no descriptor left.
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
