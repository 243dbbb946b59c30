import Testing

@testable import Prime

@Suite("The kernel's memory by physical address")
struct KernelMemoryTests {
  /// The head of an ELF file of 64 bits: a stretch with a physical address, one without, and a note.
  private static let header: [UInt8] = {
    var bytes = [UInt8](repeating: 0, count: 64 + 3 * 56)
    func put(_ value: UInt64, at offset: Int, _ count: Int) {
      for index in 0..<count { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }
    bytes.replaceSubrange(0..<6, with: [0x7f, 0x45, 0x4c, 0x46, 2, 1])
    put(64, at: 32, 8)
    put(56, at: 54, 2)
    put(3, at: 56, 2)
    for (index, segment) in [(1, 0x5000, 0x10_0000, 0x2000), (1, 0x9000, -1, 0x1000), (4, 0, 0, 0x100)].enumerated() {
      let start = 64 + index * 56
      put(UInt64(segment.0), at: start, 4)
      put(UInt64(segment.1), at: start + 8, 8)
      put(UInt64(bitPattern: Int64(segment.2)), at: start + 24, 8)
      put(UInt64(segment.3), at: start + 40, 8)
    }
    return bytes
  }()

  private static let stretch = KernelMemory.Segment(address: 0x10_0000, byteCount: 0x2000, offset: 0x5000)

  @Test func `is what has a physical address in the head of the file`() {
    #expect(KernelMemory.segments(in: Self.header) == [Self.stretch])
  }

  @Test func `is nothing where the head is cut or is no ELF of 64 bits`() {
    #expect(KernelMemory.segments(in: Array(Self.header.dropLast(60))) == nil)
    #expect(KernelMemory.segments(in: [0x7f, 0x45, 0x4c, 0x46, 1] + Self.header.dropFirst(5)) == nil)
    #expect(KernelMemory.segments(in: []) == nil)
  }

  @Test(
    "holds what lies within a stretch and nothing that leaves it",
    arguments: [
      (UInt64(0x10_0000), UInt64(0x2000), true), (0x10_1fff, 1, true), (0x10_1fff, 2, false), (0xf_ffff, 1, false),
      (.max, 2, false),
    ])
  func holds(address: UInt64, count: UInt64, isHeld: Bool) {
    #expect((KernelMemory.segment(holding: address, count, in: [Self.stretch]) != nil) == isHeld)
  }
}
