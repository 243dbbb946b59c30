/// What a user of the library shows: a framebuffer of the display's device, or a part of it, unscaled.
///
/// A framebuffer has to stay until the next picture is shown or the display is closed: one that goes before switches its
/// plane off on kernels before 6.8.
extension DisplayPipe {
  /// Asks the kernel whether it would set the mode and show the framebuffer, and changes nothing (`DRM_MODE_ATOMIC_TEST_ONLY`).
  ///
  /// - Parameters:
  ///   - framebuffer: One of this display's device.
  ///   - part: The part of it to show; nil is as much as the mode shows, from the upper left corner.
  ///   - mode: One of the route's modes.
  ///   - deadline: When to give up where the kernel is interrupted over and over.
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC` with the errno with which it would refuse; `commit` with `EINVAL` as `show`; an untestable
  ///   error where the display has no atomic mode setting, whose older calls cannot be asked.
  public func test(
    _ framebuffer: borrowing Framebuffer, part: Rectangle? = nil, mode: DisplayMode, deadline: Deadline
  ) throws(PrimeError) {
    guard route.isAtomic else {
      throw .untestable(
        "DRM_IOCTL_MODE_ATOMIC", on: route.device.subject,
        reason: "it has no atomic mode setting, and the older calls cannot be asked without doing it")
    }
    try test(picture(of: framebuffer, part, mode), mode: mode, deadline: deadline)
  }

  /// Sets the mode and shows the framebuffer; returns when it is shown.
  ///
  /// The kernel waits for the writers' fences of the buffer first, and not by the deadline's time: wait for a fence that may never
  /// signal before (`SyncFile.wait`, `DMABuf.awaitReadiness`), or show it with `start(showing:part:mode:deadline:)`.
  ///
  /// - Parameters:
  ///   - framebuffer: One of this display's device.
  ///   - part: The part of it to show; nil is as much as the mode shows, from the upper left corner.
  ///   - mode: One of the route's modes.
  ///   - deadline: When to give up where the kernel is interrupted over and over.
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC` or `drmModeSetCrtc` with the errno; `commit` with `unsuitable` for a framebuffer of another
  ///   device, and for a part that does not lie within it.
  public func show(
    _ framebuffer: borrowing Framebuffer, part: Rectangle? = nil, mode: DisplayMode, deadline: Deadline
  ) throws(PrimeError) {
    try show(picture(of: framebuffer, part, mode), mode: mode, deadline: deadline)
  }

  /// Sets the mode and shows the framebuffer once a fence has signalled; returns when it is shown.
  ///
  /// The display waits for the fence instead of those of the buffer (`IN_FENCE_FD`), by the deadline's time: where that passes first,
  /// the picture is still to come.
  ///
  /// - Parameters:
  ///   - framebuffer: One of this display's device.
  ///   - part: The part of it to show; nil is as much as the mode shows, from the upper left corner.
  ///   - mode: One of the route's modes.
  ///   - fence: What the display waits for, for example that of a GPU that is still drawing.
  ///   - deadline: When to give up.
  /// - Throws: As `start(showing:part:mode:after:deadline:)` and `finish`.
  @discardableResult
  public func show(
    _ framebuffer: borrowing Framebuffer, part: Rectangle? = nil, mode: DisplayMode, after fence: borrowing SyncFile,
    deadline: Deadline
  ) throws(PrimeError) -> Flip {
    try finish(
      start(showing: framebuffer, part: part, mode: mode, after: fence, deadline: deadline), deadline: deadline)
  }

  /// Asks for a mode and a framebuffer without waiting for anything; end it with `finish`.
  ///
  /// - Parameters:
  ///   - framebuffer: One of this display's device.
  ///   - part: The part of it to show; nil is as much as the mode shows, from the upper left corner.
  ///   - mode: One of the route's modes.
  ///   - deadline: When to give up where the kernel is interrupted over and over.
  /// - Returns: What was started, with a fence that signals when the framebuffer is shown.
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC` with the errno, `EBUSY` where another picture is under way, and with `unsupported` where
  ///   the display has no atomic mode setting; `commit` with `unsuitable` as `show`.
  public func start(
    showing framebuffer: borrowing Framebuffer, part: Rectangle? = nil, mode: DisplayMode, deadline: Deadline
  ) throws(PrimeError) -> StartedFlip {
    try start(showing: picture(of: framebuffer, part, mode), mode: mode, after: nil, deadline: deadline)
  }

  /// Asks for a mode and a framebuffer once a fence has signalled, without waiting for anything; end it with `finish`.
  ///
  /// The display waits for the fence instead of those of the buffer (`IN_FENCE_FD`). It may be closed at once.
  ///
  /// - Parameters:
  ///   - framebuffer: One of this display's device.
  ///   - part: The part of it to show; nil is as much as the mode shows, from the upper left corner.
  ///   - mode: One of the route's modes.
  ///   - fence: What the display waits for, for example that of a GPU that is still drawing.
  ///   - deadline: When to give up where the kernel is interrupted over and over.
  /// - Returns: What was started, with a fence that signals when the framebuffer is shown.
  /// - Throws: As `start(showing:part:mode:deadline:)`.
  public func start(
    showing framebuffer: borrowing Framebuffer, part: Rectangle? = nil, mode: DisplayMode,
    after fence: borrowing SyncFile, deadline: Deadline
  ) throws(PrimeError) -> StartedFlip {
    try start(
      showing: picture(of: framebuffer, part, mode), mode: mode, after: fence.rawDescriptor, deadline: deadline)
  }

  /// Shows another framebuffer at the next frame, the same part of it, and waits until it is shown.
  ///
  /// The display waits by itself for the writers' fences of the buffer.
  ///
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC` or `drmModePageFlip` with the errno, `EBUSY` where another flip is under way; `commit` with
  ///   `unsuitable` for a framebuffer of another device; `poll for the page flip` with `deadline` or `cancelled`.
  @discardableResult
  public func flip(to framebuffer: borrowing Framebuffer, deadline: Deadline) throws(PrimeError) -> Flip {
    try flip(to: picture(of: framebuffer), deadline: deadline)
  }

  /// As the blocking `flip`, for a task: it is suspended, and a thread made for it blocks.
  ///
  /// - Throws: As the blocking `flip`, with `cancelled` where the task is cancelled; `pthread_create` where there is no thread.
  @discardableResult
  public func flip(to framebuffer: borrowing Framebuffer, deadline: Deadline) async throws(PrimeError) -> Flip {
    let flip = try submit(picture(of: framebuffer), deadline: deadline)
    let shown = try await suspendUntilFlip(flip.number, deadline: deadline).flip(
      since: flip.begun, on: route.device.kernel)
    // A capture may have left its picture being written.
    try await suspendUntilWritten(deadline: deadline)
    return shown
  }

  /// Asks for another framebuffer at the next frame without waiting for anything; end it with `finish`.
  ///
  /// - Throws: As `start(flipTo:after:deadline:)`.
  public func start(
    flipTo framebuffer: borrowing Framebuffer, deadline: Deadline
  ) throws(PrimeError) -> StartedFlip {
    try start(flipTo: picture(of: framebuffer), after: nil, deadline: deadline)
  }

  /// Asks for another framebuffer once a fence has signalled, without waiting for anything; end it with `finish`.
  ///
  /// The display waits for the fence instead of those of the buffer (`IN_FENCE_FD`). It may be closed at once.
  ///
  /// - Parameters:
  ///   - framebuffer: One of this display's device; the same part of it is shown as before.
  ///   - fence: What the display waits for, for example that of a GPU that is still drawing.
  ///   - deadline: When to give up where the kernel is interrupted over and over.
  /// - Returns: The flip, with a fence that signals when the framebuffer is shown.
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC` with the errno, `EBUSY` where another flip is under way, and with `unsupported` where
  ///   the display has no atomic mode setting; `commit` with `unsuitable` for a framebuffer of another device.
  public func start(
    flipTo framebuffer: borrowing Framebuffer, after fence: borrowing SyncFile, deadline: Deadline
  ) throws(PrimeError) -> StartedFlip {
    try start(flipTo: picture(of: framebuffer), after: fence.rawDescriptor, deadline: deadline)
  }

  /// A framebuffer, and the part of it that a mode shows.
  private func picture(
    of framebuffer: borrowing Framebuffer, _ part: Rectangle?, _ mode: DisplayMode
  ) throws(PrimeError) -> Picture {
    var picture = try picture(of: framebuffer)
    let size = framebuffer.size
    let whole = Size(width: min(size.width, mode.width), height: min(size.height, mode.height))
    let part = part ?? Rectangle(size: whole)
    // A plane says where it begins with 16 bits before the point.
    guard part.isWithin(size), part.isWithin(Self.largest) else {
      throw PrimeError(
        operation: .commit, finding: .unsuitable, subject: route.device.subject,
        reason: "the part \(part) does not lie within framebuffer \(framebuffer.id), which is \(size)")
    }
    picture.corner = part.origin
    picture.shown = (part.size.width, part.size.height)
    return picture
  }

  private static let largest = Size(width: Int(UInt16.max), height: Int(UInt16.max))

  /// A framebuffer that a flip shows, whose part stays that of the picture before it.
  private func picture(of framebuffer: borrowing Framebuffer) throws(PrimeError) -> Picture {
    let device = framebuffer.device
    // Another device may have a framebuffer of the same number, and the kernel would show that.
    guard device.identity.isSameDevice(as: route.device.identity) else {
      throw PrimeError(
        operation: .commit, finding: .unsuitable, subject: route.device.subject,
        reason: "framebuffer \(framebuffer.id) is \(device.subject)'s: import the buffer into this display's device")
    }
    return Picture(framebuffer: framebuffer.id, shown: (framebuffer.size.width, framebuffer.size.height))
  }
}
