/// Somebody who sees what a display engine fetched for a frame.
protocol ScanoutWitness: AnyObject {
  var name: ObserverName { get }

  /// The framebuffer that the display engine is to write into, nil for a witness that looks from elsewhere.
  var target: UInt32? { get }

  /// Makes ready for a frame, before it is shown.
  func prepare(for expected: ScanoutExpectation, deadline: Deadline) throws

  /// What is wrong with the frame on the screen, nil where it is as expected; compares it with the wrong picture too.
  func look(_ expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline) throws -> String?
}

extension ScanoutWitness {
  func prepare(for expected: ScanoutExpectation, deadline: Deadline) {}

  /// Looks at a frame of one plane.
  func look(
    _ content: PictureContent, wrong: PictureContent, on pipe: DisplayPipe, deadline: Deadline
  ) throws -> String? {
    try look(ScanoutExpectation(content: content, wrong: wrong), on: pipe, deadline: deadline)
  }
}

/// The display engine itself, through a writeback connector, into a second buffer of the exporter.
final class WritebackWitness: ScanoutWitness {
  let name = ObserverName.writeback
  // The framebuffer goes before the buffer that it wraps.
  private let framebuffer: Framebuffer
  private let buffer: DMABuf
  private let layout: PictureLayout
  private let tolerance: ComponentTolerance

  /// Allocates the second buffer from the same exporter, so that the way back from the device is shown with it.
  ///
  /// It has the picture's own format where the connector writes that without rounding, else XRGB8888. With an overlay
  /// its format counts as well, and one step more where it is translucent: an engine may round a blend either way.
  ///
  /// `shown` are the inodes of the dma-bufs that are shown; the target must be none of them.
  init(
    _ description: BufferDescription, targetFrom allocator: any Allocator, route: DisplayRoute,
    overlay: (format: Fourcc, alpha: Int)? = nil, shown: [UInt64] = []
  ) throws(PrimeError) {
    let device = route.device
    let wide: [Fourcc] = [.xrgb16161616, .argb16161616]
    let fourcc =
      wide.contains(description.fourcc) && route.targetFormats.contains(.xrgb16161616)
      ? Fourcc.xrgb16161616 : .xrgb8888
    guard route.targetFormats.contains(fourcc), let format = PixelFormat(fourcc),
      let below = ComponentTolerance.conversion(between: description.fourcc, and: fourcc),
      let above = ComponentTolerance.conversion(between: overlay?.format ?? description.fourcc, and: fourcc)
    else {
      throw PrimeError(
        operation: "writeback", errno: .notSupported, subject: device.subject,
        reason: "\(route.connector.name) writes no format that \(description.fourcc) can be compared in")
    }
    let object = try allocator.allocate(
      AllocationRequest(format: format, width: description.width, height: description.height))
    buffer = try object.export(.readWrite)
    guard !shown.contains(buffer.identity.inode) else {
      throw WritebackObserver.sharesMemory(device.subject, "its target is a dma-buf that is shown")
    }
    let handle = try GEMHandle(importing: buffer, into: device)
    framebuffer = try Framebuffer(handle, object.description)
    layout = object.description.layout
    tolerance = ComponentTolerance(
      eightBitSteps: max(below.eightBitSteps, above.eightBitSteps) + (overlay.map { $0.alpha < 255 } == true ? 1 : 0))
  }

  var target: UInt32? { framebuffer.id }

  /// The largest difference of a component that is allowed, in steps of an eight-bit component.
  var allowance: Int { tolerance.eightBitSteps }

  /// Fills the target with what no pixel of the frame can pass for, so that what is not written is seen.
  func prepare(for expected: ScanoutExpectation, deadline: Deadline) throws {
    try buffer.write(deadline: deadline) { bytes in
      try expected.content.fill(&bytes, layout: layout, altering: .everything)
    }
  }

  func look(_ expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline) throws -> String? {
    try buffer.read(deadline: deadline) { bytes in
      if let difference = try expected.content.compare(bytes, layout: layout, tolerance: tolerance) {
        let rest = expected.content.remains(in: bytes, layout: layout)
        return difference.sentence + (rest.map { "; \($0.sentence)" } ?? "")
      }
      guard try !expected.wrong.matches(bytes, layout: layout, tolerance: tolerance) else {
        throw PrimeError(
          operation: "control", errno: .inputOutput, subject: pipe.route.device.subject,
          reason: "the written picture also matches content that was never shown, so this comparison proves nothing")
      }
      return nil
    }
  }

  /// The picture that was written last.
  func picture(deadline: Deadline) throws -> RGBImage {
    try buffer.read(deadline: deadline) { bytes in try RGBImage(decoding: bytes, layout: layout) }
  }
}

extension PictureContent {
  /// Whether memory holds the content; for a pattern this stops at the first row that it does not.
  fileprivate func matches(
    _ bytes: Span<UInt8>, layout: PictureLayout, tolerance: ComponentTolerance
  ) throws -> Bool {
    if case .pattern(let pattern) = self { return try pattern.matches(bytes, layout: layout, ignoringUnusedBits: true) }
    return try compare(bytes, layout: layout, tolerance: tolerance) == nil
  }
}
