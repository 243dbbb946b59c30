internal import Glibc

/// The kernel's BPF iterator over every dma-buf (`kernel/bpf/dmabuf_iter.c`, Linux 6.16), which needs no file system but
/// `CAP_BPF` and `CAP_PERFMON`.
///
/// A program of our own is run for each of them. It tells what lies in `struct dma_buf` itself; what hangs on lists there, under
/// locks that the program does not have, it does not: attached devices and fences. While it looks, the kernel holds a
/// reference of its own, so that the count of references is not told either.
package enum DMABufIterator {
  /// All of them, by their inodes.
  ///
  /// - Throws: The call that failed. `absent` where the kernel has no BTF or no such iterator, `EPERM` without the rights,
  ///   `EINVAL` or `EACCES` where the verifier refuses the program or the kernel is locked down.
  package static func listed(by kernel: any KernelCalls) throws(PrimeError) -> [ListedDMABuf] {
    try listed(kernel is LinuxKernel ? try ofThisMachine.get() : try program(by: kernel), kernel: kernel)
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

  /// Lists all of them with a program of this kernel's, by their inodes.
  ///
  /// In Linux 6.16 the iterator is at its end where the file's buffer is full (`dmabuf_iter_seq_start`), as nothing says; later
  /// kernels go on. A list that may have been cut off there is read in two parts, in four, and so on.
  package static func listed(
    _ program: DMABufProgram, kernel: any KernelCalls
  ) throws(PrimeError) -> [ListedDMABuf] {
    for parts in (0...mostDoublings).map({ Int32(1) << $0 }) {
      var found: [ListedDMABuf] = []
      var isWhole = true
      for part in 0..<parts where isWhole {
        let (buffers, isCutOff) = try read(program.instructions(part: part, of: parts), program.function, kernel)
        found += buffers
        isWhole = !isCutOff
      }
      if isWhole { return found.sorted { $0.inode < $1.inode } }
    }
    throw PrimeError(
      operation: "read", finding: .tooLarge, subject: subject, reason: "there are more dma-bufs than it can list")
  }

  /// 256 parts: on pages of 4 KiB some 75,000 dma-bufs.
  private static let mostDoublings = 8
  private static let subject = "the BPF iterator over dma-bufs"
  /// What the kernel collects before it hands it over (`bpf_iter.c:bpf_seq_read`).
  package static let bufferByteCount = 8 * Int(getpagesize())
  private static let mostBytes = 64 << 20

  /// What one run lists, and whether its end may be that of the buffer.
  private static func read(
    _ instructions: [BPFInstruction], _ function: UInt32, _ kernel: any KernelCalls
  ) throws(PrimeError) -> (buffers: [ListedDMABuf], isCutOff: Bool) {
    let loaded = kernel.bpfLoadIterator(instructions, function: function)
    let program = Descriptor(
      adopting: try loaded.orThrow("bpf(BPF_PROG_LOAD)", on: subject, reason: reason(loaded, kernel)), kernel: kernel)
    let link = Descriptor(
      adopting: try kernel.bpfLinkIterator(program.rawValue).orThrow("bpf(BPF_LINK_CREATE)", on: subject),
      kernel: kernel)
    let iterator = Descriptor(
      adopting: try kernel.bpfOpenIterator(link.rawValue).orThrow("bpf(BPF_ITER_CREATE)", on: subject), kernel: kernel)
    var bytes: [UInt8] = []
    var last = 0
    while bytes.count < mostBytes {
      let chunk = try Deadline(in: .seconds(10), on: kernel).restarting("read", on: subject) {
        kernel.read(iterator.rawValue, limit: bufferByteCount)
      }
      if chunk.isEmpty {
        return (try DMABufProgram.records(bytes), last + DMABufProgram.recordByteCount >= bufferByteCount)
      }
      bytes += chunk
      last = chunk.count
    }
    return ([], true)
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
