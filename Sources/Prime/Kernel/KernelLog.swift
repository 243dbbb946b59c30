internal import Glibc

/// The kernel's log as it grows: what it says of warnings and worse (`/dev/kmsg`).
package final class KernelLog {
  private let descriptor: CInt

  /// Follows the log from now on; nil where it may not be read.
  package init?() {
    // Safe: the path is copied for the call.
    descriptor = unsafe Glibc.open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    _ = lseek(descriptor, 0, SEEK_END)
  }

  deinit { _ = Glibc.close(descriptor) }

  /// The lines since the last look that tell of a bug: warnings with a trace, oopses, and what sanitizers say.
  package func complaints() -> [String] {
    let signs = [
      "WARNING:", "BUG:", "Oops", "general protection", "refcount_t:", "UBSAN:", "KASAN:", "Call Trace:", "RIP:",
      "blocked for more than", "rcu_preempt detected", "kernel BUG at",
    ]
    return newLines().filter { line in signs.contains { line.contains($0) } }
  }

  private func newLines() -> [String] {
    var lines: [String] = []
    var bytes = [UInt8](repeating: 0, count: 8192)
    while true {
      // Safe: read fills at most the array it is given; each read is one record.
      let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
      // A record that was overwritten before it was read is skipped by the next read.
      if count < 0 && Glibc.errno == EPIPE { continue }
      guard count > 0 else { return lines }
      let record = String(decoding: bytes.prefix(count), as: UTF8.self)
      guard let text = record.split(separator: ";", maxSplits: 1).last else { continue }
      lines.append(String(text.split(separator: "\n").first ?? ""))
    }
  }
}
