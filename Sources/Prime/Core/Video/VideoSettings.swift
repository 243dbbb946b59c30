/// What was changed on video devices, to be put back in the opposite order.
///
/// Inputs, timings, controls and formats of a video device are one for all of its users and stay when a file is closed.
final class VideoSettings {
  private var changes: [(file: VideoFile, change: VideoChange)] = []
  private let number = VideoCustody.newNumber()

  deinit { restore() }

  /// Puts everything back; what cannot be put back, as on a device that is gone, is left.
  func restore() {
    guard !changes.isEmpty else { return }
    for (file, change) in changes.reversed() { _ = change.putBack(on: file) }
    changes = []
    VideoCustody.giveBack(number)
  }

  private func remember(_ changed: [VideoChange], of file: VideoFile) {
    VideoCustody.note(number, changed.map { ChangedVideo(path: file.path, change: $0) })
    changes += changed.map { (file, $0) }
  }

  /// Remembers the format that a queue has now.
  func rememberFormat(of file: VideoFile, type: UInt32) throws(PrimeError) {
    remember(
      [.format(try file.kernel.videoFormat(file.rawDescriptor, type: type).orThrow("VIDIOC_G_FMT", on: file.subject))],
      of: file)
  }

  /// Remembers every control that stays as it is set: drivers change some by themselves, as vivid the range of colours with
  /// the timings.
  func rememberControls(of file: VideoFile) {
    let settings = file.controls.filter { $0.flags & Self.isNoSetting == 0 }
    remember(
      settings.compactMap { control in
        guard case .success(let value) = file.kernel.videoControl(file.rawDescriptor, control.id) else { return nil }
        return .control(control.id, value)
      }, of: file)
  }

  /// `V4L2_CTRL_FLAG_DISABLED`, `READ_ONLY`, `WRITE_ONLY` and `VOLATILE`.
  private static let isNoSetting: UInt32 = 0x1 | 0x4 | 0x40 | 0x80

  /// Chooses an input or an output.
  func choose(_ index: Int32, of file: VideoFile, isOutput: Bool) throws(PrimeError) {
    let before = try file.kernel.videoChosenConnection(file.rawDescriptor, isOutput: isOutput)
      .orThrow(isOutput ? "VIDIOC_G_OUTPUT" : "VIDIOC_G_INPUT", on: file.subject)
    remember([.connection(isOutput: isOutput, before)], of: file)
    try file.kernel.videoChooseConnection(file.rawDescriptor, isOutput: isOutput, index: index)
      .orThrow(isOutput ? "VIDIOC_S_OUTPUT" : "VIDIOC_S_INPUT", on: file.subject)
  }

  /// Sets the timings of the chosen input or output.
  func set(_ timings: KernelVideoTimings, of file: VideoFile) throws(PrimeError) {
    let before = try file.kernel.videoTimings(file.rawDescriptor).orThrow("VIDIOC_G_DV_TIMINGS", on: file.subject)
    remember([.timings(before)], of: file)
    try file.kernel.videoSetTimings(file.rawDescriptor, timings).orThrow("VIDIOC_S_DV_TIMINGS", on: file.subject)
  }

  /// Sets a control.
  func set(_ control: UInt32, to value: Int32, of file: VideoFile) throws(PrimeError) {
    let before = try file.kernel.videoControl(file.rawDescriptor, control).orThrow("VIDIOC_G_CTRL", on: file.subject)
    remember([.control(control, before)], of: file)
    try file.kernel.videoSetControl(file.rawDescriptor, control, value).orThrow("VIDIOC_S_CTRL", on: file.subject)
  }
}

extension VideoFile {
  /// Every control of the node, in the order of their numbers (`VIDIOC_QUERYCTRL`); empty where it has none.
  var controls: [KernelVideoControl] {
    var found: [KernelVideoControl] = []
    var id: UInt32 = 0
    // A driver that does not count up would never come to an end.
    while case .success(let control) = kernel.videoNextControl(rawDescriptor, after: id), control.id > id {
      found.append(control)
      id = control.id
    }
    return found
  }
}
