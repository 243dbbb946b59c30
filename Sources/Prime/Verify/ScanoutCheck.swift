/// Takes an exporter's buffers to a display, flips between them, and has a witness look at what was fetched.
public struct ScanoutCheck {
  private let request: ScanoutRequest
  private let kernel: any KernelCalls

  /// What a run gives.
  public struct Outcome {
    /// What is said of it.
    public let report: ScanoutReport
    /// What the display engine wrote last, where it could.
    public let captured: RGBImage?
    /// What the run left behind.
    public let leaks: LeakReport
    /// Whether somebody asked to stop while it ran.
    public let wasCancelled: Bool
  }

  /// Plans a run on this machine's kernel.
  public init(_ request: ScanoutRequest, showingMesaOutput: Bool = true) {
    self.init(request, kernel: LinuxKernel(silencesMesa: !showingMesaOutput))
  }

  package init(_ request: ScanoutRequest, kernel: any KernelCalls) {
    self.request = request
    self.kernel = kernel
  }

  /// Runs it; the display is put back and everything closed when this returns, whatever happened.
  ///
  /// `chose` is called with what was chosen before anything is shown, `progress` with each frame that was.
  public func run(
    chose: (ScanoutReport) -> Void = { _ in }, progress: (ScanoutReport.Frame) -> Void = { _ in }
  ) -> Outcome {
    let audit = LeakAudit()
    let state = State(request)
    do {
      if let problem = request.exporter.problem { throw Stop(verdict: .skipped, error: problem) }
      try show(state, chose: chose, progress: progress)
    } catch {
      state.stopped(by: error)
    }
    let leaks = audit.report(inodes: state.inodes, deadline: Deadline(in: .seconds(2)))
    return Outcome(
      report: state.report, captured: state.captured, leaks: leaks, wasCancelled: state.wasCancelled)
  }

  /// What a run knows so far.
  private final class State {
    var report: ScanoutReport
    var captured: RGBImage?
    var inodes: Set<UInt64> = []
    var wasCancelled = false
    let log: KernelDebugLog.Excerpt

    init(_ request: ScanoutRequest) {
      log = KernelDebugLog.Excerpt(isWanted: request.explains)
      report = ScanoutReport(
        exporter: request.exporter.name, exporterNode: request.exporter.node?.path,
        allocator: request.exporter.allocator, display: request.displayName, displayNode: request.display.path,
        format: request.format.fourcc.name, pattern: request.content.name, seed: request.seed)
    }

    func stopped(by error: any Error) {
      let stop =
        (error as? Stop)
        ?? Stop(
          verdict: .error,
          error: error as? PrimeError
            ?? PrimeError(operation: "scanout", errno: .inputOutput, subject: report.display, reason: "\(error)"))
      wasCancelled = stop.error?.errno == .cancelled
      // What was seen before somebody ended the hold stays true.
      guard !wasCancelled || !report.verdict.passes else { return }
      report.verdict = stop.verdict
      report.refusedBy = stop.refusedBy
      report.kernelLog = log.lines
      guard let error = stop.error else { return }
      report.call = error.operation
      report.errno = error.errno.name
      // One pair gives no evidence for the side of a refused import; `verify` has the whole matrix.
      let meaning =
        stop.refusedBy == .either
        ? RefusalReason.sentence((report.exporter, .untried), (report.display, .untried), errno: error.errno)
        : error.errno.meaning
      report.reason = "\(error.subject): \(error.reason ?? meaning)"
    }
  }

  private func show(
    _ state: State, chose: (ScanoutReport) -> Void, progress: (ScanoutReport.Frame) -> Void
  ) throws {
    let display = try Device.open(request.display, kernel: kernel)
    // The kernel looks at a wire only for the master, so this comes before the connectors are read.
    try Stop.declining(.refused, by: .importer) { try display.becomeMaster() }
    let route = try Stop.declining(.refused, by: .importer) { try chooseRoute(on: display) }
    let mode = try chooseMode(of: route)
    let allocator = try Stop.declining(.refused, by: .exporter) {
      try Allocators.make(request.exporter, kernel: kernel)
    }
    state.report.connector = route.connector.name
    state.report.crtc = route.crtcIndex
    state.report.plane = route.planeID
    state.report.mode = mode.description
    state.report.path = route.isAtomic ? "atomic" : "legacy"
    let frames = try ScanoutFrames(
      request, allocator: allocator, on: display, size: (mode.width, mode.height),
      check: { description in
        state.report.modifier = description.modifier.description
        try self.checkFormats(description, route)
      }, log: state.log)
    state.inodes.formUnion(frames.inodes)
    chose(state.report)
    let writeback = try makeWriteback(frames.description, allocator, route, state)
    let pipe = try Stop.declining(.refused, by: .importer) { try DisplayPipe(route) }
    do {
      try present(frames, writeback, on: pipe, mode: mode, state, progress: progress)
    } catch {
      state.report.restored = (try? pipe.close()) != nil
      throw error
    }
    state.report.restored = false
    try pipe.close()
    state.report.restored = true
  }

  // MARK: - Choosing

  private func chooseRoute(on display: Device) throws(PrimeError) -> DisplayRoute {
    if let name = request.connector {
      return try DisplayRoute(on: display, to: .connector(name), legacy: request.legacy)
    }
    // What cannot be seen cannot be proven, so a connector that shows it is preferred.
    if !request.legacy, let route = try? DisplayRoute(on: display, to: .writeback) { return route }
    return try DisplayRoute(on: display, to: .connected, legacy: request.legacy)
  }

  private func chooseMode(of route: DisplayRoute) throws -> DisplayMode {
    if route.connector.isWriteback {
      return try DisplayMode.withoutWire(width: request.mode?.width ?? 1024, height: request.mode?.height ?? 768)
    }
    guard let wanted = request.mode else {
      guard let mode = route.modes.first(where: \.isPreferred) ?? route.modes.first else {
        throw declined("\(route.connector.name) offers no mode: no display is connected", route, errno: .notSupported)
      }
      return mode
    }
    guard let mode = wanted.best(of: route.modes) else {
      throw declined("\(route.connector.name) offers \(wanted.refusal(among: route.modes))", route)
    }
    return mode
  }

  private func declined(_ reason: String, _ route: DisplayRoute, errno: Errno = .invalidArgument) -> Stop {
    Stop(
      verdict: .refused, refusedBy: .importer,
      error: PrimeError(operation: "scanout", errno: errno, subject: route.device.subject, reason: reason))
  }

  /// Says from `IN_FORMATS`, before the kernel is asked, what it would only call `EINVAL`.
  private func checkFormats(_ description: BufferDescription, _ route: DisplayRoute) throws {
    if let objection = route.formats.objection(to: description.fourcc, description.modifier, plane: route.planeID) {
      throw declined(objection, route)
    }
    guard route.widths.contains(description.width), route.heights.contains(description.height) else {
      throw declined(
        "\(description.width)x\(description.height) is no size of its framebuffers, which go from "
          + "\(route.widths.lowerBound)x\(route.heights.lowerBound) to \(route.widths.upperBound)x"
          + "\(route.heights.upperBound)", route)
    }
  }

  private func makeWriteback(
    _ description: BufferDescription, _ allocator: any Allocator, _ route: DisplayRoute, _ state: State
  ) throws -> WritebackWitness? {
    guard route.connector.isWriteback else { return nil }
    return try Stop.declining(.refused, by: .importer) {
      try WritebackWitness(description, targetFrom: allocator, route: route)
    }
  }

  // MARK: - Showing

  private func present(
    _ frames: ScanoutFrames, _ writeback: WritebackWitness?, on pipe: DisplayPipe, mode: DisplayMode, _ state: State,
    progress: (ScanoutReport.Frame) -> Void
  ) throws {
    func picture(_ frame: Int) -> DisplayPipe.Picture {
      DisplayPipe.Picture(
        framebuffer: frames.framebuffer(of: frame), shown: (mode.width, mode.height), target: writeback?.target)
    }
    let deadline = request.deadline
    try frames.write(0)
    try Stop.declining(.refused, by: .importer) {
      try state.log.explaining { try pipe.test(picture(0), mode: mode, deadline: deadline) }
    }
    guard !request.testOnly else {
      state.report.verdict = .shared
      state.report.reason = "the kernel would show it (TEST_ONLY); nothing was shown"
      return
    }
    let start = ContinuousClock.now
    try Stop.declining(.refused, by: .importer) {
      try state.log.explaining { try pipe.show(picture(0), mode: mode, deadline: deadline) }
    }
    var frame = ScanoutReport.Frame(
      index: 0, sequence: nil, latency: (ContinuousClock.now - start).nanoseconds, missedVblanks: 0, content: .unseen)
    let checksum = writeback == nil ? try makeChecksum(picture(0), frames.description, pipe.route, state) : nil
    let witness: (any ScanoutWitness)? = writeback ?? checksum
    try judge(&frame, witness, on: pipe, state, progress: progress)
    let period = 1_000_000_000_000 / Int64(max(1, mode.refreshMillihertz ?? 60_000))
    for index in 1..<max(1, request.frames) {
      try deadline.check("show frame \(index)", on: pipe.route.device.subject)
      try frames.write(index)
      let flip = try pipe.flip(to: picture(index), deadline: deadline)
      frame = ScanoutReport.Frame(
        index: index, sequence: flip.sequence, latency: flip.latency,
        missedVblanks: Int(flip.latency / period), content: .unseen)
      checksum?.isShowing(picture(index))
      // A checksum costs several frames, so only the last one is looked at again.
      let looks = writeback != nil || index == request.frames - 1
      try judge(&frame, looks ? witness : nil, on: pipe, state, progress: progress)
    }
    state.captured = try writeback?.picture(deadline: deadline)
    state.report.tolerance = writeback?.allowance ?? 0
    conclude(state, witness)
    try hold(pipe)
  }

  private func makeChecksum(
    _ picture: DisplayPipe.Picture, _ description: BufferDescription, _ route: DisplayRoute, _ state: State
  ) throws -> CRCWitness? {
    do throws(PrimeError) {
      return try CRCWitness(showing: picture, description, route: route)
    } catch {
      guard !error.isBreakage else { throw error }
      state.report.tried.append(
        CellReport.Attempt(
          observer: .crc, call: error.operation, errno: error.errno.name,
          reason: "\(error.subject): \(error.reason ?? error.errno.meaning)"))
      return nil
    }
  }

  private func judge(
    _ frame: inout ScanoutReport.Frame, _ witness: (any ScanoutWitness)?, on pipe: DisplayPipe, _ state: State,
    progress: (ScanoutReport.Frame) -> Void
  ) throws {
    var complaint: String?
    if let witness {
      complaint = try witness.look(
        request.content(of: frame.index), wrong: request.wrongContent, on: pipe, deadline: request.deadline)
      frame.content = complaint == nil ? .proven : .mismatch
      if state.report.witnesses.isEmpty { state.report.witnesses = [witness.name] }
    }
    state.report.frames.append(frame)
    progress(frame)
    guard let complaint, let witness else { return }
    state.report.reason =
      "frame \(frame.index): \(witness.name.rawValue) on \(request.displayName) sees something else: \(complaint)"
    throw Stop(verdict: .mismatch)
  }

  private func hold(_ pipe: DisplayPipe) throws {
    let end = request.deadline.atMost(request.hold)
    while end.remaining > .zero {
      try request.deadline.check("hold the picture", on: pipe.route.device.subject)
      Pause.milliseconds(20)
    }
  }

  private func conclude(_ state: State, _ witness: (any ScanoutWitness)?) {
    let unseen = state.report.frames.count { $0.content != .proven }
    switch (witness, unseen) {
    case (nil, _):
      state.report.verdict = .shared
      state.report.reason =
        "the kernel accepted every frame; nothing here could look at what the display engine fetched"
    case (_, 0):
      state.report.verdict = .proven
    case (let witness?, _):
      state.report.verdict = .proven
      state.report.reason =
        "\(witness.name.rawValue) looked at the first and the last of \(state.report.frames.count) frames"
    }
  }
}
