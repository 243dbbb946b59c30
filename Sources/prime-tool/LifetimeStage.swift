import Foundation
import Prime

/// The process cases of `verify --lifetime`, each pair in a process of its own.
///
/// It has to be made before this process starts a thread.
struct LifetimeStage {
  private let stage: ProcessStage
  private let plan: VerifyPlan

  /// How long the cases of one pair may take.
  private static let limit = Duration.seconds(60)

  init(plan: VerifyPlan, seed: UInt64) throws {
    self.plan = plan
    do {
      stage = try ProcessStage { request in
        let (exporter, importer) = Self.pair(request, plan)
        let cases = ProcessCases(
          exporter: exporter, importer: importer, seed: seed, deadline: Deadline(in: Self.limit))
        // Nothing to do about what cannot be encoded: the answer is empty then, and is told as that.
        return (try? JSONEncoder().encode(cases.run())).map(Array.init) ?? []
      }
    } catch {
      StandardError.note("prime-tool: \(error)")
      throw ExitStatus.failed
    }
  }

  private static func pair(_ request: UInt32, _ plan: VerifyPlan) -> (Exporter, Importer) {
    let number = Int(request)
    return (plan.exporters[number / plan.importers.count], plan.importers[number % plan.importers.count])
  }

  /// Runs the cases of one pair of the plan.
  func run(_ exporter: Exporter, _ importer: Importer, deadline: Deadline) -> [RuleReport] {
    guard let row = plan.exporters.firstIndex(of: exporter), let column = plan.importers.firstIndex(of: importer) else {
      return []
    }
    do throws(PrimeError) {
      let answer = try stage.ask(
        UInt32(row * plan.importers.count + column), deadline: deadline.atMost(Self.limit + .seconds(20)))
      if let reports = try? JSONDecoder().decode([RuleReport].self, from: Data(answer)) { return reports }
      throw PrimeError(
        operation: "fork", errno: Errno(rawValue: 5), subject: "the process cases", reason: "the process crashed")
    } catch {
      return PairRules.failed(exporter, importer, error)
    }
  }
}
