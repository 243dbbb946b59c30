/// Columns of text as wide as their widest cell.
///
/// Widths are counted without colour.
struct TextTable {
  struct Cell {
    let text: String
    let colour: TextStyle.Colour?

    init(_ text: String, _ colour: TextStyle.Colour? = nil) {
      self.text = TerminalText.word(text)
      self.colour = colour
    }
  }

  private var rows: [[Cell]] = []

  mutating func add(_ row: [Cell]) {
    rows.append(row)
  }

  /// The rows as lines; nothing pads the end of a line.
  func lines(_ style: TextStyle) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { $0.indices.contains(column) ? $0[column].text.count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let last = row.lastIndex { !$0.text.isEmpty } ?? 0
      return row.indices.prefix(last + 1).map { column in
        let cell = row[column]
        let padding = column == last ? 0 : widths[column] - cell.text.count
        return style.paint(cell.text, cell.colour) + String(repeating: " ", count: padding)
      }.joined(separator: "  ")
    }
  }
}
