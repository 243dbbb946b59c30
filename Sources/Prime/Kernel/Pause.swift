internal import Glibc

/// Waits for the clock alone, where the kernel has nothing to poll.
package enum Pause {
  /// Sleeps, or less where a signal comes.
  package static func milliseconds(_ count: UInt32) {
    _ = usleep(count * 1000)
  }
}

extension Pause {
  /// Sleeps until a signal ends the process, or the deadline passes.
  package static func forever(atMost deadline: Deadline) {
    while deadline.remaining > .zero { milliseconds(50) }
  }
}
