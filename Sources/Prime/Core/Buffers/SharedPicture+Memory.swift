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
    let copy = try copyOfBytes(deadline: deadline)
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
    var copy = try copyOfBytes(deadline: deadline)
    var span = copy.mutableSpan
    let result = try body(&span, joined)
    var start = 0
    try forEachBuffer { (_, buffer) throws in
      let part = copy[start..<start + buffer.byteCount]
      try buffer.write(deadline: deadline) { bytes in
        // Safe: both have byteCount bytes, and are not the same memory.
        unsafe bytes.withUnsafeMutableBytes { to in unsafe part.withUnsafeBytes { unsafe to.copyMemory(from: $0) } }
      }
      start += buffer.byteCount
    }
    return result
  }

  /// Where the planes lie where the buffers follow each other.
  package borrowing func joinedLayout() throws(LayoutError) -> PictureLayout {
    var starts: [Int] = []
    var end = 0
    forEachBuffer { _, buffer in
      starts.append(end)
      end += buffer.byteCount
    }
    return try PictureLayout(
      format: layout.format, size: layout.size,
      planes: layout.planes.map { PlaneLayout(offset: starts[$0.buffer] + $0.offset, pitch: $0.pitch) })
  }

  private borrowing func copyOfBytes(deadline: Deadline) throws -> [UInt8] {
    var copy: [UInt8] = []
    copy.reserveCapacity(byteCount)
    try forEachBuffer { (_, buffer) throws in
      try buffer.read(deadline: deadline) { bytes in
        // Safe: the bytes are copied before the span ends.
        unsafe bytes.withUnsafeBufferPointer { unsafe copy.append(contentsOf: $0) }
      }
    }
    return copy
  }
}
