/// One failed operation: which call or step, on what, what was answered or found, and why where that is known.
public struct PrimeError: Error, Hashable, Sendable {
  /// The call or the step that failed.
  public private(set) var operation: PrimeError.Operation
  /// What the failure rests on: the kernel's errno, or what this library found without one.
  public let cause: PrimeError.Cause
  /// Which device or buffer it was about, for example `virtio_gpu (/dev/dri/card2)`.
  public private(set) var subject: String
  /// Why it failed and what to do about it, in a sentence, where known.
  public private(set) var reason: String?
  /// Whether it says nothing of a driver: this library cannot try it, or the kernel was asked on a node that cannot have it.
  ///
  /// Such a step is untested. No driver refused it.
  public private(set) var isUntestable = false
  /// The fences that a wait whose deadline passed still waited for, where the kernel tells them; empty for every other error.
  public private(set) var pendingFences: [PrimeError.PendingFence] = []
  /// Whether a file of debugfs answered, which shows a device and is not the device.
  ///
  /// `EIO` and `ENODEV`, which elsewhere say that a device broke or went, say there that the file cannot be used at this moment, for
  /// one because a CRTC is off (`crtc_crc_open`): the device may answer everything else.
  package private(set) var isOfDebugfs = false

  /// What the kernel, or libdrm in its name, answered; nil where it answered nothing of the kind.
  public var errno: Errno? {
    if case .errno(let errno) = cause { errno } else { nil }
  }

  /// What this library found; nil where the kernel answered an errno.
  public var finding: Finding? {
    if case .finding(let finding) = cause { finding } else { nil }
  }

  /// A call that was answered with an errno; `reason` is a sentence a person can act on.
  public init(operation: PrimeError.Operation, errno: Errno, subject: String, reason: String? = nil) {
    self.init(operation, .errno(errno), subject, reason)
  }

  /// A failure that this library found and no errno stands for; `reason` is a sentence a person can act on.
  public init(operation: PrimeError.Operation, finding: Finding, subject: String, reason: String) {
    self.init(operation, .finding(finding), subject, reason)
  }

  private init(_ operation: PrimeError.Operation, _ cause: Cause, _ subject: String, _ reason: String?) {
    self.operation = operation
    self.cause = cause
    self.subject = subject
    self.reason = reason
  }

  /// A number as a call takes it, in 32 bits; `what` is the picture that it belongs to.
  ///
  /// - Throws: the call with `too-large` where it does not fit.
  static func word(
    _ number: Int, of what: @autoclosure () -> String, _ operation: PrimeError.Operation, on subject: String
  ) throws(PrimeError) -> UInt32 {
    if let word = UInt32(exactly: number) { return word }
    throw PrimeError(
      operation: operation, finding: .tooLarge, subject: subject,
      reason: "\(what()) does not fit the 32 bits of the call")
  }

  /// What this library cannot try, with the reason; the kernel was not asked.
  package static func untestable(_ operation: PrimeError.Operation, on subject: String, reason: String) -> PrimeError {
    PrimeError(operation: operation, finding: .unsupported, subject: subject, reason: reason).untestable(reason)
  }

  /// The same error, of a question that was asked on a node that cannot have it.
  func untestable(_ reason: String) -> PrimeError {
    var error = explained(reason)
    error.isUntestable = true
    return error
  }

  /// The same error of a wait, with the fences that it still waited for, and with their names in its reason.
  func naming(_ pending: [PendingFence]) -> PrimeError {
    guard let words = PendingFence.words(for: pending) else { return self }
    var error = explained("\(reason.map { "\($0); " } ?? "")still pending: \(words)")
    error.pendingFences = pending
    return error
  }

  /// The same error, of a file of debugfs.
  func ofDebugfs() -> PrimeError {
    var error = self
    error.isOfDebugfs = true
    return error
  }

  /// The same error with a reason, for the layer that knows more than the one that failed.
  public func explained(_ reason: String) -> PrimeError {
    var error = self
    error.reason = reason
    return error
  }

  /// The same cause as a failure of a larger step, for the layer that knows what it was about.
  package func during(_ operation: PrimeError.Operation, on subject: String, reason: String) -> PrimeError {
    var error = explained(reason)
    error.operation = operation
    error.subject = subject
    return error
  }

  /// Why it failed: the reason, else what the C library says of the errno.
  public var explanation: String { reason ?? errno?.meaning ?? "" }

  /// The errno's name where the kernel's answer is what this error tells, for reports; nil for every other error.
  package var reportedErrno: String? { isUntestable ? nil : errno?.name }
}

extension PrimeError: CustomStringConvertible {
  /// `operation on subject: ENODEV (No such device): reason`; `operation on subject: reason` where no errno is told.
  public var description: String {
    let head = "\(operation) on \(subject)"
    guard let errno, !isUntestable else { return "\(head): \(explanation)" }
    return "\(head): \(errno)" + (reason.map { ": \($0)" } ?? "")
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
