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

/// Why a pattern can be neither written to memory nor looked for in it.
public enum PatternError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The memory is smaller than the picture; sizes in bytes.
  case memoryTooSmall(needed: Int, given: Int)

  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .memoryTooSmall(let needed, let given):
      "the picture needs \(grouped(needed)) bytes, but the memory holds \(grouped(given))"
    }
  }
}

/// A number with its thousands set apart: "1,234,567".
func grouped(_ number: Int) -> String {
  var text = ""
  let digits = String(number.magnitude)
  for (position, digit) in digits.enumerated() {
    if position > 0, (digits.utf8.count - position) % 3 == 0 { text.append(",") }
    text.append(digit)
  }
  return number < 0 ? "-" + text : text
}
