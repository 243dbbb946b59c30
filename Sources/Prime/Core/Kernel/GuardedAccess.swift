internal import CFaults
internal import Glibc

extension MappedRange {
  /// Runs `body`, which reads or writes this memory, and survives where the kernel refuses one of its pages.
  ///
  /// A driver may grant a mapping and refuse its pages later (`VM_FAULT_SIGBUS`; TTM's fault handler does so for imported
  /// buffers, `ttm_bo_vm.c`). The first refused page turns the whole range into zeroes of this process's own, so that
  /// `body` comes to its end; what it gave is dropped then.
  ///
  /// - Throws: `read of the mapping` or `write of the mapping` with `fault`, else what `body` throws.
  package func guarded<Result>(
    writing: Bool, subject: @autoclosure () -> String, _ body: () throws -> Result
  ) throws -> Result {
    // Safe: only the address is taken here; the guard touches the range when a page of it faults.
    let begun = unsafe cfaults_begin(baseAddress, byteCount)
    let operation = PrimeError.Operation.step(writing ? .mappingWrite : .mappingRead)
    guard begun == 0 else {
      throw PrimeError(operation: operation, errno: Errno(rawValue: begun), subject: subject())
    }
    let result = Swift.Result { try body() }
    let fault = cfaults_end()
    guard fault.signal == 0 else {
      let name = fault.signal == SIGBUS ? "SIGBUS" : "SIGSEGV"
      throw PrimeError(
        operation: operation, finding: .fault, subject: subject(),
        reason: "the kernel granted the mapping and refused its page at byte \(fault.offset) (\(name)): the driver "
          + "does not let the CPU reach this buffer")
    }
    return try result.get()
  }
}
