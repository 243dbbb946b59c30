import ArgumentParser

@main
struct PrimeTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prime-tool",
    abstract: "Shows whether a graphics buffer made on one device really arrives on another.",
    discussion: """
      Devices are named by node path, driver (vgem, vkms:1), PCI address or by-path link.
      Exit codes: 0 held, 1 failed, 64 usage, 77 nothing here could be tested, 130 interrupted.
      """,
    version: "0.1.0",
    subcommands: [
      ListCommand.self, VerifyCommand.self, ScanoutCommand.self, ExportCommand.self, ImportCommand.self,
      BuffersCommand.self, CheckCommand.self, DiffCommand.self,
    ])
}
