internal import Glibc

extension KernelCalls {
  /// Polls one descriptor until it has one of `events`, in slices short enough for a request to stop to be seen.
  ///
  /// - Throws: `poll for WHAT` with `deadline` or `cancelled` when the deadline ends it, `broken` for a descriptor that is
  ///   not open and where it reports a failure of its own and never the events, and what `poll` failed with.
  package func awaitEvents(
    _ events: Int16, of descriptor: CInt, _ what: String, deadline: Deadline, on subject: @autoclosure () -> String
  ) throws(PrimeError) {
    while true {
      switch poll(descriptor, events: events, milliseconds: deadline.pollSlice) {
      case .success(0), .failure(.interrupted), .failure(.tryAgain):
        try deadline.check("poll for \(what)", on: subject())
      case .success(let found):
        if found & events != 0 { return }
        throw PrimeError(
          operation: "poll for \(what)", finding: .broken, subject: subject(),
          reason: found & Int16(POLLNVAL) != 0
            ? notOpen : "poll says that it failed (events 0x\(String(UInt16(bitPattern: found), radix: 16)))")
      case .failure(let errno):
        throw PrimeError(operation: "poll for \(what)", errno: errno, subject: subject())
      }
    }
  }

  /// Which of `events` a descriptor has at this moment.
  package func currentEvents(
    _ events: Int16, of descriptor: CInt, _ what: String, on subject: @autoclosure () -> String
  ) throws(PrimeError) -> Int16 {
    // Nothing sleeps here; the deadline is for a call that is interrupted for ever.
    let deadline = Deadline(in: .seconds(1), on: self)
    while true {
      switch poll(descriptor, events: events, milliseconds: 0) {
      case .success(let found):
        guard found & Int16(POLLNVAL) == 0 else {
          throw PrimeError(
            operation: "poll for \(what)", finding: .broken, subject: subject(),
            reason: notOpen)
        }
        return found & events
      case .failure(.interrupted), .failure(.tryAgain):
        try deadline.check("poll for \(what)", on: subject())
      case .failure(let errno): throw PrimeError(operation: "poll for \(what)", errno: errno, subject: subject())
      }
    }
  }
}

private let notOpen = "poll says that the descriptor is not open (POLLNVAL)"
