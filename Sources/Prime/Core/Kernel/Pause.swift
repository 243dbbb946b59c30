/// Waits for the clock alone, where the kernel has nothing to poll.
package enum Pause {
  /// Looks again and again until a condition holds; false where the deadline comes before.
  package static func until(_ deadline: Deadline, _ condition: () -> Bool) -> Bool {
    while !condition() {
      if deadline.remaining == .zero { return false }
      deadline.pause(milliseconds: 5)
    }
    return true
  }

  /// Sleeps until a signal ends the process, or the deadline passes.
  package static func forever(atMost deadline: Deadline) {
    while deadline.remaining > .zero { deadline.pause(milliseconds: 50) }
  }
}
