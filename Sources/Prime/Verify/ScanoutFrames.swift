/// Two buffers of an exporter that a display shows in turns; each is written again while the other is on the screen.
final class ScanoutFrames {
  // Framebuffers first: they go before the buffers that they show.
  private let framebuffers: [2 of Framebuffer]
  private let buffers: [2 of DMABuf]
  /// How the buffers lie in memory.
  let description: BufferDescription
  private let request: ScanoutRequest

  /// Allocates, exports, imports and wraps both buffers.
  init(
    _ request: ScanoutRequest, allocator: any Allocator, on display: Device, size: (width: Int, height: Int),
    check: (BufferDescription) throws -> Void, log: KernelDebugLog.Excerpt
  ) throws {
    self.request = request
    let allocation = AllocationRequest(
      format: request.format, width: size.width, height: size.height, modifiers: request.modifiers,
      usage: request.exporter.allocator == .gbm && request.modifiers == nil ? [.linear, .scanout] : .linear)
    let first = try Stop.declining(.refused, by: .exporter) { try allocator.allocate(allocation) }
    let second = try Stop.declining(.refused, by: .exporter) { try allocator.allocate(allocation) }
    description = first.description
    try check(first.description)
    let firstBuffer = try Stop.declining(.refused, by: .exporter) { try first.export(.readWrite) }
    let secondBuffer = try Stop.declining(.refused, by: .exporter) { try second.export(.readWrite) }
    let firstHandle = try Stop.declining(.refused, by: .either) { try GEMHandle(importing: firstBuffer, into: display) }
    let secondHandle = try Stop.declining(.refused, by: .either) {
      try GEMHandle(importing: secondBuffer, into: display)
    }
    let firstFramebuffer = try Stop.declining(.refused, by: .importer) {
      try log.explaining { try Framebuffer(firstHandle, first.description) }
    }
    let secondFramebuffer = try Stop.declining(.refused, by: .importer) {
      try Framebuffer(secondHandle, second.description)
    }
    framebuffers = [firstFramebuffer, secondFramebuffer]
    buffers = [firstBuffer, secondBuffer]
  }

  /// The framebuffer of a frame.
  func framebuffer(of frame: Int) -> UInt32 {
    framebuffers[frame % 2].id
  }

  /// The inodes of both buffers.
  var inodes: [UInt64] { [buffers[0].identity.inode, buffers[1].identity.inode] }

  /// Writes the content of a frame into its buffer.
  func write(_ frame: Int) throws {
    let content = request.content(of: frame)
    try buffers[frame % 2].write(deadline: request.deadline) { bytes in
      try content.fill(&bytes, layout: description.layout)
    }
  }
}

extension ScanoutRequest {
  /// What a frame holds.
  func content(of frame: Int) -> PictureContent {
    switch content {
    case .picture(let picture): return .picture(picture)
    case .seed: return seeded(seed, frame)
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
    case .seed: seeded(seed ^ 1, 0)
    }
  }

  /// Seeded bytes, where bytes are colours as they are; in other formats the colours that those bytes would be, since a
  /// display engine converts colours and knows no bytes.
  private func seeded(_ seed: UInt64, _ frame: Int) -> PictureContent {
    let pattern = Pattern(seed: seed, index: frame)
    guard format.fourcc != .xrgb8888, format.fourcc != .argb8888 else { return .pattern(pattern) }
    return .picture(.image(Self.colours(of: pattern)))
  }

  /// A picture of 256 by 256 colours, which is drawn in the middle of a larger one.
  private static func colours(of pattern: Pattern) -> RGBImage {
    let pixels = (0..<256).flatMap { y in (0..<256).map { x in (x, y) } }.map { x, y in
      UInt32(truncatingIfNeeded: pattern.rowColour(x: x, y: y)) & 0xff_ffff
    }
    return RGBImage(width: 256, height: 256, pixels: pixels)
  }
}

extension Pattern {
  /// Thirty-two bits that depend on the position, for content that is drawn and not stored.
  fileprivate func rowColour(x: Int, y: Int) -> UInt64 {
    columnWord(plane: 0, at: x) ^ rowKey(plane: 0, y: y)
  }
}
