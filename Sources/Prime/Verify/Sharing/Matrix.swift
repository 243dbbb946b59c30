public import Prime
package import PrimeProcesses

/// Every pair of exporter and importer, each checked for every format and size.
public struct Matrix: Sendable {
  /// What buffers to share, and how long it may take.
  public struct Options: Sendable {
    /// The pixel formats.
    public var formats: [PixelFormat]
    /// Widths and heights in pixels.
    public var sizes: [(width: Int, height: Int)]
    /// Whether a smaller picture is looked at too where the kernel cannot map one of these sizes for an importer.
    public var mayBeSmaller = false
    /// The modifiers to ask an allocator for; nil leaves the choice to it.
    public var modifiers: [Modifier]?
    /// What the patterns are made from; equal seeds give equal pictures.
    public var seed: UInt64
    /// The moment the run must have ended by.
    public var deadline: Deadline
    /// A program that looks too; nil where none does.
    public var witness: WitnessChoice?
    /// Whether each plane gets a buffer of its own.
    public var isDisjoint = false

    /// Collects them.
    public init(
      formats: [PixelFormat], sizes: [(width: Int, height: Int)], modifiers: [Modifier]? = nil, seed: UInt64,
      deadline: Deadline
    ) {
      self.formats = formats
      self.sizes = sizes
      self.modifiers = modifiers
      self.seed = seed
      self.deadline = deadline
    }
  }

  private let exporters: [Exporter]
  private let importers: [Importer]
  private let options: Options
  private let kernel: any KernelCalls

  /// Plans a run on this machine's kernel; what Mesa prints on standard error is dropped unless it is asked for.
  public init(exporters: [Exporter], importers: [Importer], options: Options, showingMesaOutput: Bool = true) {
    self.init(
      exporters: exporters, importers: importers, options: options,
      kernel: LinuxKernel(silencesMesa: !showingMesaOutput))
  }

  package init(exporters: [Exporter], importers: [Importer], options: Options, kernel: any KernelCalls) {
    self.exporters = exporters
    self.importers = importers
    self.options = options
    self.kernel = kernel
  }

  /// One thing to check: a pair with a format and a size.
  public struct Cell: Sendable {
    /// Where the buffer comes from.
    public let exporter: Exporter
    /// Where it goes.
    public let importer: Importer
    /// The buffer.
    let request: AllocationRequest

    /// How many pixels there are to look at: one that a display makes of luma and chroma counts for eight.
    public var pixelCount: Int {
      request.width * request.height * (request.format.lumaChroma == nil ? 1 : 8)
    }
  }

  /// What a whole run checks, in the order of the report.
  public var cells: [Cell] {
    exporters.flatMap { exporter in
      importers.flatMap { importer in
        options.formats.flatMap { format in
          options.sizes.map { size in
            var request = AllocationRequest(
              format: format, width: size.width, height: size.height, modifiers: options.modifiers)
            request.isDisjoint = options.isDisjoint && format.planes.count > 1
            return Cell(exporter: exporter, importer: importer, request: request)
          }
        }
      }
    }
  }

  /// Checks one cell; everything that it opened is closed when it returns.
  ///
  /// - Parameters:
  ///   - devices: The devices of the machine, for what third parties say of a refusal.
  ///   - trace: Sees which mappings an import makes.
  ///   - history: What earlier cells of this process showed of the devices.
  ///   - onStep: Hears of each step before it begins.
  package func check(
    _ cell: Cell, among devices: [DeviceDescription], deadline: Deadline, trace: DMAMapTrace? = nil,
    history: LookHistory = LookHistory(), onStep: @escaping @Sendable (String) -> Void = { _ in }
  ) -> PairCheck.Outcome {
    var check = pairCheck(cell, deadline: deadline)
    check.witness = options.witness
    check.neutral = NeutralDevice.among(devices)
    check.advertised =
      devices.first { [$0.primary, $0.render].contains(cell.importer.node) }?.capabilities?.primeImport
    check.trace = trace
    check.history = history
    check.onStep = onStep
    let outcome = check.run()
    guard options.mayBeSmaller, outcome.couldNotBeMapped, !outcome.wasCancelled,
      let size = BouncedImport.fittingSize(cell.request.format),
      size.width * size.height < cell.pixelCount
    else { return outcome }
    check.request.width = size.width
    check.request.height = size.height
    return Self.outcome(of: check.run(), smallerThan: outcome)
  }

  /// What is said of a smaller picture, where the asked one could not be mapped.
  private static func outcome(of smaller: PairCheck.Outcome, smallerThan larger: PairCheck.Outcome) -> PairCheck.Outcome
  {
    var outcome = larger
    outcome.inodes.formUnion(smaller.inodes)
    guard smaller.report.verdict.arrives || smaller.report.verdict == .mismatch else { return outcome }
    outcome.report = smaller.report
    outcome.report.asked = CellReport.Size(width: larger.report.width, height: larger.report.height)
    let refused = "\(larger.report.width)x\(larger.report.height) cannot be imported: \(larger.report.reason ?? "")"
    outcome.report.warning = [refused, smaller.report.warning].compactMap(\.self).joined(separator: "; ")
    return outcome
  }

  /// The report of a cell whose check gave none, because the process that ran it is gone.
  package func blankReport(of cell: Cell) -> CellReport {
    pairCheck(cell, deadline: options.deadline).emptyReport
  }

  private func pairCheck(_ cell: Cell, deadline: Deadline) -> PairCheck {
    PairCheck(
      exporter: cell.exporter, importer: cell.importer, request: cell.request, seed: options.seed, kernel: kernel,
      deadline: deadline, release: .current(by: kernel))
  }

  /// Checks every cell in this process, one after the other, and calls `progress` before each with how many are done.
  ///
  /// A cell that fails does not end the run. A deadline that passes or a request to stop does: what was not tried then is
  /// left out, and the report says so. A call of the kernel that never returns, or kills the process, ends the run with it.
  public func run(
    devices: [DeviceDescription], progress: (_ done: Int, _ exporter: Exporter, _ importer: Importer) -> Void
  ) -> VerifyReport {
    let audit = LeakAudit(by: kernel)
    let trace = DMAMapTrace(by: kernel)
    let history = LookHistory()
    var reports: [CellReport] = []
    var inodes: Set<UInt64> = []
    var ended = false
    for cell in cells where !ended {
      guard options.deadline.remaining > .zero else {
        ended = true
        break
      }
      progress(reports.count, cell.exporter, cell.importer)
      let result = check(cell, among: devices, deadline: options.deadline, trace: trace, history: history)
      inodes.formUnion(result.inodes)
      ended = result.wasCancelled
      if !ended { reports.append(result.report) }
    }
    let leaks = audit.report(inodes: inodes, deadline: options.deadline)
    return report(of: reports, devices: devices, leaks: leaks, interrupted: ended)
  }

  /// The report of a run that gave these cells.
  package func report(
    of cells: [CellReport], devices: [DeviceDescription], leaks: LeakReport, interrupted: Bool
  ) -> VerifyReport {
    let counts = Verdict.ofCells.map { verdict in (verdict.rawValue, cells.count { $0.verdict == verdict }) }
    return VerifyReport(
      schema: VerifyReport.currentSchema, host: .current(), seed: options.seed,
      devices: devices.map { DeviceEntry($0, among: devices) }, cells: cells,
      summary: Dictionary(uniqueKeysWithValues: counts), leaks: leaks, interrupted: interrupted)
  }
}
