import ArgumentParser
import Prime
import PrimeVerify

struct ScanoutCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scanout",
    abstract: "Shows an exporter's buffer on displays, and proves that those were its pixels.",
    discussion: """
      The buffer is imported by the display device, wrapped in a framebuffer and committed. Where the device has a
      writeback connector, what the display engine fetched is written back and compared, frame by frame; on a wire, the
      CRTC's checksum must equal that of the same picture drawn on the device itself. It needs DRM master, so run it from
      a free virtual terminal; the display shows afterwards what it showed before.

      A camera (video:N) writes each frame into its own buffer itself. It must write every row, each frame must differ from
      the one before, and what is written back must be what the CPU reads of it.

      With --to video:N the display engine writes each frame into memory of that video device (VIDIOC_EXPBUF), which puts it
      out. Where a capture node of the same device gives that back (vivid), it is compared too; else the CPU looks alone.
      """)

  @Option(
    help: """
      Where the buffer comes from: a device, video:N, gpu:DEVICE (its GPU draws), udmabuf, or heap:NAME; with --to the \
      display itself where left out.
      """)
  var from: String?

  @Option(
    parsing: .singleValue, help: "The display device; given again, the same buffers are shown on that display as well.")
  var on: [String] = []

  @Option(
    parsing: .singleValue,
    help: """
      The connector, HDMI-A-1 or Writeback-1; a writeback connector is preferred where one writes a format that can \
      be compared. With several displays none, or one for each in their order.
      """)
  var connector: [String] = []

  @Option(
    help: "A video device, video:N, into whose memory the display engine writes each frame, and which puts it out.")
  var to: String?

  @Option(help: "Where one more buffer comes from, shown above on an overlay plane, else on the cursor plane.")
  var overlay: String?

  @Option(help: "WIDTHxHEIGHT of the overlay; half of the mode's where left out.", transform: Arguments.size)
  var overlaySize: PictureSize?

  @Option(
    parsing: .unconditional,
    help: "X,Y of the overlay's upper left corner; in the middle where left out, partly off the screen where wanted.",
    transform: Arguments.place)
  var overlayAt: PicturePlace?

  @Option(help: "The overlay's pixel format; ARGB8888 where left out.", transform: Arguments.format)
  var overlayFormat: PixelFormat?

  @Option(help: "The alpha of the overlay's pixels, 16 to 255 (opaque); its colours are premultiplied.")
  var overlayAlpha: Int?

  @Option(help: "WIDTHxHEIGHT[@HZ]; the display's preferred mode where left out.", transform: Arguments.mode)
  var mode: ModeRequest?

  @Option(help: "The pixel format, XRGB8888 or XR24.", transform: Arguments.format)
  var format: PixelFormat?

  @Option(
    parsing: .singleValue, help: "Allocate with one of these modifiers: linear or 0x… (repeatable).",
    transform: Arguments.modifier)
  var modifier: [Modifier] = []

  @Flag(help: "Give each plane a buffer of its own, for formats with several planes such as NV12.")
  var disjoint = false

  @Option(help: "gbm, dumb, udmabuf, heap or v4l2.")
  var allocator: AllocatorChoice?

  @Option(help: "smpte, gradient, checker, seed, a PNG file, or what a camera sees; seed, or camera from a camera.")
  var pattern: String?

  @Option(help: "How many frames to show; each but the first is flipped to.")
  var frames = 1

  @Option(help: "Seconds that the last frame stays.")
  var hold: Double = 0

  @Option(help: "Write what the display engine produced to this PNG file; needs a writeback connector.")
  var capture: String?

  @Option(help: "Repeat the seeded content of an earlier run; random where left out.")
  var seed: UInt64?

  @Option(help: "Seconds after which the run ends, however far it got.")
  var timeout: Double = 600

  @Flag(help: "Only ask the kernel whether it would show the first frame.")
  var testOnly = false

  @Flag(help: "Use the calls from before atomic mode setting.")
  var legacy = false

  @Flag(help: "Print JSON (schema \(ScanoutReport.currentSchema)).")
  var json = false

  @Flag(name: .shortAndLong, help: "Show each frame, what Mesa prints, and the kernel's own words on a refused call.")
  var verbose = false

  func validate() throws {
    guard frames >= 1, frames <= 1_000_000 else { throw ValidationError("--frames takes 1 to 1000000, not \(frames)") }
    guard hold >= 0, hold < 1e6 else { throw ValidationError("--hold takes seconds, not \(hold)") }
    guard timeout > 0, timeout < 1e6 else {
      throw ValidationError("--timeout takes seconds above 0, not \(timeout)")
    }
    guard !on.isEmpty else { throw ValidationError("--on names the display device; `prime-tool list` shows them") }
    guard connector.count <= (on.count == 1 ? 1 : on.count), connector.isEmpty || connector.count == on.count else {
      throw ValidationError("--connector is given once for each --on, in their order, or not at all")
    }
    guard from != nil || to != nil else {
      throw ValidationError("--from says where the buffer comes from; only with --to it may be left out")
    }
    guard to == nil || (on.count == 1 && !legacy) else {
      throw ValidationError("--to is for one display and atomic mode setting: give --on once, leave --legacy out")
    }
    try validateOverlay()
  }

  /// Where the buffer comes from.
  private var source: String { from ?? on[0] }

  private func validateOverlay() throws {
    let isGiven = overlaySize != nil || overlayAt != nil || overlayFormat != nil || overlayAlpha != nil
    guard overlay != nil else {
      if isGiven { throw ValidationError("--overlay says where the overlay's buffer comes from, and is left out") }
      return
    }
    if legacy { throw ValidationError("--legacy knows one plane: leave it or --overlay out") }
    guard let overlayAlpha else { return }
    guard (16...255).contains(overlayAlpha) else {
      throw ValidationError("--overlay-alpha takes 16 to 255, not \(overlayAlpha): less could not be told from none")
    }
    if overlayAlpha < 255, let overlayFormat, !overlayFormat.fourcc.name.hasPrefix("A") {
      throw ValidationError("\(overlayFormat.fourcc) has no alpha: leave --overlay-alpha out or use ARGB8888")
    }
  }

  func run() throws {
    let devices = try DeviceSelection.present(named: on + [source] + [overlay].compactMap { $0 })
    guard !devices.isEmpty else {
      StandardError.note("prime-tool: \(Advice.noDevices)")
      throw ExitStatus.untested
    }
    let draft = try capture.map { path in
      try ExitStatus.opening { () throws(OutputError) in try PNGFile.output(path) }
    }
    let limit = Duration.seconds(timeout) + .seconds(hold)
    let request = try makeRequest(devices, Deadline(in: limit))
    let supervisor = Supervisor()
    defer { draft?.discard() }
    let text = ScanoutText(verbose: verbose)
    var output = LiveOutput()
    let outcome = ScanoutRun(
      request: request, devices: devices, limit: limit, capture: draft, showsMesaOutput: verbose, supervisor: supervisor
    ).run(
      chose: { report in
        if !json { output.write(text.choice(report) + "\n") }
      },
      progress: { frame in
        if verbose && !json { output.write(text.frame(frame) + "\n") }
      },
      isUnwanted: { output.isUnread })
    output.write(json ? try JSONOutput.text(outcome.report) + "\n" : text.result(outcome.report))
    try output.finish(supervisor)
    for sentence in supervisor.complaints { StandardError.note("prime-tool: \(sentence)") }
    try finish(outcome, supervisor, draft)
  }

  private func makeRequest(_ devices: [DeviceDescription], _ deadline: Deadline) throws -> ScanoutRequest {
    var displays: [ScanoutRequest.Display] = []
    for (index, text) in on.enumerated() {
      let display = try display(named: text, in: devices, connector: connector.isEmpty ? nil : connector[index])
      if let same = displays.firstIndex(where: { $0.node == display.node }) {
        throw ExitStatus.usage(
          "--on \(on[same]) and --on \(text) are both \(display.node.path), whose CRTC can show one of them: "
            + "name each display once")
      }
      displays.append(display)
    }
    var request = ScanoutRequest(
      exporter: try exporter(named: source, in: devices, allocator), displayName: displays[0].name,
      display: displays[0].node, format: try format ?? Arguments.format("XRGB8888"),
      seed: seed ?? .random(in: 1...UInt64(UInt32.max)), deadline: deadline)
    request.displays = displays
    request.target = try to.map { try target(named: $0, in: devices) }
    if let overlay {
      var wanted = ScanoutRequest.Overlay(
        exporter: try exporter(named: overlay, in: devices, nil),
        format: try overlayFormat ?? Arguments.format("ARGB8888"))
      wanted.size = overlaySize.map { ($0.width, $0.height) }
      wanted.place = overlayAt.map { ($0.x, $0.y) }
      wanted.alpha = overlayAlpha ?? 255
      request.overlay = wanted
    }
    request.mode = mode
    request.modifiers = modifier.isEmpty ? nil : modifier
    request.isDisjoint = try Arguments.disjoint(disjoint, [request.format])
    request.content = try content(from: request.exporter)
    if case .camera = request.content, overlay != nil {
      throw ExitStatus.usage("--overlay needs a known picture below it: give --pattern as well")
    }
    request.frames = frames
    request.hold = .seconds(hold)
    request.testOnly = testOnly
    request.legacy = legacy
    request.explains = verbose
    return request
  }

  private func display(
    named text: String, in devices: [DeviceDescription], connector: String?
  ) throws -> ScanoutRequest.Display {
    let displays = try DeviceSelection.devices(named: text, in: devices)
    guard let display = displays.first, displays.count == 1 else {
      let names = displays.map { $0.label(among: devices) }.joined(separator: ", ")
      throw ExitStatus.usage("'\(text)' names several displays: say which of \(names)")
    }
    guard let node = display.primary else {
      throw ExitStatus.usage("\(display.label(among: devices)) has no primary node, and so no display")
    }
    return ScanoutRequest.Display(name: display.label(among: devices), node: node, connector: connector)
  }

  private func exporter(
    named text: String, in devices: [DeviceDescription], _ allocator: AllocatorChoice?
  ) throws -> Exporter {
    let videos = try DeviceSelection.presentVideo(named: [text], besides: devices)
    let plan = try VerifyPlan(
      devices: devices, videos: videos, exporters: [text], importers: [], allocators: allocator.map { [$0] } ?? [])
    guard let exporter = plan.exporters.first, plan.exporters.count == 1 else {
      let names = plan.exporters.map(\.name).joined(separator: ", ")
      throw ExitStatus.usage("'\(text)' names several exporters: say which of \(names)")
    }
    return exporter
  }

  /// The node that a display engine's picture goes to.
  private func target(named text: String, in devices: [DeviceDescription]) throws -> Importer {
    let videos = try DeviceSelection.presentVideo(named: [text], besides: devices)
    let plan = try VerifyPlan(
      devices: devices, videos: videos, exporters: [AllocatorKind.udmabuf.rawValue], importers: [text], allocators: [])
    let targets = plan.importers.filter { $0.video?.device.capabilities?.outputs != false && $0.video != nil }
    guard let target = targets.first, targets.count == 1 else {
      let names = targets.map(\.name).joined(separator: ", ")
      throw ExitStatus.usage(
        targets.isEmpty
          ? "--to \(text): no video device of that name puts out pictures; `prime-tool list` shows them"
          : "'\(text)' names several video devices: say which of \(names)")
    }
    return target
  }

  private func content(from exporter: Exporter) throws -> ScanoutRequest.Content {
    let isCamera = exporter.video?.isCamera == true
    guard let pattern else { return isCamera ? .camera : .seed }
    if pattern == "seed" { return .seed }
    if pattern == "camera" {
      guard isCamera else { throw ExitStatus.usage("--pattern camera: \(exporter.name) is no capture node") }
      return .camera
    }
    if let picture = TestPicture(named: pattern) { return .picture(picture) }
    do {
      return .picture(.image(try PNGFile.read(pattern)))
    } catch {
      throw ExitStatus.usage("--pattern is smpte, gradient, checker, seed, camera or a PNG file, and \(error)")
    }
  }

  private func finish(_ outcome: ScanoutRun.Outcome, _ supervisor: Supervisor, _ draft: OutputFile?) throws {
    if let code = supervisor.exitCode {
      StandardError.note("prime-tool: interrupted after \(outcome.report.frames.count) of \(frames) frames")
      throw ExitCode(code)
    }
    let reports = outcome.report.displays
    // As for `import`: what the kernel took without a word is no failure.
    var failed = reports.contains { !$0.verdict.arrives } || !supervisor.complaints.isEmpty
    if let leak = outcome.leaks?.sentence {
      StandardError.note("prime-tool: \(leak)")
      failed = true
    }
    for report in reports where report.restored == false {
      let display = reports.count > 1 ? report.display : "the display"
      StandardError.note("prime-tool: \(display) could not be put back to what it showed before")
      failed = true
    }
    if let draft, !failed { try keep(draft, outcome) }
    if reports.allSatisfy({ $0.verdict == .untested }) {
      StandardError.note("prime-tool: \(outcome.report.reason ?? "nothing could be tested")")
      throw ExitStatus.untested
    }
    if failed { throw ExitStatus.failed }
  }

  /// Gives the captured picture its name, or says why there is none.
  private func keep(_ draft: OutputFile, _ outcome: ScanoutRun.Outcome) throws {
    switch outcome.capture {
    case .drafted:
      try ExitStatus.keeping { () throws(OutputError) in try draft.keep() }
    case .failed(let sentence):
      StandardError.note("prime-tool: \(sentence)")
      throw ExitStatus.lost
    case .none:
      StandardError.note("prime-tool: the time ran out before the picture was written: raise --timeout")
      throw ExitStatus.failed
    case .withoutPicture:
      StandardError.note(
        "prime-tool: --capture needs a writeback connector, and \(outcome.report.connector ?? "this") is none")
      throw ExitStatus.failed
    }
  }
}
