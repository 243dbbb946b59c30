/// Every pair of exporter and importer, each checked for every format and size.
public struct Matrix: Sendable {
  /// What buffers to share, and how long it may take.
  public struct Options: Sendable {
    /// The pixel formats.
    public var formats: [PixelFormat]
    /// Widths and heights in pixels.
    public var sizes: [(width: Int, height: Int)]
    /// The modifiers to ask an allocator for; nil leaves the choice to it.
    public var modifiers: [Modifier]?
    /// What the patterns are made from; equal seeds give equal pictures.
    public var seed: UInt64
    /// The moment the run must have ended by.
    public var deadline: Deadline

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

  /// How many cells a whole run has.
  public var cellCount: Int {
    exporters.count * importers.count * options.formats.count * options.sizes.count
  }

  /// Checks every cell, one after the other, and calls `progress` before each with how many are done.
  ///
  /// A cell that fails does not end the run. A deadline that passes or a request to stop does: what was not tried then is
  /// left out, and the report says so.
  public func run(
    devices: [DeviceDescription], progress: (_ done: Int, _ exporter: Exporter, _ importer: Importer) -> Void
  ) -> VerifyReport {
    let audit = LeakAudit()
    var cells: [CellReport] = []
    var inodes: Set<UInt64> = []
    var ended = false
    for exporter in exporters {
      for importer in importers {
        for format in options.formats {
          for size in options.sizes where !ended {
            guard options.deadline.remaining > .zero else {
              ended = true
              break
            }
            progress(cells.count, exporter, importer)
            let check = PairCheck(
              exporter: exporter, importer: importer,
              request: AllocationRequest(
                format: format, width: size.width, height: size.height, modifiers: options.modifiers),
              seed: options.seed, kernel: kernel, deadline: options.deadline)
            let result = check.run()
            inodes.formUnion(result.inodes)
            ended = result.wasCancelled
            if !ended { cells.append(result.report) }
          }
        }
      }
    }
    Self.explainRefusals(&cells, devices: devices)
    let leaks = audit.report(inodes: inodes, deadline: options.deadline)
    let counts = Verdict.allCases.map { verdict in (verdict.rawValue, cells.count { $0.verdict == verdict }) }
    return VerifyReport(
      schema: VerifyReport.currentSchema, host: .current(), seed: options.seed,
      devices: devices.map { VerifyReport.DeviceEntry($0, among: devices) }, cells: cells,
      summary: Dictionary(uniqueKeysWithValues: counts), leaks: leaks, interrupted: ended)
  }

  /// Says of each refused import which side it was, from what both sides did with others in the same run.
  static func explainRefusals(_ cells: inout [CellReport], devices: [DeviceDescription]) {
    let all = cells
    for index in cells.indices where cells[index].verdict == .refused && cells[index].refusedBy == .either {
      let cell = cells[index]
      let exporter = elsewhere(
        all.filter { $0.exporter == cell.exporter && $0.importer != cell.importer && $0.exporter != $0.importer },
        name: \.importer)
      let importer = elsewhere(
        all.filter { $0.importer == cell.importer && $0.exporter != cell.exporter && $0.exporter != $0.importer },
        name: \.exporter)
      let errno = Errno(name: cell.errno ?? "") ?? .invalidArgument
      cells[index].refusedBy = RefusalReason.refuser(exporter: exporter, importer: importer)
      let device = devices.first { device in
        [device.primary, device.render].contains { $0 != nil && $0?.path == cell.importerNode }
      }
      cells[index].reason = RefusalReason.sentence(
        (cell.exporter, exporter), (cell.importer, importer), errno: errno,
        advertised: device?.capabilities?.primeImport)
    }
  }

  private static func elsewhere(
    _ cells: [CellReport], name: (CellReport) -> String
  ) -> RefusalReason.Elsewhere {
    if let shared = cells.first(where: \.verdict.passes) { return .shares(name(shared)) }
    return cells.contains { $0.verdict == .refused } ? .refused : .untried
  }
}
