import ArgumentParser
import Prime

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract:
      "Shares a buffer between every pair of devices and shows whether it arrived, how that is known, or why not.",
    discussion: """
      Each exporter's buffer is written, imported, looked at through the importer, written again and looked at again.
      proven: the importer looked and saw it. shared: the importer holds the same buffer; nothing here shows that its
      hardware can read it. Both pass. A mismatch or an error fails the run; a refusal fails it only where --require
      says that the pair must work.

      Without --allocator, devices allocate dumb buffers (GBM on a render node); udmabuf and the system heap are
      exporters of their own.
      """)

  @Option(name: .long, parsing: .singleValue, help: "Only this exporter: a device, udmabuf or heap (repeatable).")
  var exporter: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "Only this importer (repeatable).")
  var importer: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "gbm, dumb, udmabuf, heap or all (repeatable).")
  var allocator: [AllocatorChoice] = []

  @Option(
    name: .long, parsing: .unconditionalSingleValue,
    help: "WIDTHxHEIGHT in pixels (repeatable; default: 1024x768).", transform: Arguments.size)
  var size: [PictureSize] = []

  @Option(
    name: .long, parsing: .singleValue,
    help: "A pixel format by name or code, XRGB8888 or XR24 (repeatable; default: XRGB8888).",
    transform: Arguments.format)
  var format: [PixelFormat] = []

  @Option(
    name: .long, parsing: .singleValue, help: "Allocate with one of these modifiers: linear or 0x… (repeatable).",
    transform: Arguments.modifier)
  var modifier: [Modifier] = []

  @Option(help: "Repeat the patterns of an earlier run; random where left out.")
  var seed: UInt64?

  @Option(help: "Seconds after which the run ends, however far it got.")
  var timeout: Double = 600

  @Option(
    name: .long, parsing: .singleValue,
    help: "EXPORTER:IMPORTER must be proven or shared (repeatable).")
  var require: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "EXPORTER:IMPORTER must be proven (repeatable).")
  var requireProof: [String] = []

  @Flag(help: "Print JSON (schema \(VerifyReport.currentSchema)).")
  var json = false

  @Flag(name: .shortAndLong, help: "Show every observer, the time of each step, and what Mesa prints.")
  var verbose = false

  func validate() throws {
    guard timeout > 0, timeout < 1e6 else {
      throw ValidationError("--timeout takes seconds above 0, not \(timeout)")
    }
  }

  func run() throws {
    let devices = DeviceDiscovery().devices()
    let plan = try VerifyPlan(
      devices: devices, exporters: exporter, importers: importer, allocators: allocator)
    let requirements = try (require.map { ($0, false) } + requireProof.map { ($0, true) }).map { text, proof in
      try Requirement(text, needsProof: proof, plan: plan)
    }
    let limit = Duration.seconds(timeout)
    let interruption = Interruption(timeout: limit)
    let matrix = Matrix(
      exporters: plan.exporters, importers: plan.importers,
      options: Matrix.Options(
        formats: format.isEmpty ? [try Arguments.format("XRGB8888")] : format,
        sizes: size.isEmpty ? [(1024, 768)] : size.map { ($0.width, $0.height) },
        modifiers: modifier.isEmpty ? nil : modifier, seed: seed ?? .random(in: 1...UInt64(UInt32.max)),
        deadline: Deadline(in: limit, cancellation: interruption.cancellation)),
      showingMesaOutput: verbose)
    let progress = Progress(total: matrix.cellCount)
    let report = matrix.run(devices: devices) { done, exporter, importer in
      progress.show(done, "\(exporter.name) → \(importer.name)")
    }
    progress.clear()
    if json {
      try StandardOutput.write(JSONOutput.text(report) + "\n")
    } else {
      try StandardOutput.write(MatrixText(report, plan: plan, verbose: verbose).text)
    }
    if let code = interruption.exitCode {
      StandardError.note("prime-tool: interrupted after \(report.cells.count) of \(matrix.cellCount) cells")
      throw ExitCode(code)
    }
    if report.interrupted {
      StandardError.note(
        "prime-tool: the time ran out after \(report.cells.count) of \(matrix.cellCount) cells: raise --timeout")
      throw ExitStatus.failed
    }
    try judge(report, requirements, devices: devices)
  }

  /// The exit code, with a line on standard error for each thing that did not hold.
  private func judge(_ report: VerifyReport, _ requirements: [Requirement], devices: [DeviceDescription]) throws {
    var failed = report.count(.mismatch) + report.count(.error) > 0
    for requirement in requirements {
      guard let complaint = requirement.complaint(about: report) else { continue }
      StandardError.note("prime-tool: \(complaint)")
      failed = true
    }
    if let leak = report.leaks.sentence {
      StandardError.note("prime-tool: \(leak)")
      failed = true
    }
    if failed { throw ExitStatus.failed }
    guard report.cells.contains(where: { $0.verdict != .skipped }) else {
      let reason = report.cells.compactMap(\.reason).first
      StandardError.note("prime-tool: " + (devices.isEmpty ? Advice.noDevices : reason ?? "nothing could be tested"))
      throw ExitStatus.untested
    }
  }
}
