internal import Prime

/// The importer's display engine: it fetches the imported picture and writes what it fetched into a second buffer, which is
/// the importer's own.
final class WritebackObserver: Observer {
  let name = ObserverName.writeback
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipeline: WritebackPipeline
  private let picture: Framebuffer
  private let target: Framebuffer
  private let buffer: DMABuf
  private let targetBuffer: DMABuf
  private let shown: Size
  private let mode: DisplayMode
  private let seen: PictureLayout
  private let pictureLayout: PictureLayout
  /// How the engine was told to take the picture's bytes, and what its plane says of their own format.
  let showing: Showing?

  init(
    _ handle: borrowing GEMHandle, of buffer: borrowing DMABuf, _ description: BufferDescription,
    targetOtherwiseFrom allocator: any Allocator
  ) throws(PrimeError) {
    let importer = handle.device
    let pipeline = try WritebackPipeline(on: importer)
    guard pipeline.supports(.xrgb8888) else {
      throw .untestable(
        .writeback, on: importer.subject, reason: "its display engine does not write XRGB8888 back")
    }
    let fetch = try FetchWindow(
      onto: description, bytes: buffer.byteCount, for: pipeline.route, operation: .writeback)
    let window = fetch.description
    try MemoryBudget.check(window.layout.byteCount, operation: .writeback, on: importer.subject, by: importer.kernel)
    let target = try WritebackTarget(
      AllocationRequest(beside: window, width: window.width, height: window.height, on: importer), on: importer,
      otherwise: allocator)
    try Self.requireAnotherExport(by: allocator, than: buffer, description, on: importer.subject)
    let targetHandle = try GEMHandle(importing: target.buffer, into: importer)
    guard target.buffer.identity != buffer.identity, targetHandle.rawValue != handle.rawValue else {
      throw Self.sharesMemory(importer.subject, "its target has the picture's dma-buf or handle")
    }
    self.target = try Framebuffer(targetHandle, target.description)
    self.picture = try Framebuffer(handle, window)
    self.shown = Size(width: fetch.shown.width, height: fetch.shown.height)
    self.mode = try DisplayMode.withoutWire(width: window.width, height: window.height)
    self.seen = try PictureLayout.checked(
      format: window.layout.format, width: fetch.shown.width, height: fetch.shown.height,
      planes: target.description.layout.planes, operation: .writeback, on: importer.subject)
    self.pictureLayout = description.layout
    self.showing = Showing(description, as: window.fourcc, on: pipeline.route)
    self.buffer = try buffer.duplicate()
    self.pipeline = pipeline
    self.targetBuffer = try target.buffer.duplicate()
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
    by allocator: any Allocator, than buffer: borrowing DMABuf, _ picture: BufferDescription, on subject: String
  ) throws(PrimeError) {
    guard let format = PixelFormat(.xrgb8888) else { return }
    // A video device has few formats and sizes.
    let request =
      allocator.kind == .v4l2
      ? AllocationRequest(format: picture.layout.format, width: picture.width, height: picture.height)
      : AllocationRequest(format: format, width: 64, height: 64)
    let other = try allocator.allocate(request).export(.readWrite)
    guard other.identity == buffer.identity else { return }
    throw sharesMemory(subject, "the exporter gives one dma-buf for two buffers")
  }

  /// The inode of the second buffer.
  var targetInode: UInt64 { targetBuffer.identity.inode }

  /// How many pictures the engine did not write in time.
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
    try buffer.read(deadline: deadline) { bytes in
      try examination.expected.matches(bytes, layout: pictureLayout, ignoringUnusedBits: false)
    }
  }

  /// Puts the display back and says whether that worked.
  func close() throws(PrimeError) {
    try pipeline.close()
  }
}
