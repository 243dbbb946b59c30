internal import Prime

/// The importer's display engine as one who looks without a SYNC bracket of anybody's on the picture.
///
/// `WritebackObserver` reads the picture in a bracket before it looks, which may put old bytes back over it.
final class CoherencyEngine {
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipeline: WritebackPipeline
  private let picture: Framebuffer
  private let target: Framebuffer
  private let targetBuffer: DMABuf
  private let shown: Size
  private let mode: DisplayMode
  /// Where the picture lies in what was written.
  let layout: PictureLayout

  /// Takes the display.
  ///
  /// - Parameter allocator: Makes the target where the importer makes no dumb buffers.
  /// - Throws: an untestable `writeback` where the importer has no engine that writes XRGB8888 back.
  init(
    _ shared: borrowing SharedPicture, on importer: Device, otherwise allocator: any Allocator
  ) throws(PrimeError) {
    let pipeline = try WritebackPipeline(on: importer)
    guard pipeline.supports(.xrgb8888) else {
      throw .untestable(.writeback, on: importer.subject, reason: "its display engine does not write XRGB8888 back")
    }
    let fetch = try FetchWindow(
      onto: shared.description, bytes: shared.first.byteCount, for: pipeline.route, operation: .writeback)
    let window = fetch.description
    let target = try WritebackTarget(
      AllocationRequest(beside: window, width: window.width, height: window.height, on: importer), on: importer,
      otherwise: allocator)
    self.target = try target.picture.imported(into: importer).framebuffer()
    self.picture = try Framebuffer(GEMHandle(importing: shared.first, into: importer), window)
    self.shown = Size(width: fetch.shown.width, height: fetch.shown.height)
    self.mode = try DisplayMode.withoutWire(width: window.width, height: window.height)
    self.layout = try PictureLayout.checked(
      format: window.layout.format, width: fetch.shown.width, height: fetch.shown.height,
      planes: target.picture.layout.planes, operation: .writeback, on: importer.subject)
    self.targetBuffer = try target.picture.first.duplicate()
    self.pipeline = pipeline
  }

  /// Empties the target and has the engine write into it what it fetches.
  ///
  /// - Throws: as `WritebackPipeline.capture`.
  func capture(deadline: Deadline) throws {
    try targetBuffer.write(deadline: deadline) { bytes in
      for index in bytes.indices { bytes[index] = 0 }
    }
    try pipeline.capture(picture, shown: shown, into: target, mode: mode, deadline: deadline)
  }

  /// Reads what the engine wrote.
  func read<Result>(deadline: Deadline, _ body: (Span<UInt8>) throws -> Result) throws -> Result {
    try targetBuffer.read(deadline: deadline, body)
  }

  /// Puts the display back.
  func close() throws(PrimeError) { try pipeline.close() }
}
