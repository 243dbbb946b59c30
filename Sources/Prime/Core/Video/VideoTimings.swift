extension VideoFile {
  /// An input or output that has timings of digital video.
  struct DigitalEnd {
    let index: Int32
    let name: String
  }

  /// `V4L2_IN_CAP_DV_TIMINGS` and `V4L2_OUT_CAP_DV_TIMINGS`.
  private static let hasTimings: UInt32 = 2

  /// The first input or output for digital video.
  func digitalEnd(isOutput: Bool) throws(PrimeError) -> DigitalEnd {
    for index in 0..<64 as Range<UInt32> {
      guard case .success(let found) = kernel.videoConnection(rawDescriptor, isOutput: isOutput, index: index)
      else { break }
      if found.flags & Self.hasTimings != 0 { return DigitalEnd(index: Int32(index), name: found.name) }
    }
    throw .untestable(
      isOutput ? "VIDIOC_ENUMOUTPUT" : "VIDIOC_ENUMINPUT", on: subject,
      reason: "it has no \(isOutput ? "output" : "input") for digital video, such as HDMI, that could be looped back")
  }

  /// Timings of whole frames in a size.
  func timings(width: Int, height: Int) throws(PrimeError) -> KernelVideoTimings {
    for index in 0..<1024 as Range<UInt32> {
      guard case .success(let found) = kernel.videoOfferedTimings(rawDescriptor, index: index) else { break }
      if Int(found.width) == width, Int(found.height) == height, !found.isInterlaced { return found }
    }
    throw .untestable(
      "VIDIOC_ENUM_DV_TIMINGS", on: subject,
      reason: "it has no timings of \(width)x\(height): take a size of a display, such as 640x480 or 1280x720")
  }

  /// Chooses the end for digital video and timings of a size, where the node has them; false where it has not.
  func choosesSize(width: Int, height: Int, isOutput: Bool, _ settings: VideoSettings) throws(PrimeError) -> Bool {
    let end: DigitalEnd
    do throws(PrimeError) {
      end = try digitalEnd(isOutput: isOutput)
    } catch {
      return false
    }
    settings.rememberControls(of: self)
    try settings.choose(end.index, of: self, isOutput: isOutput)
    let wanted: KernelVideoTimings
    do throws(PrimeError) {
      wanted = try timings(width: width, height: height)
    } catch {
      return false
    }
    try settings.set(wanted, of: self)
    return true
  }
}
