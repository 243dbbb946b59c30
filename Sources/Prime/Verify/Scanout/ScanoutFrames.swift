internal import Prime
internal import PrimeProcesses

/// Two buffers of an exporter that displays show in turns; each is written again while the other is on the screen.
final class ScanoutFrames {
  private let pictures: [2 of SharedPicture]
  /// Draws the buffers, where a GPU does.
  private let gpu: GPUAllocator?
  /// How the pictures lie in memory.
  var description: BufferDescription { pictures[0].description }

  /// Allocates and exports both buffers; `check` sees the description before anything is exported.
  package init(
    _ exporter: Exporter, _ allocator: any Allocator, _ format: PixelFormat, size: (width: Int, height: Int),
    modifiers: [Modifier]?, isDisjoint: Bool = false, check: (BufferDescription) throws -> Void
  ) throws {
    var allocation = AllocationRequest(
      format: format, width: size.width, height: size.height, modifiers: modifiers,
      usage: exporter.allocator == .gbm ? [.linear, .scanout] : .linear)
    allocation.isDisjoint = isDisjoint
    let first = try Stop.declining(.refused, by: .exporter) { try allocator.allocate(allocation) }
    let second = try Stop.declining(.refused, by: .exporter) { try allocator.allocate(allocation) }
    try check(first.description)
    let firstPicture = try Stop.declining(.refused, by: .exporter) { try first.export(.readWrite) }
    let secondPicture = try Stop.declining(.refused, by: .exporter) { try second.export(.readWrite) }
    pictures = [firstPicture, secondPicture]
    gpu = allocator as? GPUAllocator
  }

  /// Takes both buffers of a camera.
  init(of camera: VideoStream, check: (BufferDescription) throws -> Void) throws {
    try check(camera.description)
    let first = try Stop.declining(.refused, by: .exporter) { try camera.export(0) }
    let second = try Stop.declining(.refused, by: .exporter) { try camera.export(1) }
    pictures = [first, second]
    gpu = nil
  }

  /// What is to be said of a GPU that draws the frames; nil where none does, and where there is nothing to say.
  var warning: String? { gpu?.warning(on: pictures[0]) }

  /// What the exporter is called in fdinfo; nil where the kernel does not tell.
  var exporterName: String? { pictures[0].first.exporterName }

  /// The inodes of both pictures' dma-bufs.
  var inodes: [UInt64] { (pictures[0].identities + pictures[1].identities).map(\.inode) }

  /// Fills the buffer of a frame.
  func write(
    _ frame: Int, deadline: Deadline, _ fill: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void
  ) throws {
    if let gpu { return try gpu.draw(into: pictures[frame % 2], deadline: deadline, fill) }
    try pictures[frame % 2].write(deadline: deadline, fill)
  }

  /// Looks at the buffer of a frame through the exporter's own descriptor.
  func read<Result>(
    _ frame: Int, deadline: Deadline, _ body: (Span<UInt8>, PictureLayout) throws -> Result
  ) throws -> Result {
    try pictures[frame % 2].read(deadline: deadline, body)
  }

  /// Imports and wraps both buffers on a display; `identify` is shown each import with the picture that it is to be.
  func framebuffers(
    on display: Device, log: KernelDebugLog.Excerpt,
    identify: (borrowing ImportedPicture, borrowing SharedPicture) throws -> Void = { _, _ in }
  ) throws -> ScanoutFramebuffers {
    let first = try Stop.declining(.refused, by: .either) { try pictures[0].imported(into: display) }
    let second = try Stop.declining(.refused, by: .either) { try pictures[1].imported(into: display) }
    try identify(first, pictures[0])
    try identify(second, pictures[1])
    return ScanoutFramebuffers(
      first: try wrapped(first, log),
      second: try Stop.declining(.refused, by: .importer) { try second.framebuffer() })
  }

  private func wrapped(_ imported: borrowing ImportedPicture, _ log: KernelDebugLog.Excerpt) throws -> Framebuffer {
    do {
      return try log.explaining { try imported.framebuffer() }
    } catch let error as PrimeError where !error.isBreakage {
      let isPlain = error.errno == .invalidArgument && error.reason == nil
      let reason =
        isPlain
        ? Framebuffer.refusalReason(of: imported.first, description, byteCount: pictures[0].first.byteCount) : nil
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
