internal import CProbe
internal import Glibc
package import Prime
internal import Synchronization

/// An ioctl number: which way its argument goes, whose it is, which one, how many bytes it has (`asm-generic/ioctl.h`).
package struct IoctlRequest: Hashable, Sendable {
  package let name: String
  let direction: UInt64
  let type: UInt8
  let number: UInt64

  /// An ioctl that the kernel only reads the argument of.
  package static func write(_ type: Character, _ number: UInt64, _ name: String) -> IoctlRequest {
    IoctlRequest(name: name, direction: 1, type: type.asciiValue ?? 0, number: number)
  }

  /// An ioctl that the kernel reads and answers in the argument.
  package static func readWrite(_ type: Character, _ number: UInt64, _ name: String) -> IoctlRequest {
    IoctlRequest(name: name, direction: 3, type: type.asciiValue ?? 0, number: number)
  }

  /// A DRM ioctl that the kernel reads and answers in the argument, as most are.
  package static func drm(_ number: UInt64, _ name: String) -> IoctlRequest {
    readWrite("d", number, name)
  }

  /// An ioctl without an argument's size in its number (`_IO`).
  package static func plain(_ type: Character, _ number: UInt64, _ name: String) -> IoctlRequest {
    IoctlRequest(name: name, direction: 0, type: type.asciiValue ?? 0, number: number)
  }

  func encoded(byteCount: Int) -> UInt64 {
    direction << 30 | UInt64(direction == 0 ? 0 : byteCount) << 16 | UInt64(type) << 8 | number
  }
}

/// What an ioctl answered: the returned number and the argument as the kernel left it, in 32-bit words.
package struct IoctlAnswer: Hashable, Sendable {
  /// What the call returned, 0 or above.
  package var returned: Int
  /// The argument.
  package var words: [UInt32]

  /// The 64-bit number at a word.
  package func quad(_ word: Int) -> UInt64 {
    words.indices.contains(word + 1) ? UInt64(words[word]) | UInt64(words[word + 1]) << 32 : 0
  }

  /// The descriptor at a word.
  package func descriptor(_ word: Int) -> CInt {
    words.indices.contains(word) ? CInt(bitPattern: words[word]) : -1
  }
}

extension [UInt32] {
  /// A 64-bit number as two words, low one first.
  package static func quad(_ value: UInt64) -> [UInt32] {
    [UInt32(truncatingIfNeeded: value), UInt32(truncatingIfNeeded: value >> 32)]
  }
}

extension KernelProbe {
  /// Calls `ioctl(2)` on an argument in 32-bit words, as the kernel's headers lay it out; `value` reads the answer.
  ///
  /// `EINTR` and `EAGAIN` are tried again as `drmIoctl` does, unless the statement is about them.
  package func ioctl<Value: ProbeValue>(
    _ descriptor: CInt, _ request: IoctlRequest, _ words: [UInt32], restarting: Bool = true, _ arguments: String? = nil,
    _ value: (IoctlAnswer) -> Value
  ) -> CallResult<Value> {
    call(request.name, "\(descriptor)\(arguments.map { ", \($0)" } ?? "")") {
      var argument = words
      let byteCount = words.count * 4
      while true {
        // Safe: the kernel reads and writes as many bytes as the request number says, which the argument has.
        let result = unsafe argument.withUnsafeMutableBytes { bytes in
          Self.system(
            SYS_ioctl, Int64(descriptor), Int64(bitPattern: request.encoded(byteCount: byteCount)),
            Int64(Int(bitPattern: bytes.baseAddress)))
        }
        switch result {
        case .success(let returned): return .success(value(IoctlAnswer(returned: Int(returned), words: argument)))
        case .failure(.interrupted) where restarting, .failure(.tryAgain) where restarting: continue
        case .failure(let errno): return .failure(errno)
        }
      }
    }
  }

  /// `ioctl(2)` with an address as its argument, which may be nobody's.
  package func ioctl(
    _ descriptor: CInt, _ request: IoctlRequest, byteCount: Int, at address: UInt64
  ) -> CallResult<Int> {
    call(request.name, "\(descriptor), 0x\(hexadecimal(address, digits: 1))") {
      Self.system(
        SYS_ioctl, Int64(descriptor), Int64(bitPattern: request.encoded(byteCount: byteCount)),
        Int64(bitPattern: address)
      ).map(Int.init)
    }
  }

  /// Memory of this process that an ioctl's argument can point at, zeroed; freed by `cleanUp`.
  package func memory(byteCount: Int) -> UserMemory {
    let rounded = max(4096, (byteCount + 4095) & ~4095)
    let address = Self.system(
      SYS_mmap, 0, Int64(rounded), Int64(PROT_READ | PROT_WRITE), Int64(MAP_PRIVATE | MAP_ANONYMOUS), -1)
    guard case .success(let start) = address else { fatalError("no memory for a page") }
    state.withLock { $0.memory[UInt64(start)] = rounded }
    return UserMemory(address: UInt64(start), byteCount: byteCount)
  }

  /// The words in memory that an ioctl's argument can point at; freed by `cleanUp`.
  package func memory(_ words: [UInt32]) -> UserMemory {
    let memory = memory(byteCount: words.count * 4)
    for (index, word) in words.enumerated() { memory.set(word, at: index) }
    return memory
  }

  /// A text with its zero byte; freed by `cleanUp`.
  package func memory(_ text: String) -> UserMemory {
    let bytes = Array(text.utf8) + [0]
    let memory = memory(byteCount: bytes.count)
    for (index, byte) in bytes.enumerated() { cprobe_poke(memory.address + UInt64(index), byte) }
    return memory
  }
}

/// A piece of this process's memory, known by its address.
package struct UserMemory: Hashable, Sendable {
  /// Where it begins, for an ioctl's argument.
  package let address: UInt64
  /// How many bytes it has.
  package let byteCount: Int

  /// Writes a 32-bit word.
  package func set(_ word: UInt32, at index: Int) {
    precondition((index + 1) * 4 <= byteCount, "outside of the memory")
    for byte in 0..<4 {
      cprobe_poke(address + UInt64(index * 4 + byte), UInt8(truncatingIfNeeded: word >> UInt32(byte * 8)))
    }
  }

  /// Reads a 32-bit word.
  package func word(at index: Int) -> UInt32 {
    precondition((index + 1) * 4 <= byteCount, "outside of the memory")
    return (0..<4).reduce(0) { $0 | UInt32(cprobe_peek(address + UInt64(index * 4 + $1))) << UInt32($1 * 8) }
  }

  /// All of it.
  package var bytes: [UInt8] { (0..<byteCount).map { cprobe_peek(address + UInt64($0)) } }
}
