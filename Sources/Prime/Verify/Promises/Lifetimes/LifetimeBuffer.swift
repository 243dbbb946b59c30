internal import Glibc
internal import Prime

/// A shared buffer with everything that keeps it, each to be let go on its own.
///
/// Handles and open files are plain numbers here: the owners of this library keep a device open for its handles, and what is
/// looked at is what the kernel does when it is not.
final class LifetimeBuffer {
  let identity: DMABuf.Identity
  let description: BufferDescription
  private let kernel: any KernelCalls
  private let deadline: Deadline
  private let examination: Examination
  private var exporter: CInt?
  private(set) var exporterHandle: UInt32?
  private var object: BufferObject?
  private var descriptor: DMABuf?
  private var mapping: Mapping?
  private var importer: CInt?
  private(set) var importerHandle: UInt32?

  /// Allocates, exports, maps, imports, and writes the pattern of `variant`.
  init(
    _ pair: RulePair, seed: UInt64, variant: Int, kernel: any KernelCalls, deadline: Deadline
  ) throws {
    self.kernel = kernel
    self.deadline = deadline
    examination = Examination(
      expected: Pattern(seed: seed, index: variant * 2), wrong: Pattern(seed: seed, index: variant * 2 + 1))
    guard let format = PixelFormat(.xrgb8888), let node = pair.importer.node else {
      throw RuleSkip("\(pair.importer.name) has no node")
    }
    let request = AllocationRequest(format: format, width: 64, height: 16)
    let buffer: DMABuf
    if pair.exporter.allocator == .dumb, let node = pair.exporter.node {
      let file = try Self.open(node, kernel)
      exporter = file
      let operation: PrimeError.Operation = "DRM_IOCTL_MODE_CREATE_DUMB"
      let made = try kernel.createDumb(file, width: 64, height: 16, bitsPerPixel: 32)
        .orThrow(operation, on: pair.exporter.name)
      exporterHandle = made.handle
      description = BufferDescription(
        layout: try PictureLayout.checked(
          format: format, width: 64, height: 16, planes: [PlaneLayout(offset: 0, pitch: Int(made.pitch))],
          operation: operation, on: pair.exporter.name), modifier: .linear)
      let number = try kernel.primeHandleToFD(file, handle: made.handle, writable: true)
        .orThrow("drmPrimeHandleToFD", on: pair.exporter.name)
      buffer = try DMABuf(adopting: Descriptor(adopting: number, kernel: kernel))
    } else {
      let made = try Allocators.make(pair.exporter, kernel: kernel).allocate(request)
      description = made.description
      buffer = try made.export(.readWrite).takeFirst()
      // udmabuf and the heap give a dma-buf, which is the descriptor and nothing beside it.
      if pair.exporter.allocator == .gbm { object = consume made }
    }
    identity = buffer.identity
    try buffer.write(deadline: deadline) { [examination, description] bytes in
      try examination.expected.fill(&bytes, layout: description.layout)
    }
    mapping = try Mapping(
      buffer.rawDescriptor, byteCount: buffer.byteCount, writable: false, offset: 0, kernel: kernel,
      subject: pair.exporter.name)
    let file = try Self.open(node, kernel)
    importer = file
    importerHandle = try Self.imported(buffer.rawDescriptor, into: file, of: pair.importer.name, kernel)
    descriptor = consume buffer
  }

  deinit {
    for owner in LifetimeOwner.allCases { letGo(owner) }
  }

  private static func open(_ node: DRMNode, _ kernel: any KernelCalls) throws(PrimeError) -> CInt {
    let file = try kernel.open(node.path, flags: O_RDWR).orThrow("open", on: node.path)
    // The first opener of a primary node is master without asking.
    if node.kind == .primary && kernel.isMaster(file) { _ = kernel.dropMaster(file) }
    return file
  }

  /// Ends one owner; a device takes its handles with it.
  func letGo(_ owner: LifetimeOwner) {
    switch owner {
    case .exporterHandle:
      if let exporter, let handle = exporterHandle.take() { _ = kernel.closeHandle(exporter, handle: handle) }
    case .exporterDevice:
      exporterHandle = nil
      if let file = exporter.take() { kernel.close(file) }
    case .exporterBuffer: object = nil
    case .descriptor: descriptor = nil
    case .mapping: mapping = nil
    case .importerHandle:
      if let importer, let handle = importerHandle.take() { _ = kernel.closeHandle(importer, handle: handle) }
    case .importerDevice:
      importerHandle = nil
      if let file = importer.take() { kernel.close(file) }
    }
  }

  /// Looks through everything that is left; gives who sees something else, and what.
  func look() throws -> String? {
    if mapping != nil, let found = try lookThroughMapping() { return "the mapping shows something else: \(found)" }
    if descriptor != nil, let found = try lookThroughDescriptor() {
      return "the dma-buf descriptor shows something else: \(found)"
    }
    if let exporter, let exporterHandle,
      let found = try look(through: exporterHandle, of: exporter, "the exporter's handle")
    {
      return found
    }
    if let importer, let importerHandle,
      let found = try look(through: importerHandle, of: importer, "the importer's handle")
    {
      return found
    }
    return nil
  }

  /// No bracket: the descriptor that could make one may be gone, and these bytes were written long before.
  private func lookThroughMapping() throws -> String? {
    try mapping?.withSpan(of: UInt8.self) { bytes in try examine(bytes) } ?? nil
  }

  private func lookThroughDescriptor() throws -> String? {
    try descriptor?.read(deadline: deadline) { bytes in try examine(bytes) } ?? nil
  }

  private func look(through handle: UInt32, of file: CInt, _ name: String) throws -> String? {
    let number: CInt
    switch kernel.primeHandleToFD(file, handle: handle, writable: true) {
    case .success(let exported): number = exported
    case .failure(let errno): return "\(name) cannot be exported any more: \(errno)"
    }
    let again = try DMABuf(adopting: Descriptor(adopting: number, kernel: kernel))
    guard again.identity == identity else {
      return "\(name) is another dma-buf (inode \(again.identity.inode)) than before (inode \(identity.inode))"
    }
    let found = try again.read(deadline: deadline) { bytes in try examine(bytes) }
    return found.map { "\(name) shows something else: \($0)" }
  }

  private func examine(_ bytes: Span<UInt8>) throws -> String? {
    try examination.look(at: bytes, layout: description.layout, ignoringUnusedBits: false)?.sentence
  }

  // MARK: - Handle identity

  /// Which open file imports.
  enum Side: Sendable {
    case exporter
    case importer
  }

  /// The handle that is there on one side, nil where this buffer has none there.
  func handle(of side: Side) -> UInt32? { side == .exporter ? exporterHandle : importerHandle }

  /// Imports a buffer's descriptor, or a duplicate of it, on one side of this one, and gives the number.
  ///
  /// It is no further use of the handle where it is the same; `close` ends another one.
  func importing(_ other: LifetimeBuffer, duplicated: Bool, on side: Side) throws(PrimeError) -> UInt32 {
    try duplicated ? imported(other.duplicate(), on: side) : other.importedOwn(into: self, on: side)
  }

  private func importedOwn(into buffer: LifetimeBuffer, on side: Side) throws(PrimeError) -> UInt32 {
    guard let file = buffer.file(of: side), let number = descriptor?.rawDescriptor else { throw Self.gone(side) }
    return try Self.imported(number, into: file, of: "the \(side)", kernel)
  }

  private func imported(_ buffer: borrowing DMABuf, on side: Side) throws(PrimeError) -> UInt32 {
    guard let file = file(of: side) else { throw Self.gone(side) }
    return try Self.imported(buffer.rawDescriptor, into: file, of: "the \(side)", kernel)
  }

  private static func imported(
    _ dmaBuf: CInt, into file: CInt, of subject: String, _ kernel: any KernelCalls
  ) throws(PrimeError) -> UInt32 {
    try Deadline(in: .seconds(5), on: kernel).restarting("drmPrimeFDToHandle", on: subject) {
      kernel.primeFDToHandle(file, dmaBuf: dmaBuf)
    }
  }

  private func file(of side: Side) -> CInt? { side == .exporter ? exporter : importer }

  private static func gone(_ side: Side) -> PrimeError {
    PrimeError(operation: "drmPrimeFDToHandle", finding: .broken, subject: "the \(side)", reason: "it is closed")
  }

  /// Ends a handle that `importing` gave.
  func close(_ handle: UInt32, on side: Side) {
    guard let file = file(of: side) else { return }
    _ = kernel.closeHandle(file, handle: handle)
  }

  private func duplicate() throws(PrimeError) -> DMABuf {
    guard let copy = try descriptor?.duplicate() else { throw Self.gone(.exporter) }
    return copy
  }
}
