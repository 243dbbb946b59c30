internal import Glibc

/// A CRTC with one plane and one connector, shown from and flipped by one owner, and put back to what it was at the end.
///
/// It needs DRM master, which it asks for. Framebuffers that it shows must outlive it or the next picture.
public final class DisplayPipe {
  /// The way through the display engine.
  public let route: DisplayRoute
  private var saved: SavedState?
  /// The fence of a picture that was given up on while the engine was still writing it.
  private var unfinished: Descriptor?
  private var flips: UInt64 = 0

  /// What was shown before, in the way the device takes it back.
  private enum SavedState {
    case atomic(SavedDisplayState)
    case legacy(KMSCRTC, connectors: [UInt32])
  }

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
  struct Picture {
    /// The framebuffer's id.
    var framebuffer: UInt32
    /// The part of it that is shown, from its upper left corner, in pixels.
    var shown: (width: Int, height: Int)
    /// The framebuffer that a writeback connector writes, as large as the mode.
    var target: UInt32?
  }

  /// Becomes master and remembers what was shown.
  public init(_ route: DisplayRoute) throws(PrimeError) {
    self.route = route
    let device = route.device
    try device.becomeMaster()
    do throws(PrimeError) {
      if route.isAtomic {
        saved = .atomic(try SavedDisplayState(of: device))
      } else {
        let crtc = try device.kernel.kmsCRTC(device.rawDescriptor, id: route.crtcID)
          .orThrow("drmModeGetCrtc", on: device.subject)
        saved = .legacy(crtc, connectors: [route.connector.id])
      }
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
  /// restoring commit may be the very one that asked to stop.
  public func close() throws(PrimeError) {
    guard let state = saved else { return }
    saved = nil
    let device = route.device
    defer { device.dropMaster() }
    if let fence = unfinished.take() {
      // vkms (6.12) loses a picture whose CRTC is switched off before it was written, and then writes none for anybody.
      try? device.await(fence, "the writeback fence", deadline: Deadline(in: Self.patience))
    }
    switch state {
    case .atomic(let state):
      try state.restore(deadline: Deadline(in: .seconds(10)))
    case .legacy(let crtc, let connectors):
      try device.kernel.kmsSetCRTC(device.rawDescriptor, id: route.crtcID, crtc, connectors: connectors)
        .orThrow("drmModeSetCrtc", on: device.subject)
    }
  }

  /// How long an engine may take for the picture it is at: many frames of any display.
  private static let patience = Duration.seconds(2)

  /// Waits for a picture to be written, and keeps the fence for `close` where that takes too long.
  private func finishWriting(_ fence: consuming Descriptor, deadline: Deadline) throws(PrimeError) {
    do throws(PrimeError) {
      try route.device.await(fence, "the writeback fence", deadline: deadline)
    } catch {
      unfinished = consume fence
      throw error
    }
  }

  // MARK: - Modeset

  /// Asks the kernel whether it would show the picture, changing nothing; the legacy path cannot ask.
  func test(_ picture: Picture, mode: DisplayMode, deadline: Deadline) throws(PrimeError) {
    guard let objects = route.objects else { return }
    let blob = try PropertyBlob(mode.bytes, on: route.device)
    _ = try modeset(objects, picture, mode: blob).send(
      on: route.device, flags: [.testOnly, .allowModeset], deadline: deadline)
  }

  /// Sets the mode and shows the picture; returns when it is shown, and written where there is a target.
  func show(_ picture: Picture, mode: DisplayMode, deadline: Deadline) throws(PrimeError) {
    guard let objects = route.objects else {
      let state = KMSCRTC(framebuffer: picture.framebuffer, x: 0, y: 0, mode: mode.bytes)
      return try route.device.kernel.kmsSetCRTC(
        route.device.rawDescriptor, id: route.crtcID, state, connectors: [route.connector.id]
      ).orThrow("drmModeSetCrtc", on: route.device.subject)
    }
    let blob = try PropertyBlob(mode.bytes, on: route.device)
    let fences = try modeset(objects, picture, mode: blob).send(
      on: route.device, flags: .allowModeset, outFences: try outFences(objects, picture), deadline: deadline)
    try awaitWriteback(fences, deadline: deadline)
  }

  private func modeset(
    _ objects: DisplayRoute.Objects, _ picture: Picture, mode: borrowing PropertyBlob
  ) throws(PrimeError) -> AtomicCommit {
    var commit = AtomicCommit()
    for other in objects.otherPlanes {
      try commit.set(other, "FB_ID", 0)
      try commit.set(other, "CRTC_ID", 0)
    }
    // vkms refuses a CRTC that feeds a wire and a buffer at once.
    for other in objects.otherConnectors { try commit.set(other, "CRTC_ID", 0) }
    try commit.set(objects.connector, "CRTC_ID", UInt64(route.crtcID))
    if let target = picture.target { try commit.set(objects.connector, "WRITEBACK_FB_ID", UInt64(target)) }
    try commit.set(objects.crtc, "MODE_ID", UInt64(mode.id))
    try commit.set(objects.crtc, "ACTIVE", 1)
    try commit.set(objects.plane, "FB_ID", UInt64(picture.framebuffer))
    try commit.set(objects.plane, "CRTC_ID", UInt64(route.crtcID))
    let (width, height) = picture.shown
    for (name, value) in [("SRC_X", 0), ("SRC_Y", 0), ("SRC_W", width << 16), ("SRC_H", height << 16)] {
      try commit.set(objects.plane, name, UInt64(value))
    }
    for (name, value) in [("CRTC_X", 0), ("CRTC_Y", 0), ("CRTC_W", width), ("CRTC_H", height)] {
      try commit.set(objects.plane, name, UInt64(value))
    }
    return commit
  }

  private func outFences(
    _ objects: DisplayRoute.Objects, _ picture: Picture
  ) throws(PrimeError) -> [KMSAssignment] {
    guard picture.target != nil else { return [] }
    return [try objects.connector.setting("WRITEBACK_OUT_FENCE_PTR", to: 0)]
  }

  // MARK: - Flips

  /// Shows another picture at the next frame and waits until it appeared, and was written where there is a target.
  func flip(to picture: Picture, deadline: Deadline) throws(PrimeError) -> Flip {
    let device = route.device
    flips += 1
    let start = ContinuousClock.now
    var fences: [CInt] = []
    if let objects = route.objects {
      var commit = AtomicCommit()
      try commit.set(objects.plane, "FB_ID", UInt64(picture.framebuffer))
      if let target = picture.target { try commit.set(objects.connector, "WRITEBACK_FB_ID", UInt64(target)) }
      fences = try commit.send(
        on: device, flags: [.nonBlocking, .event], outFences: try outFences(objects, picture), userData: flips,
        deadline: deadline)
    } else {
      try device.kernel.kmsPageFlip(
        device.rawDescriptor, crtc: route.crtcID, framebuffer: picture.framebuffer, userData: flips
      ).orThrow("drmModePageFlip", on: device.subject)
    }
    // Taken over before anything can throw, so that a fence is closed whatever the event does.
    unfinished = fences.first.map { Descriptor(adopting: $0, kernel: device.kernel) }
    let event = try awaitFlip(flips, deadline: deadline)
    let latency = (ContinuousClock.now - start).nanoseconds
    if let fence = unfinished.take() { try finishWriting(fence, deadline: deadline) }
    return Flip(sequence: event.sequence, time: event.time, latency: latency)
  }

  private func awaitFlip(
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

  private func awaitWriteback(_ fences: [CInt], deadline: Deadline) throws(PrimeError) {
    guard let rawFence = fences.first else { return }
    guard rawFence >= 0 else {
      throw PrimeError(
        operation: "DRM_IOCTL_MODE_ATOMIC", errno: .inputOutput, subject: route.device.subject,
        reason: "the kernel accepted the commit and gave no writeback fence")
    }
    try finishWriting(Descriptor(adopting: rawFence, kernel: route.device.kernel), deadline: deadline)
  }
}

extension Device {
  /// Waits until a fence has signalled.
  fileprivate func await(_ fence: borrowing Descriptor, _ what: String, deadline: Deadline) throws(PrimeError) {
    try awaitReadable(fence.rawValue, what, deadline: deadline)
  }

  /// Waits until a descriptor has something to say.
  fileprivate func awaitReadable(_ descriptor: CInt, _ what: String, deadline: Deadline) throws(PrimeError) {
    while true {
      switch kernel.poll(descriptor, events: Int16(POLLIN), milliseconds: deadline.pollSlice) {
      case .success(0), .failure(.interrupted), .failure(.tryAgain):
        try deadline.check("poll for \(what)", on: subject)
      case .success: return
      case .failure(let errno): throw PrimeError(operation: "poll for \(what)", errno: errno, subject: subject)
      }
    }
  }
}
