internal import CDrm

/// A program of the caller's that the kernel runs for each of its own objects (`Documentation/bpf/bpf_iterators.rst`).
///
/// Each call needs `CAP_BPF` and `CAP_PERFMON` and gives a descriptor that is close-on-exec.
package protocol BPFCalls {
  /// `BPF_PROG_LOAD` as `BPF_TRACE_ITER`: has the kernel verify a program, licensed as this project is.
  ///
  /// `function` is what the iterator's target is called by, as its number in the kernel's BTF.
  func bpfLoadIterator(_ instructions: [BPFInstruction], function: UInt32) -> CallResult<CInt>
  /// `BPF_LINK_CREATE`: the iterator that a program is run by.
  func bpfLinkIterator(_ program: CInt) -> CallResult<CInt>
  /// `BPF_ITER_CREATE`: a file that, when it is read, runs the program from the first object to the last.
  func bpfOpenIterator(_ link: CInt) -> CallResult<CInt>
}

extension LinuxKernel {
  package func bpfLoadIterator(_ instructions: [BPFInstruction], function: UInt32) -> CallResult<CInt> {
    let encoded = instructions.map(\.encoded)
    // Safe: the kernel reads the count of instructions that it is told, and the licence to its zero, and keeps neither.
    // Helpers that read the kernel's memory are for programs whose licence this is, or a free one that the kernel knows.
    return unsafe Self.shimmed(
      cdrm_bpf_load_iterator(encoded, UInt32(encoded.count), function, "Dual MIT/GPL"))
  }

  package func bpfLinkIterator(_ program: CInt) -> CallResult<CInt> {
    Self.shimmed(cdrm_bpf_link_iterator(program))
  }

  package func bpfOpenIterator(_ link: CInt) -> CallResult<CInt> {
    Self.shimmed(cdrm_bpf_open_iterator(link))
  }
}
