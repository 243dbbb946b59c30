import Glibc
import Synchronization

@testable import Prime

/// A kernel with a BPF iterator over dma-bufs, which hands out prepared bytes.
struct FakeIterator: Sendable {
  /// The programs that were loaded, in order.
  var programs: [[BPFInstruction]] = []
  /// What each read of an iterator's file gives, by its program's instructions; nothing for the rest.
  var chunks: @Sendable ([BPFInstruction]) -> [[UInt8]] = { _ in [] }
}

extension FakeKernel {
  func bpfLoadIterator(_ instructions: [BPFInstruction], function: UInt32) -> CallResult<CInt> {
    call(.bpfLoadIterator) { state in
      state.iterator.programs.append(instructions)
      return try state.adopt(
        Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC), as: .iteratorProgram(state.iterator.programs.count - 1))
    }
  }

  func bpfLinkIterator(_ program: CInt) -> CallResult<CInt> {
    call(.bpfLinkIterator) { state in
      guard case .iteratorProgram(let number) = state.descriptors[program] else {
        throw state.wrongDescriptor(program, "bpf")
      }
      return try state.adopt(Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC), as: .iteratorLink(program: number))
    }
  }

  func bpfOpenIterator(_ link: CInt) -> CallResult<CInt> {
    call(.bpfOpenIterator) { state in
      guard case .iteratorLink(let number) = state.descriptors[link] else { throw state.wrongDescriptor(link, "bpf") }
      return try state.adopt(
        Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC),
        as: .iterator(program: number, reads: 0))
    }
  }

  /// Gives the bytes that its iterator hands out, one chunk a read.
  func iterate(_ chunks: @escaping @Sendable ([BPFInstruction]) -> [[UInt8]]) {
    state.withLock { $0.iterator.chunks = chunks }
  }
}

extension FakeKernel.State {
  mutating func readIterator(_ descriptor: CInt, program: Int, reads: Int) -> CallResult<[UInt8]> {
    do throws(Errno) {
      try enter(.readIterator)
    } catch {
      return .failure(error)
    }
    descriptors[descriptor] = .iterator(program: program, reads: reads + 1)
    let chunks = iterator.chunks(iterator.programs[program])
    return .success(reads < chunks.count ? chunks[reads] : [])
  }
}
