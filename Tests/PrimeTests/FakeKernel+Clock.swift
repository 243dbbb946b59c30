import Glibc
import Prime
import Synchronization

/// A clock that moves when something waits on it, and at no other time.
struct FakeClock {
  private(set) var now = SuspendingClock.now
  /// How long was waited in all.
  private(set) var waited = Duration.zero

  mutating func wait(_ time: Duration) {
    now = now.advanced(by: time)
    waited += time
  }
}

extension FakeKernel {
  var now: SuspendingClock.Instant { state.withLock { $0.clock.now } }

  func pause(milliseconds: UInt32) { wait(.milliseconds(milliseconds)) }

  /// Moves the clock, and lets threads go on that the wait may be for.
  func wait(_ time: Duration) {
    state.withLock { $0.clock.wait(time) }
    sched_yield()
  }

  /// How long was waited on this kernel's clock in all.
  var waited: Duration { state.withLock { $0.clock.waited } }

  /// A deadline on this kernel's clock: time enough for anything that does not hang.
  var deadline: Deadline { Deadline(in: .seconds(60), on: self) }
}
