/// Every statement as a page to look one up in: `docs/contract.md`.
package struct ContractPage {
  private let statements: [Statement]

  /// Makes a page of some statements.
  package init(_ statements: [Statement]) {
    self.statements = statements
  }

  /// The page as Markdown, with an anchor for each statement: `#b10`.
  package var markdown: String {
    var lines = [
      "# The contract", "",
      "What dma-buf, PRIME and KMS promise, as `prime-tool check` looks at it: \(statements.count) statements.",
      "Each is run on every device, pair or memory of the column *on*, and needs what the last column says.",
      "This page is made by `make docs`.", "",
      "* **core**: generic kernel code, the same for every driver. A failure is a bug.",
      "* **helper**: code that drivers share. A driver that is built on it keeps it; another may differ (a deviation).",
      "* **exporterSpecific**: one exporter's or driver's.",
      "* **advice**: how programs must behave. It is listed and not run.",
    ]
    for group in Contract.groups {
      let members = statements.filter { $0.group == group.letter }
      guard !members.isEmpty else { continue }
      lines += [
        "", "## \(group.letter): \(group.title)", "", "| id | class | promise | where it is written | on | needs |",
        "| --- | --- | --- | --- | --- | --- |",
      ]
      lines += members.map(Self.row)
    }
    let known = Contract.knownDeviations.filter { deviation in
      statements.contains { deviation.ids.contains($0.id) }
    }
    if !known.isEmpty {
      lines += [
        "", "## Known deviations", "", "Failures that are known, with their reason. `check` reports them and passes.",
        "",
      ]
      lines += known.map(Self.item)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func row(_ statement: Statement) -> String {
    let needs = statement.needs.map(\.summary).joined(separator: ", ")
    let cells = [
      "<a id=\"\(statement.id.lowercased())\"></a>\(statement.id)", statement.kind.rawValue, statement.title,
      statement.source,
      statement.kind == .advice ? "" : statement.subject.rawValue, needs,
    ]
    return "| " + cells.map(cell).joined(separator: " | ") + " |"
  }

  private static func item(_ deviation: KnownDeviation) -> String {
    var text = "* \(deviation.ids.sorted().joined(separator: ", ")), \(owner(deviation.whose))"
    if let since = deviation.since { text += ", since Linux \(since.major).\(since.minor)" }
    if let fixed = deviation.fixedIn { text += ", before Linux \(fixed.major).\(fixed.minor)" }
    return text + ": " + deviation.explanation
  }

  private static func owner(_ whose: KnownDeviation.Whose) -> String {
    switch whose {
    case .family(let family): "drivers built on \(family)"
    case .drivers(let drivers): drivers.sorted().joined(separator: ", ")
    case .everybody: "every driver"
    }
  }

  /// A cell of a table, in which a bar would end it.
  private static func cell(_ text: String) -> String {
    text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
  }
}
