/// What a driver shows the CPU of a buffer object (`gbm_bo_map`), open as long as this value lives.
///
/// It may be the buffer's own memory or a copy that the driver made, and looks the same at first. It ends before the
/// buffer object does.
package struct GBMView: ~Copyable {
  private let view: GBMMappedView
  private let buffer: GBMBufferPointer
  private let device: GBMDevice

  fileprivate init(of buffer: borrowing GBMBuffer, width: Int, height: Int) throws(PrimeError) {
    device = buffer.device
    self.buffer = buffer.pointer
    view = try device.kernel.gbmMap(buffer.pointer, width: UInt32(width), height: UInt32(height))
      .orThrow("gbm_bo_map", on: device.subject)
  }

  deinit {
    device.kernel.gbmUnmap(buffer, view)
  }

  /// Reads what the driver shows, rows of `pitch` bytes.
  package borrowing func read<Result>(_ body: (_ bytes: Span<UInt8>, _ pitch: Int) throws -> Result) throws -> Result {
    // Safe: libgbm mapped this many bytes until gbmUnmap, and a span cannot leave the closure.
    let bytes = unsafe UnsafeRawBufferPointer(start: view.range.baseAddress, count: view.range.byteCount)
    return try view.range.guarded(writing: false, subject: device.subject) {
      try unsafe body(Span(_unsafeBytes: bytes), view.pitch)
    }
  }
}

extension GBMBuffer {
  /// Has the driver show the picture to the CPU for reading; it may copy or untile it for that.
  package borrowing func map(width: Int, height: Int) throws(PrimeError) -> GBMView {
    try GBMView(of: self, width: width, height: height)
  }
}
