import Prime
import PrimeContract

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
    guard !verbose else { return report.statements.flatMap { lines(about: $0, on: $0.subject.map { [$0] } ?? []) } }
    var told: [(result: CheckResult, subjects: [String])] = []
    for result in report.statements where ![.pass, .skip].contains(result.outcome) || !result.kernelLog.isEmpty {
      let subjects = result.subject.map { [$0] } ?? []
      // What is known and the same on many devices is told once.
      if result.outcome == .knownDeviation,
        let same = told.firstIndex(where: {
          $0.result.outcome == .knownDeviation && ($0.result.id, $0.result.reason) == (result.id, result.reason)
        })
      {
        told[same].subjects += subjects
      } else {
        told.append((result, subjects))
      }
    }
    return told.flatMap { lines(about: $0.result, on: $0.subjects) }
  }

  private func lines(about result: CheckResult, on subjects: [String]) -> [String] {
    let place = subjects.isEmpty ? "" : " on \(subjects.joined(separator: ", "))"
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

  /// Each reason once, with the statements it kept from running; what is true of several devices names them all.
  private var skips: [String] {
    struct Skipped {
      var ids: [String]
      var subjects: [String]
      var reason: String
    }
    var byReason: [Skipped] = []
    for result in report.statements where result.outcome == .skip {
      let reason = result.reason ?? "no reason given"
      if let subject = result.subject, reason.hasPrefix("\(subject) ") {
        let rest = String(reason.dropFirst(subject.count + 1))
        if let index = byReason.firstIndex(where: { $0.ids == [result.id] && $0.reason == rest }) {
          byReason[index].subjects.append(subject)
        } else {
          byReason.append(Skipped(ids: [result.id], subjects: [subject], reason: rest))
        }
      } else if let index = byReason.firstIndex(where: { $0.subjects.isEmpty && $0.reason == reason }) {
        if !byReason[index].ids.contains(result.id) { byReason[index].ids.append(result.id) }
      } else {
        byReason.append(Skipped(ids: [result.id], subjects: [], reason: reason))
      }
    }
    return byReason.map { skipped in
      let who =
        switch skipped.subjects.count {
        case 0: ""
        case 1: skipped.subjects[0] + " "
        default: "each of \(skipped.subjects.joined(separator: ", ")) "
        }
      return "\(style.paint("skip", .yellow)) \(Self.ranges(skipped.ids)): \(who)\(skipped.reason)"
    }
  }

  /// `A01-A07 A12` for the eight of them: three or more that follow each other are a range.
  private static func ranges(_ ids: [String]) -> String {
    var runs: [[String]] = []
    for id in ids {
      if let last = runs.last?.last, last.first == id.first, let before = Int(last.dropFirst()),
        Int(id.dropFirst()) == before + 1
      {
        runs[runs.count - 1].append(id)
      } else {
        runs.append([id])
      }
    }
    return runs.map { $0.count < 3 ? $0.joined(separator: " ") : "\($0[0])-\($0[$0.count - 1])" }
      .joined(separator: " ")
  }

  private var summary: [String] {
    var table = TextTable()
    let hasSuspects = report.statements.contains { $0.outcome == .suspect }
    let heads = ["", "pass", "fail", "known", "deviation", "skip", "error"] + (hasSuspects ? ["suspect"] : [])
    table.add(heads.map { .init($0, .bold) })
    func cells(_ results: [CheckResult]) -> [TextTable.Cell] {
      func count(_ outcomes: CheckOutcome..., colour: TextStyle.Colour? = nil) -> TextTable.Cell {
        let number = results.count { outcomes.contains($0.outcome) }
        return .init("\(number)", number > 0 ? colour : nil)
      }
      return [
        count(.pass, .unexpectedPass, colour: .green), count(.fail, colour: .red), count(.knownDeviation),
        count(.deviation, colour: .yellow), count(.skip, colour: .yellow), count(.error, colour: .red),
      ] + (hasSuspects ? [count(.suspect, colour: .yellow)] : [])
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
    case .suspect: "suspect"
    case .skip: "skip"
    case .error: "ERROR"
    }
  }

  private func colour(_ outcome: CheckOutcome) -> TextStyle.Colour {
    switch outcome {
    case .pass, .unexpectedPass: .green
    case .fail, .error: .red
    case .knownDeviation, .deviation, .suspect, .skip: .yellow
    }
  }
}
