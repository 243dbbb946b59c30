package import Prime

/// The result of `check`: the model that every format is made from.
///
/// Its keys are stable within a schema version.
package struct CheckReport: Hashable, Sendable, Codable {
  /// The name and version of the schema of `check --json`.
  package static let currentSchema = "prime-tool/check/1"

  /// How many statements were looked at, as opposed to results: one statement has a result for each subject.
  package struct Coverage: Hashable, Sendable, Codable {
    /// Every statement that was asked for.
    package var all: Int
    /// Those that ran on one subject at least.
    package var run: Int
    /// Those that ran nowhere.
    package var skipped: Int
    /// Those that are there to be read.
    package var advice: Int
  }

  /// Which schema this is.
  package var schema: String
  /// Where it was made.
  package var host: HostDescription
  /// The number that repeats the run's patterns.
  package var seed: UInt64
  /// The devices of the machine, used or not.
  package var devices: [DeviceEntry]
  /// One entry for each statement and subject, in the order of the statements.
  package var statements: [CheckResult]
  /// How many results have each outcome; every outcome is there.
  package var summary: [String: Int]
  /// How many statements ran.
  package var coverage: Coverage
  /// Whether it ended before every statement had been tried.
  package var interrupted: Bool

  package init(
    _ outcomes: Runner.Outcomes, of asked: [Statement], machine: Machine, allDevices: [DeviceDescription], seed: UInt64
  ) {
    schema = Self.currentSchema
    host = .current()
    self.seed = seed
    devices = allDevices.map { DeviceEntry($0, among: allDevices) }
    statements = outcomes.results
    summary = Dictionary(
      uniqueKeysWithValues: CheckOutcome.allCases.map { outcome in
        (outcome.rawValue, outcomes.results.count { $0.outcome == outcome })
      })
    let ran = Set(outcomes.results.filter { $0.outcome != .skip }.map(\.id))
    let advice = asked.count { $0.kind == .advice }
    coverage = Coverage(all: asked.count, run: ran.count, skipped: asked.count - advice - ran.count, advice: advice)
    interrupted = outcomes.stoppedBy != nil || outcomes.ranOutOfTime
  }

  /// Whether something does not hold that should; with `strict` also what is a driver's own.
  package func fails(strict: Bool) -> Bool {
    statements.contains { $0.outcome.fails(strict: strict) }
  }
}

extension CheckReport {
  /// The results, for a comparison with another run's.
  package var entries: [ReportComparison.Entry] { statements.map { Self.entry($0.id, $0.subject, $0.outcome) } }

  /// One result, for a comparison.
  package static func entry(_ id: String, _ subject: String?, _ outcome: CheckOutcome) -> ReportComparison.Entry {
    let rank: Int? =
      switch outcome {
      case .pass, .unexpectedPass: 3
      case .knownDeviation, .suspect: 2
      case .deviation: 1
      case .fail, .error: 0
      case .skip: nil
      }
    return ReportComparison.Entry(
      key: id + (subject.map { " \($0)" } ?? ""), result: outcome.rawValue, rank: rank, holds: rank == 3)
  }
}
