internal import Prime

/// The importer's display engine, by the checksum of its CRTC: equal to that of the same bytes in a buffer of the importer's
/// own, and unlike that of other bytes.
final class CRCObserver: Observer {
  let name = ObserverName.crc
  // Destroyed in this order: the display goes back to what it showed before the framebuffers are removed.
  private let display: ImportOnDisplay
  private let witness: CRCWitness
  private let standIn: StandIn?
  let showing: Showing?

  /// A buffer of the same exporter that is as large as the mode, for a plane that has to cover it.
  private final class StandIn {
    // The framebuffer goes before the buffer that it wraps.
    let framebuffer: Framebuffer
    private let picture: SharedPicture
    var description: BufferDescription { picture.description }

    init(
      on importer: Device, _ mode: DisplayMode, like window: BufferDescription, from allocator: any Allocator
    ) throws(PrimeError) {
      let object = try allocator.allocate(
        AllocationRequest(beside: window, width: mode.width, height: mode.height, on: importer))
      picture = try object.export(.readWrite)
      framebuffer = try picture.imported(into: importer).framebuffer()
    }

    func write(_ pattern: Pattern, deadline: Deadline) throws {
      try picture.fill(pattern, deadline: deadline)
    }
  }

  /// Shows the picture in the smallest mode that holds it.
  ///
  /// - Throws: `unsupported` where no display is connected or no mode is large enough; `open` where the driver has no checksums
  ///   or debugfs may not be read; `drmSetMaster` where somebody else holds the display.
  init(
    _ imported: borrowing ImportedPicture, of picture: borrowing SharedPicture,
    standInFrom allocator: any Allocator, history: LookHistory, deadline: Deadline
  ) throws(PrimeError) {
    let importer = imported.device
    // Nothing is taken from anybody where there are no checksums at all.
    _ = try PipeCRC.sources(of: importer, crtcIndex: 0)
    let display = try ImportOnDisplay(imported, of: picture, operation: .crc) {
      route throws(PrimeError) in
      if let objection = history.objection(to: LookHistory.Pipe(of: route)) { throw objection }
    }
    self.display = display
    let window = display.window.description
    var shown = display.picture
    var shownDescription = window
    if try display.mustCover(deadline: deadline) {
      let larger = try StandIn(on: importer, display.mode, like: window, from: allocator)
      shown.framebuffer = larger.framebuffer.id
      shown.shown = (display.mode.width, display.mode.height)
      shownDescription = larger.description
      standIn = larger
    } else {
      standIn = nil
    }
    showing = Showing(
      picture.description, as: window.fourcc, on: display.route,
      standIn: standIn.map { ($0.description.width, $0.description.height) })
    try display.pipe.show(shown, mode: display.mode, deadline: deadline)
    witness = try CRCWitness(
      showing: shown, shownDescription, route: display.route, history: history)
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try standIn?.write(examination.expected, deadline: deadline)
    let complaint = try witness.look(
      .pattern(examination.expected), wrong: .pattern(examination.wrong), on: display.pipe, deadline: deadline)
    guard let complaint else { return nil }
    throw Stop(verdict: .mismatch, reason: "crc on \(display.route.device.subject): \(complaint)")
  }

  func close() throws(PrimeError) {
    witness.close()
    try display.pipe.close()
  }

  deinit {
    witness.close()
  }
}
