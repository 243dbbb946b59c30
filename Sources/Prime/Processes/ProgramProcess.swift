internal import CProcess
internal import Glibc
package import Prime

/// A program that works for this process through a descriptor that it inherits, and does not outlive it.
///
/// It is a process group of its own, which ends with this owner. The kernel ends it where this process is killed.
package struct ProgramProcess: ~Copyable {
  private let identifier: CInt
  private var isGone = false

  /// Starts it.
  ///
  /// - Parameters:
  ///   - words: The program, which is looked for in `PATH`, and its arguments.
  ///   - descriptor: What it inherits beside its standard descriptors.
  ///   - variables: What its environment has besides this process's own.
  ///   - isQuiet: Whether what it prints goes nowhere; else it goes to standard error.
  /// - Throws: `exec` with the kernel's errno.
  package init(
    _ words: [String], inheriting descriptor: CInt, variables: [String: String], isQuiet: Bool
  ) throws(PrimeError) {
    guard let name = words.first else {
      throw PrimeError(operation: "exec", finding: .absent, subject: "no program", reason: "no program is named")
    }
    var environment = Self.environment()
    for (name, value) in variables { environment[name] = value }
    let arguments = CStringList(words)
    let values = CStringList(environment.map { "\($0.key)=\($0.value)" })
    // Safe: both lists end with NULL and live until the program was started.
    let started = unsafe LinuxKernel.shimmed(
      cprocess_start_program(arguments.list, values.list, descriptor, isQuiet ? 1 : 0))
    identifier = try started.orThrow("exec", on: name)
  }

  /// Waits for its end; nil where that does not come within the time.
  package mutating func awaitEnd(within limit: Duration) -> ChildProcess.End? {
    guard !isGone else { return nil }
    let end = ChildProcess.reap(identifier, within: limit)
    if end != nil {
      isGone = true
      // What it started in its turn.
      _ = Glibc.kill(-identifier, SIGKILL)
    }
    return end
  }

  /// Ends it and everything it started, at once.
  package mutating func kill() {
    guard !isGone else { return }
    _ = Glibc.kill(-identifier, SIGKILL)
    _ = awaitEnd(within: .seconds(1))
  }

  deinit {
    guard !isGone else { return }
    _ = Glibc.kill(-identifier, SIGKILL)
    // A call of the kernel may hold it; it is not waited for longer then.
    _ = ChildProcess.reap(identifier, within: .seconds(1))
  }

  /// The process's number.
  package var number: CInt { identifier }

  /// This process's own environment.
  package static func environment() -> [String: String] {
    var result: [String: String] = [:]
    var index = 0
    // Safe: environ is a list of C strings that ends with NULL, and nothing here changes it.
    while let entry = unsafe environ[index] {
      let text = unsafe String(cString: entry)
      if let sign = text.firstIndex(of: "=") {
        result[String(text[..<sign])] = String(text[text.index(after: sign)...])
      }
      index += 1
    }
    return result
  }
}

extension ProgramProcess {
  /// Runs a program to its end; true where it ended with 0 in time.
  ///
  /// It is ended where it does not. What it starts in its turn is left alone.
  ///
  /// - Parameter words: The program's path, and its arguments.
  package static func run(_ words: [String], within limit: Duration) -> Bool {
    guard let path = words.first else { return false }
    let arguments = CStringList(words)
    var child: pid_t = 0
    // Safe: the list ends with NULL and lives until the program was started.
    guard unsafe posix_spawn(&child, path, nil, nil, arguments.list, environ) == 0 else { return false }
    if let end = ChildProcess.reap(child, within: limit) { return end == .exited(0) }
    _ = Glibc.kill(child, SIGKILL)
    _ = ChildProcess.reap(child, within: .seconds(1))
    return false
  }
}
