internal import Prime

// The path of memory that is as expected: nothing here finds out more than whether a row differs.
extension PatternPlane {
  /// The first row from `start` on that is not as expected, or the number of rows.
  func firstDifferingRow(from start: Int, in bytes: Span<UInt8>, place: PlaneLayout) -> Int {
    // SAFETY: the callers checked that every row lies below the span's count; the pointer does not leave the closure.
    unsafe bytes.withUnsafeBytes { memory in
      unsafe columns.withUnsafeBufferPointer { columns in
        guard let memory = memory.baseAddress, let words = columns.baseAddress else { return rowCount }
        var y = start
        while y < rowCount {
          let row = unsafe memory + place.offset + y * place.pitch
          if y + 4 <= rowCount, unsafe !fourDiffer(row, pitch: place.pitch, words, y) {
            y += 4
            continue
          }
          for near in y..<min(y + 4, rowCount) {
            let row = unsafe memory + place.offset + near * place.pitch
            if unsafe differs(row, words, key: key(ofRow: near)) { return near }
          }
          y += 4
        }
        return rowCount
      }
    }
  }

  /// Whether any compared bit of four successive rows is not as expected.
  ///
  /// Four rows are read side by side because a processor fetches several streams ahead at once, but each only so fast.
  private func fourDiffer(_ row: UnsafeRawPointer, pitch: Int, _ words: UnsafePointer<UInt64>, _ y: Int) -> Bool {
    let keys = (key(ofRow: y), key(ofRow: y + 1), key(ofRow: y + 2), key(ofRow: y + 3))
    let whole = rowBytes >> 3
    var difference: UInt64 = 0
    // SAFETY: the four rows lie in the caller's memory, word * 8 + 8 <= rowBytes, and `words` covers rowBytes. Mapped
    // memory may start at any offset.
    unsafe withFourRows(row, pitch) { row0, row1, row2, row3 in
      for word in 0..<whole {
        let expected = unsafe words[word]
        let offset = word &* 8
        difference |= unsafe load(row0, offset) ^ expected ^ keys.0
        difference |= unsafe load(row1, offset) ^ expected ^ keys.1
        difference |= unsafe load(row2, offset) ^ expected ^ keys.2
        difference |= unsafe load(row3, offset) ^ expected ^ keys.3
      }
      difference |= unsafe rest(row0, words, key: keys.0) | rest(row1, words, key: keys.1)
      difference |= unsafe rest(row2, words, key: keys.2) | rest(row3, words, key: keys.3)
    }
    return difference & wordMask != 0
  }

  @inline(__always)
  private func withFourRows(
    _ row: UnsafeRawPointer, _ pitch: Int,
    _ body: (UnsafeRawPointer, UnsafeRawPointer, UnsafeRawPointer, UnsafeRawPointer) -> Void
  ) {
    // SAFETY: only addresses of rows that exist; `body` reads within a row.
    unsafe body(row, row + pitch, row + 2 * pitch, row + 3 * pitch)
  }

  /// Whether any compared bit of a row is not as expected.
  private func differs(_ row: UnsafeRawPointer, _ words: UnsafePointer<UInt64>, key: UInt64) -> Bool {
    var difference: UInt64 = 0
    // Nothing but loads, XOR and OR: the compiler makes vectors of it, and a row is short enough not to stop early.
    for word in 0..<rowBytes >> 3 {
      // SAFETY: word * 8 + 8 <= rowBytes, and `words` covers rowBytes.
      difference |= unsafe load(row, word &* 8) ^ words[word] ^ key
    }
    difference |= unsafe rest(row, words, key: key)
    return difference & wordMask != 0
  }

  /// The differing bits of the bytes behind the last whole word of a row.
  @inline(__always)
  private func rest(_ row: UnsafeRawPointer, _ words: UnsafePointer<UInt64>, key: UInt64) -> UInt64 {
    var difference: UInt64 = 0
    for position in rowBytes & ~7..<rowBytes {
      let shift = UInt64(position & 7) &* 8
      // SAFETY: position < rowBytes, and the word that holds it is one of `words`.
      let found = unsafe UInt64(row.load(fromByteOffset: position, as: UInt8.self))
      let expected = unsafe (words[position >> 3] ^ key) >> shift & 0xff
      difference |= (found ^ expected) << shift
    }
    return difference
  }

  @inline(__always)
  private func load(_ row: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    // SAFETY: the callers pass an offset whose eight bytes lie in the row.
    unsafe UInt64(littleEndian: row.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
