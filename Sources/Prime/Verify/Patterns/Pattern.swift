public import Prime

/// A picture's content that says, in every pixel, where it belongs and when it was written.
///
/// Equal seeds and indices give equal content in every release. Two patterns of one seed whose indices differ by less
/// than 256 differ in every byte, so that no pixel of the one can pass for the other's; patterns of different seeds
/// differ as random numbers do.
public struct Pattern: Sendable, Hashable, Codable {
  /// The number a run is repeated by.
  public let seed: UInt64

  /// Which of a run's patterns this is: 0 for A, 1 for B, 2 for C.
  public let index: Int

  /// Names a pattern; its content is computed where it is used.
  public init(seed: UInt64, index: Int) {
    self.seed = seed
    self.index = index
  }

  /// The letter of the pattern within its run, or its number from the 27th on.
  public var name: String {
    guard (0..<26).contains(index) else { return String(index) }
    return String(UnicodeScalar(UInt8(65 + index)))
  }

  /// The value of one element, as a little-endian number.
  ///
  /// This computes one element from nothing and is slow; `fill` and `compare` give the same values.
  public func value(plane: Int, x: Int, y: Int, layout: PictureLayout) -> UInt64 {
    let size = layout.format.planes[plane].bytesPerElement
    var value: UInt64 = 0
    for byte in 0..<size {
      let position = x * size + byte
      let word = columnWord(plane: plane, at: position / 8) ^ rowKey(plane: plane, y: y)
      value |= (word >> (8 * UInt64(position % 8)) & 0xff) << (8 * UInt64(byte))
    }
    return value
  }
}

// The content is a byte string for each row: word i of row y (8 bytes, little-endian) is columnWord(i) ^ rowKey(y). The
// column words are the same for all rows, so that filling and comparing cost one load and one XOR for each word; the
// row key is as wide as a word, so that rows of narrow elements differ as well as those of wide ones.
extension Pattern {
  /// The part of a word that depends on its position in the row.
  func columnWord(plane: Int, at word: Int) -> UInt64 {
    SplitMix.mixed(stream(plane: plane, Stream.columns) &+ (UInt64(word) &+ 1) &* SplitMix.golden)
  }

  /// The part of a word that depends on the row and on the pattern's index.
  func rowKey(plane: Int, y: Int) -> UInt64 {
    rowKey(base: stream(plane: plane, Stream.rows), generation: generationKey, y: y)
  }

  func rowKey(base: UInt64, generation: UInt64, y: Int) -> UInt64 {
    SplitMix.mixed(base &+ (UInt64(y) &+ 1) &* SplitMix.golden) ^ generation
  }

  func rowBase(plane: Int) -> UInt64 {
    stream(plane: plane, Stream.rows)
  }

  /// Eight bytes of which each differs between any two indices of a run.
  var generationKey: UInt64 {
    let index = UInt64(truncatingIfNeeded: index)
    let start = SplitMix.mixed(seed ^ Stream.start &+ (index >> 8) &* SplitMix.golden)
    let step = SplitMix.mixed(seed ^ Stream.step)
    var key: UInt64 = 0
    for byte: UInt64 in 0..<8 {
      // An odd step reaches each of the 256 values of a byte once before it returns.
      let odd = step >> (8 * byte) & 0xff | 1
      key |= ((start >> (8 * byte) &+ index &* odd) & 0xff) << (8 * byte)
    }
    return key
  }

  private func stream(plane: Int, _ purpose: UInt64) -> UInt64 {
    SplitMix.mixed(SplitMix.mixed(seed &+ SplitMix.golden) ^ purpose &+ UInt64(plane) &* SplitMix.golden)
  }

  private enum Stream {
    static let columns: UInt64 = 0x636f_6c75_6d6e_7321
    static let rows: UInt64 = 0x726f_7773_2121_2121
    static let start: UInt64 = 0x7374_6172_7421_2121
    static let step: UInt64 = 0x7374_6570_2121_2121
  }
}
