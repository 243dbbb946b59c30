/// A small generator whose numbers a seed repeats (splitmix64: Steele, Lea and Flood, 2014).
package struct SplitMix: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(state: UInt64) { self.state = state }

  package mutating func next() -> UInt64 {
    state &+= Self.golden
    return Self.mixed(state)
  }

  /// What it steps by: 2 to the 64th divided by the golden ratio, odd.
  @inlinable package static var golden: UInt64 { 0x9e37_79b9_7f4a_7c15 }

  /// Its output function: every input bit reaches every output bit, and no two inputs have one output.
  ///
  /// Inlined where it is used, as patterns do for each word of a row.
  @inlinable package static func mixed(_ input: UInt64) -> UInt64 {
    var value = input
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
