/// A video device as an importer that writes: it captures pictures into dma-bufs of others (`V4L2_MEMORY_DMABUF`).
public struct VideoCapture: ~Copyable {
  private var queue: VideoQueue

  /// Sets the format in which pictures of `description` lie in a buffer, and makes room for one.
  ///
  /// - Throws: `VIDIOC_S_FMT`, untestable, where the driver has no such format, size or pitch; `VIDIOC_REQBUFS` with `EINVAL`
  ///   where its queue takes no dma-bufs.
  public init(_ file: VideoFile, _ description: BufferDescription) throws(PrimeError) {
    var queue = try VideoQueue(file, .capture)
    try queue.setFormat(of: description.layout)
    try queue.request(.dmaBuf, count: 1)
    self.queue = queue
  }

  /// What the driver wants of a buffer.
  public var format: VideoFormat { queue.format }

  /// Imports a buffer and has the device write one picture into it; the caller keeps the buffer.
  ///
  /// - Throws: `VIDIOC_QBUF` with `EFAULT` or `EINVAL` and the reason (`VideoQueue.enqueue`), `poll for a picture` with
  ///   `deadline` where none comes.
  public mutating func capture(into buffer: borrowing DMABuf, deadline: Deadline) throws(PrimeError) -> VideoBuffer {
    try queue.captureOnce(deadline: deadline) { (queue: borrowing VideoQueue) throws(PrimeError) in
      try queue.enqueueEverywhere(buffer, deadline: deadline)
    }
  }
}

extension VideoQueue {
  /// Queues buffers, runs the device until the first one is done, and stops it.
  mutating func captureOnce(
    deadline: Deadline, enqueue: (borrowing VideoQueue) throws(PrimeError) -> Void
  ) throws(PrimeError) -> VideoBuffer {
    let buffer: VideoBuffer
    do throws(PrimeError) {
      try enqueue(self)
      try start()
      buffer = try dequeue(deadline: deadline)
    } catch {
      // The first error is the one to tell. A buffer that stays queued could be written to at any later time.
      try? stop()
      throw error
    }
    try stop()
    return buffer
  }

  /// Imports one dma-buf in every place of the queue.
  ///
  /// A driver may start only with two or more buffers queued (`min_queued_buffers`), and gives that many places.
  borrowing func enqueueEverywhere(_ buffer: borrowing DMABuf, deadline: Deadline) throws(PrimeError) {
    for index in 0..<bufferCount { try enqueue(index, importing: buffer, deadline: deadline) }
  }
}
