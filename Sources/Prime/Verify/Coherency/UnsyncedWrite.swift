internal import Prime

/// Looks at a dma-buf that are wrong on purpose: without a SYNC bracket.
///
/// They are here to see what the bracket does, and nowhere else.
extension DMABuf {
  /// Maps the buffer for writing and runs `body` outside of any bracket.
  ///
  /// - Throws: what `body` throws, else `mmap` with its errno.
  borrowing func writeWithoutSync<Result>(_ body: (inout MutableSpan<UInt8>) throws -> Result) throws -> Result {
    var mapping = try Mapping(
      rawDescriptor, byteCount: byteCount, writable: true, offset: 0, kernel: kernel, subject: subject)
    return try mapping.withMutableSpan(of: UInt8.self, body)
  }

  /// Maps the buffer for reading and runs `body` outside of any bracket.
  ///
  /// - Throws: what `body` throws, else `mmap` with its errno.
  borrowing func readWithoutSync<Result>(_ body: (Span<UInt8>) throws -> Result) throws -> Result {
    let mapping = try Mapping(
      rawDescriptor, byteCount: byteCount, writable: false, offset: 0, kernel: kernel, subject: subject)
    return try mapping.withSpan(of: UInt8.self, body)
  }
}
