import ArgumentParser
import Prime
import PrimeVerify

/// What `export` and `import` both take.
struct HandoverArguments: ParsableArguments {
  @Option(
    name: .customLong("allow-uid"), parsing: .unconditionalSingleValue,
    help: "A user that may be at the other end besides this one (repeatable).")
  var users: [UInt32] = []

  @Option(help: "How many hand-overs, one connection and one buffer each.")
  var count = 1

  @Option(help: "Seconds after which the command ends, however far it got.")
  var timeout: Double = 60

  @Flag(help: "Print JSON (schema \(HandoverReport.currentSchema)).")
  var json = false

  @Flag(name: .shortAndLong, help: "Show the observers that could not look, and what Mesa prints.")
  var verbose = false

  func validate() throws {
    guard count >= 1, count <= 10_000_000 else {
      throw ValidationError("--count takes 1 to 10000000, not \(count)")
    }
    guard timeout > 0, timeout < 1e6 else {
      throw ValidationError("--timeout takes seconds above 0, not \(timeout)")
    }
  }

  /// Reads where the other end is.
  func address(_ text: String, option: String) throws -> HandoverAddress {
    guard let address = HandoverAddress(parsing: text) else {
      throw ValidationError(
        "\(option) takes a path or abstract:NAME, of at most 107 bytes, or fd:N with an open socket above 2")
    }
    if case .descriptor = address, count > 1 {
      throw ValidationError("\(option) fd:N is one connection, and so one hand-over: leave --count out")
    }
    return address
  }

  /// Prints the report.
  func print(_ report: HandoverReport) throws {
    if json {
      try StandardOutput.write(JSONOutput.text(report) + "\n")
    } else {
      try StandardOutput.write(HandoverText(verbose: verbose).text(report))
    }
  }

  /// Ends the process with what the report says.
  ///
  /// - Parameter stop: The exit code of a run that a signal asked to stop, nil where none came.
  func finish(_ report: HandoverReport, stoppedBy stop: Int32?) throws {
    if let code = stop {
      StandardError.note("prime-tool: interrupted after \(report.completed) of \(count) hand-overs")
      throw ExitCode(code)
    }
    if let leak = report.leaks.sentence {
      StandardError.note("prime-tool: \(leak)")
      throw ExitStatus.failed
    }
    switch report.verdict {
    case .proven, .shared, .held, .reported: return
    case .untested:
      StandardError.note("prime-tool: \(report.reason ?? "nothing could be tested")")
      throw ExitStatus.untested
    case .refused, .mismatch, .error: throw ExitStatus.failed
    }
  }
}
