public import Prime

extension VerifyReport {
  /// The cells, and the fences, lifetimes and coherency that were looked at, for a comparison with another run's.
  public var entries: [ReportComparison.Entry] {
    cellEntries + Self.entries(of: fences, "fences") + Self.entries(of: lifetimes, "lifetimes") + coherencyEntries
  }

  private var coherencyEntries: [ReportComparison.Entry] {
    (coherency ?? []).map { report in
      let rank: Int? =
        switch report.answer {
        case .notNeeded, .neededAndKept: 1
        case .neededAndNotDone: 0
        case .untold: nil
        }
      return ReportComparison.Entry(
        key: "\(report.exporter) → \(report.importer) \(report.allocator.rawValue) coherency",
        result: report.answer.rawValue, rank: rank, holds: rank == 1)
    }
  }

  private static func entries(of rules: [RuleReport]?, _ kind: String) -> [ReportComparison.Entry] {
    (rules ?? []).map { rule in
      let rank: Int? =
        switch rule.verdict {
        case .held: 1
        case .broken, .error: 0
        case .skipped: nil
        }
      return ReportComparison.Entry(
        key: "\(rule.exporter) → \(rule.importer) \(rule.allocator.rawValue) \(kind): \(rule.check)",
        result: rule.verdict.rawValue, rank: rank, holds: rule.verdict == .held)
    }
  }

  private var cellEntries: [ReportComparison.Entry] {
    cells.map { cell in
      let rank: Int? =
        switch cell.verdict {
        case .proven: 4
        case .shared: 3
        case .held, .reported: 2
        case .refused: 1
        case .mismatch, .error: 0
        case .untested: nil
        }
      // A cell that was refused before it had a buffer knows no modifier, and is the same cell when it has one.
      let modifier = cell.modifier.flatMap { $0 == "linear" ? nil : " \($0)" } ?? ""
      return ReportComparison.Entry(
        key: "\(cell.exporter) → \(cell.importer) \(cell.allocator.rawValue) \(cell.format)\(modifier) "
          + "\(cell.width)x\(cell.height)\(cell.disjoint == true ? " disjoint" : "")",
        result: cell.verdict.rawValue, rank: rank, holds: cell.verdict == .proven || cell.verdict == .shared)
    }
  }
}
