import Prime
import PrimeVerify

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

  /// One table for each format and size that was to be looked at.
  private struct Picture: Hashable {
    var format: String
    var width: Int
    var height: Int
    var isDisjoint: Bool

    init(_ cell: CellReport) {
      format = cell.format
      width = cell.asked?.width ?? cell.width
      height = cell.asked?.height ?? cell.height
      isDisjoint = cell.disjoint == true
    }
  }

  private var pictures: [Picture] {
    var seen: Set<Picture> = []
    return report.cells.map(Picture.init).filter { seen.insert($0).inserted }
  }

  private func table(_ picture: Picture) -> [String] {
    let cells = report.cells.filter { Picture($0) == picture }
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
    let caption =
      "\(picture.width)x\(picture.height) \(picture.format)" + (picture.isDisjoint ? ", a buffer for each plane" : "")
    return [caption] + table.lines(style)
  }

  /// The allocator is named where the exporter's name does not tell it already.
  private func rowName(_ exporter: Exporter) -> String {
    exporter.allocator.isTold(byName: exporter.name)
      ? exporter.name : "\(exporter.name) \(exporter.allocator.rawValue)"
  }

  private func cell(_ cell: CellReport) -> TextTable.Cell {
    let size = cell.asked == nil ? "" : " \(cell.width)x\(cell.height)"
    return switch cell.verdict {
    case .proven: TextTable.Cell("proven " + (cell.proofs ?? []).map(letter).joined() + size, .green)
    case .shared: TextTable.Cell("shared" + size, .yellow)
    case .held, .reported: TextTable.Cell("held" + size, .yellow)
    case .refused: TextTable.Cell("- \(cell.outcome ?? "refused")", .grey)
    case .untested: TextTable.Cell("untested", .grey)
    case .mismatch: TextTable.Cell("MISMATCH" + size, .red)
    case .error: TextTable.Cell(["ERROR", cell.outcome].compactMap(\.self).joined(separator: " "), .red)
    }
  }

  private func letter(_ observer: ObserverName) -> String {
    switch observer {
    case .writeback: "W"
    case .crc: "C"
    case .gpu: "R"
    case .gbmMap: "G"
    case .nativeMap: "N"
    case .v4l2: "V"
    case .v4l2Capture: "P"
    case .identity: ""
    }
  }

  private static let videoLegend = [
    "         V its video device gave a copy of what it read, P its video device wrote a known picture there"
  ]

  /// Explains the words that this run's table has.
  private var legend: [String] {
    let lines: [(Verdict, [String])] = [
      (
        .proven,
        [
          "proven   the importer's engine read the buffer and saw what was written after the import:",
          "         W its display engine wrote back what it fetched, C the checksum of its CRTC tells, G its Mesa driver copied it,",
          "         N the device that made it looked through its own mapping"
            + (report.cells.contains { $0.proofs?.contains(.gpu) == true }
              ? ", R its GPU read it, in a program of its own" : ""),
        ] + (plan.videos.isEmpty ? [] : Self.videoLegend)
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
      let key = "\(cell.verdict.rawValue) \(side) \(cell.call ?? "") \(cell.outcome ?? "")"
      if groups[key] == nil { order.append(key) }
      groups[key, default: []].append(cell)
    }
    let lines = order.compactMap { groups[$0] }.flatMap(paragraph) + obstacles + warnings + formats
    return lines.isEmpty ? [] : lines + [""]
  }

  /// What was in the way of those who could have proven it, said once for all pairs that share no more for it.
  private var obstacles: [String] {
    var order: [String] = []
    var pairs: [String: [String]] = [:]
    for cell in report.cells where [.shared, .held].contains(cell.verdict) {
      for sentence in TextStyle.sentences(cell.tried.filter(\.isObstructed)) {
        if pairs[sentence] == nil { order.append(sentence) }
        pairs[sentence, default: []].append("\(cell.exporter) → \(cell.importer)")
      }
    }
    return order.flatMap { ["not proven: \(pairs[$0, default: []].joined(separator: ", "))", "    \($0)"] }
  }

  /// One line for each cell that shares and should not be relied on.
  private var warnings: [String] {
    report.cells.compactMap { cell in
      cell.warning.map { "warning: \(cell.exporter) → \(cell.importer): \($0)" }
    }
  }

  /// A line for what was seen of some cells beside their verdict, said once for each importer: that a display engine or a video
  /// device read the bytes in another format than the buffer's own, or what a camera did.
  private var formats: [String] {
    var order: [String] = []
    var exporters: [String: [String]] = [:]
    for cell in report.cells where cell.verdict.passes {
      for note in notes(of: cell).map({ "\(cell.importer): \($0)" }) {
        if exporters[note] == nil { order.append(note) }
        exporters[note, default: []].append(cell.exporter)
      }
    }
    return order.map { note in "\(exporters[note, default: []].joined(separator: ", ")) → \(note)" }
  }

  private func notes(of cell: CellReport) -> [String] {
    var notes: [String] = []
    if cell.verdict == .proven, let shownAs = cell.shownAs, shownAs != cell.format {
      let objection = cell.formatObjection.map { ": \($0)" } ?? ""
      notes.append("its bytes are proven, shown as \(shownAs) and not as \(cell.format)\(objection)")
    }
    if cell.verdict == .proven, let conversion = cell.conversion {
      notes.append("its colours are proven: those of \(cell.format) by \(conversion)")
    }
    if cell.observers.contains(.v4l2Capture), let reason = cell.reason { notes.append(reason) }
    return notes
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
      let tried = cell.tried.map { "    \(TextStyle.sentence($0))" }
      var head = "\(cell.exporter) \(cell.allocator.rawValue) → \(cell.importer): \(cell.verdict.rawValue)"
      if !seen.isEmpty { head += " by \(seen)" }
      head += ", \(cell.controls) controls"
      if let isBounced = cell.bounced { head += isBounced ? ", bounced" : ", not bounced" }
      if let sync = cell.sync { head += ", SYNC: \(Self.words(sync))" }
      if let lost = cell.lostWritebacks { head += ", \(lost) writebacks not written in time" }
      let programs = [("drawn", cell.drawnBy), ("read", cell.witness)].compactMap { verb, report in
        report.map { "    \(TextStyle.sentence(verb, by: $0))" }
      }
      return [
        head,
        "    \(times)",
      ] + programs + tried
    } + [""]
  }

  private static func words(_ sync: SyncEffect) -> String {
    let fences =
      switch sync.waitsForFences {
      case true?: "waited for fences"
      case false?: "DID NOT WAIT FOR FENCES"
      case nil: "not known whether it waits for fences"
      }
    let reach =
      switch sync.reach {
      case .none: "no mapping"
      case .ownMapping: "its own mapping only"
      case .everyAttachment: "every attachment"
      case .unknown: "not known whose mapping"
      }
    return "\(fences), \(reach)\(sync.evidence.map { " (\($0.rawValue))" } ?? "")"
  }

  private var summary: String {
    let counts = Verdict.ofCells.map { "\(report.count($0)) \($0.rawValue)" }.joined(separator: ", ")
    let passed = report.cells.count(where: \.verdict.passes)
    return "\(passed) of \(report.cells.count) pass: \(counts) · kernel \(report.host.kernel) · seed \(report.seed)"
  }
}
