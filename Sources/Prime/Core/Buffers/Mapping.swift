/// Mapped memory, unmapped when its owner goes.
///
/// It is looked at in closures, so that nothing outlives it.
@safe package struct Mapping: ~Copyable {
  private let range: MappedRange
  private let writable: Bool
  private let kernel: any KernelCalls
  /// A live mapping keeps the whole DRM file alive, so the device must outlive it to be closed in order.
  private let device: Device?
  private let subject: String

  package init(
    _ descriptor: CInt, byteCount: Int, writable: Bool, offset: UInt64, keepingOpen device: Device? = nil,
    kernel: any KernelCalls, subject: String
  ) throws(PrimeError) {
    self.range = try kernel.map(descriptor, byteCount: byteCount, writable: writable, offset: offset)
      .orThrow("mmap", on: subject)
    self.writable = writable
    self.kernel = kernel
    self.device = device
    self.subject = subject
  }

  deinit {
    kernel.unmap(range)
  }

  /// Reads the memory as whole elements; a rest too short for one is left out.
  ///
  /// - Throws: what `body` throws, else `read of the mapping` with `fault` where the kernel refused a page.
  package borrowing func withSpan<Element: BitwiseCopyable, Result>(
    of type: Element.Type, _ body: (Span<Element>) throws -> Result
  ) throws -> Result {
    // Safe: the range is readable for all of its length while this owner lives, it starts on a page boundary, every bit
    // pattern is an Element, and a span cannot leave the closure.
    let buffer = unsafe UnsafeRawBufferPointer(start: range.baseAddress, count: wholeElements(of: type))
    return try range.guarded(writing: false, subject: subject) { try unsafe body(Span(_unsafeBytes: buffer)) }
  }

  /// Reads and writes the memory as whole elements; a programming error where it was mapped without write access.
  ///
  /// - Throws: what `body` throws, else `write of the mapping` with `fault` where the kernel refused a page.
  package mutating func withMutableSpan<Element: BitwiseCopyable, Result>(
    of type: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Result
  ) throws -> Result {
    precondition(writable, "this mapping was made for reading only")
    // Safe: as for reading, and the range is writable.
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: range.baseAddress, count: wholeElements(of: type))
    var span = unsafe MutableSpan<Element>(_unsafeBytes: buffer)
    return try range.guarded(writing: true, subject: subject) { try body(&span) }
  }

  private borrowing func wholeElements<Element>(of type: Element.Type) -> Int {
    range.byteCount / MemoryLayout<Element>.stride * MemoryLayout<Element>.stride
  }
}
