import ArgumentParser
import Prime

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Takes a buffer from another process, imports it on a device, and shows whether it arrived.",
    discussion: """
      The other end is `prime-tool export` or any program that speaks docs/handover.md; it is waited for. What it says of
      the buffer is checked against the descriptor itself before anything is imported. With --write-back, or where the
      exporter asks for it, a second pattern is written and both ends look for it.
      """)

  @Option(help: "The device that imports.")
  var on: String

  @Option(help: ArgumentHelp("Where the exporter is: a path, abstract:NAME, or fd:N.", valueName: "address"))
  var from: String

  @Flag(help: "Write back also where the exporter does not ask for it; a buffer for reading only is refused.")
  var writeBack = false

  @OptionGroup var common: HandoverArguments

  func validate() throws {
    _ = try common.address(from, option: "--from")
  }

  func run() throws {
    let devices = try DeviceSelection.present(named: [on])
    guard !devices.isEmpty else {
      StandardError.note("prime-tool: \(Advice.noDevices)")
      throw ExitStatus.untested
    }
    let matches = try DeviceSelection.devices(named: on, in: devices)
    guard let device = matches.first, matches.count == 1 else {
      let names = matches.map { $0.label(among: devices) }.joined(separator: ", ")
      throw ExitStatus.usage("'\(on)' names several devices: say which of \(names)")
    }
    let limit = Duration.seconds(common.timeout)
    let interruption = Interruption(timeout: limit)
    var importing = HandoverImport(
      Importer(name: device.label(among: devices), node: device.usableNode, problem: device.problem),
      writesBack: writeBack, count: common.count,
      deadline: Deadline(in: limit, cancellation: interruption.cancellation), showingMesaOutput: common.verbose)
    importing.trace = DMAMapTrace()
    let report = importing.run(
      at: try common.address(from, option: "--from"), for: HandoverUsers(also: common.users)
    ) { StandardError.note("prime-tool: \($0)") }
    try common.finish(report, interruption)
  }
}
