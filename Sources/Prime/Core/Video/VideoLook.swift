internal import Glibc

/// A copy of what a device read from a buffer.
public struct VideoPicture: Hashable, Sendable {
  /// The bytes of the buffer that the device wrote, in which the picture lies as `layout` says.
  public let bytes: [UInt8]
  /// Where the picture lies in `bytes`.
  public let layout: PictureLayout
}

/// Where a look's copy is written to.
public enum VideoTarget: Sendable {
  /// Memory of the capturing driver's own, exported to be looked at (`VIDIOC_EXPBUF`).
  case driver
  /// A dma-buf of this allocator, imported into the capturing device.
  case allocated(any Allocator)
}

/// A video device that reads an imported buffer and writes what it read into another one.
///
/// The device imports the buffer at the first look and keeps it attached, so that a later look shows whether the device
/// sees what was written since. What it changes on the device it puts back when it is closed or goes.
///
/// vivid and vim2m read through a mapping of the kernel (`dma_buf_vmap`): a look shows that the device was given the right
/// memory, and nothing of whether a device's caches are coherent.
public final class VideoLook {
  // Destroyed in this order: a queue that runs has its settings locked.
  private var reader: VideoQueue
  private var writer: VideoQueue
  private let settings: VideoSettings
  /// Nil where the device needs none.
  private let wire: VideoLoop.Wire?
  private let buffer: DMABuf
  private let target: DMABuf
  private let source: PictureLayout
  private let copy: PictureLayout
  private let importsTarget: Bool
  private var isClosed = false
  /// How many pictures were captured in vain, as the device had disconnected its ends by itself.
  public private(set) var lostPictures = 0

  /// Sets up the way of a picture from `buffer` through the device into a target of its own.
  ///
  /// - Parameters:
  ///   - route: Which device reads, and which node of it writes.
  ///   - picture: What is to be read, in one dma-buf; the look takes a descriptor of its own.
  ///   - window: What the device is told that it reads, in the same dma-buf; nil is the picture itself.
  ///   - target: Where the copy is written to.
  /// - Throws: untestable, with the call, where the device has no such format, size, pitch or wire; `open`, `VIDIOC_REQBUFS`
  ///   with `EBUSY` where another program has the device; `control` where the target is the buffer itself.
  public convenience init(
    _ route: VideoRoute, at picture: borrowing SharedPicture, as window: BufferDescription? = nil,
    into target: VideoTarget = .driver
  ) throws(PrimeError) {
    try self.init(route, at: picture, as: window, into: target, kernel: LinuxKernel())
  }

  package init(
    _ route: VideoRoute, at picture: borrowing SharedPicture, as window: BufferDescription? = nil,
    into target: VideoTarget = .driver, kernel: any KernelCalls
  ) throws(PrimeError) {
    let description = window ?? picture.description
    try picture.requireOneBuffer("VIDIOC_S_FMT", on: route.reader.subject)
    let settings = VideoSettings()
    let output = try VideoFile.open(route.reader.path, kernel: kernel)
    let capture: VideoFile
    switch route {
    case .memoryToMemory: capture = output
    case .loop: capture = try VideoFile.open(route.writer.path, kernel: kernel)
    }
    var reader = try VideoQueue(output, .output)
    var writer = try VideoQueue(capture, .capture)
    // Put back last: inputs and timings change the format.
    try settings.rememberFormat(of: output, type: reader.type)
    try settings.rememberFormat(of: capture, type: writer.type)
    var wire: VideoLoop.Wire?
    if case .loop = route {
      wire = try VideoLoop(output: output, capture: capture)
        .wire(width: description.width, height: description.height, settings)
    }
    try reader.setFormat(of: description.layout)
    let made = try Self.makeTarget(target, description, &writer)
    guard made.buffer.identity != picture.first.identity else {
      throw PrimeError(
        operation: .control, finding: .broken, subject: capture.subject,
        reason: "the device would write into the very buffer that it reads, so its copy could not be told from that")
    }
    try reader.request(.dmaBuf, count: 1)
    self.copy = made.layout
    self.target = made.buffer
    self.source = description.layout
    self.buffer = try picture.first.duplicate()
    self.reader = reader
    self.writer = writer
    self.settings = settings
    self.wire = wire
    if case .allocated = target { importsTarget = true } else { importsTarget = false }
  }

  deinit { close() }

  /// The device that reads: `vivid (/dev/video1)`.
  public var subject: String { reader.file.subject }

  /// The inode of the buffer that the copy is written to.
  public var targetInode: UInt64 { target.identity.inode }

  /// The buffer that the copy is written to.
  private struct Made: ~Copyable {
    let layout: PictureLayout
    let buffer: DMABuf
  }

  private static func makeTarget(
    _ target: VideoTarget, _ description: BufferDescription, _ writer: inout VideoQueue
  ) throws(PrimeError) -> Made {
    switch target {
    case .driver:
      try writer.setFormat(of: description.layout)
      try writer.request(.driver, count: 1)
      return Made(layout: try writer.format.layout(on: writer.subject), buffer: try writer.export(0))
    case .allocated(let allocator):
      var request = AllocationRequest(
        format: description.layout.format, width: description.width, height: description.height, modifiers: nil,
        usage: .linear)
      request.pitch = ImporterPitch(own: description.layout.planes[0].pitch, multiple: 1)
      let object = try allocator.allocate(request)
      try writer.setFormat(of: object.description.layout)
      try writer.request(.dmaBuf, count: 1)
      let picture = try object.export(.readWrite)
      try picture.requireOneBuffer("VIDIOC_S_FMT", on: writer.subject)
      return Made(layout: object.description.layout, buffer: picture.takeFirst())
    }
  }

  /// Has the device read the buffer as it is now and gives back what it read.
  ///
  /// The target is poisoned first: it holds the buffer's picture with the highest bit of each byte inverted, so that a byte
  /// that the device does not write is a wrong one.
  ///
  /// - Throws: `VIDIOC_QBUF` with `EFAULT` or `EINVAL` and the reason; `poll for a picture` with `deadline`; `control` where
  ///   the two buffers are one memory; what mapping either of them failed with.
  public func look(deadline: Deadline) throws -> VideoPicture {
    var mends = 0
    while true {
      try poison(deadline: deadline)
      try carry(deadline: deadline)
      // A wire that is there afterwards was there all the time: nobody else puts it back.
      guard let wire, !wire.holds else { break }
      guard mends < 5 else {
        throw PrimeError(
          operation: "VIDIOC_S_CTRL", finding: .broken, subject: subject,
          reason:
            "the device does not keep its output connected to its input, so that what it captures is no picture of the "
            + "buffer")
      }
      mends += 1
      // The driver's worker may not be done yet.
      deadline.pause(milliseconds: 20)
      try wire.mend()
    }
    lostPictures += mends
    return VideoPicture(bytes: try target.copyOfBytes(deadline: deadline), layout: copy)
  }

  /// Frees the queues and puts the device's settings back; further calls do nothing.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    reader.free()
    writer.free()
    settings.restore()
  }
}

extension VideoLook {
  private func poison(deadline: Deadline) throws {
    let before = try buffer.copyOfBytes(deadline: deadline)
    try target.write(deadline: deadline) { bytes in
      guard before.count >= source.byteCount, bytes.count >= copy.byteCount else {
        throw PrimeError(
          operation: .control, finding: .broken, subject: subject,
          reason: "a buffer is smaller than the picture that it is said to hold")
      }
      for (plane, (from, to)) in zip(source.planes, copy.planes).enumerated() {
        let rowBytes = source.rowBytes(ofPlane: plane)
        var row = [UInt64](repeating: 0, count: (rowBytes + 7) / 8)
        for y in 0..<source.rows(ofPlane: plane) {
          before.invert(
            from.offset + y * from.pitch, rowBytes, through: &row, into: &bytes, at: to.offset + y * to.pitch)
        }
      }
    }
    // Two dma-bufs may still be one memory.
    guard try buffer.copyOfBytes(deadline: deadline).isSame(as: before) else {
      throw PrimeError(
        operation: .control, finding: .broken, subject: subject,
        reason: "writing to the target changed the buffer that is to be read: they are one memory")
    }
  }

  /// Has the device read the buffer and write the target, once.
  private func carry(deadline: Deadline) throws(PrimeError) {
    do throws(PrimeError) {
      try reader.enqueueEverywhere(buffer, deadline: deadline)
      // The reader first: what a loop captures before that is no picture of the buffer.
      try reader.start()
      if importsTarget {
        try writer.enqueueEverywhere(target, deadline: deadline)
      } else {
        for index in 0..<writer.bufferCount { try writer.enqueue(index, deadline: deadline) }
      }
      try writer.start()
      let written = try writer.dequeue(deadline: deadline)
      guard written.index == 0 else {
        throw PrimeError(
          operation: "VIDIOC_DQBUF", finding: .broken, subject: writer.subject,
          reason: "the driver gave back buffer \(written.index) first, and 0 was the first that it was given")
      }
    } catch {
      // The first error is the one to tell.
      try? writer.stop()
      try? reader.stop()
      throw error
    }
    try writer.stop()
    try reader.stop()
  }
}

extension [UInt8] {
  /// Whether both hold the same bytes; `==` compares element by element, which takes a second for a picture in a debug build.
  fileprivate func isSame(as other: [UInt8]) -> Bool {
    // Safe: memcmp reads as many bytes as both have.
    unsafe count == other.count && memcmp(self, other, count) == 0
  }

  /// Writes bytes of this array with the highest bit of each inverted; `row` has room for them in whole words.
  fileprivate func invert(
    _ offset: Int, _ byteCount: Int, through row: inout [UInt64], into bytes: inout MutableSpan<UInt8>, at position: Int
  ) {
    precondition(offset + byteCount <= count && position + byteCount <= bytes.count && byteCount <= row.count * 8)
    // Safe: the precondition holds all three ranges.
    unsafe withUnsafeBytes { from in
      unsafe row.withUnsafeMutableBytes { row in
        unsafe row.copyMemory(from: UnsafeRawBufferPointer(rebasing: from[offset..<offset + byteCount]))
      }
    }
    for word in row.indices { row[word] ^= 0x8080_8080_8080_8080 }
    // Safe: as above.
    unsafe row.withUnsafeBytes { row in
      unsafe bytes.withUnsafeMutableBytes { to in
        unsafe UnsafeMutableRawBufferPointer(rebasing: to[position..<position + byteCount])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: row[..<byteCount]))
      }
    }
  }
}

extension DMABuf {
  /// All of its bytes, read in a bracket.
  fileprivate borrowing func copyOfBytes(deadline: Deadline) throws -> [UInt8] {
    try read(deadline: deadline) { bytes in
      // Safe: the bytes are copied before the span ends.
      unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
    }
  }
}
