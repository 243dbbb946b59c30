public import Prime

/// A report that tells what was declined or failed: the call or step, what was answered or found, and why.
public protocol FailureReporting {
  /// The call or the step that was declined or failed.
  var call: String? { get set }
  /// The name of the errno that the kernel answered; nil where it answered none.
  var errno: String? { get set }
  /// What was found where no errno was answered; nil elsewhere.
  var finding: PrimeError.Finding? { get set }
  /// Why, in a sentence.
  var reason: String? { get set }
}

extension FailureReporting {
  /// The errno's name, else the word for what was found; nil where there is neither.
  public var outcome: String? { errno ?? finding?.rawValue }

  /// Tells an error.
  ///
  /// - Parameter reason: What is said in place of the error's subject and explanation.
  mutating func note(_ error: PrimeError, reason: String? = nil) {
    call = error.operation.description
    errno = error.reportedErrno
    finding = error.isUntestable ? nil : error.finding
    self.reason = reason ?? "\(error.subject): \(error.explanation)"
  }

  /// Tells what another report tells.
  mutating func takeFailure(of other: some FailureReporting) {
    (call, errno, finding, reason) = (other.call, other.errno, other.finding, other.reason)
  }
}
