internal import Glibc
internal import Prime

/// A program that is run to its end.
package enum ShellCommand {
  /// Runs the program with its words; true where it ended with 0 in time.
  ///
  /// It is ended where it does not.
  package static func run(_ words: [String], within limit: Duration) -> Bool {
    guard let program = words.first else { return false }
    // Safe: every word is copied, the list ends with NULL, and all of it lives until the program was started.
    let arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { unsafe arguments.forEach { unsafe free($0) } }
    var child: pid_t = 0
    guard unsafe posix_spawn(&child, program, nil, nil, arguments, environ) == 0 else { return false }
    let deadline = Deadline(in: limit)
    var status: CInt = 0
    while unsafe waitpid(child, &status, WNOHANG) == 0 {
      if deadline.remaining == .zero {
        _ = kill(child, SIGKILL)
        _ = unsafe waitpid(child, &status, 0)
        return false
      }
      deadline.pause(milliseconds: 10)
    }
    return status == 0
  }
}
