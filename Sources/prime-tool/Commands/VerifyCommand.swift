import ArgumentParser
import Prime
import PrimeVerify

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract:
      "Shares a buffer between every pair of devices and shows whether it arrived, how that is known, or why not.",
    discussion: """
      Each exporter's buffer is written, imported, looked at through the importer, written again and looked at again.
      Each pair ends in one of four strengths, or in something that is none:
        proven    the importer's engine read the buffer and saw what was written (vgem → vkms, by writeback)
        shared    the importer holds the same buffer and has mapped it; that its hardware reads it was not shown
                  (vgem → cirrus)
        held      the importer has a handle and nothing more is known: it may map at its first use, and fail then (i915)
        refused   the kernel declined, with this errno (heap → virtio_gpu: ENODEV)
        mismatch  something else arrived · untested: nothing here can look · error: a step broke
      proven and shared pass. A mismatch or an error fails the run; the others fail it only where --require says that the
      pair must work. Each cell runs in a worker process: one that crashes or hangs costs its own cell.

      --fences and --lifetime look at what else a pair has to keep, for every pair whose buffer arrived. broken: a
      promise was not kept; it fails the run, as an error does. --coherency writes buffers again with something of SYNC
      left out, and looks at what the importer and the CPU see; "needed, not done" fails the run.

      --witness has a program look for each importer, in a process of its own: `gl` and `vulkan` are those that come with
      this tool (prime-witness-gl, a GPU by EGL; prime-witness-vulkan, which reads linear buffers of every format),
      anything else is a program of yours that speaks docs/handover.md. What it shows is compared twice; one that hangs,
      dies or lies is named and not believed, and a renderer that is the processor is no proof. Without --witness, gl is
      asked where it lies beside the tool, the importer may have a GPU and no display engine looked. --exporter
      gpu:DEVICE has the GPU draw what is shared, through the program that --witness names, else through gl.

      Without --allocator, devices allocate dumb buffers, or through GBM where their driver makes none; udmabuf and
      each dma-heap are exporters of their own.

      Video devices (V4L2) that read a buffer and give back what they read are importers of every run (vivid, vim2m: proven by
      v4l2), and what captures that is an exporter. A camera is used only where --exporter or --importer names it: it writes
      into the buffer, of which it must leave no row (shared), or writes a known picture where it can get one (proven).
      --fences, --lifetime and --coherency leave video devices out as importers.
      """)

  @Option(
    name: .long, parsing: .singleValue,
    help: "Only this exporter: a device, gpu:DEVICE, video:N, udmabuf, heap:NAME, or heap for all (repeatable).")
  var exporter: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "Only this importer: a device, or video:N (repeatable).")
  var importer: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "gbm, dumb, udmabuf, heap, v4l2 or all (repeatable).")
  var allocator: [AllocatorChoice] = []

  @Option(
    name: .long, parsing: .unconditionalSingleValue,
    help: "WIDTHxHEIGHT in pixels (repeatable; default: 1024x768, and smaller where that cannot be mapped).",
    transform: Arguments.size)
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

  @Flag(help: "Give each plane a buffer of its own, for formats with several planes such as NV12.")
  var disjoint = false

  @Option(help: "Repeat the patterns of an earlier run; random where left out.")
  var seed: UInt64?

  @Option(help: "Seconds after which the run ends, however far it got.")
  var timeout: Double = 600

  @Option(help: "Seconds that one cell may take; more in proportion where a picture is larger than 1920x1080.")
  var cellTimeout: Double = 10

  @Option(
    name: .long, parsing: .singleValue,
    help: "EXPORTER:IMPORTER must be proven or shared (repeatable).")
  var require: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "EXPORTER:IMPORTER must be proven (repeatable).")
  var requireProof: [String] = []

  @Option(
    name: .long, parsing: .singleValue,
    help: "EXPORTER:IMPORTER must be held at least: a handle is enough (repeatable).")
  var requireHeld: [String] = []

  private var requiredPairs: [(String, Requirement.Strength)] {
    requireHeld.map { ($0, .held) } + require.map { ($0, .shared) } + requireProof.map { ($0, .proven) }
  }

  @Option(
    help: ArgumentHelp(
      "A program that looks for every importer: gl, vulkan, none, or a program with its arguments (docs/handover.md).",
      valueName: "command"))
  var witness: String?

  @Option(
    help: ArgumentHelp("Compare with this report of `verify --json`; fail where it got worse.", valueName: "file"))
  var baseline: String?

  @Flag(help: "Look also how fences on the exporter's buffer hold back the importer, for every pair that shares.")
  var fences = false

  @Flag(help: "Look also how long a shared buffer lives, whoever goes first, for every pair that shares.")
  var lifetime = false

  @Flag(help: "Look also what is lost where SYNC is left out, for every pair that shares.")
  var coherency = false

  @Flag(help: "Print JSON (schema \(VerifyReport.currentSchema)).")
  var json = false

  @Flag(name: .shortAndLong, help: "Show every observer, the time of each step, and what Mesa prints.")
  var verbose = false

  func validate() throws {
    for (option, value) in [("--timeout", timeout), ("--cell-timeout", cellTimeout)] {
      guard value > 0, value < 1e6 else { throw ValidationError("\(option) takes seconds above 0, not \(value)") }
    }
  }

  func run() throws {
    // Read before the run: a mistake in the name is better known now than after it.
    let stored = try baseline.map { try StoredReport(baseline: $0, schema: VerifyReport.currentSchema) }
    // Without names on one side every device is of the run.
    let devices =
      try exporter.isEmpty || importer.isEmpty
      ? DeviceSelection.present() : DeviceSelection.present(named: exporter + importer)
    let videos =
      try exporter.isEmpty || importer.isEmpty
      ? DeviceSelection.presentVideo() : DeviceSelection.presentVideo(named: exporter + importer, besides: devices)
    let formats = format.isEmpty ? [try Arguments.format("XRGB8888")] : format
    let plan = try VerifyPlan(
      devices: devices, videos: videos, exporters: exporter, importers: importer, allocators: allocator,
      formats: formats, witness: witness)
    let requirements = try requiredPairs.map { text, strength in
      try Requirement(text, strength: strength, plan: plan)
    }
    let seed = seed ?? .random(in: 1...UInt64(UInt32.max))
    let deadline = Deadline(in: .seconds(timeout))
    var options = Matrix.Options(
      formats: formats,
      sizes: size.isEmpty ? [(1024, 768)] : size.map { ($0.width, $0.height) },
      modifiers: modifier.isEmpty ? nil : modifier, seed: seed,
      deadline: deadline)
    options.isDisjoint = try Arguments.disjoint(disjoint, formats)
    // Nobody asked for just this size.
    options.mayBeSmaller = size.isEmpty
    options.witness = try WitnessArgument.choice(witness, isLoud: verbose)
    let matrix = Matrix(
      exporters: plan.exporters, importers: plan.importers, options: options, showingMesaOutput: verbose)
    let supervisor = Supervisor()
    let run = VerifyRun(
      matrix: matrix, plan: plan, devices: devices, seed: seed, deadline: deadline,
      cellLimit: .seconds(cellTimeout), showsMesaOutput: verbose, supervisor: supervisor)
    var report = run.cells()
    report.videoDevices = VideoDeviceEntry.all(plan.videos)
    if !report.interrupted {
      run.addRules(to: &report, fences: fences, lifetimes: lifetime, coherency: coherency)
    }
    try write(report, plan)
    for sentence in supervisor.complaints { StandardError.note("prime-tool: \(sentence)") }
    if let code = supervisor.exitCode {
      StandardError.note("prime-tool: interrupted after \(report.cells.count) of \(matrix.cells.count) cells")
      throw ExitCode(code)
    }
    if report.interrupted {
      let isMatrixWhole = report.cells.count == matrix.cells.count
      StandardError.note(
        "prime-tool: the time ran out "
          + (isMatrixWhole
            ? "before the fences, lifetimes or coherency of every pair were looked at"
            : "after \(report.cells.count) of \(matrix.cells.count) cells") + ": raise --timeout")
      throw ExitStatus.failed
    }
    try judge(report, requirements, devices: devices, since: stored)
    if !supervisor.changedDevices.isEmpty { throw ExitStatus.failed }
  }

  private func write(_ report: VerifyReport, _ plan: VerifyPlan) throws {
    guard !json else { return try StandardOutput.write(JSONOutput.text(report) + "\n") }
    try StandardOutput.write(MatrixText(report, plan: plan, verbose: verbose).text)
    for (title, rules) in [("fences", report.fences), ("lifetimes", report.lifetimes)] {
      guard let rules else { continue }
      try StandardOutput.write("\n" + RuleText(title, rules, verbose: verbose).text)
    }
    guard let coherency = report.coherency else { return }
    try StandardOutput.write("\n" + CoherencyText(coherency, verbose: verbose).text)
  }

  /// The exit code, with a line on standard error for each thing that did not hold.
  private func judge(
    _ report: VerifyReport, _ requirements: [Requirement], devices: [DeviceDescription], since stored: StoredReport?
  ) throws {
    var failed = report.count(.mismatch) + report.count(.error) > 0
    let rules = (report.fences ?? []) + (report.lifetimes ?? [])
    if rules.contains(where: { $0.verdict == .broken || $0.verdict == .error }) { failed = true }
    if report.coherency?.contains(where: { $0.answer == .neededAndNotDone }) == true { failed = true }
    for requirement in requirements {
      guard let complaint = requirement.complaint(about: report) else { continue }
      StandardError.note("prime-tool: \(complaint)")
      failed = true
    }
    if let leak = report.leaks.sentence {
      StandardError.note("prime-tool: \(leak)")
      failed = true
    }
    if let stored, Baseline.showsRegression(of: report.entries, since: stored) { failed = true }
    if failed { throw ExitStatus.failed }
    guard report.cells.contains(where: { $0.verdict != .untested }) else {
      let reason = report.cells.compactMap(\.reason).first
      StandardError.note("prime-tool: " + (devices.isEmpty ? Advice.noDevices : reason ?? "nothing could be tested"))
      throw ExitStatus.untested
    }
  }
}
