/// A buffer as its allocator made it, with what it takes to describe it to others.
public struct BufferObject: ~Copyable {
  /// What keeps the memory, by kind of allocator.
  enum Storage: ~Copyable {
    case gem(GEMHandle)
    case gbm(GBMBuffer)
    case dmaBuf(DMABuf)
  }

  /// Size, format, modifier, planes.
  public let description: BufferDescription
  private let storage: Storage

  init(_ description: BufferDescription, storage: consuming Storage) {
    self.description = description
    self.storage = storage
  }

  /// Takes over a buffer that is a dma-buf from the start.
  package init(_ description: BufferDescription, adopting buffer: consuming DMABuf) {
    self.init(description, storage: .dmaBuf(buffer))
  }

  /// Exports it as a dma-buf, close-on-exec; the caller owns what it gets, which outlives this value.
  ///
  /// - Throws: `drmPrimeHandleToFD` with its errno; for udmabuf and the heap, which are dma-bufs from the start, `fcntl`.
  public borrowing func export(_ access: DMABuf.Access) throws(PrimeError) -> DMABuf {
    switch storage {
    case .gem(let handle): return try handle.export(access)
    case .gbm(let buffer): return try buffer.export(access)
    case .dmaBuf(let buffer): return try buffer.duplicate()
    }
  }

  /// Whether another device made it than the one that it was allocated on, as far as can be seen: where a display node has no GPU, Mesa
  /// has another device's driver allocate (kmsro).
  ///
  /// - Parameter exported: What `export` gave.
  package borrowing func isMadeElsewhere(exportedAs exported: borrowing DMABuf) -> Bool {
    switch storage {
    case .gem: false
    case .dmaBuf: false
    case .gbm(let buffer): buffer.isMadeElsewhere(exportedAs: exported)
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
