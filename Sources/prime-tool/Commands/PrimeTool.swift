import ArgumentParser
import CProcess
import Glibc
import Prime

@main
struct PrimeTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prime-tool",
    abstract: "Shows whether a graphics buffer made on one device really arrives on another.",
    discussion: """
      Devices are named by node (/dev/dri/card0, card0), driver (vgem, vkms:1, the first letters of one), PCI address or \
      by-path link.
      Exit codes: 0 held, 1 failed, 64 usage, 74 a result could not be written, 77 nothing here could be tested, \
      130 and 143 interrupted.
      """,
    version: "0.1.0",
    subcommands: [
      ListCommand.self, VerifyCommand.self, ScanoutCommand.self, ExportCommand.self, ImportCommand.self,
      BuffersCommand.self, CheckCommand.self, DiffCommand.self,
    ])

  /// Runs the command that the words name.
  ///
  /// Help and version are results as others are: where they do not arrive, that is said.
  static func main() {
    ProcessSetup.begin()
    Remedy.name { $0.toolWords }
    do {
      try requireCommand(arguments)
      var command = try parseAsRoot(arguments)
      try command.run()
    } catch {
      let code = exitCode(for: error)
      let message = fullMessage(for: error)
      guard !message.isEmpty else { exit(withCode: code) }
      guard code == .success else {
        StandardError.note(message)
        exit(withCode: code)
      }
      do {
        try StandardOutput.write(message + "\n")
      } catch {
        exit(withCode: exitCode(for: error))
      }
    }
  }

  /// The argument parser calls a wrong command an unexpected argument, and names none.
  private static func requireCommand(_ words: [String]) throws {
    let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
    guard let word = words.first, !word.hasPrefix("-"), !names.contains(word) else { return }
    let meant = Suggestion.sentence(for: word, among: names, otherwise: ":")
    throw ExitStatus.usage(
      "there is no command '\(word)'\(meant) known are \(names.joined(separator: ", "))")
  }

  private static func exit(withCode code: ExitCode) -> Never { Glibc.exit(code.rawValue) }

  /// The words behind the program's name, also where there is no /proc.
  private static var arguments: [String] {
    (1..<max(1, cprocess_word_count())).compactMap { index in
      // Safe: the words live as long as the process.
      unsafe cprocess_word(index).map { unsafe String(cString: $0) }
    }
  }
}

/// What the process that started the tool may have left it with, and the tool does not want.
private enum ProcessSetup {
  static func begin() {
    // A reader that goes away, and a file that may not grow, are errors of a write, which says so and cleans up.
    _ = signal(SIGPIPE, SIG_IGN)
    _ = signal(SIGXFSZ, SIG_IGN)
    // Where a supervisor ignores it, so would we, and no child could be waited for.
    _ = signal(SIGCHLD, SIG_DFL)
    // Swift's runtime would take its time to print where the program is, and go on.
    let quit = signal(SIGQUIT, SIG_DFL)
    if unsafe unsafeBitCast(quit, to: Int.self) == 1 { _ = signal(SIGQUIT, SIG_IGN) }
    // Ctrl-Z in the middle of a run takes nothing of its time away.
    cprocess_count_stops()
    // A program that is started gets the descriptors that it is meant to get.
    cprocess_keep_descriptors()
    // Else a device would be opened under the number of a standard stream that was closed, and results written to it.
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) < 0 {
      // A stream that takes no bytes: what is written there is lost, and told as that.
      // Safe: the string lives as long as the call. It takes the lowest free number, which is this one.
      _ = unsafe open("/dev/null", O_RDONLY)
    }
  }
}
