/// An open file descriptor that is closed when its owner goes.
///
/// Others' descriptors come in through `init(adopting:)`, and its own goes out in two ways: for the time of a call
/// (`withRawValue`), or for good (`relinquish`).
public struct Descriptor: ~Copyable, Sendable {
  /// The number, to hand to a call; it stays this value's to close.
  package let rawValue: CInt
  package let kernel: any KernelCalls
  /// Whether the number is still this value's to close.
  private var isOwned = true

  package init(adopting rawValue: CInt, kernel: any KernelCalls) {
    self.rawValue = rawValue
    self.kernel = kernel
  }

  /// Takes over an open descriptor of any file, and has `exec` close it (`fcntl(F_SETFD, FD_CLOEXEC)`).
  ///
  /// From then on this value closes it, and nobody else may. A process that another thread starts before this call returns
  /// inherits a descriptor that was made without `O_CLOEXEC`.
  ///
  /// - Throws: `fcntl(F_SETFD)` with `EBADF` for a number that is not open. The descriptor stays the caller's then.
  public init(adopting rawValue: CInt) throws(PrimeError) {
    try self.init(claiming: rawValue, kernel: LinuxKernel())
  }

  /// As `init(adopting:)`, of any kernel.
  package init(claiming rawValue: CInt, kernel: any KernelCalls) throws(PrimeError) {
    let answer = kernel.closeOnExec(rawValue)
    try answer.orThrow("fcntl(F_SETFD)", on: Self.subject(rawValue), reason: Self.reason(answer))
    self.init(adopting: rawValue, kernel: kernel)
  }

  deinit {
    if isOwned { kernel.close(rawValue) }
  }

  /// Runs `body` with the number, which is open until `body` returns and stays this value's to close.
  ///
  /// - Throws: What `body` throws.
  public borrowing func withRawValue<Result: ~Copyable, Failure: Error>(
    _ body: (CInt) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(rawValue)
  }

  /// Gives the descriptor away: the caller closes it.
  public consuming func relinquish() -> CInt {
    isOwned = false
    return rawValue
  }

  /// Another descriptor of the same open file, close-on-exec; the caller owns it (`fcntl(F_DUPFD_CLOEXEC)`).
  ///
  /// - Throws: `fcntl(F_DUPFD_CLOEXEC)` with `EMFILE` where the process has no descriptor left.
  public borrowing func duplicate() throws(PrimeError) -> Descriptor {
    try duplicate(subject: Self.subject(rawValue))
  }

  /// As `duplicate()`, where the error's subject is known.
  package borrowing func duplicate(subject: @autoclosure () -> String) throws(PrimeError) -> Descriptor {
    try Self.duplicating(rawValue, kernel: kernel, subject: subject())
  }

  /// A descriptor of the same open file as another's, which stays the other's to close.
  package static func duplicating(
    _ rawValue: CInt, kernel: any KernelCalls, subject: @autoclosure () -> String
  ) throws(PrimeError) -> Descriptor {
    Descriptor(
      adopting: try kernel.duplicate(rawValue).orThrow("fcntl(F_DUPFD_CLOEXEC)", on: subject()), kernel: kernel)
  }

  /// What a first call on somebody else's descriptor failed for, where that is certain.
  package static func reason<Value>(_ answer: CallResult<Value>) -> String? {
    guard case .failure(.badDescriptor) = answer else { return nil }
    return "this process has no open descriptor of that number"
  }

  /// How messages name a number of which nothing else is known.
  package static func subject(_ rawValue: CInt) -> String { "descriptor \(rawValue)" }
}
