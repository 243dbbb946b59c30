import ArgumentParser
import Foundation
import Prime
import PrimeContract
import PrimeVerify

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compares two reports of `check --json` or of `verify --json`: what got better, worse, is new or gone.",
    discussion: """
      Exits with 1 where something got worse: what held and fails now, is skipped now, or is not looked at any more.
      `--baseline FILE` on check and verify does the same in one step.
      """)

  @Argument(help: "The report to compare with.")
  var old: String

  @Argument(help: "The report that may have got worse.")
  var new: String

  @Flag(help: "Print JSON (schema \(ComparisonReport.currentSchema)).")
  var json = false

  func run() throws {
    let (before, after) = (try StoredReport(path: old), try StoredReport(path: new))
    guard before.schema == after.schema else {
      throw ExitStatus.usage("\(old) is \(before.schema) and \(new) is \(after.schema): only one kind can be compared")
    }
    try Baseline.judge(ReportComparison(old: before.entries, new: after.entries), json: json)
  }
}

/// A report that an earlier run wrote.
struct StoredReport {
  let schema: String
  let entries: [ReportComparison.Entry]

  /// What a comparison needs of a report of `check`; stored ones may leave out the rest.
  private struct CheckOutcomes: Decodable {
    struct Result: Decodable {
      var id: String
      var subject: String?
      var outcome: CheckOutcome
    }
    var statements: [Result]

    var entries: [ReportComparison.Entry] { statements.map { CheckReport.entry($0.id, $0.subject, $0.outcome) } }
  }

  private struct Head: Decodable { var schema: String }

  /// Reads a file; what is no report of a known schema is a usage error in one sentence.
  init(path: String) throws {
    guard let text = FileManager.default.contents(atPath: path), !text.isEmpty else {
      throw ExitStatus.usage("\(path) cannot be read or is empty: name a file that `--json` wrote")
    }
    let decoder = JSONDecoder()
    guard let head = try? decoder.decode(Head.self, from: text) else {
      throw ExitStatus.usage("\(path) is no JSON report: name a file that `check --json` or `verify --json` wrote")
    }
    schema = head.schema
    do {
      switch head.schema {
      case CheckReport.currentSchema: entries = try decoder.decode(CheckOutcomes.self, from: text).entries
      case VerifyReport.currentSchema: entries = try decoder.decode(VerifyReport.self, from: text).entries
      default:
        throw ExitStatus.usage("\(path) has the schema '\(head.schema)', which this version cannot compare")
      }
    } catch let error as DecodingError {
      throw ExitStatus.usage("\(path) says it is \(head.schema) and is not: \(Self.place(of: error))")
    }
  }

  /// Reads a report to compare a run with, which must be of the run's kind.
  init(baseline path: String, schema: String) throws {
    self = try StoredReport(path: path)
    guard self.schema == schema else {
      throw ExitStatus.usage("--baseline \(path) is \(self.schema), and this run makes \(schema)")
    }
  }

  private static func place(of error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, _): "it has no '\(key.stringValue)'"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' is not what it should be"
    @unknown default: "it cannot be read"
    }
  }
}

/// A comparison as it is printed with `--json`.
struct ComparisonReport: Codable {
  static let currentSchema = "prime-tool/diff/1"
  var schema = currentSchema
  var comparison: ReportComparison
}

/// Compares a run with a stored one.
enum Baseline {
  /// Prints what changed, on standard output, and fails where something got worse.
  static func judge(_ comparison: ReportComparison, json: Bool) throws {
    try StandardOutput.write(
      json ? JSONOutput.text(ComparisonReport(comparison: comparison)) + "\n" : ComparisonText(comparison).text)
    if comparison.hasRegression { throw ExitStatus.failed }
  }

  /// Says on standard error what changed since a stored report; true where something got worse.
  static func showsRegression(of entries: [ReportComparison.Entry], since stored: StoredReport) -> Bool {
    let comparison = ReportComparison(old: stored.entries, new: entries)
    StandardError.write(ComparisonText(comparison).text)
    return comparison.hasRegression
  }
}
