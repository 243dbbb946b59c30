import Prime
import PrimeVerify

/// What was seen of fences or of lifetimes: a table with a row for each pair, and what is behind everything that did not hold.
struct RuleText {
  private let title: String
  private let reports: [RuleReport]
  private let verbose: Bool
  private let style = TextStyle()

  init(_ title: String, _ reports: [RuleReport], verbose: Bool) {
    self.title = title
    self.reports = reports
    self.verbose = verbose
  }

  var text: String {
    guard !reports.isEmpty else { return "\(title): no pair shares a buffer\n" }
    return (table + [""] + reasons + (verbose ? details : []) + [summary, ""]).joined(separator: "\n")
  }

  private struct Pair: Hashable {
    var exporter: String
    var allocator: AllocatorKind
    var importer: String

    init(_ report: RuleReport) {
      exporter = report.exporter
      allocator = report.allocator
      importer = report.importer
    }

    var name: String {
      "\(allocator.isTold(byName: exporter) ? exporter : "\(exporter) \(allocator.rawValue)") → \(importer)"
    }
  }

  /// What tells a pair from the others.
  static func pairName(_ report: RuleReport) -> String { Pair(report).name }

  private static func unique<Element: Hashable>(_ elements: [Element]) -> [Element] {
    var seen: Set<Element> = []
    return elements.filter { seen.insert($0).inserted }
  }

  private var table: [String] {
    let checks = Self.unique(reports.map(\.check))
    var table = TextTable()
    table.add([TextTable.Cell(title, .bold)] + checks.map { TextTable.Cell($0, .bold) })
    for pair in Self.unique(reports.map(Pair.init)) {
      let own = reports.filter { Pair($0) == pair }
      table.add(
        [TextTable.Cell(pair.name, .bold)]
          + checks.map { check in own.first { $0.check == check }.map(cell) ?? TextTable.Cell("not run", .grey) })
    }
    return table.lines(style)
  }

  private func cell(_ report: RuleReport) -> TextTable.Cell {
    switch report.verdict {
    case .held: TextTable.Cell("held", .green)
    case .broken: TextTable.Cell("BROKEN", .red)
    case .skipped: TextTable.Cell("skipped", .grey)
    case .error: TextTable.Cell(["ERROR", report.outcome].compactMap(\.self).joined(separator: " "), .red)
    }
  }

  /// One paragraph for each thing that was seen and each reason, with all pairs that it is about.
  private var reasons: [String] {
    let others = reports.filter { $0.verdict != .held }
    let keys = Self.unique(others.map(sentence))
    return keys.flatMap { key in
      let pairs = others.filter { sentence($0) == key }
      let first = pairs[0]
      let names = Self.unique(pairs.map { Pair($0).name }).joined(separator: ", ")
      let promise = first.verdict == .broken ? ["    promised: \(first.expected)"] : []
      return ["\(first.verdict.rawValue): \(names)"] + promise + ["    \(key)"]
    } + (keys.isEmpty ? [] : [""])
  }

  private func sentence(_ report: RuleReport) -> String {
    let call = [report.call, report.errno].compactMap { $0 }.joined(separator: " ")
    let words = report.got ?? report.reason ?? "no reason is known"
    return "\(report.check): \(call.isEmpty ? "" : "\(call): ")\(words)"
  }

  private var details: [String] {
    reports.flatMap { report in
      let head =
        "\(Pair(report).name) \(report.check): \(report.verdict.rawValue), \(TextStyle.milliseconds(report.nanoseconds))"
      return ["\(head)\(report.got.map { ", \($0)" } ?? "")", "    \(report.expected)"]
        + (report.control.map { ["    without it: \($0)"] } ?? [])
    } + [""]
  }

  private var summary: String {
    let counts = RuleVerdict.allCases.map { verdict in
      "\(reports.count { $0.verdict == verdict }) \(verdict.rawValue)"
    }
    return "\(title): \(counts.joined(separator: ", "))"
  }
}
