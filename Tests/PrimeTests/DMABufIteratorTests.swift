import Testing

@testable import Prime

@Suite("The kernel's BPF iterator over dma-bufs")
struct DMABufIteratorTests {
  private static let offsets = DMABufProgram.Offsets(
    contextMeta: 0, contextDMABuf: 8, metaSeq: 16, size: 24, exporterName: 96, name: 104, file: 32, fileInode: 40,
    inodeNumber: 64)
  private let program = DMABufProgram(function: 4711, offsets: offsets)

  /// A record as the program writes it, with what was on the stack behind the texts.
  private static func record(_ inode: UInt64, size: UInt64, _ exporter: String, _ name: String = "") -> [UInt8] {
    func bytes(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    func text(_ text: String, _ room: Int) -> [UInt8] {
      Array(text.utf8) + [0] + Array(repeating: 0xaa, count: room - text.utf8.count - 1)
    }
    return bytes(inode) + bytes(size) + text(exporter, 64) + text(name, 32)
  }

  @Test(
    "Each instruction has the bytes that RFC 9669 gives it",
    arguments: [
      (.load(.r6, from: .r1, at: 8), 0x0000_0000_0008_1679),
      (.store(.r8, to: .frame, at: -112), 0x0000_0000_ff90_8a7b),
      (.move(.r1, .frame), 0x0000_0000_0000_a1bf),
      (.move(.r2, 64), 0x0000_0040_0000_02b7),
      (.add(.r1, -96), 0xffff_ffa0_0000_0107),
      (.modulo(.r8, 2), 0x0000_0002_0000_0897),
      (.skip(5, where: .r7, is: 0), 0x0000_0000_0005_0715),
      (.skip(3, where: .r8, isNot: 1), 0x0000_0001_0003_0855),
      (.call(.probeReadKernelString), 0x0000_0073_0000_0085),
      (.call(.seqWrite), 0x0000_007f_0000_0085),
      (.exit, 0x0000_0000_0000_0095),
    ] as [(BPFInstruction, UInt64)])
  func encoding(instruction: BPFInstruction, bytes: UInt64) {
    #expect(instruction.encoded == bytes)
  }

  @Test("The program is the one that was meant")
  func assembled() {
    #expect(
      program.instructions(part: 1, of: 4).map(\.encoded) == [
        0x0000_0000_0000_1679,  // r6 = context->meta
        0x0000_0000_0008_1779,  // r7 = context->dmabuf
        0x0000_0000_0018_0715,  // if r7 == 0 skip 24
        0x0000_0000_0010_6679,  // r6 = r6->seq
        0x0000_0000_0020_7879,  // r8 = r7->file
        0x0000_0000_0028_8879,  // r8 = r8->f_inode
        0x0000_0000_0040_8879,  // r8 = r8->i_ino
        0x0000_0000_ff90_8a7b,  // record[0] = r8
        0x0000_0004_0000_0897,  // r8 %= 4
        0x0000_0001_0011_0855,  // if r8 != 1 skip 17
        0x0000_0000_0018_7879,  // r8 = r7->size
        0x0000_0000_ff98_8a7b,  // record[8] = r8
        0x0000_0000_0060_7379,  // r3 = r7->exp_name
        0x0000_0000_0000_a1bf, 0xffff_ffa0_0000_0107,  // r1 = record + 16
        0x0000_0040_0000_02b7,  // r2 = 64
        0x0000_0073_0000_0085,  // bpf_probe_read_kernel_str(r1, r2, r3)
        0x0000_0000_0068_7379,  // r3 = r7->name
        0x0000_0000_0000_a1bf, 0xffff_ffe0_0000_0107,  // r1 = record + 80
        0x0000_0020_0000_02b7,  // r2 = 32
        0x0000_0073_0000_0085,  // bpf_probe_read_kernel_str(r1, r2, r3)
        0x0000_0000_0000_61bf,  // r1 = r6
        0x0000_0000_0000_a2bf, 0xffff_ff90_0000_0207,  // r2 = record
        0x0000_0070_0000_03b7,  // r3 = 112
        0x0000_007f_0000_0085,  // bpf_seq_write(r1, r2, r3)
        0x0000_0000_0000_00b7,  // r0 = 0
        0x0000_0000_0000_0095,  // return r0
      ])
  }

  @Test("Records say inode, size, exporter and name, and nothing of what the program cannot know")
  func records() throws {
    let longest = String(repeating: "e", count: 63)
    let bytes = Self.record(7, size: 3 << 32, "drm", "scan\tout") + Self.record(.max, size: .max, longest)
    #expect(
      try DMABufProgram.records(bytes) == [
        .init(inode: 7, byteCount: 3 << 32, exporter: "drm", name: "scan\tout"),
        .init(inode: .max, byteCount: .max, exporter: longest, name: nil),
      ])
    let list = try DMABufProgram.records(bytes)
    #expect(list.allSatisfy { $0.references == nil && $0.attachedDevices == nil && $0.fences == nil })
    let error = #expect(throws: PrimeError.self) { try DMABufProgram.records(Array(bytes.dropLast())) }
    #expect(error?.finding == .broken)
  }

  @Test("The list comes in any number of reads, by inodes, and everything is closed behind it")
  func listed() throws {
    let kernel = FakeKernel([])
    kernel.iterate { _ in [Self.record(9, size: 4096, "drm"), Self.record(7, size: 8192, "system")] }
    #expect(try DMABufIterator(program, kernel: kernel).listed().map(\.inode) == [7, 9])
    #expect(kernel.count(of: .bpfLoadIterator) == 1)
    kernel.expectNothingLeft()
  }

  @Test func `has its program verified and linked once, however often the list is read`() throws {
    let kernel = FakeKernel([])
    kernel.iterate { _ in [Self.record(7, size: 8192, "system")] }
    do {
      let iterator = DMABufIterator(program, kernel: kernel)
      for _ in 0..<3 { #expect(try iterator.listed().map(\.inode) == [7]) }
      #expect(kernel.count(of: .bpfLoadIterator) == 1)
      #expect(kernel.count(of: .bpfLinkIterator) == 1)
      #expect(kernel.count(of: .bpfOpenIterator) == 3)
    }
    kernel.expectNothingLeft()
  }

  @Test("A list that ends where the kernel's buffer does is read in parts")
  func inParts() throws {
    let kernel = FakeKernel([])
    let whole = (DMABufIterator.bufferByteCount - 1) / DMABufProgram.recordByteCount
    // As in Linux 6.16: what does not fit is not listed.
    let count = UInt64(whole * 3 / 2)
    let program = program
    kernel.iterate { instructions in
      let parts: [(Int32, Int32)] = [(0, 1), (0, 2), (1, 2)]
      guard let (part, of) = parts.first(where: { program.instructions(part: $0.0, of: $0.1) == instructions }) else {
        return []
      }
      let chosen = (1...count).filter { $0 % UInt64(of) == UInt64(part) }
      return [chosen.prefix(whole).flatMap { Self.record($0, size: 4096, "drm") }]
    }
    #expect(try DMABufIterator(program, kernel: kernel).listed().map(\.inode) == Array(1...count))
    #expect(kernel.count(of: .bpfLoadIterator) == 3)
    kernel.expectNothingLeft()
  }

  @Test("A list that never has an end is none")
  func endless() throws {
    let kernel = FakeKernel([])
    let whole = (DMABufIterator.bufferByteCount - 1) / DMABufProgram.recordByteCount
    kernel.iterate { _ in [Array(repeating: 0, count: whole * DMABufProgram.recordByteCount)] }
    let error = #expect(throws: PrimeError.self) { try DMABufIterator(program, kernel: kernel).listed() }
    #expect(error?.finding == .tooLarge)
    kernel.expectNothingLeft()
  }

  @Test(
    "What is refused is named, and leaves nothing open",
    arguments: KernelCall.aboutBPF.sorted { $0.rawValue < $1.rawValue },
    [Errno.notPermitted, .permissionDenied, .invalidArgument, .noMemory])
  func refused(call: KernelCall, errno: Errno) {
    let kernel = FakeKernel([])
    kernel.fail(call, with: errno)
    let error = #expect(throws: PrimeError.self) { try DMABufIterator(program, kernel: kernel).listed() }
    #expect(error?.errno == errno)
    #expect(error?.subject == "the BPF iterator over dma-bufs")
    if call == .bpfLoadIterator { #expect(error?.reason != nil) }
    kernel.expectNothingLeft()
  }
}
