/// The importer's display engine, by the checksum of its CRTC: equal to that of the same bytes in a buffer of the importer's
/// own, and unlike that of other bytes.
final class CRCObserver: Observer {
  let name = ObserverName.crc
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipe: DisplayPipe
  private let witness: CRCWitness
  private let picture: Framebuffer

  /// Shows the picture in the smallest mode that holds it.
  ///
  /// - Throws: `ENOTSUP` where the driver has no checksums, no display is connected, or no mode is large enough;
  ///   `drmSetMaster` where somebody else holds the display.
  init(
    _ handle: borrowing GEMHandle, of buffer: borrowing DMABuf, _ description: BufferDescription, deadline: Deadline
  ) throws(PrimeError) {
    let importer = handle.device
    guard PipeCRC.isOffered(by: importer) else {
      throw Self.unavailable("its driver gives no frame checksums, or debugfs may not be read", on: importer)
    }
    // The kernel looks at a wire only for the master.
    try importer.becomeMaster()
    let route = try DisplayRoute(on: importer, to: .connected)
    let window = try FetchWindow(onto: description, bytes: buffer.byteCount, for: route, operation: "crc")
    let (width, height) = (window.description.width, window.description.height)
    let fitting = route.modes.filter { $0.width >= width && $0.height >= height }
    guard !route.connector.isWriteback, let mode = fitting.min(by: { $0.width * $0.height < $1.width * $1.height })
    else {
      throw Self.unavailable("no connected display has a mode that holds \(width)x\(height)", on: importer)
    }
    picture = try Framebuffer(handle, window.description)
    pipe = try DisplayPipe(route)
    let shown = DisplayPipe.Picture(framebuffer: picture.id, shown: window.shown, target: nil)
    try pipe.show(shown, mode: mode, deadline: deadline)
    witness = try CRCWitness(showing: shown, window.description, route: route)
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    let complaint = try witness.look(
      .pattern(examination.expected), wrong: .pattern(examination.wrong), on: pipe, deadline: deadline)
    guard let complaint else { return nil }
    throw Stop(verdict: .mismatch, reason: "crc on \(pipe.route.device.subject): \(complaint)")
  }

  func close() throws(PrimeError) {
    try pipe.close()
  }

  private static func unavailable(_ reason: String, on importer: Device) -> PrimeError {
    PrimeError(operation: "crc", errno: .notSupported, subject: importer.subject, reason: reason)
  }
}
