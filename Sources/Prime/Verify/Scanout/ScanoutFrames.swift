internal import Prime
internal import PrimeProcesses

/// Two buffers of an exporter that displays show in turns; each is written again while the other is on the screen.
final class ScanoutFrames {
  private let buffers: [2 of DMABuf]
  /// Draws the buffers, where a GPU does.
  private let gpu: GPUAllocator?
  /// How the buffers lie in memory.
  let description: BufferDescription

  /// Allocates and exports both buffers; `check` sees the description before anything is exported.
  package init(
    _ exporter: Exporter, _ allocator: any Allocator, _ format: PixelFormat, size: (width: Int, height: Int),
    modifiers: [Modifier]?, check: (BufferDescription) throws -> Void
  ) throws {
    let allocation = AllocationRequest(
      format: format, width: size.width, height: size.height, modifiers: modifiers,
      usage: exporter.allocator == .gbm ? [.linear, .scanout] : .linear)
    let first = try Stop.declining(.refused, by: .exporter) { try allocator.allocate(allocation) }
    let second = try Stop.declining(.refused, by: .exporter) { try allocator.allocate(allocation) }
    description = first.description
    try check(first.description)
    let firstBuffer = try Stop.declining(.refused, by: .exporter) { try first.export(.readWrite) }
    let secondBuffer = try Stop.declining(.refused, by: .exporter) { try second.export(.readWrite) }
    buffers = [firstBuffer, secondBuffer]
    gpu = allocator as? GPUAllocator
  }

  /// Takes both buffers of a camera.
  init(of camera: VideoStream, check: (BufferDescription) throws -> Void) throws {
    description = camera.description
    try check(camera.description)
    let first = try Stop.declining(.refused, by: .exporter) { try camera.export(0) }
    let second = try Stop.declining(.refused, by: .exporter) { try camera.export(1) }
    buffers = [first, second]
    gpu = nil
  }

  /// What is to be said of a GPU that draws the frames; nil where none does, and where there is nothing to say.
  var warning: String? { gpu?.warning(on: buffers[0]) }

  /// What the exporter is called in fdinfo; nil where the kernel does not tell.
  var exporterName: String? { buffers[0].exporterName }

  /// The inodes of both buffers.
  var inodes: [UInt64] { [buffers[0].identity.inode, buffers[1].identity.inode] }

  /// Fills the buffer of a frame.
  func write(
    _ frame: Int, deadline: Deadline, _ fill: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void
  ) throws {
    if let gpu { return try gpu.draw(into: buffers[frame % 2], deadline: deadline, fill) }
    try buffers[frame % 2].write(deadline: deadline) { bytes in try fill(&bytes, description.layout) }
  }

  /// Looks at the buffer of a frame through the exporter's own descriptor.
  func read<Result>(
    _ frame: Int, deadline: Deadline, _ body: (Span<UInt8>, PictureLayout) throws -> Result
  ) throws -> Result {
    try buffers[frame % 2].read(deadline: deadline) { bytes in try body(bytes, description.layout) }
  }

  /// Imports and wraps both buffers on a display; `identify` is shown each handle with the buffer that it is to be.
  func framebuffers(
    on display: Device, log: KernelDebugLog.Excerpt,
    identify: (borrowing GEMHandle, borrowing DMABuf) throws -> Void = { _, _ in }
  ) throws -> ScanoutFramebuffers {
    let first = try Stop.declining(.refused, by: .either) { try GEMHandle(importing: buffers[0], into: display) }
    let second = try Stop.declining(.refused, by: .either) { try GEMHandle(importing: buffers[1], into: display) }
    try identify(first, buffers[0])
    try identify(second, buffers[1])
    return ScanoutFramebuffers(
      first: try wrapped(first, log),
      second: try Stop.declining(.refused, by: .importer) { try Framebuffer(second, description) })
  }

  private func wrapped(_ handle: borrowing GEMHandle, _ log: KernelDebugLog.Excerpt) throws -> Framebuffer {
    do {
      return try log.explaining { try Framebuffer(handle, description) }
    } catch let error as PrimeError where !error.isBreakage {
      let isPlain = error.errno == .invalidArgument && error.reason == nil
      let reason = isPlain ? Framebuffer.refusalReason(of: handle, description, byteCount: buffers[0].byteCount) : nil
      throw Stop(verdict: .refused, refusedBy: .importer, error: reason.map(error.explained) ?? error)
    }
  }
}

/// The buffers of a `ScanoutFrames` as one display knows them.
final class ScanoutFramebuffers {
  private let framebuffers: [2 of Framebuffer]

  init(first: consuming Framebuffer, second: consuming Framebuffer) {
    framebuffers = [first, second]
  }

  /// The framebuffer of a frame.
  func id(of frame: Int) -> FramebufferID {
    framebuffers[frame % 2].id
  }
}

extension ScanoutRequest {
  /// What a frame holds.
  func content(of frame: Int) -> PictureContent {
    switch content {
    case .picture(let picture): return .picture(.frame(frame, of: picture))
    case .seed, .camera: return seeded(seed, frame)
    }
  }

  /// Something that is in no frame, for the control.
  var wrongContent: PictureContent {
    switch content {
    case .picture(.gradient): .picture(.checker)
    case .picture(.image(let image)):
      // Its negative differs in every pixel, whatever the image is.
      .picture(
        .image(RGBImage(width: image.width, height: image.height, pixels: image.pixels.map { $0 ^ 0xff_ffff })))
    case .picture: .picture(.gradient)
    case .seed, .camera: seeded(seed ^ 1, 0)
    }
  }

  /// Seeded bytes, or the colours that those bytes would be.
  ///
  /// A display engine converts colours and knows no bytes, so only formats whose bytes are colours as they are get bytes.
  /// So do formats that no picture can be drawn in: there the checksum is compared with that of a buffer of the same bytes.
  private func seeded(_ seed: UInt64, _ frame: Int) -> PictureContent {
    let pattern = Pattern(seed: seed, index: frame)
    guard format.fourcc != .xrgb8888, format.fourcc != .argb8888, ColourEncoding(format.fourcc) != nil else {
      return .pattern(pattern)
    }
    // A picture of 256 by 256 colours, which is drawn in the middle of a larger one.
    return .picture(.image(Self.colours(of: pattern, width: 256, height: 256)))
  }

  /// The colours that a pattern's bytes would be.
  static func colours(of pattern: Pattern, width: Int, height: Int) -> RGBImage {
    let columns = (0..<width).map { pattern.columnWord(plane: 0, at: $0) }
    var pixels: [UInt32] = []
    pixels.reserveCapacity(width * height)
    for y in 0..<height {
      let key = pattern.rowKey(plane: 0, y: y)
      for column in columns { pixels.append(UInt32(truncatingIfNeeded: column ^ key) & 0xff_ffff) }
    }
    return RGBImage(width: width, height: height, pixels: pixels)
  }
}
