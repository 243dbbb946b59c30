import ArgumentParser

/// The exit codes of the tool beside 0.
enum ExitStatus {
  /// Something that was to hold did not.
  static let failed = ExitCode(1)
  /// The command line asks for something that cannot be.
  static let usage = ExitCode(64)
  /// A result could not be written to where it was to go (`EX_IOERR` of sysexits.h).
  static let lost = ExitCode(74)
  /// Nothing here could be tested.
  static let untested = ExitCode(77)

  /// Says in one sentence what is wrong with the command line.
  static func usage(_ sentence: String) -> ExitCode {
    StandardError.note("prime-tool: \(sentence)")
    return usage
  }

  /// Says why a file that the command line names cannot take a result, before there is one.
  static func opening<File>(_ body: () throws(OutputError) -> File) throws -> File {
    do throws(OutputError) {
      return try body()
    } catch {
      throw usage("\(error)")
    }
  }

  /// Says why a result was not written to its file.
  static func keeping(_ body: () throws(OutputError) -> Void) throws {
    do throws(OutputError) {
      try body()
    } catch {
      StandardError.note("prime-tool: \(error)")
      throw lost
    }
  }
}
