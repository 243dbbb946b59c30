internal import Prime

/// A video device that puts out what a display engine wrote into its memory, and gives back what it put out.
///
/// What its engine reads is the memory itself: the copy that comes back lies in another buffer, which is spoilt before each look.
final class VideoOutput {
  let name = ObserverName.v4l2
  private let look: VideoLook
  private let layout: PictureLayout
  private let subject: String

  /// Sets the device up for one buffer of its own memory.
  ///
  /// - Throws: untestable where nothing of what the device puts out comes back; else as `VideoLook`.
  init(
    _ device: Importer, of picture: borrowing SharedPicture, kernel: any KernelCalls
  ) throws(PrimeError) {
    guard case .reads(let route)? = device.video else {
      throw .untestable(
        "VIDIOC_QUERYCAP", on: device.name,
        reason: "no capture node of the same device could give back what it puts out")
    }
    look = try VideoLook(route, at: picture, kernel: kernel)
    layout = picture.layout
    subject = device.name
  }

  /// Has the device put the buffer out, and examines what came back.
  func examine<Result>(
    deadline: Deadline, _ body: (Span<UInt8>, PictureLayout) throws -> Result
  ) throws -> Result {
    let picture = try Stop.declining(.refused, by: .importer) { try look.look(deadline: deadline) }
    let copy = try PictureLayout.checked(
      format: layout.format, width: layout.width, height: layout.height, planes: picture.layout.planes,
      operation: "VIDIOC_G_FMT", on: subject)
    return try body(picture.bytes.span, copy)
  }

  /// Puts the device's settings back.
  func close() { look.close() }
}
