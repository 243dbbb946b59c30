/// One instruction of BPF on 64-bit numbers (RFC 9669), of the few kinds that a list needs.
///
/// The kernel clears registers 1 to 5 in a call of a helper, whose arguments they are, and gives its answer in register 0.
package struct BPFInstruction: Hashable, Sendable {
  /// One of the eleven registers.
  package enum Register: UInt8, Hashable, Sendable {
    case r0, r1, r2, r3, r4, r5, r6, r7, r8, r9
    /// The end of the program's stack of 512 bytes, which lies below it.
    case frame
  }

  /// Functions of the kernel's, by their numbers (`linux/bpf.h`).
  package enum Helper: Int32, Hashable, Sendable {
    /// `bpf_probe_read_kernel_str(to, byteCount, address)`: copies a text to its zero, or all but the last byte of it; leaves
    /// an empty one where nothing can be read.
    case probeReadKernelString = 115
    /// `bpf_seq_write(seq, from, byteCount)`: appends to what the iterator's reader is given.
    case seqWrite = 127
  }

  /// What it does, and with what.
  package let code: UInt8
  package let destination: Register
  package let source: Register
  /// In bytes for memory, in instructions behind the next one for jumps.
  package let offset: Int16
  package let immediate: Int32

  private init(
    _ code: UInt8, _ destination: Register = .r0, _ source: Register = .r0, offset: Int16 = 0, immediate: Int32 = 0
  ) {
    (self.code, self.destination, self.source) = (code, destination, source)
    (self.offset, self.immediate) = (offset, immediate)
  }

  /// The eight bytes of `struct bpf_insn` as a number of a little-endian machine: code, registers, offset, immediate.
  package var encoded: UInt64 {
    UInt64(code) | UInt64(destination.rawValue | source.rawValue << 4) << 8
      | UInt64(UInt16(bitPattern: offset)) << 16 | UInt64(UInt32(bitPattern: immediate)) << 32
  }

  /// `destination = *(u64 *)(address + offset)`.
  package static func load(_ destination: Register, from address: Register, at offset: Int16) -> Self {
    Self(0x79, destination, address, offset: offset)
  }

  /// `*(u64 *)(address + offset) = source`.
  package static func store(_ source: Register, to address: Register, at offset: Int16) -> Self {
    Self(0x7b, address, source, offset: offset)
  }

  /// `destination = source`.
  package static func move(_ destination: Register, _ source: Register) -> Self { Self(0xbf, destination, source) }

  /// `destination = number`.
  package static func move(_ destination: Register, _ number: Int32) -> Self {
    Self(0xb7, destination, immediate: number)
  }

  /// `destination += number`.
  package static func add(_ destination: Register, _ number: Int32) -> Self {
    Self(0x07, destination, immediate: number)
  }

  /// `destination %= number`, without a sign.
  package static func modulo(_ destination: Register, _ number: Int32) -> Self {
    Self(0x97, destination, immediate: number)
  }

  /// Leaves that many instructions out where the register has the number.
  package static func skip(_ count: Int16, where register: Register, is number: Int32) -> Self {
    Self(0x15, register, offset: count, immediate: number)
  }

  /// Leaves that many instructions out where the register has another number.
  package static func skip(_ count: Int16, where register: Register, isNot number: Int32) -> Self {
    Self(0x55, register, offset: count, immediate: number)
  }

  /// Calls a function of the kernel's.
  package static func call(_ helper: Helper) -> Self { Self(0x85, immediate: helper.rawValue) }

  /// Ends the program with what register 0 holds.
  package static let exit = Self(0x95)
}
