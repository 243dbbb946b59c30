internal import Glibc
internal import Synchronization

/// A CRTC with one or two planes and one connector, shown from and flipped by one owner, and put back at the end.
///
/// It needs DRM master, which it asks for. Framebuffers that it shows must outlive it or the next picture.
public final class DisplayPipe {
  /// The way through the display engine.
  public let route: DisplayRoute
  /// What was shown before; nil once it is shown again.
  private var saved: SavedDisplayState?
  /// Whether the display was asked to change, and whether anything may have changed.
  private var isTaken = false
  var isChanged = false
  /// The mode that was set last.
  private var lit: DisplayMode?
  /// A picture that the engine is still writing, and that nobody may have waited for to the end.
  package private(set) var unfinished: WritebackJob?
  /// How many pictures the engine did not write in time, so that they had to be composed again or were given up.
  package private(set) var lostWritebacks = 0
  /// The flips that were shown and that nobody has asked for yet, by the number that their event has.
  private var shownFlips: [UInt64: ShownFlip] = [:]
  /// The second plane that was last switched on.
  private var secondPlane: DisplayObject?

  /// One frame as the display engine reported it.
  public struct Flip: Hashable, Sendable {
    /// The CRTC's frame counter when the picture appeared.
    public var sequence: UInt32
    /// When it appeared, by the kernel's monotonic clock.
    public var time: DisplayEvent.Timestamp
    /// From the commit to the moment at which its event was read, in nanoseconds.
    public var latency: Int64
  }

  /// What is shown of a framebuffer, and where a writeback connector writes it.
  package struct Picture {
    /// The framebuffer's id.
    package var framebuffer: FramebufferID
    /// Where in it the part that is shown begins.
    var corner = Point.origin
    /// How large that part is, in pixels.
    package var shown: (width: Int, height: Int)
    /// The framebuffer that a writeback connector writes, as large as the mode.
    var target: FramebufferID?
    /// What a second plane shows above it.
    package var overlay: Overlay?

    package init(
      framebuffer: FramebufferID, shown: (width: Int, height: Int), target: FramebufferID? = nil,
      overlay: Overlay? = nil
    ) {
      self.framebuffer = framebuffer
      self.shown = shown
      self.target = target
      self.overlay = overlay
    }
  }

  /// A framebuffer on a second plane, whole and unscaled; what lies outside of the mode is cut off.
  package struct Overlay {
    var plane: SecondPlane
    /// The framebuffer's id.
    package var framebuffer: FramebufferID
    var size: (width: Int, height: Int)
    /// Where its upper left corner is on the screen.
    var place: (x: Int, y: Int)

    package init(
      plane: SecondPlane, framebuffer: FramebufferID, size: (width: Int, height: Int), place: (x: Int, y: Int)
    ) {
      self.plane = plane
      self.framebuffer = framebuffer
      self.size = size
      self.place = place
    }
  }

  /// Becomes master and remembers what was shown.
  ///
  /// - Throws: `drmSetMaster` with `EBUSY` or `EACCES`, and who has the display open; the call with which what is shown could
  ///   not be read.
  public init(_ route: DisplayRoute) throws(PrimeError) {
    self.route = route
    let device = route.device
    try device.becomeMaster()
    do throws(PrimeError) {
      saved = try SavedDisplayState(of: device)
    } catch {
      device.dropMaster()
      throw error
    }
  }

  deinit {
    // A display must not stay changed because an error ended the work; `close` is for those who want to know.
    try? close()
  }

  /// Puts the display back to what it showed and gives mastership back.
  ///
  /// Further calls do nothing. It has ten seconds of its own, whatever ended the work: the signal that interrupts the
  /// restoring commit may be the very one that asked to stop. Where it cannot be put back, the framebuffers of this open
  /// file are removed when they go, which switches off the planes that still show one.
  ///
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC`, or the older calls, with the errno; the reason says what stays changed.
  public func close() throws(PrimeError) {
    guard let state = saved else { return }
    saved = nil
    let device = route.device
    defer { device.dropMaster() }
    if let job = unfinished {
      unfinished = nil
      // An engine whose CRTC is switched off before a job was written keeps that job in its queue. vkms (6.12) signals
      // every later fence one job late from then on, for anybody, until its module is loaded again.
      _ = try? job.finish(on: route, patience: .seconds(2), deadline: Deadline(in: .seconds(10), on: device.kernel))
    }
    guard isTaken else { return }
    // A commit that the kernel refused changed nothing.
    guard isChanged else { return DisplayCustody.giveBack(device.node.path) }
    do throws(PrimeError) {
      try state.restore(on: device, deadline: Deadline(in: .seconds(10), on: device.kernel))
    } catch {
      device.removeFramebuffers()
      throw error
    }
    DisplayCustody.giveBack(device.node.path)
  }

  /// Says that the display is about to change, the first time.
  func take() {
    guard !isTaken, let saved else { return }
    DisplayCustody.take(route.device.node.path, saved)
    isTaken = true
  }

  /// Waits for the picture that the engine is writing, if there is one; `close` does once more where the deadline comes first.
  func finishWriting(deadline: Deadline) throws(PrimeError) {
    guard let job = unfinished else { return }
    try end(job, with: job.finish(on: route, deadline: deadline))
  }

  /// As `finishWriting`, for a task.
  func suspendUntilWritten(deadline: Deadline) async throws(PrimeError) {
    guard let job = unfinished else { return }
    let route = route
    let end = try await SuspendedWait.run(on: route.device.subject, deadline: deadline) {
      (deadline) throws(PrimeError) in try job.finish(on: route, deadline: deadline)
    }
    try self.end(job, with: end)
  }

  private func end(_ job: WritebackJob, with end: WritebackJob.End) throws(PrimeError) {
    // Another task of the same actor may have waited for it as well, and begun the next one.
    if unfinished === job { unfinished = nil }
    guard end != .written else { return }
    lostWritebacks += 1
    guard case .lost(let reason) = end else { return }
    throw PrimeError(
      operation: "poll for the writeback fence", finding: .deadline, subject: route.device.subject,
      reason: "it never signalled this writeback, not within \(WritebackJob.patience.wholeSeconds), \(reason); what it "
        + "writes back is not to be relied on until its driver is loaded again")
  }

  // MARK: - Modeset

  /// Asks the kernel whether it would show the picture, changing nothing; the legacy path cannot ask.
  package func test(_ picture: Picture, mode: DisplayMode, deadline: Deadline) throws(PrimeError) {
    guard let objects = route.objects else { return }
    let blob = try PropertyBlob(mode.bytes, on: route.device)
    _ = try modeset(objects, picture, mode: blob).send(
      on: route.device, flags: [.testOnly, .allowModeset], deadline: deadline)
  }

  /// Sets the mode and shows the picture; returns when it is shown, and written where there is a target.
  package func show(_ picture: Picture, mode: DisplayMode, deadline: Deadline) throws(PrimeError) {
    take()
    guard let objects = route.objects else {
      // A refused one may have done half of it.
      isChanged = true
      try neutraliseWithoutAtomic()
      let state = KMSCRTC(
        framebuffer: picture.framebuffer.rawValue, x: UInt32(picture.corner.x), y: UInt32(picture.corner.y),
        mode: mode.bytes)
      return try route.device.kernel.kmsSetCRTC(
        route.device.rawDescriptor, id: route.crtcID.rawValue, state, connectors: [route.connector.id.rawValue]
      ).asDisplayCall("drmModeSetCrtc", on: route.device.subject)
    }
    let blob = try PropertyBlob(mode.bytes, on: route.device)
    try light(objects, picture, mode: mode, blob, deadline: deadline)
    let fences = try modeset(objects, picture, mode: blob).send(
      on: route.device, flags: .allowModeset, outFences: try outFences(objects, picture), deadline: deadline)
    isChanged = true
    lit = mode
    secondPlane = picture.overlay?.plane.object
    guard let job = try writebackJob(fences, picture) else { return }
    unfinished = job
    try finishWriting(deadline: deadline)
  }

  /// Sets a new mode in a commit of its own where a job is to come.
  ///
  /// A commit that sets a mode returns before a frame has begun. Where the process is killed then, its framebuffers go and
  /// their planes with them, and vkms (6.12) keeps the job in its queue for ever; see `close`. One that sets none returns
  /// when its frame has begun, and the kernel waits for the end of that before it changes a plane.
  private func light(
    _ objects: DisplayRoute.Objects, _ picture: Picture, mode: DisplayMode, _ blob: borrowing PropertyBlob,
    deadline: Deadline
  ) throws(PrimeError) {
    guard picture.target != nil, lit != mode else { return }
    var withoutJob = picture
    withoutJob.target = nil
    _ = try modeset(objects, withoutJob, mode: blob).send(
      on: route.device, flags: .allowModeset, deadline: deadline)
    isChanged = true
    lit = mode
  }

  /// Has the objects of a route without atomic mode setting leave pixels as they are, one property after the other.
  private func neutraliseWithoutAtomic() throws(PrimeError) {
    let device = route.device
    for object in try route.readObjects() {
      for assignment in object.neutralising {
        try device.kernel.kmsSetProperty(
          device.rawDescriptor, object: object.id, kind: object.kind, property: assignment.property,
          value: assignment.value
        ).orThrow("drmModeObjectSetProperty", on: device.subject)
      }
    }
    let tables = saved?.legacy.first { $0.id == route.crtcID.rawValue }?.gamma.count ?? 0
    guard tables >= 6 else { return }
    let size = tables / 3
    let ramp = (0..<size).map { UInt16($0 * 65535 / (size - 1)) }
    try device.kernel.kmsSetGamma(device.rawDescriptor, crtc: route.crtcID.rawValue, ramp + ramp + ramp)
      .orThrow("drmModeCrtcSetGamma", on: device.subject)
  }

  /// What else may change pixels on this route, as far as it can be told: `connector 39 dithering`.
  ///
  /// These are the properties that no rule of this library knows and that are not at the first of their values.
  package var unusualProperties: [String] {
    var objects = (try? route.readObjects()) ?? []
    if let secondPlane { objects.append(secondPlane) }
    return objects.flatMap { object in object.unusual.map { "\(object.kind) \(object.id) \($0)" } }
  }

  func writebackJob(_ fences: [CInt], _ picture: Picture) throws(PrimeError) -> WritebackJob? {
    guard let fence = fences.first, let target = picture.target else { return nil }
    return try WritebackJob(fence: fence, target: target.rawValue, on: route.device)
  }

  private func modeset(
    _ objects: DisplayRoute.Objects, _ picture: Picture, mode: borrowing PropertyBlob
  ) throws(PrimeError) -> AtomicCommit {
    var commit = AtomicCommit()
    for other in objects.otherPlanes where other.id != picture.overlay?.plane.object.id { try commit.switchOff(other) }
    // vkms refuses a CRTC that feeds a wire and a buffer at once.
    for other in objects.otherConnectors { try commit.set(other, "CRTC_ID", 0) }
    try commit.set(objects.connector, "CRTC_ID", UInt64(route.crtcID.rawValue))
    if let target = picture.target { try commit.set(objects.connector, "WRITEBACK_FB_ID", UInt64(target.rawValue)) }
    try commit.set(objects.crtc, "MODE_ID", UInt64(mode.id.rawValue))
    try commit.set(objects.crtc, "ACTIVE", 1)
    try commit.show(
      picture.framebuffer, from: picture.corner, on: objects.plane, of: route.crtcID, size: picture.shown)
    for object in [objects.connector, objects.crtc, objects.plane] { commit.assignments += object.neutralising }
    try arrange(picture.overlay, in: &commit)
    return commit
  }

  /// Shows the second plane's picture, or switches off the plane that showed one.
  private func arrange(_ overlay: Overlay?, in commit: inout AtomicCommit) throws(PrimeError) {
    if let shown = secondPlane, shown.id != overlay?.plane.object.id { try commit.switchOff(shown) }
    guard let overlay else { return }
    let plane = overlay.plane.object
    try commit.show(overlay.framebuffer, on: plane, of: route.crtcID, size: overlay.size, at: overlay.place)
    commit.assignments += plane.neutralising
    if let raised = overlay.plane.raised { try commit.set(plane, "zpos", raised) }
  }

  func outFences(
    _ objects: DisplayRoute.Objects, _ picture: Picture
  ) throws(PrimeError) -> [KMSAssignment] {
    guard picture.target != nil else { return [] }
    return [try objects.connector.setting("WRITEBACK_OUT_FENCE_PTR", to: 0)]
  }

  // MARK: - Flips

  /// Shows another picture at the next frame and waits until it appeared, and was written where there is a target.
  package func flip(to picture: Picture, deadline: Deadline) throws(PrimeError) -> Flip {
    let flip = try submit(picture, deadline: deadline)
    let seen = try awaitFlip(flip.number, deadline: deadline).flip(since: flip.begun, on: route.device.kernel)
    try finishWriting(deadline: deadline)
    return seen
  }

  /// A flip that the kernel accepted.
  struct Submission: ~Copyable {
    /// The number that its event has.
    let number: UInt64
    /// When it was asked for.
    let begun: SuspendingClock.Instant
    /// Signals when the picture is shown; nil where no fence was asked for, or the kernel gave none.
    let outFence: SyncFile?
  }

  /// Asks for another picture at the next frame, without waiting for anything (`DRM_MODE_ATOMIC_NONBLOCK`, `drmModePageFlip`).
  ///
  /// - Parameters:
  ///   - fence: A sync_file that the engine waits for (`IN_FENCE_FD`), which stays the caller's; not on the legacy path.
  ///   - givingFence: Whether it is to give a fence of its own (`OUT_FENCE_PTR`); not on the legacy path.
  func submit(
    _ picture: Picture, after fence: CInt? = nil, givingFence: Bool = false, deadline: Deadline
  ) throws(PrimeError) -> Submission {
    let device = route.device
    let number = try nextFlip()
    take()
    let begun = device.kernel.now
    guard let objects = route.objects else {
      try device.kernel.kmsPageFlip(
        device.rawDescriptor, crtc: route.crtcID.rawValue, framebuffer: picture.framebuffer.rawValue, userData: number
      ).orThrow("drmModePageFlip", on: device.subject)
      isChanged = true
      return Submission(number: number, begun: begun, outFence: nil)
    }
    var commit = AtomicCommit()
    try commit.set(objects.plane, "FB_ID", UInt64(picture.framebuffer.rawValue))
    try arrange(picture.overlay, in: &commit)
    if let target = picture.target { try commit.set(objects.connector, "WRITEBACK_FB_ID", UInt64(target.rawValue)) }
    return try submit(
      commit, objects, picture, flags: [], number: number, begun: begun, after: fence, givingFence: givingFence,
      deadline: deadline)
  }

  /// Asks for a mode and a picture without waiting for anything; the route has atomic mode setting.
  func submit(
    _ picture: Picture, mode: DisplayMode, on objects: DisplayRoute.Objects, after fence: CInt?, deadline: Deadline
  ) throws(PrimeError) -> Submission {
    let number = try nextFlip()
    take()
    let begun = route.device.kernel.now
    let blob = try PropertyBlob(mode.bytes, on: route.device)
    try light(objects, picture, mode: mode, blob, deadline: deadline)
    let submission = try submit(
      modeset(objects, picture, mode: blob), objects, picture, flags: .allowModeset, number: number, begun: begun,
      after: fence, givingFence: true, deadline: deadline)
    lit = mode
    return submission
  }

  private func submit(
    _ commit: AtomicCommit, _ objects: DisplayRoute.Objects, _ picture: Picture, flags: AtomicCommit.Flags,
    number: UInt64, begun: SuspendingClock.Instant, after fence: CInt?, givingFence: Bool, deadline: Deadline
  ) throws(PrimeError) -> Submission {
    let device = route.device
    var commit = commit
    if let fence { try commit.set(objects.plane, "IN_FENCE_FD", UInt64(fence)) }
    let shown = givingFence ? [try objects.crtc.setting("OUT_FENCE_PTR", to: 0)] : []
    let fences = try commit.send(
      on: device, flags: flags.union([.nonBlocking, .event]), outFences: shown + outFences(objects, picture),
      userData: number, deadline: deadline)
    secondPlane = picture.overlay?.plane.object
    isChanged = true
    // Taken over before anything can throw, so that each is closed whatever comes.
    let outFence = fences.prefix(shown.count).first { $0 >= 0 }.map {
      SyncFile(adopting: Descriptor(adopting: $0, kernel: device.kernel))
    }
    unfinished = try writebackJob(Array(fences.dropFirst(shown.count)), picture)
    return Submission(number: number, begun: begun, outFence: outFence)
  }

  /// What an event says of a flip.
  struct ShownFlip {
    fileprivate var sequence: UInt32
    fileprivate var time: DisplayEvent.Timestamp

    /// The flip as its caller is told of it.
    func flip(since begun: SuspendingClock.Instant, on clock: any ClockCalls) -> Flip {
      Flip(sequence: sequence, time: time, latency: (clock.now - begun).nanoseconds)
    }
  }

  /// Counts the flips of this process: an open file has one queue of events, whichever of its displays they are of.
  private static let lastFlip = Atomic<UInt64>(0)

  /// A number for a flip that is about to be asked for.
  func nextFlip() throws(PrimeError) -> UInt64 {
    // An open file has room for 4096 bytes of events (drm_file.c); those of flips that nobody waits for would fill it.
    if try hasEvent() { try readEvents() }
    while shownFlips.count > Self.keptFlips, let oldest = shownFlips.keys.min() { shownFlips[oldest] = nil }
    return Self.lastFlip.wrappingAdd(1, ordering: .relaxed).newValue
  }

  private static let keptFlips = 64

  func awaitFlip(_ number: UInt64, deadline: Deadline) throws(PrimeError) -> ShownFlip {
    while true {
      if let shown = shownFlips.removeValue(forKey: number) { return shown }
      try route.device.kernel.awaitEvents(
        Self.readable, of: route.device.rawDescriptor, Self.flipInWords, deadline: deadline, on: route.device.subject)
      try readEvents()
    }
  }

  /// As `awaitFlip`, for a task.
  func suspendUntilFlip(_ number: UInt64, deadline: Deadline) async throws(PrimeError) -> ShownFlip {
    let device = route.device
    while true {
      if let shown = shownFlips.removeValue(forKey: number) { return shown }
      // Another task of the same actor may have read the event meanwhile, and to read none blocks.
      if try hasEvent() {
        try readEvents()
      } else {
        try await device.kernel.suspendUntilEvents(
          Self.readable, of: device.rawDescriptor, Self.flipInWords, deadline: deadline, on: device.subject)
      }
    }
  }

  /// Reads the events that have come, of which there is one at least.
  private func readEvents() throws(PrimeError) {
    let device = route.device
    let bytes = try device.kernel.read(device.rawDescriptor, limit: 4096).orThrow("read", on: device.subject)
    let events: [DisplayEvent]
    do throws(BlobError) {
      events = try DisplayEvent.parse(bytes)
    } catch {
      throw PrimeError(
        operation: "read", finding: .broken, subject: device.subject, reason: "its events make no sense: \(error)")
    }
    for case .flipComplete(let number, _, let sequence, let time) in events {
      shownFlips[number] = ShownFlip(sequence: sequence, time: time)
    }
  }

  /// Whether the device has an event to be read at this moment.
  package func hasEvent() throws(PrimeError) -> Bool {
    let device = route.device
    return try device.kernel.currentEvents(
      Self.readable, of: device.rawDescriptor, Self.flipInWords, on: device.subject) != 0
  }

  private static let flipInWords = "the page flip"

  /// What `poll` waits for: a fence has signalled, an event has come.
  static let readable = Int16(POLLIN)
}
