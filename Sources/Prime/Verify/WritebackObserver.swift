/// The importer's display engine: it fetches the imported picture and writes what it fetched into a second buffer, which
/// comes from the exporter too and was imported as well, so that the way back from the device is shown with it.
///
/// The engine is used as a reader of memory: whatever the picture's format, its rows are shown as XRGB8888, four bytes a
/// pixel, because engines carry that without rounding (vkms 6.12 returns RGB565 with components one off). The fourth
/// byte of each is not carried and not compared.
final class WritebackObserver: Observer {
  let name = ObserverName.writeback
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipeline: WritebackPipeline
  private let picture: Framebuffer
  private let target: Framebuffer
  private let targetBuffer: DMABuf
  private let shown: (width: Int, height: Int)
  private let mode: DisplayMode
  private let seen: PictureLayout

  init(
    _ handle: borrowing GEMHandle, of buffer: borrowing DMABuf, _ description: BufferDescription,
    targetFrom allocator: any Allocator
  ) throws(PrimeError) {
    let importer = handle.device
    let pipeline = try WritebackPipeline(on: importer)
    let window = try Self.window(onto: description, bytes: buffer.byteCount, for: pipeline)
    try MemoryBudget.check(window.layout.byteCount, operation: "writeback", on: importer.subject)
    let target = try allocator.allocate(
      AllocationRequest(
        format: window.layout.format, width: window.width, height: window.height,
        modifiers: description.modifier == .invalid ? nil : [.linear], usage: .linear))
    let targetBuffer = try target.export(.readWrite)
    let targetHandle = try GEMHandle(importing: targetBuffer, into: importer)
    self.target = try Framebuffer(targetHandle, target.description)
    self.picture = try Framebuffer(handle, window)
    let shown = (width: description.layout.rowBytes(ofPlane: 0) / 4, height: description.height)
    self.shown = shown
    self.mode = try DisplayMode.withoutWire(width: window.width, height: window.height)
    self.seen = try Self.layout(
      format: window.layout.format, width: shown.width, height: shown.height,
      planes: target.description.layout.planes, on: importer)
    self.pipeline = pipeline
    self.targetBuffer = targetBuffer
  }

  /// The inode of the second buffer.
  var targetInode: UInt64 { targetBuffer.identity.inode }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try pipeline.capture(picture, shown: shown, into: target, mode: mode, deadline: deadline)
    return try targetBuffer.read(deadline: deadline) { bytes in
      try examination.look(at: bytes, layout: seen, ignoringUnusedBits: true)
    }
  }

  /// Puts the display back and says whether that worked.
  func close() throws(PrimeError) {
    try pipeline.close()
  }

  /// The buffer as a framebuffer that the display engine takes: its rows as XRGB8888, and for a picture below the least
  /// size of a framebuffer, with what follows it in the same buffer.
  private static func window(
    onto description: BufferDescription, bytes: Int, for pipeline: WritebackPipeline
  ) throws(PrimeError) -> BufferDescription {
    let device = pipeline.device
    guard pipeline.supports(.xrgb8888), let format = PixelFormat(.xrgb8888) else {
      throw unavailable("its display engine does not write XRGB8888 back", on: device)
    }
    let visibleBytes = description.layout.rowBytes(ofPlane: 0)
    guard description.layout.planes.count == 1, visibleBytes.isMultiple(of: 4) else {
      throw unavailable("only a single plane whose rows are whole 32-bit words can be shown as XRGB8888", on: device)
    }
    let minimum = pipeline.minimumSize
    let width = max(visibleBytes / 4, minimum.width)
    let height = max(description.height, minimum.height)
    guard pipeline.allows(width: width, height: height) else {
      throw unavailable(
        "\(width)x\(height) is larger than its framebuffers can be (\(pipeline.maximumSize.width)x"
          + "\(pipeline.maximumSize.height))", on: device)
    }
    guard let plane = description.layout.planes.first else {
      throw unavailable("the buffer has no plane", on: device)
    }
    let rowBytes = width * format.planes[0].bytesPerElement
    // A picture of one row has no second row to find, so that any pitch describes it.
    let pitch = description.height == 1 ? max(plane.pitch, (rowBytes + 63) / 64 * 64) : plane.pitch
    guard pitch >= rowBytes, plane.offset + pitch * (height - 1) + rowBytes <= bytes else {
      throw unavailable(
        "its framebuffers are at least \(minimum.width)x\(minimum.height), and the buffer has no room for one",
        on: device)
    }
    let layout = try layout(
      format: format, width: width, height: height, planes: [PlaneLayout(offset: plane.offset, pitch: pitch)],
      on: device)
    return BufferDescription(layout: layout, modifier: description.modifier)
  }

  private static func layout(
    format: PixelFormat, width: Int, height: Int, planes: [PlaneLayout], on device: Device
  ) throws(PrimeError) -> PictureLayout {
    try PictureLayout.checked(
      format: format, width: width, height: height, planes: planes, operation: "writeback", on: device.subject)
  }

  private static func unavailable(_ reason: String, on importer: Device) -> PrimeError {
    PrimeError(operation: "writeback", errno: .notSupported, subject: importer.subject, reason: reason)
  }
}
