import CDrm
import Glibc
internal import Prime

/// Writes rows of words, each combined with the row's key, in the way that suits the size of the picture.
struct StreamingStores {
  private enum Way {
    case plain
    case wide
    case streaming
  }

  private let way: Way

  /// Chooses how to store for a picture of this size in bytes.
  init(byteCount: Int) {
    if byteCount >= Self.streamingSize {
      way = .streaming
    } else {
      way = cdrm_wide_available() != 0 ? .wide : .plain
    }
  }

  /// From this size in bytes on, a picture does not stay in the last-level cache, and stores had better go past it.
  private static let streamingSize: Int = {
    let cache = sysconf(CInt(_SC_LEVEL3_CACHE_SIZE))
    // Where nobody says, 4 MiB is what small machines have. A virtual machine may be told the cache of its whole host,
    // of which one core reaches no more than 32 MiB on the machines measured.
    return min(max(4 << 20, cache / 4 * 3), 24 << 20)
  }()

  /// Writes `byteCount` bytes of `words`, each XORed with `key`, as little-endian words.
  func write(
    to destination: UnsafeMutableRawPointer, _ words: UnsafePointer<UInt64>, key: UInt64, byteCount: Int
  ) {
    switch way {
    case .streaming:
      // SAFETY: the callee writes byteCount bytes and reads as many; both sides hold them.
      unsafe cdrm_stream_row(destination, words, key, byteCount)
    case .wide:
      // SAFETY: as above, and the processor was asked for the instructions.
      unsafe cdrm_wide_row(destination, words, key, byteCount)
    case .plain:
      unsafe writePlainly(to: destination, words, key: key, byteCount: byteCount)
    }
  }

  private func writePlainly(
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

  /// Makes what was written visible to others before anything written later.
  func finish() {
    if way == .streaming { cdrm_stream_finish() }
  }
}
