public import Prime

extension Pattern {
  /// Writes the pattern to memory that begins where the layout's offsets begin.
  ///
  /// What pads a row to its pitch, and every byte outside of the planes, is left as it is. Unused bits are written too,
  /// so that they carry something.
  public func fill(_ bytes: inout MutableSpan<UInt8>, layout: PictureLayout) throws(PatternError) {
    try fill(&bytes, layout: layout, inverting: 0)
  }

  /// Writes the pattern with some bits of every eight bytes inverted.
  func fill(
    _ bytes: inout MutableSpan<UInt8>, layout: PictureLayout, inverting bits: UInt64
  ) throws(PatternError) {
    guard bytes.count >= layout.byteCount else {
      throw .memoryTooSmall(needed: layout.byteCount, given: bytes.count)
    }
    let planes = planes(in: layout, ignoringUnusedBits: false)
    let stores = StreamingStores(byteCount: layout.byteCount)
    // SAFETY: the closure writes only below layout.byteCount, which the guard compared with the span's count, and the
    // pointer does not leave it.
    unsafe bytes.withUnsafeMutableBytes { memory in
      guard let start = memory.baseAddress else { return }
      for (plane, place) in zip(planes, layout.planes) {
        unsafe plane.fill(start + place.offset, pitch: place.pitch, inverting: bits, stores)
      }
    }
    stores.finish()
  }
}

extension PatternPlane {
  /// Writes all rows, the first one at `start`.
  fileprivate func fill(
    _ start: UnsafeMutableRawPointer, pitch: Int, inverting bits: UInt64, _ stores: StreamingStores
  ) {
    // SAFETY: `columns` covers rowBytes; the caller checked that each row lies in its memory.
    unsafe columns.withUnsafeBufferPointer { columns in
      guard let words = columns.baseAddress else { return }
      for y in 0..<rowCount {
        unsafe stores.write(to: start + y * pitch, words, key: key(ofRow: y) ^ bits, byteCount: rowBytes)
      }
    }
  }
}
