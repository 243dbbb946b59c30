internal import Prime

/// What a child tells its parent: each call before it makes it, and the report at the end.
///
/// Text records separated by a byte that no text has; the parent keeps what arrived before a child died.
enum TrialMessage {
  private static let record: UInt8 = 0x1e
  private static let field: Character = "\u{1f}"
  private static let line: Character = "\u{1d}"

  static func call(_ text: String) -> [UInt8] {
    Array("C\(field)\(clean(text))".utf8) + [record]
  }

  static func report(_ report: Trial.Report) -> [UInt8] {
    let result = report.result
    let findings = result.findings.flatMap { [$0.expected, $0.got, $0.call] }
    let fields = [
      "R", result.outcome.rawValue, clean(result.reason ?? ""), joined(findings), joined(result.calls),
      "\(result.nanoseconds)", joined(report.dmaBufs.map(String.init)), "\(report.callCount)",
    ]
    return Array(fields.joined(separator: String(field)).utf8) + [record]
  }

  /// The last call that was announced and the report, as far as they arrived.
  static func parse(_ bytes: [UInt8], _ trial: Trial) -> (lastCall: String?, report: Trial.Report?) {
    var lastCall: String?
    var report: Trial.Report?
    for text in bytes.split(separator: record) {
      let fields = String(decoding: text, as: UTF8.self).split(separator: field, omittingEmptySubsequences: false)
        .map(String.init)
      if fields.count == 2, fields[0] == "C" { lastCall = fields[1] }
      guard fields.count == 8, fields[0] == "R", let outcome = CheckOutcome(rawValue: fields[1]) else { continue }
      var result = CheckResult(trial.statement, on: trial.subject, outcome, reason: fields[2].isEmpty ? nil : fields[2])
      let parts = split(fields[3])
      result.findings = stride(from: 0, to: parts.count - parts.count % 3, by: 3).map {
        Finding(expected: parts[$0], got: parts[$0 + 1], call: parts[$0 + 2])
      }
      (result.expected, result.got) = (result.findings.first?.expected, result.findings.first?.got)
      result.calls = split(fields[4])
      result.nanoseconds = Int64(fields[5]) ?? 0
      report = Trial.Report(
        result: result, dmaBufs: Set(split(fields[6]).compactMap { UInt64($0) }), callCount: Int(fields[7]) ?? 0)
    }
    return (lastCall, report)
  }

  private static func joined(_ texts: [String]) -> String {
    texts.map(clean).joined(separator: String(line))
  }

  private static func split(_ text: String) -> [String] {
    text.isEmpty ? [] : text.split(separator: line, omittingEmptySubsequences: false).map(String.init)
  }

  /// A text of the kernel's could hold anything; a separator in it would make two of one.
  private static func clean(_ text: String) -> String {
    String(text.map { [line, Character(Unicode.Scalar(record)), field].contains($0) ? " " : $0 })
  }
}
