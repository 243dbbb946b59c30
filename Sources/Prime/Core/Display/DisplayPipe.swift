internal import Glibc

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
  private var isChanged = false
  /// The mode that was set last.
  private var lit: DisplayMode?
  /// A picture that was given up on while the engine was still writing it.
  package var unfinished: WritebackJob?
  /// How many pictures the engine did not write in time, so that they had to be composed again or were given up.
  package private(set) var lostWritebacks = 0
  var flips: UInt64 = 0
  /// The second plane that was last switched on.
  private var secondPlane: DisplayObject?

  /// One frame as the display engine reported it.
  public struct Flip: Hashable, Sendable {
    /// The CRTC's frame counter when the picture appeared.
    public var sequence: UInt32
    /// When it appeared, by the kernel's monotonic clock.
    public var time: DisplayEvent.Timestamp
    /// From the commit to the event, in nanoseconds.
    public var latency: Int64
  }

  /// What is shown of a framebuffer, and where a writeback connector writes it.
  package struct Picture {
    /// The framebuffer's id.
    package var framebuffer: UInt32
    /// The part of it that is shown, from its upper left corner, in pixels.
    package var shown: (width: Int, height: Int)
    /// The framebuffer that a writeback connector writes, as large as the mode.
    var target: UInt32?
    /// What a second plane shows above it.
    package var overlay: Overlay?

    package init(
      framebuffer: UInt32, shown: (width: Int, height: Int), target: UInt32? = nil, overlay: Overlay? = nil
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
    package var framebuffer: UInt32
    var size: (width: Int, height: Int)
    /// Where its upper left corner is on the screen.
    var place: (x: Int, y: Int)

    package init(
      plane: SecondPlane, framebuffer: UInt32, size: (width: Int, height: Int), place: (x: Int, y: Int)
    ) {
      self.plane = plane
      self.framebuffer = framebuffer
      self.size = size
      self.place = place
    }
  }

  /// Becomes master and remembers what was shown.
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
  public func close() throws(PrimeError) {
    guard let state = saved else { return }
    saved = nil
    let device = route.device
    defer { device.dropMaster() }
    if let job = unfinished.take() {
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
  private func take() {
    guard !isTaken, let saved else { return }
    DisplayCustody.take(route.device.node.path, saved)
    isTaken = true
  }

  /// Waits for a picture to be written, and keeps the job for `close` where the deadline comes first.
  func finishWriting(_ job: consuming WritebackJob, deadline: Deadline) throws(PrimeError) {
    let end: WritebackJob.End
    do throws(PrimeError) {
      end = try job.finish(on: route, deadline: deadline)
    } catch {
      unfinished = consume job
      throw error
    }
    guard end != .written else { return }
    lostWritebacks += 1
    guard case .lost(let reason) = end else { return }
    throw PrimeError(
      operation: "poll for the writeback fence", errno: .timedOut, subject: route.device.subject,
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
      let state = KMSCRTC(framebuffer: picture.framebuffer, x: 0, y: 0, mode: mode.bytes)
      return try route.device.kernel.kmsSetCRTC(
        route.device.rawDescriptor, id: route.crtcID, state, connectors: [route.connector.id]
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
    try finishWriting(job, deadline: deadline)
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
    let tables = saved?.legacy.first { $0.id == route.crtcID }?.gamma.count ?? 0
    guard tables >= 6 else { return }
    let size = tables / 3
    let ramp = (0..<size).map { UInt16($0 * 65535 / (size - 1)) }
    try device.kernel.kmsSetGamma(device.rawDescriptor, crtc: route.crtcID, ramp + ramp + ramp)
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
    return try WritebackJob(fence: fence, target: target, on: route.device)
  }

  private func modeset(
    _ objects: DisplayRoute.Objects, _ picture: Picture, mode: borrowing PropertyBlob
  ) throws(PrimeError) -> AtomicCommit {
    var commit = AtomicCommit()
    for other in objects.otherPlanes where other.id != picture.overlay?.plane.id { try commit.switchOff(other) }
    // vkms refuses a CRTC that feeds a wire and a buffer at once.
    for other in objects.otherConnectors { try commit.set(other, "CRTC_ID", 0) }
    try commit.set(objects.connector, "CRTC_ID", UInt64(route.crtcID))
    if let target = picture.target { try commit.set(objects.connector, "WRITEBACK_FB_ID", UInt64(target)) }
    try commit.set(objects.crtc, "MODE_ID", UInt64(mode.id))
    try commit.set(objects.crtc, "ACTIVE", 1)
    try commit.show(picture.framebuffer, on: objects.plane, of: route.crtcID, size: picture.shown)
    for object in [objects.connector, objects.crtc, objects.plane] { commit.assignments += object.neutralising }
    try arrange(picture.overlay, in: &commit)
    return commit
  }

  /// Shows the second plane's picture, or switches off the plane that showed one.
  private func arrange(_ overlay: Overlay?, in commit: inout AtomicCommit) throws(PrimeError) {
    if let shown = secondPlane, shown.id != overlay?.plane.id { try commit.switchOff(shown) }
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
    let device = route.device
    flips += 1
    let start = device.kernel.now
    var fences: [CInt] = []
    if let objects = route.objects {
      var commit = AtomicCommit()
      try commit.set(objects.plane, "FB_ID", UInt64(picture.framebuffer))
      try arrange(picture.overlay, in: &commit)
      if let target = picture.target { try commit.set(objects.connector, "WRITEBACK_FB_ID", UInt64(target)) }
      fences = try commit.send(
        on: device, flags: [.nonBlocking, .event], outFences: try outFences(objects, picture), userData: flips,
        deadline: deadline)
      secondPlane = picture.overlay?.plane.object
    } else {
      try device.kernel.kmsPageFlip(
        device.rawDescriptor, crtc: route.crtcID, framebuffer: picture.framebuffer, userData: flips
      ).orThrow("drmModePageFlip", on: device.subject)
    }
    // Taken over before anything can throw, so that a fence is closed whatever the event does.
    unfinished = try writebackJob(fences, picture)
    let event = try awaitFlip(flips, deadline: deadline)
    let latency = (device.kernel.now - start).nanoseconds
    if let job = unfinished.take() { try finishWriting(job, deadline: deadline) }
    return Flip(sequence: event.sequence, time: event.time, latency: latency)
  }

  func awaitFlip(
    _ userData: UInt64, deadline: Deadline
  ) throws(PrimeError) -> (sequence: UInt32, time: DisplayEvent.Timestamp) {
    let device = route.device
    while true {
      try device.awaitReadable(device.rawDescriptor, "the page flip", deadline: deadline)
      let bytes = try device.kernel.read(device.rawDescriptor, limit: 4096).orThrow("read", on: device.subject)
      let events: [DisplayEvent]
      do throws(BlobError) {
        events = try DisplayEvent.parse(bytes)
      } catch {
        throw PrimeError(
          operation: "read", errno: .inputOutput, subject: device.subject, reason: "its events make no sense: \(error)")
      }
      for case .flipComplete(userData, _, let sequence, let time) in events { return (sequence, time) }
    }
  }

  /// What `poll` waits for: a fence has signalled, an event has come.
  static let readable = Int16(POLLIN)
}

extension Device {
  /// Waits until a descriptor has something to say.
  fileprivate func awaitReadable(_ descriptor: CInt, _ what: String, deadline: Deadline) throws(PrimeError) {
    try kernel.awaitEvents(Int16(POLLIN), of: descriptor, what, deadline: deadline, on: subject)
  }
}
