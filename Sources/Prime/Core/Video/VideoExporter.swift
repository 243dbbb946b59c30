/// A video device as an exporter: memory of its driver, exported as dma-bufs (`V4L2_MEMORY_MMAP`, `VIDIOC_EXPBUF`).
public struct VideoExporter: ~Copyable {
  /// Size, format, and the pitches and offsets that the driver chose; linear.
  public let description: BufferDescription
  private var queue: VideoQueue

  /// Sets a format and allocates buffers.
  ///
  /// The driver keeps the format afterwards; that of a mem2mem device goes with the file.
  ///
  /// - Parameters:
  ///   - file: An open node with a queue of the direction, which no other queue of this program has.
  ///   - direction: Which of its queues: a capture queue can write into what it exports.
  ///   - format: The pixel format.
  ///   - width: The width in pixels.
  ///   - height: The height in pixels.
  ///   - count: How many buffers; a driver may give more.
  /// - Throws: `VIDIOC_S_FMT`, untestable, where the driver has no such format or size; `VIDIOC_REQBUFS` with its errno.
  public init(
    _ file: VideoFile, _ direction: VideoDirection = .capture, format: PixelFormat, width: Int, height: Int,
    count: Int = 1
  ) throws(PrimeError) {
    try self.init(file, direction, format: format, width: width, height: height, count: count, settings: nil)
  }

  /// The same, and notes in `settings` what it changes on the device; with those it may choose another input or output, where
  /// only digital video has the size.
  init(
    _ file: VideoFile, _ direction: VideoDirection, format: PixelFormat, width: Int, height: Int, count: Int = 1,
    settings: VideoSettings?
  ) throws(PrimeError) {
    var queue = try VideoQueue(file, direction)
    // Put back last: inputs and timings change the format.
    try settings?.rememberFormat(of: file, type: queue.type)
    let offered = try queue.formats()
    let codes = VideoFourcc.codes(of: format.fourcc).filter { $0.memoryPlaneCount == 1 && offered.contains($0) }
    guard let code = codes.first else {
      throw .untestable(
        "VIDIOC_S_FMT", on: queue.subject, reason: "the queue has no format with the bytes of \(format.fourcc)")
    }
    try queue.setFormat(code, width: width, height: height)
    if let settings, queue.format.width != width || queue.format.height != height,
      try file.choosesSize(width: width, height: height, isOutput: direction == .output, settings)
    {
      try queue.setFormat(code, width: width, height: height)
    }
    guard queue.format.fourcc == code, queue.format.width == width, queue.format.height == height else {
      throw .untestable(
        "VIDIOC_S_FMT", on: queue.subject,
        reason: "it was asked for \(width)x\(height) \(code) and made \(queue.format) of it")
    }
    let layout = try queue.format.layout(on: queue.subject)
    try queue.request(.driver, count: count)
    description = BufferDescription(layout: layout, modifier: .linear)
    self.queue = queue
  }

  /// How many buffers there are.
  public var bufferCount: Int { queue.bufferCount }

  /// Exports a buffer for reading and writing; the caller owns the picture, which outlives this value.
  ///
  /// - Throws: `VIDIOC_EXPBUF` with `EINVAL` where there is no such buffer.
  public borrowing func export(_ index: Int = 0) throws(PrimeError) -> SharedPicture {
    try .made(description, queue.export(index))
  }

  /// The same as what an allocator gives.
  ///
  /// - Throws: As `export`.
  public borrowing func buffer(_ index: Int = 0) throws(PrimeError) -> BufferObject {
    BufferObject(adopting: try export(index))
  }

  /// The queue's part in `VideoStream`.
  borrowing func enqueue(_ index: Int, deadline: Deadline) throws(PrimeError) {
    try queue.enqueue(index, deadline: deadline)
  }

  mutating func start() throws(PrimeError) { try queue.start() }

  borrowing func dequeue(deadline: Deadline) throws(PrimeError) -> VideoBuffer { try queue.dequeue(deadline: deadline) }

  mutating func free() { queue.free() }

  /// Has the device write a picture into one of its buffers; only a capture queue does.
  ///
  /// It may write the pictures after that one into the others.
  ///
  /// - Throws: what `VIDIOC_QBUF`, `VIDIOC_STREAMON`, `poll` or `VIDIOC_DQBUF` failed with; `deadline` without a picture.
  public mutating func capture(into index: Int = 0, deadline: Deadline) throws(PrimeError) -> VideoBuffer {
    try queue.captureOnce(deadline: deadline) { (queue: borrowing VideoQueue) throws(PrimeError) in
      try queue.enqueue(index, deadline: deadline)
      // A driver may start only with more than one queued (`min_queued_buffers`). The first one is done first.
      for other in 0..<queue.bufferCount where other != index { try queue.enqueue(other, deadline: deadline) }
    }
  }
}
