/// One failed operation: which call, on what, with which errno, and why where that is known.
public struct PrimeError: Error, Hashable, Sendable {
  /// The call or the step that failed.
  public let operation: PrimeError.Operation
  /// What the kernel, or libdrm in its name, answered.
  public let errno: Errno
  /// Which device or buffer it was about, for example `virtio_gpu (/dev/dri/card2)`.
  public let subject: String
  /// Why it failed and what to do about it, in a sentence, where known.
  public let reason: String?
  /// Whether it says nothing of a driver: this library cannot try it, and `errno` comes from no kernel; or the kernel was asked
  /// on a node that cannot have it.
  ///
  /// Such a step is untested. No driver refused it.
  public let isUntestable: Bool

  /// Makes an error; `reason` is a sentence a person can act on.
  public init(operation: PrimeError.Operation, errno: Errno, subject: String, reason: String? = nil) {
    self.init(operation: operation, errno: errno, subject: subject, reason: reason, isUntestable: false)
  }

  private init(operation: PrimeError.Operation, errno: Errno, subject: String, reason: String?, isUntestable: Bool) {
    self.operation = operation
    self.errno = errno
    self.subject = subject
    self.reason = reason
    self.isUntestable = isUntestable
  }

  /// What this library cannot try, with the reason; the kernel was not asked.
  package static func untestable(_ operation: PrimeError.Operation, on subject: String, reason: String) -> PrimeError {
    PrimeError(
      operation: operation, errno: .notSupported, subject: subject, reason: reason, isUntestable: true)
  }

  /// The same error, of a question that was asked where nobody could have had it.
  func untestable(_ reason: String) -> PrimeError {
    PrimeError(operation: operation, errno: errno, subject: subject, reason: reason, isUntestable: true)
  }

  /// The same error with a reason, for the layer that knows more than the one that failed.
  public func explained(_ reason: String) -> PrimeError {
    PrimeError(operation: operation, errno: errno, subject: subject, reason: reason, isUntestable: isUntestable)
  }
}

extension PrimeError: CustomStringConvertible {
  /// `operation on subject: ENODEV (No such device): reason`; `operation on subject: reason` where nobody was asked.
  public var description: String {
    if isUntestable { return "\(operation) on \(subject): \(reason ?? "this cannot be tried here")" }
    let head = "\(operation) on \(subject): \(errno)"
    guard let reason else { return head }
    return "\(head): \(reason)"
  }
}

/// What a call of the kernel seam gives: a value, or the errno it failed with.
package typealias CallResult<Success> = Result<Success, Errno>

extension Result where Failure == Errno {
  /// The value, or a `PrimeError` that names the call and what it was made on.
  package func orThrow(
    _ operation: PrimeError.Operation, on subject: @autoclosure () -> String, reason: @autoclosure () -> String? = nil
  ) throws(PrimeError) -> Success {
    switch self {
    case .success(let value): return value
    case .failure(let errno):
      throw PrimeError(
        operation: operation, errno: errno, subject: subject(), reason: reason() ?? PrimeError.commonReason(errno))
    }
  }
}

extension PrimeError {
  /// What can be said of an errno whatever the call was: the tables and permissions every call shares.
  package static func commonReason(_ errno: Errno) -> String? {
    switch errno {
    case .tooManyOpenFiles:
      "this process has no free file descriptor left: raise the limit with `ulimit -n`"
    case .tooManyOpenFilesInSystem:
      "the system has no free file descriptor left: raise fs.file-max"
    case .noMemory:
      "the kernel has no memory for it: \(Remedy.smallerBuffer)"
    default: nil
    }
  }
}
