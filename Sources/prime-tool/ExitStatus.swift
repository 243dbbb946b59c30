import ArgumentParser

/// The exit codes of the tool beside 0, and 64 for usage, which ArgumentParser gives by itself.
enum ExitStatus {
  /// Something that was to hold did not.
  static let failed = ExitCode(1)
  /// Nothing here could be tested.
  static let untested = ExitCode(77)
}
