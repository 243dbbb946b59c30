import Prime

/// What changed between two reports, a line each and the counts.
struct ComparisonText {
  private let comparison: ReportComparison
  private let style = TextStyle()

  init(_ comparison: ReportComparison) {
    self.comparison = comparison
  }

  var text: String {
    let sections: [(String, TextStyle.Colour?, [ReportComparison.Change])] = [
      ("worse", .red, comparison.worse), ("lost", .red, comparison.lost), ("better", .green, comparison.better),
      ("different", .yellow, comparison.different), ("new", nil, comparison.appeared),
      ("gone", nil, comparison.disappeared),
    ]
    var table = TextTable()
    for (word, colour, changes) in sections {
      for change in changes {
        table.add([.init(word, colour), .init(change.key), .init("\(change.old ?? "-") → \(change.new ?? "-")")])
      }
    }
    let counts = sections.map { "\($0.2.count) \($0.0)" }.joined(separator: ", ")
    let lines = table.lines(style) + ["\(counts), \(comparison.same) the same"]
    return lines.joined(separator: "\n") + "\n"
  }
}
