/// A picture in dma-bufs: what it looks like, and the one to four dma-bufs that its planes lie in.
///
/// It is what an exporter gives and an importer takes. It keeps the memory by itself, as its dma-bufs do.
public struct SharedPicture: ~Copyable, Sendable {
  /// Size, format, modifier, and where each plane lies in which of the buffers.
  public let description: BufferDescription
  /// The dma-buf of the first plane: all of the picture, where `bufferCount` is 1.
  public let first: DMABuf
  /// The other dma-bufs, in the order of `PlaneLayout.buffer`.
  private let others: [Box<DMABuf>]

  /// A picture whose planes all lie in one dma-buf, which it takes over.
  ///
  /// - Throws: `LayoutError.bufferCount` where the description has planes in several buffers, `LayoutError.beyondBuffer` for a
  ///   plane that does not end within the dma-buf. The dma-buf is closed then.
  public init(_ description: BufferDescription, in buffer: consuming DMABuf) throws(LayoutError) {
    try self.init(description, first: buffer, others: [])
  }

  /// A picture in dma-bufs that another library or process made: one descriptor for each, in the order of `PlaneLayout.buffer`.
  ///
  /// This value has descriptors of its own; the caller's are only looked at (`fcntl(F_DUPFD_CLOEXEC)`).
  ///
  /// - Throws: As `DMABuf.init(duplicating:)`; `fstat` with `unsuitable` where there are more or fewer than the planes lie in, and
  ///   where a plane does not end within its dma-buf.
  public init(_ description: BufferDescription, duplicating descriptors: [CInt]) throws(PrimeError) {
    try self.init(description, duplicating: descriptors, kernel: LinuxKernel())
  }

  /// As `init(_:duplicating:)`, of any kernel.
  package init(
    _ description: BufferDescription, duplicating descriptors: [CInt], kernel: any KernelCalls
  ) throws(PrimeError) {
    var buffers: [Box<DMABuf>] = []
    for descriptor in descriptors { buffers.append(Box(try DMABuf(duplicating: descriptor, kernel: kernel))) }
    do throws(LayoutError) {
      try description.check(fits: buffers.map { $0.value.byteCount })
    } catch {
      throw PrimeError(operation: "fstat", finding: .unsuitable, subject: "the picture", reason: error.description)
    }
    let first = try buffers[0].value.duplicate()
    self.description = description
    self.first = first
    self.others = Array(buffers.dropFirst())
  }

  /// As `init(_:in:)`, of any number of dma-bufs.
  package init(
    _ description: BufferDescription, first: consuming DMABuf, others: [Box<DMABuf>]
  ) throws(LayoutError) {
    try description.check(fits: [first.byteCount] + others.map { $0.value.byteCount })
    self.description = description
    self.first = first
    self.others = others
  }

  /// How many dma-bufs the planes lie in, 1 to 4.
  public var bufferCount: Int { 1 + others.count }

  /// Width and height in pixels, the format, and where each plane lies.
  public var layout: PictureLayout { description.layout }

  /// What every dma-buf allows: for reading and writing only where all of them do.
  public var access: DMABuf.Access {
    others.allSatisfy { $0.value.access == .readWrite } ? first.access : .read
  }

  /// Which buffers these are, in the order of `PlaneLayout.buffer`.
  public var identities: [DMABuf.Identity] { [first.identity] + others.map { $0.value.identity } }

  /// The sizes of the dma-bufs together, in bytes.
  public var byteCount: Int { others.reduce(first.byteCount) { $0 + $1.value.byteCount } }

  package var rawDescriptors: [CInt] { [first.rawDescriptor] + others.map { $0.value.rawDescriptor } }

  /// Runs `body` with each dma-buf and its number, in the order of `PlaneLayout.buffer`.
  ///
  /// - Throws: What `body` throws, at once.
  public borrowing func forEachBuffer<Failure: Error>(
    _ body: (_ index: Int, _ buffer: borrowing DMABuf) throws(Failure) -> Void
  ) throws(Failure) {
    try body(0, first)
    for (index, other) in others.enumerated() { try body(index + 1, other.value) }
  }

  /// Runs `body` with one of the dma-bufs, by `PlaneLayout.buffer`.
  package borrowing func withBuffer<Result: ~Copyable, Failure: Error>(
    _ index: Int, _ body: (borrowing DMABuf) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    index == 0 ? try body(first) : try body(others[index - 1].value)
  }

  /// The same picture behind descriptors of their own, which the caller owns (`fcntl(F_DUPFD_CLOEXEC)`).
  ///
  /// - Throws: `fcntl(F_DUPFD_CLOEXEC)` with `EMFILE` where the process has no descriptor left.
  public borrowing func duplicate() throws(PrimeError) -> SharedPicture {
    try SharedPicture(duplicating: self)
  }

  private init(duplicating picture: borrowing SharedPicture) throws(PrimeError) {
    let first = try picture.first.duplicate()
    var copies: [Box<DMABuf>] = []
    for other in picture.others { copies.append(Box(try other.value.duplicate())) }
    self.description = picture.description
    self.first = first
    self.others = copies
  }

  /// The first plane's dma-buf alone; the others are closed.
  public consuming func takeFirst() -> DMABuf { first }

  /// The same dma-bufs as another picture.
  ///
  /// - Throws: `allocate` with `broken` where they do not hold it.
  package consuming func retold(as description: BufferDescription) throws(PrimeError) -> SharedPicture {
    let others = others
    let first = takeFirst()
    return try .made(description, first, others)
  }

  /// For a device or a call that takes a picture in one dma-buf only.
  ///
  /// - Throws: an untestable error of `operation` where the planes lie in several.
  package borrowing func requireOneBuffer(
    _ operation: PrimeError.Operation, on subject: String
  ) throws(PrimeError) {
    guard bufferCount > 1 else { return }
    throw .untestable(
      operation, on: subject,
      reason: "the planes lie in \(bufferCount) dma-bufs, and only pictures in one are looked at here")
  }

  /// Imports every dma-buf into a device; the caller owns the handles.
  ///
  /// - Throws: As `GEMHandle.init(importing:into:deadline:)`.
  public borrowing func imported(into device: Device, deadline: Deadline? = nil) throws(PrimeError) -> ImportedPicture {
    try ImportedPicture(importing: self, into: device, deadline: deadline)
  }
}

extension BufferDescription {
  /// Checks that each plane ends within its buffer; `sizes` are those of the buffers, in bytes.
  ///
  /// An implicit modifier is taken for rows; how another arranges the pixels is the driver's knowledge, and only the number of buffers
  /// is checked then.
  package func check(fits sizes: [Int]) throws(LayoutError) {
    guard sizes.count == layout.bufferCount else {
      throw .bufferCount(needed: layout.bufferCount, given: sizes.count)
    }
    guard modifier == .linear || modifier == .invalid else { return }
    for (index, plane) in layout.planes.enumerated() {
      let end = layout.end(ofPlane: index)
      guard end <= sizes[plane.buffer] else {
        throw .beyondBuffer(plane: index, needed: end, size: sizes[plane.buffer])
      }
    }
  }
}

/// A picture as an importing device knows it: a GEM handle of the device's for each dma-buf.
public struct ImportedPicture: ~Copyable, Sendable {
  /// Size, format, modifier, and where each plane lies in which of the buffers.
  public let description: BufferDescription
  /// The handle of the first plane's buffer.
  public let first: GEMHandle
  private let others: [Box<GEMHandle>]

  init(
    importing picture: borrowing SharedPicture, into device: Device, deadline: Deadline?
  ) throws(PrimeError) {
    let first = try GEMHandle(importing: picture.first, into: device, deadline: deadline)
    var others: [Box<GEMHandle>] = []
    try picture.forEachBuffer { (index, buffer) throws(PrimeError) in
      guard index > 0 else { return }
      others.append(Box(try GEMHandle(importing: buffer, into: device, deadline: deadline)))
    }
    self.first = first
    self.others = others
    self.description = picture.description
  }

  /// The open file of the device that imported it.
  public var device: Device { first.device }

  /// The numbers of the handles, in the order of `PlaneLayout.buffer`; equal numbers are one buffer.
  public var rawHandles: [UInt32] { [first.rawValue] + others.map { $0.value.rawValue } }

  /// Runs `body` with each handle and its number, in the order of `PlaneLayout.buffer`.
  ///
  /// - Throws: What `body` throws, at once.
  public borrowing func forEachHandle<Failure: Error>(
    _ body: (_ index: Int, _ handle: borrowing GEMHandle) throws(Failure) -> Void
  ) throws(Failure) {
    try body(0, first)
    for (index, other) in others.enumerated() { try body(index + 1, other.value) }
  }

  /// Runs `body` with one of the handles, by `PlaneLayout.buffer`.
  package borrowing func withHandle<Result: ~Copyable, Failure: Error>(
    _ index: Int, _ body: (borrowing GEMHandle) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    index == 0 ? try body(first) : try body(others[index - 1].value)
  }

  /// Exports every handle as a dma-buf again, close-on-exec; the caller owns the picture.
  ///
  /// - Throws: As `GEMHandle.export`.
  public borrowing func export(_ access: DMABuf.Access) throws(PrimeError) -> SharedPicture {
    let first = try first.export(access)
    var buffers: [Box<DMABuf>] = []
    for other in others { buffers.append(Box(try other.value.export(access))) }
    return try .made(description, first, buffers)
  }
}

/// Keeps one value that cannot be copied, where several of them are kept in an array.
package final class Box<Value: ~Copyable> {
  package let value: Value

  package init(_ value: consuming Value) { self.value = value }
}

extension Box: Sendable where Value: Sendable & ~Copyable {}
