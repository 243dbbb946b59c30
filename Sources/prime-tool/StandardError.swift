import Glibc

/// Standard error: progress, notes and errors.
///
/// Results never go there.
struct StandardError: TextOutputStream {
  mutating func write(_ text: String) {
    var rest = ArraySlice(text.utf8)
    while !rest.isEmpty {
      // Safe: write reads at most the bytes it is given.
      let count = unsafe rest.withUnsafeBytes { bytes in
        unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
      }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Prints one line.
  static func note(_ line: String) {
    var stream = StandardError()
    print(line, to: &stream)
  }

  /// Whether a person is watching.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}
