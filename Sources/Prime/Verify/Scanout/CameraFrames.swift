internal import Prime

/// Frames that a camera writes into its own buffers, while displays show them in turns.
///
/// What a frame shows is not known before. So each buffer is filled with a seeded pattern first, of which the camera must leave no
/// row; what the CPU then reads there is what every display must show, and must not be the frame before, which a stale one would be.
final class CameraFrames {
  /// Both buffers.
  let frames: ScanoutFrames
  private let stream: VideoStream
  private let request: ScanoutRequest
  private let name: String
  /// What was seen in each buffer.
  private var pictures: [RGBImage?] = [nil, nil]

  /// Sets the camera up; it is switched on with the first frame.
  init(
    _ camera: VideoDevice, _ request: ScanoutRequest, size: (width: Int, height: Int), kernel: any KernelCalls,
    check: (BufferDescription) throws -> Void
  ) throws {
    guard PictureContent.pictureFormats.contains(request.format.fourcc) else {
      throw Stop(
        verdict: .untested,
        reason: "pictures of a camera are compared in formats of colours, and \(request.format.fourcc) is none")
    }
    stream = try Stop.declining(.refused, by: .exporter) {
      try VideoStream(camera, format: request.format, width: size.width, height: size.height, kernel: kernel)
    }
    frames = try ScanoutFrames(of: stream, check: check)
    self.request = request
    name = camera.name
  }

  /// What the camera wrote for one of the last two frames.
  func content(of frame: Int) -> PictureContent? { pictures[frame % 2].map { .picture(.image($0)) } }

  /// Has the camera write a frame into its buffer, which no display shows any more, and says what they must show then.
  func next(_ frame: Int) throws -> ScanoutExpectation {
    // Most drivers start only with two buffers in the queue.
    if frame == 0 { for first in 0..<VideoStream.bufferCount { try prepare(first) } }
    if frame >= VideoStream.bufferCount { try prepare(frame) }
    _ = try stream.next(frame % 2, deadline: request.deadline)
    let mark = mark(frame)
    let picture = try frames.read(frame, deadline: request.deadline) { bytes, layout in
      let rows = try mark.unwrittenRows(bytes, layout: layout)
      guard let first = rows.first else { return try RGBImage(decoding: bytes, layout: layout) }
      throw Stop(
        verdict: .mismatch,
        reason: "frame \(frame): \(name) says that it wrote a picture, and \(rows.count) of \(layout.height) rows are "
          + "as they were before, the first of them \(first)")
    }
    let before = frame == 0 ? nil : pictures[(frame - 1) % 2]
    guard before != picture else {
      throw Stop(
        verdict: .untested,
        reason: "frames \(frame - 1) and \(frame) of \(name) are one picture, so that an old frame could not be told "
          + "from a new one: have it see something that moves")
    }
    pictures[frame % 2] = picture
    let negative = RGBImage(
      width: picture.width, height: picture.height, pixels: picture.pixels.map { $0 ^ 0xff_ffff })
    return ScanoutExpectation(
      content: .picture(.image(picture)), wrong: .picture(.image(before ?? negative)))
  }

  private func mark(_ frame: Int) -> Pattern { Pattern(seed: request.seed, index: frame) }

  private func prepare(_ frame: Int) throws {
    try frames.write(frame, deadline: request.deadline) { bytes, layout in
      try mark(frame).fill(&bytes, layout: layout)
    }
    try stream.enqueue(frame % 2, deadline: request.deadline)
  }
}
