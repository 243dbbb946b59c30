internal import Prime

/// An imported buffer and a connected display of the importer's that can show it, in the smallest mode that holds it.
final class ImportOnDisplay {
  // Destroyed in this order: the display goes back to what it showed before its framebuffer is removed.
  let pipe: DisplayPipe
  private let framebuffer: Framebuffer
  let route: DisplayRoute
  let mode: DisplayMode
  /// The buffer as the framebuffer is told.
  let window: FetchWindow
  /// The buffer at the display's upper left corner.
  let picture: DisplayPipe.Picture

  /// Takes the display, and changes nothing there yet.
  ///
  /// - Parameters:
  ///   - operation: Who wants it, for errors.
  ///   - prepare: Called with the route before anything is made for it; what it throws ends this.
  /// - Throws: an untestable error where no display is connected or no mode is large enough; `drmSetMaster` where another
  ///   process holds the display; `drmModeAddFB2` where the importer's display does not take the buffer.
  init(
    _ imported: borrowing ImportedPicture, of shared: borrowing SharedPicture,
    operation: PrimeError.Operation,
    prepare: (DisplayRoute) throws(PrimeError) -> Void = { _ throws(PrimeError) in }
  ) throws(PrimeError) {
    let importer = imported.device
    // The kernel looks at a wire only for the master.
    try importer.becomeMaster()
    route = try DisplayRoute(on: importer, to: .connected)
    try prepare(route)
    window = try FetchWindow(onto: shared.description, bytes: shared.first.byteCount, for: route, operation: operation)
    let (width, height) = (window.description.width, window.description.height)
    let fitting = route.modes.filter { $0.width >= width && $0.height >= height }
    guard !route.connector.isWriteback, let mode = fitting.min(by: { $0.width * $0.height < $1.width * $1.height })
    else {
      throw .untestable(
        operation, on: importer.subject, reason: "no connected display has a mode that holds \(width)x\(height)")
    }
    self.mode = mode
    framebuffer = try Framebuffer(imported.first, window.description)
    pipe = try DisplayPipe(route)
    picture = DisplayPipe.Picture(framebuffer: framebuffer.id, shown: window.shown, target: nil)
  }

  /// Whether the display refuses a picture that is smaller than the mode; the legacy calls always do.
  func mustCover(deadline: Deadline) throws(PrimeError) -> Bool {
    guard picture.shown != (mode.width, mode.height) else { return false }
    guard route.isAtomic else { return true }
    do throws(PrimeError) {
      try pipe.test(picture, mode: mode, deadline: deadline)
      return false
    } catch {
      guard !error.isBreakage else { throw error }
      return true
    }
  }

  /// Shows the buffer once, so that an importer which maps at first use has to map it, and looks at it; then puts the
  /// display back.
  ///
  /// A driver makes a framebuffer's memory ready before it accepts the commit (`prepare_fb`): it pins and maps it.
  ///
  /// - Throws: what the kernel refuses the picture with; an untestable error where the display has to be covered by more
  ///   than the buffer.
  func showOnce<Seen>(deadline: Deadline, _ look: () -> Seen) throws(PrimeError) -> Seen {
    guard try !mustCover(deadline: deadline) else {
      throw .untestable(
        .commit, on: route.device.subject,
        reason: "its plane has to cover a mode of \(mode.width)x\(mode.height), which is larger than the buffer")
    }
    try pipe.show(picture, mode: mode, deadline: deadline)
    let seen = look()
    try pipe.close()
    return seen
  }
}
