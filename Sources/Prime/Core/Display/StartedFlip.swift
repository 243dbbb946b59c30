/// A page flip that the kernel accepted and that nobody has waited for yet.
package struct StartedFlip: ~Copyable {
  /// Signals when the picture is shown (`OUT_FENCE_PTR`).
  package let outFence: SyncFile
  fileprivate let number: UInt64
}

extension DisplayPipe {
  /// Commits another picture without waiting for anything (`DRM_MODE_ATOMIC_NONBLOCK`).
  ///
  /// The engine waits by itself, for the writers' fences of the picture's buffer and for `fence`, the descriptor of
  /// a sync_file (`IN_FENCE_FD`), which stays the caller's. The caller ends the flip with `finish`.
  ///
  /// - Throws: `unsupported` without a call on the legacy path; `DRM_IOCTL_MODE_ATOMIC` with its errno, `EBUSY` where another
  ///   flip is under way; `broken` where the kernel gives no fence.
  package func start(
    flipTo picture: Picture, after fence: CInt?, deadline: Deadline
  ) throws(PrimeError) -> StartedFlip {
    let device = route.device
    guard let objects = route.objects else {
      throw PrimeError(
        operation: "DRM_IOCTL_MODE_ATOMIC", finding: .unsupported, subject: device.subject,
        reason: "it has no atomic mode setting, and the legacy calls give no fence")
    }
    flips += 1
    var commit = AtomicCommit()
    try commit.set(objects.plane, "FB_ID", UInt64(picture.framebuffer))
    if let fence { try commit.set(objects.plane, "IN_FENCE_FD", UInt64(fence)) }
    if let target = picture.target { try commit.set(objects.connector, "WRITEBACK_FB_ID", UInt64(target)) }
    let shown = try objects.crtc.setting("OUT_FENCE_PTR", to: 0)
    let fences = try commit.send(
      on: device, flags: [.nonBlocking, .event], outFences: [shown] + outFences(objects, picture), userData: flips,
      deadline: deadline)
    // Taken over before anything can throw, so that each is closed whatever comes.
    let outFence = fences.first.map { SyncFile(adopting: Descriptor(adopting: $0, kernel: device.kernel)) }
    unfinished = try writebackJob(Array(fences.dropFirst()), picture)
    guard let outFence, outFence.rawDescriptor >= 0 else {
      throw PrimeError(
        operation: "DRM_IOCTL_MODE_ATOMIC", finding: .broken, subject: device.subject,
        reason: "the kernel accepted the commit and gave no fence")
    }
    return StartedFlip(outFence: outFence, number: flips)
  }

  /// Whether the device has an event to be read at this moment.
  package func hasEvent() throws(PrimeError) -> Bool {
    let device = route.device
    return try device.kernel.currentEvents(
      Self.readable, of: device.rawDescriptor, "the page flip", on: device.subject) != 0
  }

  /// Waits until the picture is shown, and written where there is a target.
  ///
  /// - Throws: `poll for the page flip` or `poll for the writeback fence` with `deadline` or `cancelled`.
  package func finish(_ flip: borrowing StartedFlip, deadline: Deadline) throws(PrimeError) {
    _ = try awaitFlip(flip.number, deadline: deadline)
    if let job = unfinished.take() { try finishWriting(job, deadline: deadline) }
  }
}
