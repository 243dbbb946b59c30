public import Prime
package import PrimeProcesses

/// The promises between the pairs of a matrix beside the arrival of the bytes: fences and lifetimes.
///
/// A pair takes part where a cell of the report says that the buffer arrived, and the importer has handles: a video device
/// holds a buffer as long as one of its queues does.
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
        importer.video == nil
          && report.cells.contains {
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
    var reports: [RuleReport] = []
    for (index, pair) in pairs.enumerated() where deadline.remaining > .zero && !deadline.isCancelled {
      progress(index, pair.exporter, pair.importer)
      reports += fences(ofPair: index, devices: devices, deadline: deadline)
    }
    return reports
  }

  /// Looks at the fences of one pair.
  package func fences(ofPair index: Int, devices: [DeviceDescription], deadline: Deadline) -> [RuleReport] {
    let vgem = devices.first { $0.driver == "vgem" }.flatMap { $0.primary ?? $0.render }
    return FenceCheck(pair: pairs[index], vgem: vgem, seed: seed, kernel: kernel, deadline: deadline).run()
  }

  /// Looks at the lifetimes of one pair in this process.
  package func lifetimes(ofPair index: Int, deadline: Deadline) -> [RuleReport] {
    LifetimeCheck(pair: pairs[index], seed: seed, kernel: kernel, deadline: deadline).run()
  }

  /// Looks at the lifetimes of one pair whose two ends are processes of their own: children of this one, which must not have
  /// loaded Mesa, since it starts threads.
  package func processes(ofPair index: Int, deadline: Deadline) -> [RuleReport] {
    ProcessCases(exporter: pairs[index].exporter, importer: pairs[index].importer, seed: seed, deadline: deadline).run()
  }

  /// Looks at what SYNC decides for one pair.
  ///
  /// - Parameter trace: Sees what START and END have the kernel do, of the calling thread.
  package func coherency(ofPair index: Int, deadline: Deadline, trace: DMAMapTrace?) -> CoherencyReport {
    CoherencyCheck(
      pair: pairs[index], seed: seed, kernel: kernel, deadline: deadline, trace: trace, release: .current(by: kernel)
    ).run()
  }

  /// The report in place of one that never came, because the process that made it is gone.
  package func coherencyFailure(ofPair index: Int, reason: String) -> CoherencyReport {
    var report = CoherencyReport(pairs[index])
    report.reason = reason
    return report
  }

  /// The names of a pair.
  package func names(ofPair index: Int) -> (exporter: String, importer: String) {
    (pairs[index].exporter.name, pairs[index].importer.name)
  }

  /// The report in place of those that never came, because the process that made them is gone.
  package func failure(ofPair index: Int, _ check: String, reason: String) -> RuleReport {
    var report = RuleReport(pairs[index], check, expected: "each check ends by itself")
    report.reason = reason
    return report
  }
}
