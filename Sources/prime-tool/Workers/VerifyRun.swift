import Foundation
import Prime
import PrimeProcesses
import PrimeVerify

/// The cells, fences and lifetimes of `verify`, each in a worker process.
struct VerifyRun {
  let matrix: Matrix
  let plan: VerifyPlan
  let devices: [DeviceDescription]
  let seed: UInt64
  let deadline: Deadline
  /// How long a cell with a picture of up to 1920x1080 may take; one of luma and chroma is more work (`Matrix.Cell.pixelCount`).
  let cellLimit: Duration
  let showsMesaOutput: Bool
  let supervisor: Supervisor

  /// How long the fences or lifetimes of a pair may take: they are dozens of looks where a cell is one.
  private var rulesLimit: Duration { cellLimit * 6 }

  private static let cellAdvice = "raise --cell-timeout if the machine is only slow"

  /// Checks every cell.
  func cells() -> VerifyReport {
    let cells = matrix.cells
    let limits = cells.map { cellLimit * max(1, Double($0.pixelCount) / (1920 * 1080)) }
    let progress = Progress(total: cells.count)
    let trace = Trace()
    // Each worker is a fork and goes on with what it finds out itself.
    let history = LookHistory()
    let run = supervisor.run(
      cells.count, limit: { limits[$0] }, end: deadline,
      body: { [matrix, deadline, devices] index, context in
        let limit = deadline.obeying(context.cancellation).atMost(limits[index], advice: Self.cellAdvice)
        return matrix.check(
          cells[index], among: devices, deadline: limit, trace: trace.ofThisProcess, history: history,
          onStep: context.step)
      },
      began: { index in
        progress.show(index, "\(cells[index].exporter.name) → \(cells[index].importer.name)")
      },
      judge: { index, outcome, complaints in
        outcome.report.blame(complaints, on: drivers(of: cells[index]))
      },
      failed: { index, failure in
        var report = matrix.blankReport(of: cells[index])
        report.reason = failure.told
        report.errno = failure.errno?.name
        return PairCheck.Outcome(report: report, inodes: [], wasCancelled: false)
      })
    progress.clear()
    let finished = run.pieces.filter { !$0.wasCancelled }
    for outcome in run.pieces { supervisor.made(outcome.inodes) }
    return matrix.report(
      of: finished.map(\.report), devices: devices, leaks: supervisor.leaks(deadline),
      interrupted: run.isCutShort || finished.count < cells.count)
  }

  /// The drivers that a cell has to do with.
  private func drivers(of cell: Matrix.Cell) -> Set<String> {
    let video = [cell.exporter.video, cell.importer.video?.device].compactMap { $0?.driver }
    return devices.drivers(of: [cell.exporter.node, cell.importer.node]).union(video)
  }

  /// Looks at the fences, the lifetimes and what SYNC decides, of the pairs that share, and adds them to the report.
  func addRules(to report: inout VerifyReport, fences: Bool, lifetimes: Bool, coherency: Bool) {
    let rules = PairRules(
      report, exporters: plan.exporters, importers: plan.importers, deadline: deadline,
      showingMesaOutput: showsMesaOutput)
    if fences {
      report.fences = look("fences", at: rules, &report) { [devices] index, deadline in
        rules.fences(ofPair: index, devices: devices, deadline: deadline)
      }
    }
    if lifetimes {
      let own = look("lifetimes", at: rules, &report) { index, deadline in
        rules.lifetimes(ofPair: index, deadline: deadline)
      }
      // Those with processes of their own fork, and so have a worker each that has started no thread of Mesa's.
      let processes = look("processes", at: rules, &report, pairsPerWorker: 1) { index, deadline in
        rules.processes(ofPair: index, deadline: deadline)
      }
      report.lifetimes = Self.joined(own, processes)
    }
    if coherency && !report.interrupted {
      let trace = Trace()
      report.coherency = look(
        "coherency", at: rules, &report,
        { index, deadline in
          [rules.coherency(ofPair: index, deadline: deadline, trace: trace.ofThisProcess)]
        },
        failed: { index, failure in [rules.coherencyFailure(ofPair: index, reason: failure.sentence)] })
    }
    report.leaks = supervisor.leaks(deadline)
  }

  private func look(
    _ check: String, at rules: PairRules, _ report: inout VerifyReport, pairsPerWorker: Int = .max,
    _ body: @escaping @Sendable (Int, Deadline) -> [RuleReport]
  ) -> [RuleReport] {
    look(
      check, at: rules, &report, pairsPerWorker: pairsPerWorker, body,
      failed: { index, failure in [rules.failure(ofPair: index, check, reason: failure.sentence)] })
  }

  /// Looks at each pair in a worker process.
  ///
  /// - Parameters:
  ///   - check: What is looked at, for the line of progress.
  ///   - body: What a pair's look gives.
  ///   - failed: What stands in place of a look that gave nothing.
  private func look<Report: Codable & Sendable>(
    _ check: String, at rules: PairRules, _ report: inout VerifyReport, pairsPerWorker: Int = .max,
    _ body: @escaping @Sendable (Int, Deadline) -> [Report], failed: (Int, Supervisor.Failure) -> [Report]
  ) -> [Report] {
    guard !report.interrupted else { return [] }
    let progress = Progress(total: rules.count)
    let run = supervisor.run(
      rules.count, limit: { [rulesLimit] _ in rulesLimit }, end: deadline, piecesPerWorker: pairsPerWorker,
      body: { [deadline, rulesLimit] index, context in
        body(index, deadline.obeying(context.cancellation).atMost(rulesLimit, advice: Self.cellAdvice))
      },
      began: { index in
        let names = rules.names(ofPair: index)
        progress.show(index, "\(check) \(names.exporter) → \(names.importer)")
      },
      failed: failed)
    progress.clear()
    report.interrupted = run.isCutShort
    return run.pieces.flatMap(\.self)
  }

  /// The reports of each pair together, in the order of the pairs.
  private static func joined(_ own: [RuleReport], _ processes: [RuleReport]) -> [RuleReport] {
    var order: [String] = []
    var reports: [String: [RuleReport]] = [:]
    for report in own + processes {
      let pair = "\(report.exporter) \(report.allocator.rawValue) \(report.importer)"
      if reports[pair] == nil { order.append(pair) }
      reports[pair, default: []].append(report)
    }
    return order.flatMap { reports[$0] ?? [] }
  }
}

/// The trace of mappings of a worker, made when it is first asked for, in the worker.
private final class Trace: @unchecked Sendable {
  /// Only touched on the one thread that does a worker's pieces.
  private var made: DMAMapTrace??

  var ofThisProcess: DMAMapTrace? {
    if let made { return made }
    let trace = DMAMapTrace(by: LinuxKernel())
    made = .some(trace)
    return trace
  }
}
