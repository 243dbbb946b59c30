internal import Glibc
internal import Prime

/// The kernel's log as it grows: what it complains of (`/dev/kmsg`).
package final class KernelLog {
  private let records: KernelRecords
  private var parser = KernelComplaintParser()

  /// Follows a log that `descriptor` reads, which is closed with this value.
  init(reading descriptor: CInt) {
    records = KernelRecords(reading: descriptor)
  }

  /// Follows the log from now on; nil where it may not be read.
  package init?() {
    guard let records = KernelRecords() else { return nil }
    self.records = records
  }

  /// The complaints that became complete since the last look; one whose trace is still being printed is told next time.
  package func complaints() -> [KernelComplaint] {
    while let line = records.next() { parser.read(line) }
    return parser.take()
  }

  /// Every complaint since the last look; the end of one that is being printed is waited for, as long as `limit`.
  package func allComplaints(within limit: Duration = .milliseconds(500)) -> [KernelComplaint] {
    let complete = complaints()
    guard parser.isWithinComplaint else { return complete }
    let deadline = Deadline(in: limit)
    var later: [KernelComplaint] = []
    while parser.isWithinComplaint, deadline.remaining > .zero {
      deadline.pause(milliseconds: 5)
      later += complaints()
    }
    return complete + later + parser.take(all: true)
  }
}

/// The kernel's own records of `/dev/kmsg`, one after the other.
struct KernelRecords: ~Copyable {
  private let descriptor: CInt

  /// Reads from a descriptor, which is closed with this value.
  init(reading descriptor: CInt) { self.descriptor = descriptor }

  /// Reads what comes from now on; nil where the log may not be read.
  init?() {
    // Safe: the path is copied for the call.
    descriptor = unsafe Glibc.open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    _ = lseek(descriptor, 0, SEEK_END)
  }

  deinit { _ = Glibc.close(descriptor) }

  /// The text of the next record; nil where there is none yet.
  borrowing func next() -> String? {
    var bytes = [UInt8](repeating: 0, count: 8192)
    while true {
      // Safe: read fills at most the array it is given; each read is one record.
      let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
      // A record that was overwritten before it was read is skipped by the next read.
      if count < 0 && Glibc.errno == EPIPE { continue }
      guard count > 0 else { return nil }
      if let text = Self.text(of: String(decoding: bytes.prefix(count), as: UTF8.self)) { return text }
    }
  }

  /// The text of one record, `priority,sequence,time,flags;text` and lines of its own for the device; nil where a program wrote it.
  ///
  /// Programs may write to `/dev/kmsg`, and the kernel gives what they write a facility that is not its own (`devkmsg_write`).
  static func text(of record: String) -> String? {
    let parts = record.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let priority = Int(parts[0].prefix { $0.isNumber }), priority < 8 else { return nil }
    return String(parts[1].prefix { $0 != "\n" })
  }
}
