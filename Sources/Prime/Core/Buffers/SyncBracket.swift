internal import Glibc

/// `DMA_BUF_IOCTL_SYNC`: every look of the CPU at a dma-buf happens between its START and its END.
///
/// START waits for the fences that stand in the way, writers' before reading and everybody's before writing, and lets the
/// exporter make its caches coherent where it does that; END gives the bytes to the devices (`linux/dma-buf.h`).
extension DMABuf {
  /// Maps the buffer for reading and runs `body` inside a read bracket.
  ///
  /// The span holds `byteCount / MemoryLayout<Element>.stride` elements from the buffer's first byte, and lives as long as
  /// the closure.
  ///
  /// - Throws: what `body` throws, else `mmap`, `poll` or `DMA_BUF_IOCTL_SYNC` with their errno, `deadline` where a fence
  ///   did not signal before the deadline.
  public borrowing func read<Element: BitwiseCopyable, Result>(
    as type: Element.Type, deadline: Deadline, _ body: (Span<Element>) throws -> Result
  ) throws -> Result {
    let mapping = try Mapping(
      rawDescriptor, byteCount: byteCount, writable: false, offset: 0, kernel: kernel, subject: subject)
    return try bracketed(SyncFlags.read, waitingFor: Int16(POLLIN), deadline: deadline) {
      try mapping.withSpan(of: type, body)
    }
  }

  /// Maps the buffer for reading and writing and runs `body` inside a write bracket.
  ///
  /// - Throws: as `read`, and `EACCES` without asking the kernel where the buffer was exported for reading only.
  public borrowing func write<Element: BitwiseCopyable, Result>(
    as type: Element.Type, deadline: Deadline, _ body: (inout MutableSpan<Element>) throws -> Result
  ) throws -> Result {
    guard access == .readWrite else {
      throw PrimeError(
        operation: "mmap", finding: .unsuitable, subject: subject,
        reason: "it was exported without DRM_RDWR, and the first export decides for the buffer's life: "
          + "export for writing first, or allocate another buffer")
    }
    var mapping = try Mapping(
      rawDescriptor, byteCount: byteCount, writable: true, offset: 0, kernel: kernel, subject: subject)
    return try bracketed(SyncFlags.write, waitingFor: Int16(POLLOUT), deadline: deadline) {
      try mapping.withMutableSpan(of: type, body)
    }
  }

  /// Reads bytes; see `read(as:deadline:_:)`.
  ///
  /// - Throws: As `read(as:deadline:_:)`.
  public borrowing func read<Result>(deadline: Deadline, _ body: (Span<UInt8>) throws -> Result) throws -> Result {
    try read(as: UInt8.self, deadline: deadline, body)
  }

  /// Writes bytes; see `write(as:deadline:_:)`.
  ///
  /// - Throws: As `write(as:deadline:_:)`.
  public borrowing func write<Result>(
    deadline: Deadline, _ body: (inout MutableSpan<UInt8>) throws -> Result
  ) throws -> Result {
    try write(as: UInt8.self, deadline: deadline, body)
  }

  /// Runs `body` in a bracket for a view of this buffer that somebody else mapped, for reading or for writing.
  package borrowing func bracket<Result>(
    writing: Bool, deadline: Deadline, _ body: () throws -> Result
  ) throws -> Result {
    try bracketed(
      writing ? SyncFlags.write : SyncFlags.read, waitingFor: Int16(writing ? POLLOUT : POLLIN), deadline: deadline,
      body)
  }

  private borrowing func bracketed<Result>(
    _ access: UInt64, waitingFor events: Int16, deadline: Deadline, _ body: () throws -> Result
  ) throws -> Result {
    // START itself would wait for a fence without end, so the wait is made where it can be bounded.
    try kernel.awaitEvents(events, of: rawDescriptor, "the fences", deadline: deadline, on: subject)
    try sync(access, name: "DMA_BUF_IOCTL_SYNC(START)", deadline: deadline)
    let result: Result
    do {
      result = try body()
    } catch {
      // The body's error is the one to tell. END is owed all the same.
      try? sync(access | SyncFlags.end, name: "DMA_BUF_IOCTL_SYNC(END)", deadline: deadline)
      throw error
    }
    try sync(access | SyncFlags.end, name: "DMA_BUF_IOCTL_SYNC(END)", deadline: deadline)
    return result
  }

  private borrowing func sync(_ flags: UInt64, name: PrimeError.Operation, deadline: Deadline) throws(PrimeError) {
    // Asked for by linux/dma-buf.h.
    try deadline.restarting(name, on: subject) { kernel.dmaBufSync(rawDescriptor, flags: flags) }
  }
}
