/// A camera that runs: it writes one picture after the other into buffers of its driver's memory, which others import.
///
/// Two buffers are for the caller, who says each time which one is to be written. Where the driver needs more of them, the
/// others are filled and given back unseen.
package final class VideoStream {
  /// How many buffers the caller has.
  package static let bufferCount = 2
  /// Size, format, and the pitches and offsets that the driver chose.
  package let description: BufferDescription
  private var exporter: VideoExporter
  private let settings: VideoSettings
  private let subject: String
  private var lastSequence: Int?
  private var isRunning = false

  /// Sets the format, in a size that the device has, and allocates the buffers; nothing is switched on.
  package init(
    _ device: VideoDevice, format: PixelFormat, width: Int, height: Int, kernel: any KernelCalls
  ) throws(PrimeError) {
    let file = try VideoFile.open(device.path, kernel: kernel)
    let settings = VideoSettings()
    let exporter = try VideoExporter(
      file, .capture, format: format, width: width, height: height, count: Self.bufferCount, settings: settings)
    guard exporter.bufferCount >= Self.bufferCount else {
      throw .untestable(
        "VIDIOC_REQBUFS", on: file.subject,
        reason: "it was asked for \(Self.bufferCount) buffers and gives \(exporter.bufferCount)")
    }
    description = exporter.description
    subject = file.subject
    self.settings = settings
    self.exporter = exporter
  }

  deinit { close() }

  /// Exports one of the caller's buffers.
  package func export(_ index: Int) throws(PrimeError) -> SharedPicture { try exporter.export(index) }

  /// Gives the camera one of the caller's buffers to write into.
  package func enqueue(_ index: Int, deadline: Deadline) throws(PrimeError) {
    try exporter.enqueue(index, deadline: deadline)
  }

  /// Waits for the camera to have written this buffer, which was the first of the caller's that it was given.
  ///
  /// - Throws: as `VideoQueue.dequeue`; `broken` where the driver gives back another one, or a picture from before.
  package func next(_ index: Int, deadline: Deadline) throws(PrimeError) -> VideoBuffer {
    if !isRunning {
      for other in Self.bufferCount..<max(Self.bufferCount, exporter.bufferCount) {
        try exporter.enqueue(other, deadline: deadline)
      }
      try exporter.start()
      isRunning = true
    }
    while true {
      let written = try exporter.dequeue(deadline: deadline)
      if let lastSequence, written.sequence <= lastSequence {
        throw broken("it numbers its pictures \(lastSequence) and then \(written.sequence)")
      }
      lastSequence = written.sequence
      guard written.index >= Self.bufferCount else {
        guard written.index == index else {
          throw broken("it gave back buffer \(written.index) where \(index) was the first that it was given")
        }
        return written
      }
      try exporter.enqueue(written.index, deadline: deadline)
    }
  }

  private func broken(_ reason: String) -> PrimeError {
    PrimeError(operation: "VIDIOC_DQBUF", finding: .broken, subject: subject, reason: reason)
  }

  /// Switches the camera off and puts its settings back.
  func close() {
    exporter.free()
    settings.restore()
  }
}
