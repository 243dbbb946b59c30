internal import Prime

/// The importer's display engine under the fences of a buffer that it shows.
final class FenceDisplay {
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipe: DisplayPipe
  private let first: Framebuffer
  private let picture: Framebuffer
  private let target: Framebuffer?
  private let targetID: FramebufferID?
  private let targetPicture: SharedPicture?
  private let bench: FenceBench
  private let mode: DisplayMode
  private let patterns: (stale: Pattern, written: Pattern, wrong: Pattern)

  /// How long an engine is watched while it has to wait: a dozen frames at 60 Hz.
  private static let watch = Duration.milliseconds(200)

  /// Allocates on the exporter what fills the importer's smallest mode, and shows a first picture.
  ///
  /// - Throws: `RuleSkip` where the importer has no display engine that takes fences.
  init(
    _ pair: RulePair, vgem: DRMNode?, seed: UInt64, kernel: any KernelCalls, deadline: Deadline
  ) throws {
    patterns = (Pattern(seed: seed, index: 0), Pattern(seed: seed, index: 1), Pattern(seed: seed, index: 2))
    let size = try Self.size(for: pair, kernel: kernel)
    let bench = try FenceBench(pair, vgem: vgem, size: size, kernel: kernel, deadline: deadline)
    self.bench = bench
    let route = try Self.route(on: bench.importer)
    mode = try Self.mode(of: route, size: size)
    picture = try Framebuffer(bench.handle, bench.picture.description)
    first = try bench.allocate(size).imported(into: bench.importer).framebuffer()
    if route.connector.isWriteback {
      let written = try bench.allocate(size)
      let made = try written.imported(into: bench.importer).framebuffer()
      targetID = made.id
      target = consume made
      targetPicture = consume written
    } else {
      target = nil
      targetID = nil
      targetPicture = nil
    }
    pipe = try DisplayPipe(route)
    // A driver that moves a buffer into its video memory for its first show (TTM) waits for its fences there, in the
    // caller's time. So the picture was shown before, without a fence.
    try pipe.show(shown(picture.id), mode: mode, deadline: deadline)
  }

  /// Whether what the engine fetched can be read back.
  var seesContent: Bool { targetID != nil }

  var inodes: Set<UInt64> { bench.inodes }

  func close() throws(PrimeError) { try pipe.close() }

  private func shown(_ framebuffer: FramebufferID) -> DisplayPipe.Picture {
    DisplayPipe.Picture(framebuffer: framebuffer, shown: (mode.width, mode.height), target: targetID)
  }

  private static func route(on device: Device) throws -> DisplayRoute {
    let route: DisplayRoute
    do throws(PrimeError) {
      // The kernel looks at a wire only for the master.
      try device.becomeMaster()
      if let writeback = writebackRoute(on: device) {
        route = writeback
      } else {
        route = try DisplayRoute(on: device, to: .connected)
      }
    } catch {
      guard !error.isBreakage else { throw error }
      throw RuleSkip("\(error.subject): \(error.explanation)", error)
    }
    guard route.isAtomic else { throw RuleSkip("\(device.subject) has no atomic mode setting") }
    return route
  }

  private static func writebackRoute(on device: Device) -> DisplayRoute? {
    // Why there is none does not matter where a wire will do; nor does one that writes another format than is compared.
    guard let route = try? DisplayRoute(on: device, to: .writeback), route.targetFormats.contains(.xrgb8888) else {
      return nil
    }
    return route
  }

  private static func size(for pair: RulePair, kernel: any KernelCalls) throws -> (width: Int, height: Int) {
    guard let node = pair.importer.node else { throw RuleSkip("\(pair.importer.name) has no node") }
    let device = try Device.open(node, kernel: kernel)
    defer { device.dropMaster() }
    let route = try route(on: device)
    if route.connector.isWriteback { return (max(64, route.widths.lowerBound), max(64, route.heights.lowerBound)) }
    guard let mode = route.modes.min(by: { $0.width * $0.height < $1.width * $1.height }) else {
      throw RuleSkip("\(device.subject): \(route.connector.name) has no modes")
    }
    return (mode.width, mode.height)
  }

  private static func mode(of route: DisplayRoute, size: (width: Int, height: Int)) throws -> DisplayMode {
    if route.connector.isWriteback { return try DisplayMode.withoutWire(width: size.width, height: size.height) }
    guard let mode = route.modes.first(where: { $0.width == size.width && $0.height == size.height }) else {
      throw RuleSkip("\(route.device.subject): its modes changed")
    }
    return mode
  }

  /// Commits a picture whose buffer has a writer's fence, or whose commit takes one, and watches what comes when.
  ///
  /// The picture's last bytes are written while the fence is pending, as the device does whose work the fence stands for.
  func commitWaits(explicit: Bool, _ withCause: Bool) throws -> RuleFacts {
    var facts = RuleFacts()
    _ = try pipe.flip(to: shown(first.id), deadline: bench.deadline)
    try bench.picture.fill(patterns.stale, deadline: bench.deadline)
    var fence: VGEMFence?
    var file: SyncFile?
    if explicit && withCause {
      var loose = try bench.looseFence()
      fence = loose.fence.take()
      file = loose.file.take()
    } else if !explicit {
      fence = try bench.fence(.write, withCause: withCause)
    }
    let flip = try pipe.start(flipTo: shown(picture.id), after: file?.rawDescriptor, deadline: bench.deadline)
    if withCause {
      let isOver = explicit ? try file?.isSignalled ?? true : try FenceRules.isFree(bench, .write)
      facts.expect(!isOver, else: "the commit kept its caller until the fence was over")
    }
    let early = try firstSign(of: flip, within: withCause ? Self.watch : FenceRules.patience)
    facts.expect(early == nil, else: "\(early ?? "something") came before the signal")
    try writeAsDevice(patterns.written)
    do throws(PrimeError) {
      try FenceBench.signal(&fence)
    } catch {
      // What was seen before says more than that vgem ended the fence meanwhile.
      guard error.errno == .timedOut, facts.complaint != nil else { throw error }
    }
    do throws(PrimeError) {
      try pipe.finish(flip, deadline: bench.deadline.atMost(FenceRules.patience))
      let isShown = try flip.outFence.isSignalled
      facts.expect(isShown, else: "the out-fence is pending after the event")
    } catch {
      guard error.finding == .deadline && bench.deadline.remaining > .zero else { throw error }
      facts.expect(
        false, else: "the page flip did not complete within \(FenceRules.patience.wholeSeconds) of the signal")
    }
    guard early == nil, facts.complaint == nil else { return facts }
    let mismatch =
      try targetPicture?.examine(
        Examination(expected: patterns.written, earlier: [patterns.stale], wrong: patterns.wrong),
        ignoringUnusedBits: true, deadline: bench.deadline) ?? nil
    facts.expect(
      mismatch == nil,
      else: "the display shows something else than was written before the signal: \(mismatch?.sentence ?? "")")
    return facts
  }

  /// The first thing that says the picture is shown; nil where nothing does within the time.
  private func firstSign(of flip: borrowing StartedFlip, within limit: Duration) throws(PrimeError) -> String? {
    let end = Deadline(in: limit, on: bench.kernel)
    while true {
      if try flip.outFence.isSignalled { return "the out-fence" }
      if try pipe.hasEvent() { return "the event" }
      if end.remaining == .zero { return nil }
      end.pause(milliseconds: 2)
    }
  }

  /// Writes without a bracket: its START would wait for the very fence that stands for this work.
  private func writeAsDevice(_ pattern: Pattern) throws {
    try bench.picture.first.writeWithoutSync { bytes in try pattern.fill(&bytes, layout: bench.picture.layout) }
  }
}
