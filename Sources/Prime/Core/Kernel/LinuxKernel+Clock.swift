internal import CProcess
internal import Glibc

extension LinuxKernel {
  package var now: SuspendingClock.Instant {
    // A stop that ends from now on begins here at the earliest.
    cprocess_note_running()
    return SuspendingClock.now - .nanoseconds(cprocess_stopped_nanoseconds())
  }

  package func pause(milliseconds: UInt32) {
    _ = usleep(milliseconds * 1000)
  }
}
