import ArgumentParser
import Glibc
import Prime

/// Standard error: progress, notes and errors, and never a result.
enum StandardError {
  /// Prints text; there is nobody left to tell where that fails.
  static func write(_ text: String) {
    _ = Descriptors.write(TerminalText.lines(text), to: STDERR_FILENO)
  }

  /// Prints one line in place of the one that the cursor is in.
  static func replaceLine(_ text: String) {
    _ = Descriptors.write("\r\u{1b}[K" + TerminalText.word(text), to: STDERR_FILENO)
  }

  /// Prints one line.
  static func note(_ line: String) {
    write(line + "\n")
  }

  /// Whether a person is watching.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}

/// Standard output: results, which are worth nothing when they do not arrive.
enum StandardOutput {
  /// Prints all of the text at once, also into a pipe, or says why that cannot be and fails.
  static func write(_ text: String) throws {
    guard let number = Descriptors.write(TerminalText.lines(text), to: STDOUT_FILENO) else { return }
    throw failure(number)
  }

  /// Fails as `write` does where the reader of a pipe has gone away; to be asked while there is nothing to write.
  static func requireReader() throws {
    // Writes nothing, so that any descriptor is ready or has an error.
    var request = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
    // Safe: poll reads and writes the one request it is given.
    guard unsafe poll(&request, 1, 0) > 0, request.revents & Int16(POLLERR) != 0 else { return }
    throw failure(EPIPE)
  }

  /// Says why the result does not arrive.
  fileprivate static func failure(_ number: CInt) -> ExitCode {
    // A reader that went away has read what it wanted, as `head` does.
    guard number != EPIPE else { return ExitStatus.lost }
    let meaning = Errno(rawValue: number).meaning
    StandardError.note("prime-tool: the result could not be written: \(meaning)")
    return ExitStatus.lost
  }
}

/// Standard output while something runs that must not wait for a slow reader: what nobody takes yet is kept.
struct LiveOutput {
  private var waiting: ArraySlice<UInt8> = []
  /// What stopped it, an errno.
  private var failure: CInt?

  /// Whether nothing that is written arrives any more.
  var isUnread: Bool { failure != nil }

  /// Writes as much as is taken at once.
  mutating func write(_ text: String) {
    waiting += Array(TerminalText.lines(text).utf8)
    while writeSome(within: .zero) {}
  }

  /// Writes the rest, as fast as it is taken, or fails as `StandardOutput.write` does.
  ///
  /// A signal that asked to stop is not asked twice, but one that comes later ends the waiting.
  mutating func finish(_ supervisor: Supervisor) throws {
    while !waiting.isEmpty, failure == nil {
      _ = writeSome(within: .milliseconds(100))
      if !waiting.isEmpty, let code = supervisor.impatience { throw ExitCode(code) }
    }
    if let failure { throw StandardOutput.failure(failure) }
  }

  /// Writes a little; false where nothing is taken.
  ///
  /// A pipe that is ready takes a page, and a terminal may take less: what goes beyond that would be waited for.
  private mutating func writeSome(within limit: Duration) -> Bool {
    guard !waiting.isEmpty, failure == nil, Readiness.canWrite(STDOUT_FILENO, within: limit) else { return false }
    let chunk = waiting.prefix(isatty(STDOUT_FILENO) == 1 ? 256 : 4096)
    // Safe: write reads at most the bytes it is given.
    let count = unsafe chunk.withUnsafeBytes { bytes in
      unsafe Glibc.write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
    }
    if count < 0 && Glibc.errno != EINTR && Glibc.errno != EAGAIN { failure = Glibc.errno }
    guard count > 0 else { return false }
    waiting = waiting.dropFirst(count)
    if waiting.isEmpty { waiting = [] }
    return true
  }
}

/// Descriptors that text goes to.
enum Descriptors {
  /// Writes all of the text; the errno of what stopped it, nil when nothing did.
  static func write(_ text: String, to descriptor: CInt) -> CInt? {
    var rest = ArraySlice(text.utf8)
    while !rest.isEmpty {
      // Safe: write reads at most the bytes it is given.
      let count = unsafe rest.withUnsafeBytes { bytes in
        unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      }
      let number = Glibc.errno
      if count < 0 && number == EINTR { continue }
      guard count > 0 else { return number }
      rest = rest.dropFirst(count)
    }
    return nil
  }
}
