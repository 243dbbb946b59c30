extension Pattern {
  /// Writes the pattern to memory that begins where the layout's offsets begin.
  ///
  /// What pads a row to its pitch, and every byte outside of the planes, is left as it is. Unused bits are written too,
  /// so that they carry something.
  public func fill(_ bytes: inout MutableSpan<UInt8>, layout: PictureLayout) throws(PatternError) {
    guard bytes.count >= layout.byteCount else {
      throw .memoryTooSmall(needed: layout.byteCount, given: bytes.count)
    }
    let planes = planes(in: layout, ignoringUnusedBits: false)
    // SAFETY: the closure writes only below layout.byteCount, which the guard compared with the span's count, and the
    // pointer does not leave it.
    unsafe bytes.withUnsafeMutableBytes { memory in
      guard let start = memory.baseAddress else { return }
      for (plane, place) in zip(planes, layout.planes) {
        unsafe plane.fill(start + place.offset, pitch: place.pitch)
      }
    }
  }
}

extension PatternPlane {
  /// Writes all rows, the first one at `start`.
  fileprivate func fill(_ start: UnsafeMutableRawPointer, pitch: Int) {
    // A row is made in the first-level cache and then copied: the C library's copy has stores that need not read the
    // destination first, and it can use wider vectors than this module is compiled for.
    var row = [UInt64](repeating: 0, count: columns.count)
    let count = columns.count
    // SAFETY: both arrays hold `count` words, which cover rowBytes; the caller checked that each row lies in its memory.
    unsafe row.withUnsafeMutableBufferPointer { row in
      unsafe columns.withUnsafeBufferPointer { columns in
        guard let words = row.baseAddress, let sources = columns.baseAddress else { return }
        for y in 0..<rowCount {
          let key = key(ofRow: y)
          for word in 0..<count {
            unsafe words[word] = (sources[word] ^ key).littleEndian
          }
          unsafe (start + y * pitch).copyMemory(from: words, byteCount: rowBytes)
        }
      }
    }
  }
}
