internal import Glibc
internal import Synchronization

/// The kernel's BPF iterator over every dma-buf (`kernel/bpf/dmabuf_iter.c`, Linux 6.16), which needs no file system but
/// `CAP_BPF` and `CAP_PERFMON`.
///
/// A program of our own is run for each of them. It tells what lies in `struct dma_buf` itself; what hangs on lists there, under
/// locks that the program does not have, it does not: attached devices and fences. While it looks, the kernel holds a
/// reference of its own, so that the count of references is not told either.
///
/// What it has loaded stays loaded as long as it lives: to have the kernel verify a program takes longer than to run it.
package final class DMABufIterator: Sendable {
  private let program: DMABufProgram
  private let kernel: any KernelCalls
  /// The link of every program that was loaded, which keeps it, by its part.
  private let links = Mutex<[Part: Link]>([:])

  private struct Part: Hashable {
    var number: Int32
    var count: Int32
  }

  /// Dictionaries hold no owners.
  private final class Link: Sendable {
    let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
  }

  /// Finds what the program reads in the kernel's BTF, and loads nothing yet.
  ///
  /// - Throws: `absent` where the kernel has no BTF or no such iterator.
  package convenience init(by kernel: any KernelCalls) throws(PrimeError) {
    self.init(kernel is LinuxKernel ? try Self.ofThisMachine.get() : try Self.program(by: kernel), kernel: kernel)
  }

  /// One with a program of this kernel's.
  package init(_ program: DMABufProgram, kernel: any KernelCalls) {
    (self.program, self.kernel) = (program, kernel)
  }

  /// What the kernel's BTF says does not change while it runs, and takes a moment to read.
  private static let ofThisMachine = Result { () throws(PrimeError) -> DMABufProgram in
    try program(by: LinuxKernel())
  }

  private static func program(by kernel: any FileCalls) throws(PrimeError) -> DMABufProgram {
    guard let bytes = kernel.bytes(of: BTF.path, limit: 1 << 28) else {
      throw PrimeError(
        operation: "open", finding: .absent, subject: BTF.path,
        reason: "this kernel does not show its types: it was built without CONFIG_DEBUG_INFO_BTF")
    }
    guard let types = BTF(bytes) else {
      throw PrimeError(
        operation: "read", finding: .broken, subject: BTF.path,
        reason: "the types are in a form that is not known")
    }
    return try DMABufProgram(types)
  }

  /// All of them, by their inodes.
  ///
  /// In Linux 6.16 the iterator is at its end where the file's buffer is full (`dmabuf_iter_seq_start`), as nothing says; later
  /// kernels go on. A list that may have been cut off there is read in two parts, in four, and so on.
  ///
  /// - Throws: The call that failed. `EPERM` without the rights, `EINVAL` or `EACCES` where the verifier refuses the program or the
  ///   kernel is locked down.
  package func listed() throws(PrimeError) -> [ListedDMABuf] {
    for parts in (0...Self.mostDoublings).map({ Int32(1) << $0 }) {
      var found: [ListedDMABuf] = []
      var isWhole = true
      for part in 0..<parts where isWhole {
        let (buffers, isCutOff) = try read(Part(number: part, count: parts))
        found += buffers
        isWhole = !isCutOff
      }
      if isWhole { return found.sorted { $0.inode < $1.inode } }
    }
    throw PrimeError(
      operation: "read", finding: .tooLarge, subject: Self.subject, reason: "there are more dma-bufs than it can list")
  }

  /// 256 parts: on pages of 4 KiB some 75,000 dma-bufs.
  private static let mostDoublings = 8
  private static let subject = "the BPF iterator over dma-bufs"
  /// What the kernel collects before it hands it over (`bpf_iter.c:bpf_seq_read`).
  package static let bufferByteCount = 8 * Int(getpagesize())
  private static let mostBytes = 64 << 20

  /// What one run lists, and whether its end may be that of the buffer.
  private func read(_ part: Part) throws(PrimeError) -> (buffers: [ListedDMABuf], isCutOff: Bool) {
    let link = try link(for: part)
    let iterator = Descriptor(
      adopting: try kernel.bpfOpenIterator(link.descriptor.rawValue).orThrow("bpf(BPF_ITER_CREATE)", on: Self.subject),
      kernel: kernel)
    var bytes: [UInt8] = []
    var last = 0
    while bytes.count < Self.mostBytes {
      let chunk = try Deadline(in: .seconds(10), on: kernel).restarting("read", on: Self.subject) {
        kernel.read(iterator.rawValue, limit: Self.bufferByteCount)
      }
      if chunk.isEmpty {
        return (try DMABufProgram.records(bytes), last + DMABufProgram.recordByteCount >= Self.bufferByteCount)
      }
      bytes += chunk
      last = chunk.count
    }
    return ([], true)
  }

  /// The link of a part's program, which is loaded where it was not yet.
  private func link(for part: Part) throws(PrimeError) -> Link {
    if let link = links.withLock({ $0[part] }) { return link }
    let loaded = kernel.bpfLoadIterator(
      program.instructions(part: part.number, of: part.count), function: program.function)
    let descriptor = Descriptor(
      adopting: try loaded.orThrow("bpf(BPF_PROG_LOAD)", on: Self.subject, reason: Self.reason(loaded, kernel)),
      kernel: kernel)
    let link = Link(
      Descriptor(
        adopting: try kernel.bpfLinkIterator(descriptor.rawValue).orThrow("bpf(BPF_LINK_CREATE)", on: Self.subject),
        kernel: kernel))
    links.withLock { $0[part] = link }
    return link
  }

  /// What a program that was not loaded may be refused for.
  private static func reason(_ answer: CallResult<CInt>, _ kernel: any FileCalls) -> String? {
    guard case .failure(let errno) = answer else { return nil }
    if errno == .notPermitted { return "it takes CAP_BPF and CAP_PERFMON, which a container does not have" }
    guard errno == .invalidArgument || errno == .permissionDenied else { return nil }
    // Helpers that read the kernel's memory are unknown to a kernel that is locked down so far.
    let isLocked = kernel.text(of: "/sys/kernel/security/lockdown")?.contains("[confidentiality]") == true
    return isLocked ? "the kernel is locked down (confidentiality)" : "the kernel's verifier refuses the program"
  }
}
