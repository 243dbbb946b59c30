/// The CPU's look at a whole picture, whether its planes lie in one dma-buf or in several.
extension SharedPicture {
  /// Runs `body` with the picture's bytes and where each plane lies in them, read inside of a read bracket.
  ///
  /// A picture in one dma-buf is read where it is. The buffers of another are copied one behind the other, each in a bracket of its
  /// own, and the layout that `body` gets says where the planes are in that copy.
  ///
  /// - Throws: As `DMABuf.read(as:deadline:_:)`.
  public borrowing func read<Result>(
    deadline: Deadline, _ body: (Span<UInt8>, PictureLayout) throws -> Result
  ) throws -> Result {
    guard bufferCount > 1 else { return try first.read(deadline: deadline) { bytes in try body(bytes, layout) } }
    let joined = try joinedLayout()
    let copy = try joinedBytes(deadline: deadline)
    return try body(copy.span, joined)
  }

  /// Runs `body` with the picture's bytes and where each plane lies in them, written inside of a write bracket.
  ///
  /// As `read(deadline:_:)`; what `body` made of a copy is written to every buffer when it has returned.
  ///
  /// - Throws: As `DMABuf.write(as:deadline:_:)`.
  public borrowing func write<Result>(
    deadline: Deadline, _ body: (inout MutableSpan<UInt8>, PictureLayout) throws -> Result
  ) throws -> Result {
    guard bufferCount > 1 else { return try first.write(deadline: deadline) { bytes in try body(&bytes, layout) } }
    let joined = try joinedLayout()
    var copy = try joinedBytes(deadline: deadline)
    var span = copy.mutableSpan
    let result = try body(&span, joined)
    var start = 0
    try forEachBuffer { (_, buffer) throws in
      try buffer.write(deadline: deadline) { bytes in bytes.take(copy, from: start) }
      start += buffer.byteCount
    }
    return result
  }

  fileprivate borrowing func joinedBytes(deadline: Deadline) throws -> [UInt8] {
    var copy = JoinedBytes(room: byteCount)
    try forEachBuffer { (_, buffer) throws in
      try buffer.read(deadline: deadline) { bytes in copy.append(bytes) }
    }
    return copy.bytes
  }

  /// Where the planes lie where the buffers follow each other.
  fileprivate borrowing func joinedLayout() throws(LayoutError) -> PictureLayout {
    var sizes: [Int] = []
    forEachBuffer { _, buffer in sizes.append(buffer.byteCount) }
    return try layout.joined(sizes)
  }
}

/// The look of the importing device's own node at a whole picture, as `SharedPicture` looks through the dma-bufs.
extension ImportedPicture {
  /// Runs `body` with the picture's bytes as the importer maps them, inside of a read bracket of `picture`.
  ///
  /// - Throws: As `GEMHandle.mapThroughDevice(byteCount:writable:)` and `DMABuf.read(as:deadline:_:)`.
  package borrowing func readThroughDevice<Result>(
    _ picture: borrowing SharedPicture, deadline: Deadline, _ body: (Span<UInt8>, PictureLayout) throws -> Result
  ) throws -> Result {
    guard picture.bufferCount > 1 else {
      let mapping = try first.mapThroughDevice(byteCount: picture.byteCount, writable: false)
      return try picture.first.bracket(writing: false, deadline: deadline) {
        try mapping.withSpan(of: UInt8.self) { bytes in try body(bytes, picture.layout) }
      }
    }
    let joined = try picture.joinedLayout()
    var copy = JoinedBytes(room: picture.byteCount)
    try picture.forEachBuffer { (index, buffer) throws in
      let mapping = try withHandle(index) { (handle) throws(PrimeError) in
        try handle.mapThroughDevice(byteCount: buffer.byteCount, writable: false)
      }
      try buffer.bracket(writing: false, deadline: deadline) {
        try mapping.withSpan(of: UInt8.self) { bytes in copy.append(bytes) }
      }
    }
    let bytes = copy.bytes
    return try body(bytes.span, joined)
  }

  /// Runs `body` with the picture's bytes as the importer maps them for writing, inside of a write bracket of `picture`.
  ///
  /// - Throws: As `readThroughDevice`.
  package borrowing func writeThroughDevice(
    _ picture: borrowing SharedPicture, deadline: Deadline,
    _ body: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void
  ) throws {
    guard picture.bufferCount > 1 else {
      var mapping = try first.mapThroughDevice(byteCount: picture.byteCount, writable: true)
      return try picture.first.bracket(writing: true, deadline: deadline) {
        try mapping.withMutableSpan(of: UInt8.self) { bytes in try body(&bytes, picture.layout) }
      }
    }
    let joined = try picture.joinedLayout()
    var copy = try picture.joinedBytes(deadline: deadline)
    var span = copy.mutableSpan
    try body(&span, joined)
    var start = 0
    try picture.forEachBuffer { (index, buffer) throws in
      var mapping = try withHandle(index) { (handle) throws(PrimeError) in
        try handle.mapThroughDevice(byteCount: buffer.byteCount, writable: true)
      }
      try buffer.bracket(writing: true, deadline: deadline) {
        try mapping.withMutableSpan(of: UInt8.self) { bytes in bytes.take(copy, from: start) }
      }
      start += buffer.byteCount
    }
  }
}

/// The bytes of several buffers, one behind the other.
private struct JoinedBytes {
  private(set) var bytes: [UInt8] = []

  init(room: Int) { bytes.reserveCapacity(room) }

  mutating func append(_ more: Span<UInt8>) {
    // Safe: the bytes are copied before the span ends.
    unsafe more.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
  }
}

extension MutableSpan<UInt8> {
  /// Takes as many bytes as it has room for.
  fileprivate mutating func take(_ joined: [UInt8], from start: Int) {
    let part = joined[start..<start + count]
    // Safe: both have as many bytes, and are not the same memory.
    unsafe withUnsafeMutableBytes { to in unsafe part.withUnsafeBytes { unsafe to.copyMemory(from: $0) } }
  }
}
