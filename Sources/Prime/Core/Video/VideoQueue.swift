internal import Glibc

/// Which way pictures go through a queue, as V4L2 says it.
public enum VideoDirection: String, Hashable, Sendable {
  /// The device writes into the buffers.
  case capture
  /// The device reads from the buffers.
  case output
}

/// Whose memory the buffers of a queue are (`enum v4l2_memory`).
public enum VideoMemory: UInt32, Hashable, Sendable {
  /// The driver's own, which can be exported (`V4L2_MEMORY_MMAP`).
  case driver = 1
  /// Imported dma-bufs (`V4L2_MEMORY_DMABUF`).
  case dmaBuf = 4
}

/// A buffer that came back from the device (`VIDIOC_DQBUF`).
public struct VideoBuffer: Hashable, Sendable {
  /// Which of the queue's buffers it is, from 0.
  public let index: Int
  /// The frame's number, counted by the driver from `STREAMON` on.
  public let sequence: Int
  /// How many bytes of each memory plane are the picture's.
  public let bytesUsed: [Int]
}

/// One queue of an open V4L2 node: its format, its buffers, and whether it runs.
///
/// It keeps the file open. When it goes, it stops the device and frees the buffers; dma-bufs that were exported live on,
/// and imported ones are given back.
public struct VideoQueue: ~Copyable {
  /// The open file.
  public let file: VideoFile
  /// Which way pictures go.
  public let direction: VideoDirection
  /// What the buffers hold, as the driver said last.
  public private(set) var format: VideoFormat
  /// How many buffers the queue has; 0 before `request`.
  public private(set) var bufferCount = 0
  /// Whether the device works through the queue.
  public private(set) var isStreaming = false
  /// `enum v4l2_buf_type`.
  let type: UInt32
  private var memory: VideoMemory?

  /// Takes one queue of a node and asks for its format of now (`VIDIOC_G_FMT`).
  ///
  /// - Throws: `VIDIOC_QUERYCAP`, untestable, where the node has no such queue, `VIDIOC_G_FMT` with its errno.
  public init(_ file: VideoFile, _ direction: VideoDirection) throws(PrimeError) {
    let capabilities = file.capabilities
    guard capabilities.streams, direction == .capture ? capabilities.captures : capabilities.outputs else {
      throw .untestable(
        "VIDIOC_QUERYCAP", on: file.subject, reason: "the node has no \(direction.rawValue) queue of pictures")
    }
    let type = Self.type(direction, isMultiPlanar: capabilities.isMultiPlanar)
    let format = try file.kernel.videoFormat(file.rawDescriptor, type: type).orThrow("VIDIOC_G_FMT", on: file.subject)
    self.type = type
    self.format = VideoFormat(format)
    self.file = file
    self.direction = direction
  }

  deinit {
    Self.free(file, type: type, memory)
  }

  /// Stops the device and frees the buffers, after which formats and timings may change again.
  mutating func free() {
    Self.free(file, type: type, memory)
    memory = nil
    bufferCount = 0
    isStreaming = false
  }

  /// Errors say that the device is gone, and its queue with it.
  private static func free(_ file: VideoFile, type: UInt32, _ memory: VideoMemory?) {
    guard let memory else { return }
    _ = file.kernel.videoStream(file.rawDescriptor, type: type, on: false)
    _ = file.kernel.videoRequestBuffers(file.rawDescriptor, type: type, memory: memory.rawValue, count: 0)
  }

  /// The numbers of `enum v4l2_buf_type`.
  static func type(_ direction: VideoDirection, isMultiPlanar: Bool) -> UInt32 {
    switch (direction, isMultiPlanar) {
    case (.capture, false): 1
    case (.output, false): 2
    case (.capture, true): 9
    case (.output, true): 10
    }
  }

  /// `vivid (/dev/video0)`, with the direction where a node has two.
  package var subject: String {
    file.capabilities.isMemoryToMemory ? "\(file.subject), \(direction.rawValue) queue" : file.subject
  }
}

// MARK: - Formats

extension VideoQueue {
  /// The formats that the driver offers, in its order (`VIDIOC_ENUM_FMT`).
  ///
  /// - Throws: `VIDIOC_ENUM_FMT` with its errno; `EINVAL` is the end of the list.
  public borrowing func formats() throws(PrimeError) -> [VideoFourcc] {
    var found: [VideoFourcc] = []
    // A driver that never ends its list is not waited for.
    for index in 0..<1024 as Range<UInt32> {
      let answer = file.kernel.videoFormatCode(file.rawDescriptor, type: type, index: index)
      if case .failure(.invalidArgument) = answer { break }
      found.append(VideoFourcc(rawValue: try answer.orThrow("VIDIOC_ENUM_FMT", on: subject)))
    }
    return found
  }

  /// Asks for a format of whole frames and takes what the driver makes of it (`VIDIOC_S_FMT`).
  ///
  /// - Parameters:
  ///   - fourcc: The format as V4L2 names it.
  ///   - width: The width in pixels.
  ///   - height: The height in pixels.
  ///   - pitch: From row to row of the first plane, in bytes; nil leaves it to the driver, which also need not give it.
  /// - Returns: What the queue has now: the driver may have changed anything, the size and the format too.
  /// - Throws: `VIDIOC_S_FMT` with its errno, `EBUSY` where the queue has buffers.
  @discardableResult
  public mutating func setFormat(
    _ fourcc: VideoFourcc, width: Int, height: Int, pitch: Int? = nil
  ) throws(PrimeError) -> VideoFormat {
    let operation: PrimeError.Operation = "VIDIOC_S_FMT"
    func word(_ number: Int) throws(PrimeError) -> UInt32 {
      try PrimeError.word(number, of: "\(width)x\(height)", operation, on: subject)
    }
    let pitch = try word(pitch ?? 0)
    let wanted = KernelVideoFormat(
      type: type, width: try word(width), height: try word(height), pixelFormat: fourcc.rawValue,
      field: Self.wholeFrames,
      planes: (0..<fourcc.memoryPlaneCount).map { .init(bytesPerLine: $0 == 0 ? pitch : 0, sizeImage: 0) })
    try set(wanted)
    return format
  }

  mutating func set(_ wanted: KernelVideoFormat) throws(PrimeError) {
    format = VideoFormat(
      try file.kernel.videoSetFormat(file.rawDescriptor, wanted).orThrow("VIDIOC_S_FMT", on: subject))
  }

  /// `V4L2_FIELD_NONE`.
  static let wholeFrames: UInt32 = 1

  /// Sets the format in which a picture of this layout lies in the queue's buffers.
  ///
  /// - Throws: `VIDIOC_S_FMT`, untestable, where the driver has no such format, size or pitch.
  mutating func setFormat(of layout: PictureLayout) throws(PrimeError) {
    let operation: PrimeError.Operation = "VIDIOC_S_FMT"
    let offered = try formats()
    guard
      let code = VideoFourcc.codes(of: layout.format.fourcc).first(where: {
        $0.memoryPlaneCount == 1 && offered.contains($0)
      })
    else {
      throw .untestable(
        operation, on: subject,
        reason: "its \(direction.rawValue) queue has no format with the bytes of \(layout.format.fourcc)")
    }
    try setFormat(code, width: layout.width, height: layout.height, pitch: layout.planes[0].pitch)
    guard format.fourcc == code, format.width == layout.width, format.height == layout.height else {
      throw .untestable(
        operation, on: subject,
        reason: "it was asked for \(layout.width)x\(layout.height) \(code) and made \(format) of it")
    }
    let own = try format.layout(on: subject)
    guard own.planes == layout.planes else {
      throw .untestable(
        operation, on: subject,
        reason:
          "its rows are \(own.planes.map(\.pitch)) bytes apart, its planes at \(own.planes.map(\.offset)), and those "
          + "of the buffer \(layout.planes.map(\.pitch)) at \(layout.planes.map(\.offset))")
    }
  }
}

// MARK: - Buffers

extension VideoQueue {
  /// Makes room for so many buffers, or for more where the driver needs them (`VIDIOC_REQBUFS`).
  ///
  /// - Returns: How many there are.
  /// - Throws: `VIDIOC_REQBUFS` with `EINVAL` where the queue takes no such memory, `EBUSY` where another file has it.
  @discardableResult
  public mutating func request(_ memory: VideoMemory, count: Int) throws(PrimeError) -> Int {
    guard let wanted = UInt32(exactly: count) else {
      throw PrimeError(
        operation: "VIDIOC_REQBUFS", finding: .tooLarge, subject: subject, reason: "\(count) buffers are too many")
    }
    let answer = file.kernel.videoRequestBuffers(
      file.rawDescriptor, type: type, memory: memory.rawValue, count: wanted)
    var reason: String?
    if case .failure(let errno) = answer { reason = VideoRefusal.ofRequest(errno, memory) }
    bufferCount = Int(try answer.orThrow("VIDIOC_REQBUFS", on: subject, reason: reason))
    self.memory = memory
    return bufferCount
  }

  /// Exports a buffer of the driver's memory as a dma-buf (`VIDIOC_EXPBUF`, `O_CLOEXEC | O_RDWR`).
  ///
  /// The caller owns it; it outlives the queue and the file.
  ///
  /// - Throws: `VIDIOC_EXPBUF` with `EINVAL` where there is no such buffer or plane, `ENOTTY` where the driver exports none.
  public borrowing func export(_ index: Int, plane: Int = 0) throws(PrimeError) -> DMABuf {
    guard let number = UInt32(exactly: index), let plane = UInt32(exactly: plane) else {
      throw PrimeError(
        operation: "VIDIOC_EXPBUF", finding: .unsuitable, subject: subject, reason: "there is no buffer \(index)")
    }
    let descriptor = try file.kernel.videoExportBuffer(file.rawDescriptor, type: type, index: number, plane: plane)
      .orThrow("VIDIOC_EXPBUF", on: subject)
    return try DMABuf(adopting: Descriptor(adopting: descriptor, kernel: file.kernel))
  }

  /// Gives the device a buffer of its own memory (`VIDIOC_QBUF`).
  ///
  /// - Throws: `VIDIOC_QBUF` with the errno; `EINVAL` where there is no such buffer, or it is queued already.
  public borrowing func enqueue(_ index: Int, deadline: Deadline) throws(PrimeError) {
    try enqueue(index, [], byteCounts: [], deadline: deadline)
  }

  /// Gives the device an imported dma-buf in the place of one of its buffers (`VIDIOC_QBUF`); the caller keeps it.
  ///
  /// The driver attaches and maps it now, and keeps it attached until the place takes another one or the queue goes.
  ///
  /// - Throws: `VIDIOC_QBUF` with `EFAULT` where the device needs one piece of memory and the buffer is scattered, `EINVAL`
  ///   where it is too small; `deadline` where the exporter's mapping is interrupted until the deadline.
  public borrowing func enqueue(
    _ index: Int, importing buffer: borrowing DMABuf, deadline: Deadline
  ) throws(PrimeError) {
    try enqueue(index, [buffer.rawDescriptor], byteCounts: [buffer.byteCount], deadline: deadline)
  }

  /// Gives the device a dma-buf for each memory plane.
  package borrowing func enqueue(
    _ index: Int, _ descriptors: [CInt], byteCounts: [Int], deadline: Deadline
  ) throws(PrimeError) {
    let operation: PrimeError.Operation = "VIDIOC_QBUF"
    var buffer = try empty(index, operation)
    for (plane, memory) in format.memoryPlanes.enumerated() {
      // What is to be read has to be said: 0 is taken for the whole buffer and warned of (vb2_warn_zero_bytesused).
      if direction == .output { buffer.planes[plane].bytesUsed = UInt32(clamping: memory.byteCount) }
      if descriptors.indices.contains(plane) {
        buffer.planes[plane].descriptor = descriptors[plane]
        buffer.planes[plane].length = UInt32(clamping: byteCounts[plane])
      }
    }
    do throws(PrimeError) {
      try deadline.restarting(operation, on: subject) { file.kernel.videoQueueBuffer(file.rawDescriptor, buffer) }
    } catch {
      guard let reason = error.errno.flatMap({ VideoRefusal.ofBuffer($0, format, byteCounts: byteCounts) }) else {
        throw error
      }
      throw error.explained(reason)
    }
  }

  /// Waits for the device to be done with a buffer and takes it back (`poll`, `VIDIOC_DQBUF`).
  ///
  /// - Throws: `poll for a picture` with `deadline` or `cancelled` when the deadline ends it, `EIO` where the queue does not
  ///   run; `VIDIOC_DQBUF` with its errno, `broken` where the driver says that the picture is damaged.
  public borrowing func dequeue(deadline: Deadline) throws(PrimeError) -> VideoBuffer {
    let operation: PrimeError.Operation = "VIDIOC_DQBUF"
    try file.kernel.awaitEvents(
      Int16(direction == .capture ? POLLIN : POLLOUT), of: file.rawDescriptor, "a picture", deadline: deadline,
      on: subject)
    let wanted = try empty(0, operation)
    let buffer = try deadline.restarting(operation, on: subject) {
      file.kernel.videoDequeueBuffer(file.rawDescriptor, wanted)
    }
    guard buffer.flags & Self.damaged == 0 else {
      throw PrimeError(
        operation: operation, finding: .broken, subject: subject,
        reason: "the driver says that the picture is damaged (V4L2_BUF_FLAG_ERROR)")
    }
    return VideoBuffer(
      index: Int(buffer.index), sequence: Int(buffer.sequence), bytesUsed: buffer.planes.map { Int($0.bytesUsed) })
  }

  /// `V4L2_BUF_FLAG_ERROR`.
  private static let damaged: UInt32 = 0x40

  private borrowing func empty(_ index: Int, _ operation: PrimeError.Operation) throws(PrimeError) -> KernelVideoBuffer
  {
    guard let memory, let number = UInt32(exactly: index) else {
      throw PrimeError(
        operation: operation, finding: .unsuitable, subject: subject, reason: "the queue has no buffers yet")
    }
    return KernelVideoBuffer(
      type: type, memory: memory.rawValue, index: number, field: format.field,
      planes: format.memoryPlanes.map { _ in KernelVideoBuffer.Plane() })
  }

  /// Has the device work through the queue (`VIDIOC_STREAMON`).
  ///
  /// - Throws: `VIDIOC_STREAMON` with the errno.
  public mutating func start() throws(PrimeError) {
    try file.kernel.videoStream(file.rawDescriptor, type: type, on: true).orThrow("VIDIOC_STREAMON", on: subject)
    isStreaming = true
  }

  /// Stops the device and takes every queued buffer back (`VIDIOC_STREAMOFF`); imported ones stay attached.
  ///
  /// Buffers that were queued to a device that does not run are taken back too.
  ///
  /// - Throws: `VIDIOC_STREAMOFF` with the errno.
  public mutating func stop() throws(PrimeError) {
    isStreaming = false
    try file.kernel.videoStream(file.rawDescriptor, type: type, on: false).orThrow("VIDIOC_STREAMOFF", on: subject)
  }
}
