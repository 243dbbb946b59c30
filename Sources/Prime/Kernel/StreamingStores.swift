/// Writes rows of words, each combined with the row's key.
struct StreamingStores {
  /// Chooses how to store for a picture of this size in bytes.
  init(byteCount: Int) {}

  /// Writes `byteCount` bytes of `words`, each XORed with `key`, as little-endian words.
  func write(
    to destination: UnsafeMutableRawPointer, _ words: UnsafePointer<UInt64>, key: UInt64, byteCount: Int
  ) {
    for word in 0..<byteCount >> 3 {
      // SAFETY: word * 8 + 8 <= byteCount, which both sides hold.
      unsafe destination.storeBytes(
        of: (words[word] ^ key).littleEndian, toByteOffset: word &* 8, as: UInt64.self)
    }
    for position in byteCount & ~7..<byteCount {
      // SAFETY: position < byteCount, and `words` holds the word of each position.
      let word = unsafe words[position >> 3] ^ key
      let byte = UInt8(truncatingIfNeeded: word >> (UInt64(position & 7) &* 8))
      unsafe destination.storeBytes(of: byte, toByteOffset: position, as: UInt8.self)
    }
  }

  /// Makes what was written visible to others in the order it was written.
  func finish() {}
}
