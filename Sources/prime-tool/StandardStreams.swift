import Glibc

/// Writes text to a descriptor at once, for readers who follow it line by line.
struct UnbufferedOutput: TextOutputStream {
  let descriptor: CInt

  mutating func write(_ text: String) {
    var rest = ArraySlice(text.utf8)
    while !rest.isEmpty {
      // Safe: write reads at most the bytes it is given.
      let count = unsafe rest.withUnsafeBytes { bytes in
        unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}

/// Standard error: progress, notes and errors, and never a result.
enum StandardError {
  /// Prints text as it is.
  static func write(_ text: String) {
    var stream = UnbufferedOutput(descriptor: STDERR_FILENO)
    stream.write(text)
  }

  /// Prints one line.
  static func note(_ line: String) {
    write(line + "\n")
  }

  /// Whether a person is watching.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}

/// Standard output for results that come one after the other.
enum StandardOutput {
  /// Prints one line, also into a pipe at once.
  static func line(_ line: String) {
    var stream = UnbufferedOutput(descriptor: STDOUT_FILENO)
    stream.write(line + "\n")
  }
}
