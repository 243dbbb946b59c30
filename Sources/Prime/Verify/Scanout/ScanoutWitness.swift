internal import Prime

/// Somebody who sees what a display engine fetched for a frame.
protocol ScanoutWitness: AnyObject {
  var name: ObserverName { get }

  /// The framebuffer that the display engine is to write into, nil for a witness that looks from elsewhere.
  var target: FramebufferID? { get }

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

/// The display engine itself, through a writeback connector, into a second buffer, which is the display's own.
final class WritebackWitness: ScanoutWitness {
  let name = ObserverName.writeback
  // The framebuffer goes before the buffer that it wraps.
  private let framebuffer: Framebuffer
  private let shared: SharedPicture
  private let written: WrittenFormat
  /// Who puts out what was written, and gives it back; nil where nobody does.
  private(set) var output: VideoOutput?

  /// Allocates the second buffer on the display's device, or by `allocator` where that makes none; by `owner` where one is given.
  ///
  /// `shown` are the inodes of the dma-bufs that are shown; the target must be none of them.
  init(
    _ description: BufferDescription, targetOtherwiseFrom allocator: any Allocator, route: DisplayRoute,
    overlay: (format: Fourcc, alpha: Int)? = nil, shown: [UInt64] = [], ownedBy owner: (any Allocator)? = nil
  ) throws(PrimeError) {
    let device = route.device
    guard let written = WrittenFormat(for: description.fourcc, overlay: overlay, among: route.targetFormats),
      let format = PixelFormat(written.fourcc)
    else {
      throw .untestable(
        .writeback, on: device.subject, reason: Self.objection(to: description.fourcc, route))
    }
    self.written = written
    let request = AllocationRequest(format: format, width: description.width, height: description.height)
    let made: WritebackTarget
    if let owner {
      made = try WritebackTarget(request, of: owner)
    } else {
      made = try WritebackTarget(request, on: device, otherwise: allocator)
    }
    shared = try made.picture.duplicate()
    guard Set(shown).count == shown.count else {
      throw WritebackObserver.sharesMemory(device.subject, "the exporter gives one dma-buf for two frames")
    }
    guard !shown.contains(shared.first.identity.inode) else {
      throw WritebackObserver.sharesMemory(device.subject, "its target is a dma-buf that is shown")
    }
    framebuffer = try shared.imported(into: device).framebuffer()
  }

  /// Has a video device put out what is written from now on.
  ///
  /// - Throws: as `VideoOutput`.
  func putOut(by device: Importer, kernel: any KernelCalls) throws(PrimeError) {
    output = try VideoOutput(device, of: shared, kernel: kernel)
  }

  /// What is wrong with the frame as the video device gave it back, nil where it is as expected, or where there is no such device.
  func lookAtOutput(_ expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline) throws -> String? {
    try output?.examine(deadline: deadline) { bytes, layout in try compare(expected, bytes, layout, on: pipe) } ?? nil
  }

  /// Why what a connector writes tells nothing of a picture.
  static func objection(to fourcc: Fourcc, _ route: DisplayRoute) -> String {
    "\(route.connector.name) writes no format that \(fourcc) can be compared in: it writes "
      + route.targetFormats.map(\.name).sorted().joined(separator: ", ")
  }

  var target: FramebufferID? { framebuffer.id }

  /// The largest difference of a component that is allowed, in steps of an eight-bit component.
  var allowance: Int { written.tolerance.eightBitSteps }

  /// Fills the target with what no pixel of the frame can pass for, so that what is not written is seen.
  func prepare(for expected: ScanoutExpectation, deadline: Deadline) throws {
    try shared.write(deadline: deadline) { bytes, layout in
      try expected.content.fill(&bytes, layout: layout, altering: .everything)
    }
  }

  func look(_ expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline) throws -> String? {
    try shared.read(deadline: deadline) { bytes, layout in
      guard written.isWidened else { return try compare(expected, bytes, layout, on: pipe) }
      switch try ComponentWidening.narrowed(bytes, layout: layout) {
      case .failure(let pixel): return pixel.sentence
      case .success(let narrow): return try compare(expected, narrow.bytes.span, narrow.layout, on: pipe)
      }
    }
  }

  private func compare(
    _ expected: ScanoutExpectation, _ bytes: Span<UInt8>, _ layout: PictureLayout, on pipe: DisplayPipe
  ) throws -> String? {
    if let difference = try expected.content.compare(bytes, layout: layout, tolerance: written.tolerance) {
      let rest = expected.content.remains(in: bytes, layout: layout)
      return difference.sentence + (rest.map { "; \($0.sentence)" } ?? "")
    }
    guard try !expected.wrong.matches(bytes, layout: layout, tolerance: written.tolerance) else {
      throw PrimeError(
        operation: .control, finding: .broken, subject: pipe.route.device.subject,
        reason: "the written picture also matches content that was never shown, so this comparison proves nothing")
    }
    return nil
  }

  /// The picture that was written last.
  func picture(deadline: Deadline) throws -> RGBImage {
    try shared.read(deadline: deadline) { bytes, layout in
      guard written.isWidened else { return try RGBImage(decoding: bytes, layout: layout) }
      let narrow = try ComponentWidening.narrowed(bytes, layout: layout).get()
      return try RGBImage(decoding: narrow.bytes.span, layout: narrow.layout)
    }
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
