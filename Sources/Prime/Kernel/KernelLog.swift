internal import Glibc

/// The kernel's log as it grows: what it says of warnings and worse (`/dev/kmsg`).
package final class KernelLog {
  private let descriptor: CInt
  /// Inside the trace of a warning that is known.
  private var isForgiving = false

  /// Warnings that are known and tell of nothing that anybody did wrong, by what their headline holds.
  ///
  /// vkms up to 6.12 warns where its composer comes late, on a busy machine, and composes that frame again (`WritebackJob`).
  private static let known = ["compose_active_planes"]

  /// Follows a log that `descriptor` reads, which is closed with this value.
  init(reading descriptor: CInt) {
    self.descriptor = descriptor
  }

  /// Follows the log from now on; nil where it may not be read.
  package init?() {
    // Safe: the path is copied for the call.
    descriptor = unsafe Glibc.open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    _ = lseek(descriptor, 0, SEEK_END)
  }

  deinit { _ = Glibc.close(descriptor) }

  /// The lines since the last look that tell of a bug: warnings with a trace, oopses, and what sanitizers say.
  ///
  /// A warning that is known takes its own trace with it.
  package func complaints() -> [String] { complaints(among: newLines()) }

  /// Those of some lines that follow the ones before.
  func complaints(among lines: [String]) -> [String] {
    let signs = [
      "WARNING:", "BUG:", "Oops", "general protection", "refcount_t:", "UBSAN:", "KASAN:", "Call Trace:", "RIP:",
      "blocked for more than", "rcu_preempt detected", "kernel BUG at",
    ]
    return lines.filter { line in
      if line.contains("WARNING:"), Self.known.contains(where: line.contains) { isForgiving = true }
      defer { if line.contains("---[ end trace") { isForgiving = false } }
      return !isForgiving && signs.contains { line.contains($0) }
    }
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
