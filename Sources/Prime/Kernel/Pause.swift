internal import Glibc

/// Waits for the clock alone, where the kernel has nothing to poll.
package enum Pause {
  /// Sleeps, or less where a signal comes.
  package static func milliseconds(_ count: UInt32) {
    _ = usleep(count * 1000)
  }
}
