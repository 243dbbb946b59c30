/// One picture that a display engine was told to write into a framebuffer, and the fence that says when it has.
///
/// vkms (6.12, `vkms_wb_cleanup_job`) can lose one: the worker that cleans up a finished job switches the composer off, and
/// where that comes after the next commit has switched it on, nothing composes the next job. Nothing else is wrong with
/// it: it is written, and its fence signals, as soon as something switches the composer on again.
package final class WritebackJob: Sendable {
  private let fence: Descriptor
  private let target: UInt32

  /// How long an engine may take for one picture: hundreds of frames of any display, and the slowest of an emulator's.
  static let patience = Duration.seconds(5)

  /// How often a lost job is composed again.
  private static let attempts = 3

  /// Takes over the fence of a commit that writes into the framebuffer `target`.
  ///
  /// - Throws: `broken` where the kernel accepted the commit and gave no fence.
  init(fence: CInt, target: UInt32, on device: Device) throws(PrimeError) {
    guard fence >= 0 else {
      throw PrimeError(
        operation: "DRM_IOCTL_MODE_ATOMIC", finding: .broken, subject: device.subject,
        reason: "the kernel accepted the commit and gave no writeback fence")
    }
    self.fence = Descriptor(adopting: fence, kernel: device.kernel)
    self.target = target
  }

  /// How a job ended.
  enum End: Hashable, Sendable {
    /// The engine has written it and let go of its target.
    case written
    /// The same after it was lost, and composed again.
    case writtenLate
    /// The engine will not write it; the reason says what was tried.
    case lost(reason: String)
  }

  /// Waits until the picture is written, and composes it again where the engine lost it.
  ///
  /// A fresh commit would be no way to repeat it: an engine's fences signal in the order of its jobs, so vkms would from then
  /// on signal each frame's fence with the next frame's picture. The checksums of a CRTC need its composer too; starting
  /// them finishes this very job, with this fence.
  ///
  /// - Throws: `poll for the writeback fence` with `deadline` or `cancelled` where `deadline` ends the wait first.
  func finish(
    on route: DisplayRoute, patience: Duration = WritebackJob.patience, deadline: Deadline
  ) throws(PrimeError) -> End {
    if try isWritten(within: patience, on: route.device, deadline: deadline) {
      awaitRelease(by: route.device)
      return .written
    }
    for _ in 0..<Self.attempts {
      let checksums: PipeCRC
      do {
        checksums = try PipeCRC(of: route.device, crtcIndex: route.crtcIndex)
      } catch {
        return .lost(reason: "and it could not be composed again by way of the frame checksums: \(error)")
      }
      if try isWritten(within: patience, on: route.device, deadline: deadline) {
        // The checksums switch the composer off when they end, so they end before there is another job.
        awaitRelease(by: route.device)
        withExtendedLifetime(checksums) {}
        return .writtenLate
      }
    }
    return .lost(reason: "nor after its frame checksums were started \(Self.attempts) times to have it composed again")
  }

  /// Whether the fence signals in time; throws where the whole work has no time left.
  private func isWritten(
    within patience: Duration, on device: Device, deadline: Deadline
  ) throws(PrimeError) -> Bool {
    let operation: PrimeError.Operation = "poll for the writeback fence"
    let end = deadline.atMost(patience)
    while true {
      switch device.kernel.poll(fence.rawValue, events: DisplayPipe.readable, milliseconds: end.pollSlice) {
      case .success(0), .failure(.interrupted), .failure(.tryAgain):
        try deadline.check(operation, on: device.subject)
        if end.remaining == .zero { return false }
      case .success: return true
      case .failure(let errno): throw PrimeError(operation: operation, errno: errno, subject: device.subject)
      }
    }
  }

  /// Waits until the engine has let go of the target, so that the next job is not lost to the end of this one.
  ///
  /// The kernel drops its references to the target after it has cleaned up the job. Only debugfs shows their number; without
  /// it a frame's time must do.
  private func awaitRelease(by device: Device) {
    let end = Deadline(in: .seconds(1), on: device.kernel)
    while end.remaining > .zero {
      guard let references = FramebufferReferences.count(of: target, on: device) else {
        return end.pause(milliseconds: 20)
      }
      // The last one is the framebuffer's own, which its owner closes.
      guard references > 1 else { return }
      end.pause(milliseconds: 1)
    }
  }
}

/// How many users the kernel counts for a framebuffer, from debugfs (`drm_framebuffer_info`); only root may ask.
enum FramebufferReferences {
  /// The count, nil where debugfs cannot be read or does not list the framebuffer.
  static func count(of framebuffer: UInt32, on device: Device) -> Int? {
    let path = "\(PipeCRC.folder(of: device))/framebuffer"
    return device.kernel.text(of: path, limit: 1 << 24).flatMap { parse($0, framebuffer) }
  }

  /// A framebuffer begins with `framebuffer[ID]:` and has a line `refcount=N`.
  static func parse(_ text: String, _ framebuffer: UInt32) -> Int? {
    var isWanted = false
    for line in text.split(separator: "\n") {
      if line.hasPrefix("framebuffer[") { isWanted = line == "framebuffer[\(framebuffer)]:" }
      let fields = line.split(separator: "=")
      guard isWanted, fields.count == 2, fields[0].drop(while: \.isWhitespace) == "refcount" else { continue }
      return Int(fields[1])
    }
    return nil
  }
}
