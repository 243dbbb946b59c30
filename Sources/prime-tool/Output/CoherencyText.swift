import Prime
import PrimeVerify

/// What SYNC decides, with a row for each pair, and the reasons beneath.
struct CoherencyText {
  private let reports: [CoherencyReport]
  private let verbose: Bool
  private let style = TextStyle()

  init(_ reports: [CoherencyReport], verbose: Bool) {
    self.reports = reports
    self.verbose = verbose
  }

  var text: String {
    guard !reports.isEmpty else { return "coherency: no pair shares a buffer\n" }
    return (table + [""] + reasons + (verbose ? details : []) + [summary, ""]).joined(separator: "\n")
  }

  private static func name(_ report: CoherencyReport) -> String {
    let isTold = report.allocator.isTold(byName: report.exporter)
    return "\(isTold ? report.exporter : "\(report.exporter) \(report.allocator.rawValue)") → \(report.importer)"
  }

  private var table: [String] {
    var table = TextTable()
    table.add(["coherency", "bounced", "SYNC", "what was lost"].map { TextTable.Cell($0, .bold) })
    for report in reports {
      // A device that made the buffer has no mapping of it that could be bounced.
      let isOwn = report.exporter == report.importer
      let bounced = report.bounced.map { $0 ? "yes" : "no" } ?? (isOwn ? "own" : "not known")
      var lost: [String] = []
      for look in report.looks where look.saw == .earlier && !lost.contains(look.variant.rawValue) {
        lost.append(look.variant.rawValue)
      }
      table.add([
        TextTable.Cell(Self.name(report), .bold), TextTable.Cell(bounced), Self.cell(report.answer),
        TextTable.Cell(lost.isEmpty ? "nothing" : lost.joined(separator: ", ")),
      ])
    }
    return table.lines(style)
  }

  private static func cell(_ answer: CoherencyReport.Answer) -> TextTable.Cell {
    switch answer {
    case .notNeeded: TextTable.Cell("not needed", .grey)
    case .neededAndKept: TextTable.Cell("needed, kept", .green)
    case .neededAndNotDone: TextTable.Cell("NEEDED, NOT DONE", .red)
    case .untold: TextTable.Cell("untold", .yellow)
    }
  }

  /// One paragraph for each reason, with all pairs that it is about.
  private var reasons: [String] {
    var order: [String] = []
    var pairs: [String: [String]] = [:]
    for report in reports {
      guard let reason = report.reason else { continue }
      if pairs[reason] == nil { order.append(reason) }
      pairs[reason, default: []].append(Self.name(report))
    }
    let lines = order.flatMap { ["\((pairs[$0] ?? []).joined(separator: ", "))", "    \($0)"] }
    return lines.isEmpty ? [] : lines + [""]
  }

  /// Every look.
  private var details: [String] {
    reports.flatMap { report in
      [Self.name(report)]
        + CoherencyVariant.allCases.compactMap { variant in
          let looks = report.looks.filter { $0.variant == variant }
            .map { "\($0.observer.rawValue) \($0.saw.rawValue)" }
          return looks.isEmpty ? nil : "    \(variant.rawValue): \(looks.joined(separator: ", "))"
        }
    } + [""]
  }

  private var summary: String {
    let counts = CoherencyReport.Answer.allCases.map { answer in
      "\(reports.count { $0.answer == answer }) \(answer.rawValue)"
    }
    return "coherency: \(counts.joined(separator: ", "))"
  }
}
