import ArgumentParser

/// The exit codes of the tool beside 0.
enum ExitStatus {
  /// Something that was to hold did not.
  static let failed = ExitCode(1)
  /// The command line asks for something that cannot be.
  static let usage = ExitCode(64)
  /// Nothing here could be tested.
  static let untested = ExitCode(77)

  /// Says in one sentence what is wrong with the command line.
  static func usage(_ sentence: String) -> ExitCode {
    StandardError.note("prime-tool: \(sentence)")
    return usage
  }
}
