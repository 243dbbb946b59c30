package import Prime
package import PrimeProcesses

/// Takes exporters' buffers to displays, flips between them, and has a witness look at what each display fetched.
public struct ScanoutCheck {
  private let request: ScanoutRequest
  private let kernel: any KernelCalls
  /// Hears of each step before it begins.
  package var onStep: @Sendable (String) -> Void = { _ in }
  /// Sees which mappings the imports and the first frame make; nil where the kernel does not tell.
  package var trace: DMAMapTrace?
  /// The kernel's number; nil where it is not known.
  package var release: KernelRelease?

  /// What a run gives.
  public struct Outcome {
    /// What is said of the first display, with the others in `alongside`.
    public let report: ScanoutReport
    /// What a display engine wrote last, the first that could.
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
    precondition(!request.displays.isEmpty, "a scanout has at least one display")
    self.request = request
    self.kernel = kernel
    release = .current(by: kernel)
  }

  /// Runs it; the displays are put back and everything closed when this returns, whatever happened.
  ///
  /// `chose` is called with what was chosen before anything is shown, `progress` with each frame that was.
  public func run(
    chose: (ScanoutReport) -> Void = { _ in }, progress: (ScanoutReport.Frame) -> Void = { _ in }
  ) -> Outcome {
    let audit = LeakAudit(by: kernel)
    let records = request.displays.map { ScanoutRecord(request, $0) }
    var inodes: Set<UInt64> = []
    do {
      for exporter in [request.exporter, request.overlay?.exporter] { try Stop.require(noProblem: exporter?.problem) }
      try Stop.require(noProblem: request.target?.video?.device.problem)
      try show(records, &inodes, chose: chose, progress: progress)
    } catch {
      let cause = records.first(where: \.hasStopped)
      for record in records where record !== cause {
        if let cause { record.ended(with: cause) } else { record.stopped(by: error) }
      }
    }
    onStep("audit")
    let leaks = audit.report(inodes: inodes, deadline: Deadline(in: .seconds(2), on: kernel))
    return Outcome(
      report: joined(records), captured: records.lazy.compactMap(\.captured).first, leaks: leaks,
      wasCancelled: records.contains(where: \.wasCancelled))
  }

  /// What is said before anything is known.
  package var blankReport: ScanoutReport { joined(request.displays.map { ScanoutRecord(request, $0) }) }

  private func joined(_ records: [ScanoutRecord]) -> ScanoutReport {
    var report = records[0].report
    if records.count > 1 { report.alongside = records.dropFirst().map(\.report) }
    return report
  }

  private func show(
    _ records: [ScanoutRecord], _ inodes: inout Set<UInt64>, chose: (ScanoutReport) -> Void,
    progress: (ScanoutReport.Frame) -> Void
  ) throws {
    onStep("open")
    var stages: [ScanoutStage] = []
    for (display, record) in zip(request.displays, records) {
      try record.attempt {
        let stage = try ScanoutStage(request, display, record, kernel: kernel)
        try stages.first.map { try stage.require(sizeOf: $0) }
        stages.append(stage)
      }
    }
    let size = stages[0].size
    onStep("allocate")
    let exporter = try Stop.declining(.refused, by: .exporter) {
      try request.exporter.node.map { node throws(PrimeError) in try Device.open(node, kernel: kernel) }
    }
    let allocator = try Stop.declining(.refused, by: .exporter) {
      try Allocators.make(request.exporter, on: exporter, kernel: kernel)
    }
    let check: (BufferDescription) throws -> Void = { description in
      for stage in stages { try stage.record.attempt { try stage.check(description) } }
    }
    var camera: CameraFrames?
    if case .camera = request.content, let video = request.exporter.video {
      camera = try CameraFrames(video, request, size: size, kernel: kernel, check: check)
    }
    let frames =
      try camera?.frames
      ?? ScanoutFrames(
        request.exporter, allocator, request.format, size: size, modifiers: request.modifiers,
        isDisjoint: request.isDisjoint, check: check)
    inodes.formUnion(frames.inodes)
    let overlay = try request.overlay.map { try makeOverlay($0, stages, size) }
    inodes.formUnion(overlay?.inodes ?? [])
    onStep("import")
    trace?.clear()
    for stage in stages { try stage.record.attempt { try stage.take(frames, overlay: overlay) } }
    chose(joined(records))
    do {
      onStep("prepare")
      for stage in stages {
        try stage.record.attempt { try stage.begin(frames, overlay: overlay, targetOtherwiseFrom: allocator) }
      }
      try present(frames, overlay, camera, on: stages, from: exporter, progress: progress)
    } catch {
      onStep("restore")
      for stage in stages { try? stage.close() }
      throw error
    }
    onStep("restore")
    var failure: (any Error)?
    for stage in stages {
      do {
        try stage.record.attempt { try stage.close() }
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    if let warning = frames.warning {
      for record in records where record.report.verdict.arrives {
        record.report.reason = [record.report.reason, warning].compactMap(\.self).joined(separator: "; ")
      }
    }
    // With the stages go their imports.
    stages = []
    if !request.testOnly { try lookAtReleased(frames, camera, records) }
  }

  /// Looks at the buffers once more when no display imports them any more, as `PairCheck.examineReleased` does.
  private func lookAtReleased(
    _ frames: ScanoutFrames, _ camera: CameraFrames?, _ records: [ScanoutRecord]
  ) throws {
    onStep("release")
    let last = max(1, request.frames) - 1
    for frame in max(0, last - 1)...last {
      let content = camera?.content(of: frame) ?? request.content(of: frame)
      let difference = try frames.read(frame, deadline: request.deadline) { bytes, layout in
        try content.compare(bytes, layout: layout)
      }
      guard let difference else { continue }
      for record in records where record.report.verdict.arrives {
        record.report.verdict = .mismatch
        record.report.reason =
          "what was written for frame \(frame) is gone since \(record.report.display) has closed its import, so that it never "
          + "reached \(record.report.display): \(difference.sentence)"
      }
    }
  }

  private func makeOverlay(
    _ overlay: ScanoutRequest.Overlay, _ stages: [ScanoutStage], _ mode: (width: Int, height: Int)
  ) throws -> ScanoutFrames {
    let allocator = try Stop.declining(.refused, by: .exporter) {
      try Allocators.make(overlay.exporter, kernel: kernel)
    }
    let place = overlay.rectangle(in: mode)
    return try ScanoutFrames(
      overlay.exporter, allocator, overlay.format, size: (place.width, place.height), modifiers: nil,
      check: { description in
        for stage in stages { try stage.record.attempt { try stage.checkOverlay(description) } }
      })
  }

  /// Fills the buffers of a frame, and says what every display must then show.
  private func write(
    _ frame: Int, _ frames: ScanoutFrames, _ overlay: ScanoutFrames?, _ camera: CameraFrames?,
    in mode: (width: Int, height: Int)
  ) throws -> ScanoutExpectation {
    let deadline = request.deadline
    let content = request.content(of: frame)
    onStep("write")
    if let camera { return try camera.next(frame) }
    try frames.write(frame, deadline: deadline) { bytes, layout in try content.fill(&bytes, layout: layout) }
    var above: OverlayContent?
    if let overlay, let wanted = request.overlay {
      let content = OverlayContent(
        request, alpha: wanted.alpha, frame: frame, width: overlay.description.width,
        height: overlay.description.height)
      try overlay.write(frame, deadline: deadline) { bytes, layout in try content.fill(&bytes, layout: layout) }
      above = content
    }
    return try request.expectation(of: frame, in: mode, overlay: above)
  }

  /// Shows every frame on every display before anybody looks at it.
  private func present(
    _ frames: ScanoutFrames, _ overlay: ScanoutFrames?, _ camera: CameraFrames?, on stages: [ScanoutStage],
    from exporter: Device?, progress: (ScanoutReport.Frame) -> Void
  ) throws {
    func onEach(_ step: String, _ body: (ScanoutStage) throws -> Void) throws {
      onStep(step)
      for stage in stages { try stage.record.attempt { try body(stage) } }
    }
    let size = stages[0].size
    let first = try write(0, frames, overlay, camera, in: size)
    try onEach("test") { try $0.test() }
    guard !request.testOnly else {
      judgeMappings(on: stages, of: frames, from: exporter)
      return try onEach("test") { try $0.concludeTest() }
    }
    try onEach("show") { try $0.show(first, overlay, frames) }
    // A driver may map at the first use, which this was.
    judgeMappings(on: stages, of: frames, from: exporter)
    try onEach("look") { try $0.look(first, progress: progress) }
    for index in 1..<max(1, request.frames) {
      try request.deadline.check("show frame \(index)", on: request.displays[0].name)
      let expected = try write(index, frames, overlay, camera, in: size)
      try onEach("flip") { try $0.flip(to: index, expected) }
      try onEach("look") { try $0.look(expected, progress: progress) }
    }
    try onEach("conclude") { try $0.conclude() }
    try hold()
  }

  /// Tells each display whether the buffers were mapped for it.
  private func judgeMappings(on stages: [ScanoutStage], of frames: ScanoutFrames, from exporter: Device?) {
    let traced = trace?.devices()
    for stage in stages {
      stage.judgeMapping(from: exporter?.identity, traced: traced, release: release)
      stage.judgeCopies(in: trace, from: frames.exporterName, driver: exporter?.driver)
    }
  }

  private func hold() throws {
    onStep("hold")
    let end = request.deadline.atMost(request.hold)
    while end.remaining > .zero {
      try request.deadline.check("hold the picture", on: request.displays[0].name)
      end.pause(milliseconds: 20)
    }
  }
}
