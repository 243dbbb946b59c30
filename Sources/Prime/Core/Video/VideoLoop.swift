/// Wires an output of a video device to an input of it, so that what the one shows the other captures.
///
/// vivid does this: its capture node has a menu `HDMI 000-0 Is Connected To` with an item `Output HDMI 000-0` (Linux 6.11
/// on, `vivid-ctrls.c`), a switch `Loop Video` before. Both ends need the same timings and formats
/// (`vivid_vid_can_loop`, `vivid-kthread-cap.c`).
struct VideoLoop {
  let output: VideoFile
  let capture: VideoFile

  /// The control that wires both ends, as it has to stand.
  struct Wire {
    let file: VideoFile
    let control: UInt32
    let value: Int32

    /// Whether the ends are still wired.
    ///
    /// vivid of Linux 7.2 was seen to disconnect an input by itself soon after the control was set back and set again. Its
    /// worker masks the menu's items in use (`update_hdmi_ctrls_work_handler`, `vivid-core.c`) and reads those and the
    /// chosen one at two moments, so that it can mask the chosen one, which then falls back to the test pattern.
    var holds: Bool { (try? file.kernel.videoControl(file.rawDescriptor, control).get()) == value }

    /// Wires the ends again.
    func mend() throws(PrimeError) {
      try file.kernel.videoSetControl(file.rawDescriptor, control, value).orThrow("VIDIOC_S_CTRL", on: file.subject)
    }
  }

  /// Chooses both ends, wires them and sets timings of this size.
  ///
  /// - Throws: untestable where the device has no such ends, timings or wire.
  func wire(width: Int, height: Int, _ settings: VideoSettings) throws(PrimeError) -> Wire {
    settings.rememberControls(of: output)
    settings.rememberControls(of: capture)
    let shown = try output.digitalEnd(isOutput: true)
    let seen = try capture.digitalEnd(isOutput: false)
    try settings.choose(shown.index, of: output, isOutput: true)
    try settings.choose(seen.index, of: capture, isOutput: false)
    let wire = try connect(shown, seen, settings)
    let timings = try output.timings(width: width, height: height)
    try settings.set(timings, of: output)
    try settings.set(timings, of: capture)
    try hideText(settings)
    return wire
  }

  private func connect(
    _ shown: VideoFile.DigitalEnd, _ seen: VideoFile.DigitalEnd, _ settings: VideoSettings
  ) throws(PrimeError) -> Wire {
    if let menu = control(named: "\(seen.name) Is Connected To", of: capture),
      let item = item(named: "Output \(shown.name)", of: menu)
    {
      try settings.set(menu.id, to: item, of: capture)
      return Wire(file: capture, control: menu.id, value: item)
    }
    if let loop = control(named: "Loop Video", of: capture) {
      try settings.set(loop.id, to: 1, of: capture)
      return Wire(file: capture, control: loop.id, value: 1)
    }
    throw .untestable(
      "VIDIOC_QUERYCTRL", on: capture.subject,
      reason: "no control connects its input \(seen.name) to the output \(shown.name) of \(output.path)")
  }

  /// The text that a test device draws over every captured picture.
  private func hideText(_ settings: VideoSettings) throws(PrimeError) {
    guard let menu = control(named: "OSD Text Mode", of: capture), let none = item(named: "None", of: menu)
    else { return }
    try settings.set(menu.id, to: none, of: capture)
  }

  private func control(named name: String, of file: VideoFile) -> KernelVideoControl? {
    file.controls.first { $0.name.lowercased() == name.lowercased() }
  }

  private func item(named name: String, of menu: KernelVideoControl) -> Int32? {
    guard menu.minimum >= 0, menu.maximum >= menu.minimum, menu.maximum < 1024 else { return nil }
    return (menu.minimum...menu.maximum).first { index in
      let item = capture.kernel.videoMenuItem(capture.rawDescriptor, control: menu.id, index: UInt32(index))
      return (try? item.get()) == name
    }
  }
}
