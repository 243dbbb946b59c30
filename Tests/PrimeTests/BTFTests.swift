import Testing

@testable import Prime

/// A kernel's types, written out: as many as a dma-buf's iterator has, and one of each form that is looked through.
struct TypesOfAKernel {
  static let names = [
    "", "unsigned long", "size_t", "inode", "i_ino", "file", "f_inode", "rcu", "char", "dma_buf", "size", "exp_name",
    "name", "seq_file", "seq", "bpf_iter_meta", "session_id", "meta", "dmabuf", "bpf_iter__dmabuf", "ctx",
    "bpf_iter_dmabuf", "flag",
  ]

  /// The place of a name in the text behind the types.
  static func name(_ name: String) -> UInt32 {
    UInt32(names.prefix { $0 != name }.reduce(0) { $0 + $1.utf8.count + 1 })
  }

  /// Each type: name, kind and count, size or type, and what its kind has behind that.
  static let types: [[UInt32]] = [
    /* 1 */ [name("unsigned long"), 0x0100_0000, 8, 64],
    /* 2 */ [name("size_t"), 0x0800_0000, 1],
    /* 3 */ [name("inode"), 0x0400_0001, 128, name("i_ino"), 1, 512],
    /* 4 */ [0, 0x0200_0000, 3],
    // With the flag, where the highest byte of an offset is the size of a bit field.
    /* 5 */ [name("file"), 0x8400_0002, 64, name("flag"), 1, 0x0300_0100, name("f_inode"), 4, 256],
    /* 6 */ [name("rcu"), 0x1200_0000, 5],
    /* 7 */ [0, 0x0200_0000, 6],
    /* 8 */ [name("char"), 0x0100_0000, 1, 0x0100_0008],
    /* 9 */ [0, 0x0a00_0000, 8],
    /* 10 */ [0, 0x0200_0000, 9],
    /* 11 */
    [
      name("dma_buf"), 0x0400_0004, 256, name("size"), 2, 0, name("file"), 7, 64, name("exp_name"), 10, 768,
      name("name"), 10, 832,
    ],
    /* 12 */ [0, 0x0200_0000, 11],
    /* 13 */ [name("seq_file"), 0x0700_0000, 0],
    /* 14 */ [0, 0x0200_0000, 13],
    /* 15 */ [0, 0x0500_0001, 8, name("seq"), 14, 0],
    /* 16 */ [name("bpf_iter_meta"), 0x0400_0002, 16, name("session_id"), 1, 64, 0, 15, 0],
    /* 17 */ [0, 0x0200_0000, 16],
    /* 18 */ [0, 0x0500_0001, 8, name("meta"), 17, 0],
    /* 19 */ [0, 0x0500_0001, 8, name("dmabuf"), 12, 0],
    /* 20 */ [name("bpf_iter__dmabuf"), 0x0400_0002, 16, 0, 18, 0, 0, 19, 64],
    /* 21 */ [0, 0x0d00_0002, 1, name("meta"), 17, name("dmabuf"), 12],
    /* 22 */ [name("bpf_iter_dmabuf"), 0x0c00_0001, 21],
  ]

  /// What `/sys/kernel/btf/vmlinux` would hold.
  static func bytes(_ types: [[UInt32]] = types) -> [UInt8] {
    let words: [UInt32] = types.flatMap { $0 }
    let text: [UInt8] = names.flatMap { Array($0.utf8) + [0] }
    let count = UInt32(words.count * 4)
    let header: [UInt32] = [0x0001_eb9f, 24, 0, count, count, UInt32(text.count)]
    return (header + words).flatMap(littleEndian) + text
  }

  private static func littleEndian(_ word: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
  }
}

@Suite("The kernel's types")
struct BTFTests {
  private func program(_ bytes: [UInt8]) throws(PrimeError) -> DMABufProgram? {
    guard let types = BTF(bytes) else { return nil }
    return try DMABufProgram(types)
  }

  @Test("Names, members and pointers lead to where the program has to look")
  func offsets() throws {
    #expect(
      try program(TypesOfAKernel.bytes())
        == DMABufProgram(
          function: 22,
          offsets: .init(
            contextMeta: 0, contextDMABuf: 8, metaSeq: 0, size: 0, exporterName: 96, name: 104, file: 8, fileInode: 32,
            inodeNumber: 64)))
  }

  @Test("A member is found in unnamed unions, and a bit field is none")
  func members() throws {
    let types = try #require(BTF(TypesOfAKernel.bytes()))
    #expect(types.type(.structure, named: "bpf_iter__dmabuf") == 20)
    #expect(types.type(.function, named: "bpf_iter__dmabuf") == nil)
    #expect(types.member("dmabuf", of: 20) == .init(offset: 8, type: 12))
    #expect(types.member("flag", of: 5) == nil)
    #expect(types.member("f_inode", of: 6) == .init(offset: 32, type: 4))
    #expect(types.pointee(of: 7) == 6)
    #expect(types.pointee(of: 11) == nil)
    #expect(types.integerByteCount(of: 2) == 8)
    #expect(types.integerByteCount(of: 12) == nil)
    for type: UInt32 in [0, 23, .max] { #expect(types.member("size", of: type) == nil) }
  }

  @Test("A kernel without the iterator, and one whose dma-bufs are others, are told apart")
  func missing() throws {
    var types = TypesOfAKernel.types
    types[21][0] = TypesOfAKernel.name("char")
    let older = #expect(throws: PrimeError.self) { try program(TypesOfAKernel.bytes(types)) }
    #expect(older?.finding == .absent)
    types = TypesOfAKernel.types
    // An inode of 32 bits.
    types[0][2] = 4
    let other = #expect(throws: PrimeError.self) { try program(TypesOfAKernel.bytes(types)) }
    #expect(other?.finding == .broken)
  }

  @Test("What is cut off anywhere is no kernel's types")
  func cutOff() throws {
    let bytes = TypesOfAKernel.bytes()
    for count in 0..<bytes.count { #expect(BTF(Array(bytes.prefix(count))) == nil, "\(count) bytes") }
  }

  @Test(
    "What is wrong anywhere is refused or read as something else, within its bounds", arguments: [0, 1, 0x7f, 0xff])
  func damaged(value: UInt8) {
    let bytes = TypesOfAKernel.bytes()
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] = value
      _ = try? program(damaged)
      // Numbers of types, sizes and offsets go wrong by their highest byte, and by all four.
      for other in index..<min(index + 4, bytes.count) { damaged[other] = value }
      _ = try? program(damaged)
    }
  }

  @Test("A type that is made of itself has an end")
  func endless() throws {
    var types = TypesOfAKernel.types
    // A name for itself, and a union within itself.
    types[1][2] = 2
    types[14] = [0, 0x0500_0002, 8, 0, 15, 0, 0, 15, 0]
    let parsed = try #require(BTF(TypesOfAKernel.bytes(types)))
    #expect(parsed.integerByteCount(of: 2) == nil)
    #expect(parsed.member("seq", of: 16) == nil)
  }
}
