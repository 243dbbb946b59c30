/// The promises between the pairs of a matrix beside the arrival of the bytes: fences and lifetimes.
///
/// A pair takes part where a cell of the report says that the buffer arrived.
public struct PairRules: Sendable {
  /// The pairs, in the report's order.
  let pairs: [RulePair]
  private let seed: UInt64
  private let deadline: Deadline
  private let kernel: any KernelCalls

  /// Takes the pairs of a plan that shared in a report.
  public init(
    _ report: VerifyReport, exporters: [Exporter], importers: [Importer], deadline: Deadline,
    showingMesaOutput: Bool = true
  ) {
    self.init(
      report, exporters: exporters, importers: importers, deadline: deadline,
      kernel: LinuxKernel(silencesMesa: !showingMesaOutput))
  }

  package init(
    _ report: VerifyReport, exporters: [Exporter], importers: [Importer], deadline: Deadline, kernel: any KernelCalls
  ) {
    self.seed = report.seed
    self.deadline = deadline
    self.kernel = kernel
    pairs = exporters.flatMap { exporter in
      importers.filter { importer in
        report.cells.contains {
          $0.exporter == exporter.name && $0.allocator == exporter.allocator && $0.importer == importer.name
            && $0.verdict.passes
        }
      }.map { RulePair(exporter: exporter, importer: $0) }
    }
  }

  /// How many pairs take part.
  public var count: Int { pairs.count }

  /// Looks at the fences of every pair; `progress` hears of each before.
  public func fences(
    devices: [DeviceDescription], progress: (_ done: Int, _ exporter: Exporter, _ importer: Importer) -> Void
  ) -> [RuleReport] {
    let vgem = devices.first { $0.driver == "vgem" }.flatMap { $0.primary ?? $0.render }
    return each(progress) { pair in
      FenceCheck(pair: pair, vgem: vgem, seed: seed, kernel: kernel, deadline: deadline).run()
    }
  }

  /// Looks at the lifetimes of every pair.
  ///
  /// - Parameter processes: What the cases with processes of their own gave for a pair.
  package func lifetimes(
    progress: (_ done: Int, _ exporter: Exporter, _ importer: Importer) -> Void,
    processes: (_ exporter: Exporter, _ importer: Importer) -> [RuleReport]
  ) -> [RuleReport] {
    each(progress) { pair in
      LifetimeCheck(pair: pair, seed: seed, kernel: kernel, deadline: deadline).run()
        + processes(pair.exporter, pair.importer)
    }
  }

  /// The report of process cases that never came, for what the stage of them failed with.
  package static func failed(_ exporter: Exporter, _ importer: Importer, _ error: PrimeError) -> [RuleReport] {
    var report = RuleReport(
      RulePair(exporter: exporter, importer: importer), "processes", expected: "each process case ends by itself")
    report.fail(error)
    return [report]
  }

  private func each(
    _ progress: (Int, Exporter, Importer) -> Void, _ body: (RulePair) -> [RuleReport]
  ) -> [RuleReport] {
    var reports: [RuleReport] = []
    for (index, pair) in pairs.enumerated() where deadline.remaining > .zero && !deadline.isCancelled {
      progress(index, pair.exporter, pair.importer)
      reports += body(pair)
    }
    return reports
  }
}
