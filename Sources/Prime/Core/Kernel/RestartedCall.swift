extension Deadline {
  /// Makes a call again that was interrupted (`EINTR`, `EAGAIN`), as the kernel wants it, until this moment has passed.
  ///
  /// The deadline is looked at after a try, never before one: what is owed is tried even when it has passed.
  ///
  /// - Throws: `operation` with the call's errno; with `deadline` or `cancelled` where the deadline ends it.
  package func restarting<Value>(
    _ operation: PrimeError.Operation, on subject: @autoclosure () -> String, _ call: () -> CallResult<Value>
  ) throws(PrimeError) -> Value {
    var tries = 0
    while true {
      let answer = call()
      guard case .failure(let errno) = answer, errno == .interrupted || errno == .tryAgain else {
        return try answer.orThrow(operation, on: subject())
      }
      tries += 1
      do throws(PrimeError) {
        try check(operation, on: subject())
      } catch {
        guard error.finding == .deadline else { throw error }
        throw error.explained("it was interrupted (\(errno.name)) each of the \(tries) times that it was made")
      }
      // A signal interrupts once; what always answers so is not worth a processor.
      if tries > 10 { pause(milliseconds: 1) }
    }
  }
}
