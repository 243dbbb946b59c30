/// The clock that deadlines are counted on, and the waits for it alone.
package protocol ClockCalls: Sendable {
  /// The time that this process had to work: neither what it was stopped for (SIGSTOP, Ctrl-Z), where somebody counts that
  /// (`cprocess_count_stops`), nor what the machine slept.
  var now: SuspendingClock.Instant { get }
  /// Sleeps where the kernel has nothing to poll, or less where a signal comes.
  func pause(milliseconds: UInt32)
}
