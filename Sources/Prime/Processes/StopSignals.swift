internal import CProcess
internal import Glibc
internal import Prime

/// SIGINT, SIGTERM, SIGHUP and SIGQUIT as something to poll, for a process without threads.
package struct StopSignals: ~Copyable {
  /// Readable when a signal came; -1 where watching failed.
  package let descriptor: CInt

  /// Watches from now on; children are started with their default actions.
  package init() { descriptor = cprocess_watch_stop_signals() }

  deinit { _ = Glibc.close(descriptor) }

  /// The signal that came, nil where none did.
  package borrowing func received() -> CInt? {
    var bytes = [UInt8](repeating: 0, count: 128)
    // Safe: a signalfd answers one record of 128 bytes, and the first four are the number.
    guard unsafe Glibc.read(descriptor, &bytes, 128) == 128 else { return nil }
    return CInt(bytes[0])
  }
}
