import ArgumentParser
import Prime
import PrimeVerify

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract:
      "Hands a buffer to another process: `prime-tool import`, your own program, or a command that inherits it.",
    discussion: """
      The buffer is filled with a seeded pattern and its descriptor is sent through a UNIX socket with a description
      (docs/handover.md). It is kept until the other end is done. A socket file is made with mode 0600 and only this user
      may connect; --allow-uid lets others in, for which the mode becomes 0666 and the kernel is asked who they are.

      After --, a program is started that inherits the dma-buf; PRIME_FD is its number, and PRIME_FOURCC, PRIME_WIDTH,
      PRIME_HEIGHT, PRIME_PITCH, PRIME_OFFSET, PRIME_MODIFIER, PRIME_SIZE and PRIME_SEED describe it. Its exit code is
      passed on.
      """)

  @Option(help: "Where the buffer comes from: a device, video:N, udmabuf, or heap:NAME.")
  var from: String

  @Option(help: ArgumentHelp("Where the importer connects: a path, abstract:NAME, or fd:N.", valueName: "address"))
  var to: String?

  @Option(help: "The pixel format, XRGB8888 or XR24.", transform: Arguments.format)
  var format: PixelFormat?

  @Option(
    parsing: .unconditional, help: "WIDTHxHEIGHT in pixels (default: 1024x768).", transform: Arguments.size)
  var size: PictureSize?

  @Flag(help: "Give each plane a buffer of its own, for formats with several planes such as NV12.")
  var disjoint = false

  @Option(help: "gbm, dumb, udmabuf, heap or v4l2.")
  var allocator: AllocatorChoice?

  @Option(help: "Repeat the content of an earlier run; random where left out.")
  var seed: UInt64?

  @Flag(help: "Ask the importer to write a second pattern, and check it.")
  var writeBack = false

  @OptionGroup var common: HandoverArguments

  @Argument(parsing: .postTerminator, help: "A program that inherits the dma-buf, in place of --to.")
  var command: [String] = []

  func validate() throws {
    guard (to != nil) != !command.isEmpty else {
      throw ValidationError("give either --to with an address, or a program behind --")
    }
    if let to { _ = try common.address(to, option: "--to") }
    if !command.isEmpty && disjoint {
      throw ValidationError("--disjoint is for --to: a program inherits one dma-buf")
    }
    if !command.isEmpty && (common.json || common.count > 1 || !common.users.isEmpty) {
      throw ValidationError("--json, --count and --allow-uid are for --to: a program inherits one buffer")
    }
  }

  func run() throws {
    let exporter = try chosenExporter(DeviceSelection.present(named: [from]))
    let limit = Duration.seconds(common.timeout)
    let interruption = Interruption(timeout: limit)
    let deadline = Deadline(in: limit, cancellation: interruption.cancellation)
    var request = AllocationRequest(
      format: format ?? .xrgb8888, width: size?.width ?? 1024, height: size?.height ?? 768)
    request.isDisjoint = try Arguments.disjoint(disjoint, [request.format])
    let export = HandoverExport(
      exporter, request: request,
      seed: seed ?? .random(in: 1...UInt64(UInt32.max)), asksForWriteBack: writeBack, count: common.count,
      deadline: deadline, showingMesaOutput: common.verbose)
    guard let to else { return try lend(export, interruption, deadline) }
    let report = export.run(at: try common.address(to, option: "--to"), for: HandoverUsers(also: common.users)) {
      StandardError.note("prime-tool: turned away: \($0)")
    }
    try common.print(report)
    try common.finish(report, stoppedBy: interruption.exitCode)
  }

  private func chosenExporter(_ devices: [DeviceDescription]) throws -> Exporter {
    let videos = try DeviceSelection.presentVideo(named: [from], besides: devices)
    let plan = try VerifyPlan(
      devices: devices, videos: videos, exporters: [from], importers: [], allocators: allocator.map { [$0] } ?? [])
    guard let exporter = plan.exporters.first, plan.exporters.count == 1 else {
      let names = plan.exporters.map { "\($0.name) \($0.allocator.rawValue)" }.joined(separator: ", ")
      throw ExitStatus.usage("'\(from)' names several exporters, \(names): name one, with --allocator where it helps")
    }
    return exporter
  }

  /// Runs the program; its standard output is its own, so the verdict is told on standard error.
  private func lend(_ export: HandoverExport, _ interruption: Interruption, _ deadline: Deadline) throws {
    var code: Int32 = 0
    var unstarted: ExitCode?
    let report = export.lend { dmaBuf, description, byteCount in
      let variables = ExportedProgram.variables(dmaBuf: dmaBuf, description, byteCount: byteCount, seed: export.seed)
      do {
        code = try ChildProgram(command, inheriting: dmaBuf, variables: variables).wait(interruption, deadline)
      } catch let exit as ExitCode {
        unstarted = exit
      }
      return code == 0 && unstarted == nil
    }
    if let unstarted { throw unstarted }
    if let signal = interruption.exitCode { throw ExitCode(signal) }
    guard code == 0 else { throw ExitCode(code) }
    if report.verdict == .untested {
      StandardError.note("prime-tool: \(report.reason ?? "nothing could be tested")")
      throw ExitStatus.untested
    }
    guard report.verdict.arrives, report.leaks.isClean else {
      StandardError.note("prime-tool: \(report.leaks.sentence ?? HandoverText(verbose: false).line(report))")
      throw ExitStatus.failed
    }
  }
}
