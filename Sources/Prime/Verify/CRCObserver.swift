/// The importer's display engine, by the checksum of its CRTC: equal to that of the same bytes in a buffer of the importer's
/// own, and unlike that of other bytes.
final class CRCObserver: Observer {
  let name = ObserverName.crc
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipe: DisplayPipe
  private let witness: CRCWitness
  private let picture: Framebuffer
  private let standIn: StandIn?
  let showing: Showing?

  /// A buffer of the same exporter that is as large as the mode, for a plane that has to cover it.
  private final class StandIn {
    // The framebuffer goes before the buffer that it wraps.
    let framebuffer: Framebuffer
    let description: BufferDescription
    private let buffer: DMABuf

    init(
      on importer: Device, _ mode: DisplayMode, like picture: BufferDescription, from allocator: any Allocator
    ) throws(PrimeError) {
      var wanted = AllocationRequest(
        format: picture.layout.format, width: mode.width, height: mode.height,
        modifiers: picture.modifier == .invalid ? nil : [.linear], usage: .linear)
      wanted.pitch = try ImporterPitch(for: wanted, on: importer)
      let object = try allocator.allocate(wanted)
      buffer = try object.export(.readWrite)
      description = object.description
      framebuffer = try Framebuffer(GEMHandle(importing: buffer, into: importer), description)
    }

    func write(_ pattern: Pattern, deadline: Deadline) throws {
      try buffer.write(deadline: deadline) { bytes in try pattern.fill(&bytes, layout: description.layout) }
    }
  }

  /// Shows the picture in the smallest mode that holds it.
  ///
  /// - Throws: `ENOTSUP` where no display is connected or no mode is large enough; `open` where the driver has no checksums
  ///   or debugfs may not be read; `drmSetMaster` where somebody else holds the display.
  init(
    _ handle: borrowing GEMHandle, of buffer: borrowing DMABuf, _ description: BufferDescription,
    standInFrom allocator: any Allocator, history: LookHistory, deadline: Deadline
  ) throws(PrimeError) {
    let importer = handle.device
    // Nothing is taken from anybody where there are no checksums at all.
    _ = try PipeCRC.sources(of: importer, crtcIndex: 0)
    // The kernel looks at a wire only for the master.
    try importer.becomeMaster()
    let route = try DisplayRoute(on: importer, to: .connected)
    let known = LookHistory.Pipe(device: importer.identity.number, crtcIndex: route.crtcIndex)
    if let objection = history.objection(to: known) { throw objection }
    let window = try FetchWindow(
      onto: description, bytes: buffer.byteCount, for: route, operation: CRCWitness.operation)
    let (width, height) = (window.description.width, window.description.height)
    let fitting = route.modes.filter { $0.width >= width && $0.height >= height }
    guard !route.connector.isWriteback, let mode = fitting.min(by: { $0.width * $0.height < $1.width * $1.height })
    else {
      throw PrimeError(
        operation: CRCWitness.operation, errno: .notSupported, subject: importer.subject,
        reason: "no connected display has a mode that holds \(width)x\(height)")
    }
    picture = try Framebuffer(handle, window.description)
    pipe = try DisplayPipe(route)
    var shown = DisplayPipe.Picture(framebuffer: picture.id, shown: window.shown, target: nil)
    var shownDescription = window.description
    if try Self.mustCover(shown, mode, pipe, deadline: deadline) {
      let larger = try StandIn(on: importer, mode, like: window.description, from: allocator)
      shown.framebuffer = larger.framebuffer.id
      shown.shown = (mode.width, mode.height)
      shownDescription = larger.description
      standIn = larger
    } else {
      standIn = nil
    }
    showing = Showing(
      description, as: window.description.fourcc, on: route,
      standIn: standIn.map { ($0.description.width, $0.description.height) })
    try pipe.show(shown, mode: mode, deadline: deadline)
    witness = try CRCWitness(showing: shown, shownDescription, route: route, history: history)
  }

  /// Whether the display refuses a picture that is smaller than the mode; the legacy calls always do.
  private static func mustCover(
    _ picture: DisplayPipe.Picture, _ mode: DisplayMode, _ pipe: DisplayPipe, deadline: Deadline
  ) throws(PrimeError) -> Bool {
    guard picture.shown != (mode.width, mode.height) else { return false }
    guard pipe.route.isAtomic else { return true }
    do throws(PrimeError) {
      try pipe.test(picture, mode: mode, deadline: deadline)
      return false
    } catch {
      guard !error.isBreakage else { throw error }
      return true
    }
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try standIn?.write(examination.expected, deadline: deadline)
    let complaint = try witness.look(
      .pattern(examination.expected), wrong: .pattern(examination.wrong), on: pipe, deadline: deadline)
    guard let complaint else { return nil }
    throw Stop(verdict: .mismatch, reason: "crc on \(pipe.route.device.subject): \(complaint)")
  }

  func close() throws(PrimeError) {
    try pipe.close()
  }
}
