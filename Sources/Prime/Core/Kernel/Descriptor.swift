/// An open file descriptor that is closed when its owner goes.
public struct Descriptor: ~Copyable, Sendable {
  /// The number, to hand to a call; it stays this value's to close.
  package let rawValue: CInt
  package let kernel: any KernelCalls

  package init(adopting rawValue: CInt, kernel: any KernelCalls) {
    self.rawValue = rawValue
    self.kernel = kernel
  }

  deinit {
    kernel.close(rawValue)
  }

  /// Another descriptor of the same open file, closed on its own (`fcntl(F_DUPFD_CLOEXEC)`).
  package borrowing func duplicate(subject: @autoclosure () -> String) throws(PrimeError) -> Descriptor {
    Descriptor(
      adopting: try kernel.duplicate(rawValue).orThrow("fcntl(F_DUPFD_CLOEXEC)", on: subject()), kernel: kernel)
  }
}
