internal import Prime
internal import PrimeProcesses

/// One display's share of a scanout: its way, what it imported, and who looks at what it shows.
final class ScanoutStage {
  let record: ScanoutRecord
  let mode: DisplayMode
  private let request: ScanoutRequest
  private let route: DisplayRoute
  private let second: (plane: SecondPlane, rectangle: ScanoutReport.Rectangle)?
  private var framebuffers: ScanoutFramebuffers?
  private var overlays: ScanoutFramebuffers?
  private var writeback: WritebackWitness?
  private var checksum: CRCWitness?
  private var pipe: DisplayPipe?
  private var frame: ScanoutReport.Frame?
  /// Whether the buffers were mapped for this display.
  private var mapping = ImportMapping.unknown
  /// What speaks against a buffer that is held.
  private var warning: String?
  /// That a handle is another dma-buf than the one that was imported; nil where it is that one.
  private var difference: PrimeError?
  /// The inodes of the dma-bufs that were imported.
  private var imported: Set<UInt64> = []

  /// Opens the display and chooses its route and mode, changing nothing.
  init(
    _ request: ScanoutRequest, _ display: ScanoutRequest.Display, _ record: ScanoutRecord, kernel: any KernelCalls
  ) throws {
    let device = try Device.open(display.node, kernel: kernel)
    // The kernel looks at a wire only for the master, so this comes before the connectors are read.
    try Stop.declining(.refused, by: .importer) { try device.becomeMaster() }
    let route = try Stop.declining(.refused, by: .importer) {
      try Self.chooseRoute(on: device, display.connector, request)
    }
    let mode = try Self.chooseMode(of: route, request.mode)
    self.mode = mode
    self.request = request
    self.route = route
    self.record = record
    record.report.connector = route.connector.name
    record.report.crtc = route.crtcIndex
    record.report.plane = route.planeID.rawValue
    record.report.mode = mode.description
    record.report.path = route.isAtomic ? "atomic" : "legacy"
    second = try request.overlay.map { overlay in
      try Self.chooseSecondPlane(of: route, overlay, in: (mode.width, mode.height), record)
    }
  }

  var size: (width: Int, height: Int) { (mode.width, mode.height) }

  /// Refuses to share buffers with a display of another size: the buffers are as large as the mode.
  func require(sizeOf other: ScanoutStage) throws {
    guard size != other.size else { return }
    throw Self.declined(
      "its mode is \(mode.width)x\(mode.height) and that of \(other.record.report.display) "
        + "\(other.mode.width)x\(other.mode.height), and one buffer cannot have both sizes: \(Remedy.commonMode)",
      route)
  }

  /// Says from `IN_FORMATS`, before the kernel is asked, what it would only call `EINVAL`.
  func check(_ description: BufferDescription) throws {
    record.report.modifier = description.modifier.description
    try check(description, route.formats, plane: route.planeID)
  }

  /// The same for the overlay's buffers.
  func checkOverlay(_ description: BufferDescription) throws {
    record.report.overlay?.modifier = description.modifier.description
    guard let plane = second?.plane else { return }
    try check(description, plane.formats, plane: plane.id)
  }

  private func check(_ description: BufferDescription, _ formats: PlaneFormats, plane: PlaneID) throws {
    if let objection = formats.objection(to: description.fourcc, description.modifier, plane: plane) {
      throw Self.declined(objection, route)
    }
    guard route.widths.contains(description.width), route.heights.contains(description.height) else {
      throw Self.declined(
        "\(description.width)x\(description.height) is no size of its framebuffers, which go from "
          + "\(route.widths.lowerBound)x\(route.heights.lowerBound) to \(route.widths.upperBound)x"
          + "\(route.heights.upperBound)", route)
    }
  }

  // MARK: - Taking over

  /// Imports the buffers.
  func take(_ frames: ScanoutFrames, overlay: ScanoutFrames?) throws {
    framebuffers = try frames.framebuffers(on: route.device, log: record.log, identify: identify)
    guard let overlay else { return }
    do {
      overlays = try overlay.framebuffers(on: route.device, log: record.log, identify: identify)
    } catch let stop as Stop {
      throw namingOverlay(stop)
    }
  }

  /// Has the handles exported again: what is another dma-buf by number is a copy, which nobody may notice.
  private func identify(_ handles: borrowing ImportedPicture, _ picture: borrowing SharedPicture) throws(PrimeError) {
    imported.formUnion(picture.identities.map(\.inode))
    do throws(PrimeError) {
      _ = try IdentityObserver.exportedAgain(handles, of: picture)
    } catch {
      if error.operation == .identity {
        difference = difference ?? error
      } else if error.isBreakage {
        throw error
      } else {
        giveWay(.identity, error)
      }
    }
  }

  /// Notes whether the buffers were mapped for this display, by what was traced until now.
  func judgeMapping(from exporter: DeviceIdentity?, traced: Set<String>?, release: KernelRelease?) {
    mapping = ImportMapping(by: route.device, from: exporter, traced: traced, release: release)
  }

  /// Notes that the display may have a copy of the buffers that SYNC does not renew, as `PairCheck` does.
  func judgeCopies(in trace: DMAMapTrace?, from exporterName: String?, driver: String?) {
    warning = BouncedImport.warning(
      importer: record.report.display, exporter: record.report.exporter,
      isBounced: BouncedImport.isSeen(by: route.device.identity, in: trace, mapping: mapping),
      reach: SyncEffect.guess(exporterName: exporterName, driver: driver), evidence: .byDriver)
  }

  /// The report names one exporter; a refusal of the other one's buffer says so.
  private func namingOverlay(_ stop: Stop) -> Stop {
    guard let error = stop.error, let exporter = request.overlay?.exporter.name else { return stop }
    var stop = stop
    stop.error = error.explained("the overlay's buffer from \(exporter): \(stop.explanation(of: error))")
    return stop
  }

  /// Makes the writeback's target where there is one, and takes the display.
  func begin(_ frames: ScanoutFrames, overlay: ScanoutFrames?, targetOtherwiseFrom allocator: any Allocator) throws {
    if let target = request.target, !route.connector.isWriteback || !Self.canCompare(request, on: route) {
      throw Stop(
        verdict: .untested,
        reason: "\(target.name) puts out what a display engine writes into its memory, and \(route.connector.name) of "
          + "\(record.report.display) writes nothing that could be compared")
    }
    if route.connector.isWriteback, !Self.canCompare(request, on: route) {
      giveWay(
        .writeback,
        .untestable(
          .writeback, on: route.device.subject,
          reason: WritebackWitness.objection(to: request.format.fourcc, route)))
    } else if route.connector.isWriteback {
      let above = request.overlay.map { (format: $0.format.fourcc, alpha: $0.alpha) }
      writeback = try Stop.declining(.refused, by: .importer) {
        try WritebackWitness(
          frames.description, targetOtherwiseFrom: allocator, route: route, overlay: above,
          shown: frames.inodes + (overlay?.inodes ?? []), ownedBy: request.target.flatMap(memory))
      }
      try request.target.map(putOut)
    }
    pipe = try Stop.declining(.refused, by: .importer) { try DisplayPipe(route) }
  }

  /// The memory of a video device.
  private func memory(of target: Importer) -> (any Allocator)? {
    target.video.map { VideoAllocator($0.device, kernel: route.device.kernel) }
  }

  /// Has a video device put out what the display engine writes; where nothing comes back of that, the CPU alone looks at it.
  private func putOut(by target: Importer) throws {
    do throws(PrimeError) {
      try writeback?.putOut(by: target, kernel: route.device.kernel)
    } catch {
      guard !error.isBreakage else { throw error }
      giveWay(.v4l2, error)
    }
  }

  /// Puts the display back, where it was taken; the report says whether that worked.
  func close() throws {
    guard let pipe = pipe.take() else { return }
    record.report.lostWritebacks = pipe.lostWritebacks
    record.report.restored = false
    checksum?.close()
    writeback?.output?.close()
    try pipe.close()
    record.report.restored = true
  }

  // MARK: - Showing

  private func picture(_ frame: Int) -> DisplayPipe.Picture? {
    guard let framebuffers else { return nil }
    var picture = DisplayPipe.Picture(framebuffer: framebuffers.id(of: frame), shown: size, target: writeback?.target)
    if let overlays, let second {
      picture.overlay = DisplayPipe.Overlay(
        plane: second.plane, framebuffer: overlays.id(of: frame),
        size: (second.rectangle.width, second.rectangle.height), place: (second.rectangle.x, second.rectangle.y))
    }
    return picture
  }

  /// Asks the kernel whether it would show the first frame.
  func test() throws {
    guard let pipe, let picture = picture(0) else { return }
    let deadline = request.deadline
    func ask(_ picture: DisplayPipe.Picture) throws {
      try Stop.declining(.refused, by: .importer) {
        try record.log.explaining { try pipe.test(picture, mode: mode, deadline: deadline) }
      }
    }
    guard let second, picture.overlay != nil else { return try ask(picture) }
    var alone = picture
    alone.overlay = nil
    try ask(alone)
    do {
      try ask(picture)
    } catch var stop as Stop {
      let place = second.rectangle
      stop.error = stop.error?.explained(
        "it shows the picture alone, and refuses \(place.width)x\(place.height) \(request.overlay?.format.fourcc.name ?? "")"
          + " at (\(place.x),\(place.y)) on its \(second.plane.kind.rawValue) plane \(second.plane.id): "
          + Remedy.otherOverlaySize.description)
      throw stop
    }
  }

  /// Sets the mode and shows the first frame.
  func show(_ expected: ScanoutExpectation, _ overlay: ScanoutFrames?, _ frames: ScanoutFrames) throws {
    guard let pipe, let picture = picture(0) else { return }
    try writeback?.prepare(for: expected, deadline: request.deadline)
    let start = route.device.kernel.now
    try Stop.declining(.refused, by: .importer) {
      try record.log.explaining {
        try naming(0) { () throws(PrimeError) in try pipe.show(picture, mode: mode, deadline: request.deadline) }
      }
    }
    frame = ScanoutReport.Frame(
      index: 0, sequence: nil, latency: (route.device.kernel.now - start).nanoseconds, missedVblanks: 0,
      content: .unseen)
    guard writeback == nil else { return }
    let above = request.overlay.flatMap { wanted in overlay.map { ($0.description, wanted.alpha) } }
    do throws(PrimeError) {
      checksum = try CRCWitness(showing: picture, frames.description, route: route, overlay: above)
    } catch {
      guard !error.isBreakage else { throw error }
      doWithoutChecksum(error)
    }
  }

  /// Notes why the checksums of this display prove nothing, and does without them.
  private func doWithoutChecksum(_ error: PrimeError) {
    checksum = nil
    record.report.witnesses = []
    giveWay(.crc, error)
  }

  private func giveWay(_ name: ObserverName, _ error: PrimeError) {
    record.report.tried.append(CellReport.Attempt(name, endedBy: error))
  }

  /// Shows another frame at the next vertical blank.
  func flip(to index: Int, _ expected: ScanoutExpectation) throws {
    guard let pipe, let picture = picture(index) else { return }
    try writeback?.prepare(for: expected, deadline: request.deadline)
    let flip = try naming(index) { () throws(PrimeError) in
      try pipe.flip(to: picture, deadline: request.deadline)
    }
    let period = 1_000_000_000_000 / Int64(max(1, mode.refreshMillihertz ?? 60_000))
    frame = ScanoutReport.Frame(
      index: index, sequence: flip.sequence, latency: flip.latency, missedVblanks: Int(flip.latency / period),
      content: .unseen)
    checksum?.isShowing(picture)
  }

  /// Runs a step of one frame, whose number is said where it does not end in time.
  private func naming<Result>(_ frame: Int, _ body: () throws(PrimeError) -> Result) throws(PrimeError) -> Result {
    do {
      return try body()
    } catch {
      guard error.finding == .deadline else { throw error }
      throw error.explained("frame \(frame): \(error.explanation)")
    }
  }

  /// Has the witness look at the frame that is on the screen, and puts the frame into the report.
  func look(_ expected: ScanoutExpectation, progress: (ScanoutReport.Frame) -> Void) throws {
    guard let pipe, var frame = frame.take() else { return }
    var complaint: String?
    let witness: (any ScanoutWitness)? = writeback ?? checksum
    var seer = witness?.name
    // A checksum costs several frames, so only the first and the last are looked at.
    if let witness, writeback != nil || frame.index == 0 || frame.index == request.frames - 1 {
      do {
        complaint = try witness.look(expected, on: pipe, deadline: request.deadline)
        if complaint == nil, let output = writeback?.output {
          complaint = try writeback?.lookAtOutput(expected, on: pipe, deadline: request.deadline)
          seer = output.name
        }
        frame.content = complaint == nil ? .proven : .mismatch
        if record.report.witnesses.isEmpty { record.report.witnesses = names(witness) }
      } catch let error as PrimeError where error.operation == .crc && !error.isBreakage {
        doWithoutChecksum(error)
      }
    }
    record.report.frames.append(frame)
    progress(frame)
    guard let complaint, let seer else { return }
    let unusual = pipe.unusualProperties
    let place = (seer == .v4l2 ? record.report.target : nil) ?? record.report.display
    record.report.reason =
      "frame \(frame.index): \(seer.rawValue) on \(place) sees something else: \(complaint)"
      + (unusual.isEmpty ? "" : "; not at their first values, and not known here: \(unusual.joined(separator: ", "))")
    throw Stop(verdict: .mismatch)
  }

  private func names(_ witness: any ScanoutWitness) -> [ObserverName] {
    [witness.name] + (writeback?.output.map { [$0.name] } ?? [])
  }

  /// Draws the verdict from what was seen.
  func conclude() throws {
    record.captured = try writeback?.picture(deadline: request.deadline)
    record.report.tolerance = writeback?.allowance ?? 0
    guard let witness: any ScanoutWitness = writeback ?? checksum else {
      return try conclude(
        mapping.afterShowing(imported, by: route.device, traced: nil),
        "the kernel accepted every frame; nothing here could look at what the display engine fetched")
    }
    record.report.verdict = .proven
    var notes: [String] = []
    if record.report.frames.contains(where: { $0.content != .proven }) {
      notes.append("\(witness.name.rawValue) looked at the first and the last of \(record.report.frames.count) frames")
    }
    if let target = request.target, writeback?.output == nil {
      let attempt = record.report.tried.first { $0.observer == .v4l2 }
      let call = attempt?.errno.map { "\(attempt?.call ?? "") \($0): " } ?? ""
      notes.append(
        "the CPU alone looked at the memory of \(target.name), whose output nobody saw: \(call)\(attempt?.reason ?? "")"
      )
    }
    if checksum?.hasLayeredTwin == true {
      notes.append("its twin had both planes, so how the display engine blends them was not looked at")
    }
    record.report.reason = notes.isEmpty ? nil : notes.joined(separator: "; ")
  }

  /// Says that the kernel was only asked.
  func concludeTest() throws {
    try conclude(mapping, "the kernel would show it (TEST_ONLY); nothing was shown")
  }

  /// The verdict where nobody looked: what the handle is worth, as for `ObserverSet.verdict`.
  private func conclude(_ mapping: ImportMapping, _ sentence: String) throws {
    if let difference { throw difference }
    record.report.verdict = mapping.isMade ? .shared : .held
    let objection: String? =
      switch mapping {
      case .own, .traced, .byDriver, .shown: nil
      case .none: "no mapping of the buffer was made for \(record.report.display)"
      case .unknown: "whether the buffer was mapped for \(record.report.display) cannot be seen here"
      }
    record.report.reason = [sentence, objection, warning].compactMap(\.self).joined(separator: "; ")
  }
}
