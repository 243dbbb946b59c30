internal import Prime

/// A display engine that writes what it fetched into a second buffer.
protocol WritebackLooker: Observer {
  /// The inode of the second buffer.
  var targetInode: UInt64 { get }
  /// How many pictures the engine did not write in time.
  var lostWritebacks: Int { get }
}

/// The importer's display engine: it fetches the imported picture and writes what it fetched into a second buffer, which is
/// the importer's own.
final class WritebackObserver: WritebackLooker {
  let name = ObserverName.writeback
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipeline: WritebackPipeline
  private let picture: Framebuffer
  private let target: Framebuffer
  private let shared: SharedPicture
  private let targetBuffer: DMABuf
  private let shown: Size
  private let mode: DisplayMode
  private let seen: PictureLayout
  /// How the engine was told to take the picture's bytes, and what its plane says of their own format.
  let showing: Showing?

  init(
    _ imported: borrowing ImportedPicture, of shared: borrowing SharedPicture,
    targetOtherwiseFrom allocator: any Allocator
  ) throws(PrimeError) {
    let importer = imported.device
    let pipeline = try WritebackPipeline(on: importer)
    guard pipeline.supports(.xrgb8888) else {
      throw .untestable(
        .writeback, on: importer.subject, reason: "its display engine does not write XRGB8888 back")
    }
    let fetch = try FetchWindow(
      onto: shared.description, bytes: shared.first.byteCount, for: pipeline.route, operation: .writeback)
    let window = fetch.description
    try MemoryBudget.check(window.layout.byteCount, operation: .writeback, on: importer.subject, by: importer.kernel)
    let target = try WritebackTarget(
      AllocationRequest(beside: window, width: window.width, height: window.height, on: importer), on: importer,
      otherwise: allocator)
    try Self.requireAnotherExport(by: allocator, than: shared, on: importer.subject)
    let importedTarget = try target.picture.imported(into: importer)
    guard target.picture.first.identity != shared.first.identity,
      importedTarget.first.rawValue != imported.first.rawValue
    else {
      throw Self.sharesMemory(importer.subject, "its target has the picture's dma-buf or handle")
    }
    self.target = try importedTarget.framebuffer()
    self.picture = try Framebuffer(imported.first, window)
    self.shown = Size(width: fetch.shown.width, height: fetch.shown.height)
    self.mode = try DisplayMode.withoutWire(width: window.width, height: window.height)
    self.seen = try PictureLayout.checked(
      format: window.layout.format, width: fetch.shown.width, height: fetch.shown.height,
      planes: target.picture.layout.planes, operation: .writeback, on: importer.subject)
    self.showing = Showing(shared.description, as: window.fourcc, on: pipeline.route)
    self.shared = try shared.duplicate()
    self.pipeline = pipeline
    self.targetBuffer = try target.picture.first.duplicate()
  }

  /// Why nothing is proven where the target is what was shown.
  static func sharesMemory(_ subject: String, _ reason: String) -> PrimeError {
    PrimeError(
      operation: .control, finding: .broken, subject: subject,
      reason: "the second buffer is no other than the first: \(reason); what is written back could not be told from "
        + "what was shown")
  }

  /// Has the picture's exporter export one buffer more: where that is the picture's dma-buf again, nobody knows what was shown.
  private static func requireAnotherExport(
    by allocator: any Allocator, than picture: borrowing SharedPicture, on subject: String
  ) throws(PrimeError) {
    guard let format = PixelFormat(.xrgb8888) else { return }
    // A video device has few formats and sizes.
    let request =
      allocator.kind == .v4l2
      ? AllocationRequest(format: picture.layout.format, size: picture.layout.size)
      : AllocationRequest(format: format, width: 64, height: 64)
    let other = try allocator.allocate(request).export(.readWrite)
    guard other.first.identity == picture.first.identity else { return }
    throw sharesMemory(subject, "the exporter gives one dma-buf for two buffers")
  }

  var targetInode: UInt64 { targetBuffer.identity.inode }

  var lostWritebacks: Int { pipeline.lostWritebacks }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    let wasIntact = try isIntact(examination, deadline: deadline)
    try targetBuffer.write(deadline: deadline) { bytes in
      try examination.expected.fill(&bytes, layout: seen, altering: .everything)
    }
    // Two dma-bufs may still be one memory.
    if try wasIntact && !isIntact(examination, deadline: deadline) {
      throw Self.sharesMemory(pipeline.device.subject, "writing to the one changed the other")
    }
    try pipeline.capture(picture, shown: shown, into: target, mode: mode, deadline: deadline)
    return try targetBuffer.read(deadline: deadline) { bytes in
      try examination.look(at: bytes, layout: seen, ignoringUnusedBits: true, wasAltered: true)
    }
  }

  /// Whether the picture holds what it should, by the exporter's own descriptor.
  private func isIntact(_ examination: Examination, deadline: Deadline) throws -> Bool {
    try shared.read(deadline: deadline) { bytes, layout in
      try examination.expected.matches(bytes, layout: layout, ignoringUnusedBits: false)
    }
  }

  /// Puts the display back and says whether that worked.
  func close() throws(PrimeError) {
    try pipeline.close()
  }
}
