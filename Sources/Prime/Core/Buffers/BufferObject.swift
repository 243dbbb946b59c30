/// A buffer as its allocator made it, with what it takes to describe it to others.
public struct BufferObject: ~Copyable {
  /// What keeps the memory, by kind of allocator.
  enum Storage: ~Copyable {
    case gem(GEMHandle)
    case gbm(GBMBuffer)
    case picture(SharedPicture)
    /// One for each plane.
    case planes([Box<BufferObject>])
  }

  /// Size, format, modifier, planes.
  public let description: BufferDescription
  private let storage: Storage

  init(_ description: BufferDescription, storage: consuming Storage) {
    self.description = description
    self.storage = storage
  }

  /// Takes over a picture that is in dma-bufs from the start.
  package init(adopting picture: consuming SharedPicture) {
    self.init(picture.description, storage: .picture(picture))
  }

  /// Exports it as a picture in dma-bufs, close-on-exec; the caller owns what it gets, which outlives this value.
  ///
  /// - Throws: `drmPrimeHandleToFD` with its errno; for udmabuf and the heap, which are dma-bufs from the start, `fcntl`;
  ///   `allocate` with `broken` where the driver made a buffer that does not hold the picture.
  public borrowing func export(_ access: DMABuf.Access) throws(PrimeError) -> SharedPicture {
    switch storage {
    case .gem(let handle): return try .made(description, try handle.export(access))
    case .gbm(let buffer): return try buffer.export(access, as: description)
    case .picture(let picture): return try picture.duplicate()
    case .planes(let objects):
      var others: [Box<DMABuf>] = []
      for object in objects.dropFirst() { others.append(Box(try object.value.export(access).takeFirst())) }
      return try .made(description, try objects[0].value.export(access).takeFirst(), others)
    }
  }

  /// Whether another device made it than the one that it was allocated on, as far as can be seen: where a display node has no GPU, Mesa
  /// has another device's driver allocate (kmsro).
  ///
  /// - Parameter exported: What `export` gave.
  package borrowing func isMadeElsewhere(exportedAs exported: borrowing SharedPicture) -> Bool {
    switch storage {
    case .gem: false
    case .picture: false
    case .gbm(let buffer): buffer.isMadeElsewhere(exportedAs: exported.first)
    case .planes(let objects): Self.isOneMadeElsewhere(of: objects, exportedAs: exported)
    }
  }

  private static func isOneMadeElsewhere(
    of objects: [Box<BufferObject>], exportedAs exported: borrowing SharedPicture
  ) -> Bool {
    objects.indices.contains { index in
      exported.withBuffer(index) { buffer in objects[index].value.isMadeElsewhere(asPlane: buffer) }
    }
  }

  private borrowing func isMadeElsewhere(asPlane exported: borrowing DMABuf) -> Bool {
    switch storage {
    case .gbm(let buffer): buffer.isMadeElsewhere(exportedAs: exported)
    default: false
    }
  }
}

extension SharedPicture {
  /// A picture that a driver made; one that its buffers do not hold is an error of the driver.
  package static func made(
    _ description: BufferDescription, _ first: consuming DMABuf, _ others: [Box<DMABuf>] = []
  ) throws(PrimeError) -> SharedPicture {
    let subject = first.subject
    do throws(LayoutError) {
      return try SharedPicture(description, first: first, others: others)
    } catch {
      throw PrimeError(operation: .allocate, finding: .broken, subject: subject, reason: error.description)
    }
  }
}

/// What is asked of an allocator.
public struct AllocationRequest: Hashable, Sendable {
  /// The pixel format.
  public var format: PixelFormat
  /// Width and height in pixels.
  public var size: Size
  /// The modifiers the caller can use, for an allocator that knows them; nil leaves the choice to it.
  public var modifiers: [Modifier]?
  /// What the buffer is for, for GBM.
  public var usage: GBMUsage
  /// Whether each plane gets a buffer of its own; `SeparatePlanesAllocator` makes them.
  public var isDisjoint = false
  /// The distance from row to row that the importer wants; an allocator that can choose one gives it.
  public var pitch: ImporterPitch?

  /// Asks for a buffer.
  public init(format: PixelFormat, size: Size, modifiers: [Modifier]? = nil, usage: GBMUsage = .linear) {
    self.format = format
    self.size = size
    self.modifiers = modifiers
    self.usage = usage
  }

  /// As `init(format:size:modifiers:usage:)`.
  package init(
    format: PixelFormat, width: Int, height: Int, modifiers: [Modifier]? = nil, usage: GBMUsage = .linear
  ) {
    self.init(format: format, size: Size(width: width, height: height), modifiers: modifiers, usage: usage)
  }

  /// The width in pixels.
  package var width: Int {
    get { size.width }
    set { size.width = newValue }
  }

  /// The height in pixels.
  package var height: Int {
    get { size.height }
    set { size.height = newValue }
  }
}

/// The ways to allocate a buffer that can be exported.
public enum AllocatorKind: String, Hashable, Sendable, Codable, CaseIterable {
  /// libgbm, through the device's Mesa driver.
  case gbm
  /// `DRM_IOCTL_MODE_CREATE_DUMB` on a primary node.
  case dumb
  /// `/dev/udmabuf`: a sealed memfd as a dma-buf.
  case udmabuf
  /// A heap of `/dev/dma_heap`.
  case heap
  /// `VIDIOC_EXPBUF`: memory of a V4L2 driver.
  case v4l2
  /// A GPU, which also draws what is in it.
  case gpu
}

/// Something that allocates buffers which can be exported as dma-bufs.
public protocol Allocator: Sendable {
  /// Which way it allocates.
  var kind: AllocatorKind { get }
  /// The DRM node that the buffers come through, nil for memory of no device.
  var node: DRMNode? { get }
  /// Allocates one buffer; the caller owns it.
  ///
  /// - Throws: The call that refused, with its errno; an untestable error for what the allocator cannot try.
  func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject
}
