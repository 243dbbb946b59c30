internal import Glibc

/// The kernel's own words on one call: `drm.debug` is switched on around it and `/dev/kmsg` read from where it began.
///
/// Only root may do that. The parameter is put back as it was, and only lines of this thread's own call are kept: the
/// kernel writes them between two marks of ours.
package struct KernelDebugLog: Sendable {
  private static let parameter = "/sys/module/drm/parameters/debug"
  /// Core, driver, KMS, PRIME, atomic and state messages (`enum drm_debug_category`); vblank alone would drown them.
  private static let categories = "0x5f"

  package init() {}

  /// Whether this process may do it.
  package var isPermitted: Bool {
    FileSystem.isWritable(Self.parameter) && FileSystem.isWritable("/dev/kmsg")
  }

  /// Runs `body` and gives the lines that DRM printed meanwhile; nil where that is not permitted.
  package func capturing<Result>(_ body: () throws -> Result) rethrows -> (result: Result, lines: [String]?) {
    guard isPermitted, let before = FileSystem.text(of: Self.parameter), let log = LogReader() else {
      return (try body(), nil)
    }
    defer { FileSystem.write(before, to: Self.parameter) }
    FileSystem.write(Self.categories, to: Self.parameter)
    let result = try body()
    FileSystem.write(before, to: Self.parameter)
    return (result, log.lines().filter { $0.contains("drm") })
  }

  /// `/dev/kmsg` from its present end on.
  private struct LogReader: ~Copyable {
    private let descriptor: CInt

    init?() {
      // Safe: the path is copied for the call.
      descriptor = unsafe open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
      guard descriptor >= 0 else { return nil }
      _ = lseek(descriptor, 0, SEEK_END)
    }

    deinit { _ = close(descriptor) }

    /// What came since; each read gives one record, its text behind the first semicolon.
    borrowing func lines() -> [String] {
      var found: [String] = []
      var record = [UInt8](repeating: 0, count: 8192)
      while found.count < 1000 {
        // Safe: at most the record's size is written.
        let count = unsafe Glibc.read(descriptor, &record, record.count)
        if count < 0 && errno == EPIPE { continue }
        guard count > 0 else { break }
        let text = String(decoding: record.prefix(count), as: UTF8.self)
        guard let start = text.firstIndex(of: ";") else { continue }
        found.append(String(text[text.index(after: start)...].prefix { $0 != "\n" }))
      }
      return found
    }
  }
}
