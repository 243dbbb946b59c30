import Prime

/// The result of `check` as text: what differs, what could not be looked at, and a summary by group that fits a screen.
struct CheckText {
  private let report: CheckReport
  private let verbose: Bool
  private let style = TextStyle()

  init(_ report: CheckReport, verbose: Bool) {
    self.report = report
    self.verbose = verbose
  }

  var text: String {
    let parts = [details, skips, summary].filter { !$0.isEmpty }
    return parts.map { $0.joined(separator: "\n") + "\n" }.joined(separator: "\n")
  }

  private var details: [String] {
    report.statements.flatMap { result -> [String] in
      guard verbose || ![.pass, .skip].contains(result.outcome) else { return [] }
      let place = result.subject.map { " on \($0)" } ?? ""
      var lines = ["\(style.paint(word(result.outcome), colour(result.outcome))) \(result.id)\(place): \(result.title)"]
      if let reason = result.reason { lines.append("  \(reason)") }
      if result.outcome == .fail || result.outcome == .deviation {
        for finding in result.findings.dropFirst() {
          lines.append("  \(finding.call): expected \(finding.expected), got \(finding.got)")
        }
        lines.append(style.paint("  \(result.source)", .grey))
      }
      if verbose { lines += result.calls.map { style.paint("    \($0)", .grey) } }
      return lines + result.kernelLog.map { "  kernel: \($0)" }
    }
  }

  /// Each reason once, with the statements it kept from running.
  private var skips: [String] {
    var byReason: [(reason: String, ids: [String])] = []
    for result in report.statements where result.outcome == .skip {
      let reason = result.reason ?? "no reason given"
      if let index = byReason.firstIndex(where: { $0.reason == reason }) {
        if !byReason[index].ids.contains(result.id) { byReason[index].ids.append(result.id) }
      } else {
        byReason.append((reason, [result.id]))
      }
    }
    return byReason.map { "\(style.paint("skip", .yellow)) \($0.ids.joined(separator: " ")): \($0.reason)" }
  }

  private var summary: [String] {
    var table = TextTable()
    table.add(["", "pass", "fail", "known", "deviation", "skip", "error"].map { .init($0, .bold) })
    func cells(_ results: [CheckResult]) -> [TextTable.Cell] {
      func count(_ outcomes: CheckOutcome..., colour: TextStyle.Colour? = nil) -> TextTable.Cell {
        let number = results.count { outcomes.contains($0.outcome) }
        return .init("\(number)", number > 0 ? colour : nil)
      }
      return [
        count(.pass, .unexpectedPass, colour: .green), count(.fail, colour: .red), count(.knownDeviation),
        count(.deviation, colour: .yellow), count(.skip, colour: .yellow), count(.error, colour: .red),
      ]
    }
    for group in Contract.groups {
      let results = report.statements.filter { $0.id.first == group.letter }
      guard !results.isEmpty else { continue }
      table.add([.init("\(group.letter) \(group.title)")] + cells(results))
    }
    table.add([.init("all", .bold)] + cells(report.statements))
    let ran = report.coverage
    return table.lines(style) + [
      "",
      "\(ran.run) of \(ran.all) statements ran on \(report.host.kernel); \(ran.skipped) were skipped, "
        + "\(ran.advice) are advice. Seed \(report.seed).",
    ]
  }

  private func word(_ outcome: CheckOutcome) -> String {
    switch outcome {
    case .pass: "pass"
    case .fail: "FAIL"
    case .knownDeviation: "known"
    case .unexpectedPass: "unexpected pass"
    case .deviation: "deviation"
    case .skip: "skip"
    case .error: "ERROR"
    }
  }

  private func colour(_ outcome: CheckOutcome) -> TextStyle.Colour {
    switch outcome {
    case .pass, .unexpectedPass: .green
    case .fail, .error: .red
    case .knownDeviation, .deviation, .skip: .yellow
    }
  }
}
