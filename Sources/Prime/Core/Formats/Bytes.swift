// What the kernel writes has the machine's own byte order, and every machine Swift runs Linux on is little-endian; messages
// between processes are little-endian too.
extension [UInt8] {
  /// The little-endian number at a position; the caller has made sure that its bytes are there.
  package func number<Number: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    at position: Int, as type: Number.Type
  ) -> Number {
    precondition(position >= 0 && position + Number.bitWidth / 8 <= count, "a number lies within its bytes")
    // Safe: the bytes are there, and those of an integer of any value are one.
    return unsafe withUnsafeBytes {
      unsafe Number(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Number.self))
    }
  }

  /// Appends the bytes of a little-endian number.
  package mutating func append(number: some FixedWidthInteger) {
    for byte in 0..<number.bitWidth / 8 { append(UInt8(truncatingIfNeeded: number >> (8 * byte))) }
  }
}
