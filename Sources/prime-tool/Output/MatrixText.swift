import Prime

/// The matrix of a run as a table, its legend, and the reasons beneath it.
struct MatrixText {
  private let report: VerifyReport
  private let plan: VerifyPlan
  private let verbose: Bool
  private let style = TextStyle()

  init(_ report: VerifyReport, plan: VerifyPlan, verbose: Bool) {
    self.report = report
    self.plan = plan
    self.verbose = verbose
  }

  var text: String {
    var lines: [String] = []
    for picture in pictures { lines += table(picture) + [""] }
    if !report.cells.isEmpty { lines += legend + reasons }
    if verbose { lines += details }
    lines.append(summary)
    return lines.joined(separator: "\n") + "\n"
  }

  /// One table for each format and size.
  private struct Picture: Hashable {
    var format: String
    var width: Int
    var height: Int
  }

  private var pictures: [Picture] {
    var seen: Set<Picture> = []
    return report.cells.map { Picture(format: $0.format, width: $0.width, height: $0.height) }
      .filter { seen.insert($0).inserted }
  }

  private func table(_ picture: Picture) -> [String] {
    let cells = report.cells.filter {
      $0.format == picture.format && $0.width == picture.width && $0.height == picture.height
    }
    var table = TextTable()
    table.add([TextTable.Cell("exporter \\ importer", .bold)] + plan.importers.map { TextTable.Cell($0.name, .bold) })
    for exporter in plan.exporters {
      let row = plan.importers.map { importer in
        cells.first {
          $0.exporter == exporter.name && $0.allocator == exporter.allocator && $0.importer == importer.name
        }.map(cell) ?? TextTable.Cell("not run", .grey)
      }
      table.add([TextTable.Cell(rowName(exporter), .bold)] + row)
    }
    return ["\(picture.width)x\(picture.height) \(picture.format)"] + table.lines(style)
  }

  /// The allocator is named where the exporter's name does not tell it already.
  private func rowName(_ exporter: Exporter) -> String {
    exporter.allocator.isTold(byName: exporter.name)
      ? exporter.name : "\(exporter.name) \(exporter.allocator.rawValue)"
  }

  private func cell(_ cell: CellReport) -> TextTable.Cell {
    switch cell.verdict {
    case .proven: TextTable.Cell("proven " + (cell.proofs ?? []).map(letter).joined(), .green)
    case .shared: TextTable.Cell("shared", .yellow)
    case .held, .reported: TextTable.Cell("held", .yellow)
    case .refused: TextTable.Cell("- \(cell.errno ?? "refused")", .grey)
    case .untested: TextTable.Cell("untested", .grey)
    case .mismatch: TextTable.Cell("MISMATCH", .red)
    case .error: TextTable.Cell("ERROR \(cell.errno ?? "")", .red)
    }
  }

  private func letter(_ observer: ObserverName) -> String {
    switch observer {
    case .writeback: "W"
    case .crc: "C"
    case .gbmMap: "G"
    case .nativeMap: "N"
    case .identity: ""
    }
  }

  /// Explains the words that this run's table has.
  private var legend: [String] {
    let lines: [(Verdict, [String])] = [
      (
        .proven,
        [
          "proven   the importer's engine read the buffer and saw what was written after the import:",
          "         W its display engine wrote back what it fetched, C the checksum of its CRTC tells, G its Mesa driver copied it,",
          "         N the device that made it looked through its own mapping",
        ]
      ),
      (
        .shared,
        [
          "shared   the importer holds the same buffer and has mapped it; nothing here shows that its hardware reads it"
        ]
      ),
      (.held, ["held     the importer has a handle and nothing more is known: it may fail at its first use"]),
      (.refused, ["- E…     refused by the kernel with this errno"]),
      (.untested, ["untested it could not be looked at here"]),
    ]
    let present = lines.filter { report.count($0.0) > 0 }.flatMap(\.1)
    return present.isEmpty ? [] : present + [""]
  }

  /// One paragraph for each refusing side and errno, so that a driver that refuses everybody is said once.
  private var reasons: [String] {
    var order: [String] = []
    var groups: [String: [CellReport]] = [:]
    for cell in report.cells where !cell.verdict.passes {
      let side =
        switch (cell.verdict, cell.refusedBy) {
        case (.refused, .importer?): "into \(cell.importer)"
        case (.refused, .exporter?): "from \(cell.exporter)"
        default: cell.reason ?? "\(cell.exporter) \(cell.importer)"
        }
      let key = "\(cell.verdict.rawValue) \(side) \(cell.call ?? "") \(cell.errno ?? "")"
      if groups[key] == nil { order.append(key) }
      groups[key, default: []].append(cell)
    }
    let lines = order.compactMap { groups[$0] }.flatMap(paragraph) + formats
    return lines.isEmpty ? [] : lines + [""]
  }

  /// One line for each cell whose bytes a display engine read in another format than the buffer's own.
  private var formats: [String] {
    report.cells.compactMap { cell in
      guard cell.verdict == .proven, let shownAs = cell.shownAs, shownAs != cell.format else { return nil }
      let objection = cell.formatObjection.map { ": \($0)" } ?? ""
      return "\(cell.exporter) → \(cell.importer): its bytes are proven, shown as \(shownAs) and not as "
        + "\(cell.format)\(objection)"
    }
  }

  private func paragraph(_ cells: [CellReport]) -> [String] {
    guard let first = cells.first else { return [] }
    let pairs = cells.map { "\($0.exporter) → \($0.importer)" }
    var unique: [String] = []
    for pair in pairs where !unique.contains(pair) { unique.append(pair) }
    let what = first.verdict == .refused ? "" : "\(first.verdict.rawValue): "
    let call = [first.call, first.errno].compactMap { $0 }.joined(separator: " ")
    return [
      "\(what)\(unique.joined(separator: ", "))",
      "    " + (call.isEmpty ? "" : "\(call): ") + (first.reason ?? "no reason is known"),
    ]
  }

  private var details: [String] {
    report.cells.flatMap { cell in
      let seen = cell.observers.map(\.rawValue).joined(separator: ", ")
      let times = cell.nanoseconds.sorted { $0.key < $1.key }
        .map { "\($0.key) \(TextStyle.milliseconds($0.value))" }.joined(separator: ", ")
      let tried = cell.tried.map {
        "    \($0.observer.rawValue) could not look: \($0.call) \($0.errno): \($0.reason ?? "")"
      }
      var head = "\(cell.exporter) \(cell.allocator.rawValue) → \(cell.importer): \(cell.verdict.rawValue)"
      if !seen.isEmpty { head += " by \(seen)" }
      head += ", \(cell.controls) controls"
      if let sync = cell.sync { head += ", SYNC: \(sync.rawValue)" }
      if let lost = cell.lostWritebacks { head += ", \(lost) writebacks not written in time" }
      return [
        head,
        "    \(times)",
      ] + tried
    } + [""]
  }

  private var summary: String {
    let counts = Verdict.ofCells.map { "\(report.count($0)) \($0.rawValue)" }.joined(separator: ", ")
    let passed = report.cells.count(where: \.verdict.passes)
    return "\(passed) of \(report.cells.count) pass: \(counts) · kernel \(report.host.kernel) · seed \(report.seed)"
  }
}
