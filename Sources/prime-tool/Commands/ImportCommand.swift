import ArgumentParser
import Prime
import PrimeVerify

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Takes a buffer from another process, imports it on a device, and shows whether it arrived.",
    discussion: """
      The other end is `prime-tool export` or any program that speaks docs/handover.md; it is waited for. What it says of
      the buffer is checked against the descriptor itself before anything is imported. With --write-back, or where the
      exporter asks for it, a second pattern is written and both ends look for it.

      Where prime-witness-gl lies beside the tool, the device may have a GPU and no display engine looked, the GPU is asked as
      for `verify`.
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
    let address = try common.address(from, option: "--from")
    let witness = try WitnessArgument.choice(nil, isLoud: common.verbose)
    let supervisor = Supervisor()
    let report = ImportRun(
      importing: { [self] deadline in
        var importing = HandoverImport(
          Importer(
            name: device.label(among: devices), node: device.usableNode, render: device.usableRender,
            problem: device.problem),
          writesBack: writeBack, count: common.count, deadline: deadline, showingMesaOutput: common.verbose)
        importing.neutral = NeutralDevice.among(devices)
        importing.witness = witness
        return importing
      },
      address: address, users: HandoverUsers(also: common.users), limit: .seconds(common.timeout),
      drivers: devices.drivers(of: [device.usableNode]), supervisor: supervisor
    ).run { StandardError.note("prime-tool: \($0)") }
    try common.print(report)
    for sentence in supervisor.complaints { StandardError.note("prime-tool: \(sentence)") }
    try common.finish(report, stoppedBy: supervisor.exitCode)
    guard supervisor.complaints.isEmpty else { throw ExitStatus.failed }
  }
}
