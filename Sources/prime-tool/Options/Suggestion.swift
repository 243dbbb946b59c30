/// What a person may have meant who typed a name that is none.
enum Suggestion {
  /// `, did you mean NAME?` for the name that is nearest, in capitals or not; `punctuation` where none is near.
  static func sentence(for text: String, among names: [String], otherwise punctuation: String = "") -> String {
    closest(to: text, among: names).map { ", did you mean '\($0)'?" } ?? punctuation
  }

  /// The first of the names with the fewest slips of the finger between it and the text: at most one in three letters.
  static func closest(to text: String, among names: [String]) -> String? {
    let measured = names.map { (name: $0, slips: slips(from: text.lowercased(), to: $0.lowercased())) }
    guard let best = measured.min(by: { $0.slips < $1.slips }), best.slips <= max(1, text.count / 3),
      best.slips < best.name.count
    else { return nil }
    return best.name
  }

  /// How many letters are missing, too many, wrong, or in the place of their neighbour (optimal string alignment).
  private static func slips(from text: String, to name: String) -> Int {
    let (text, name) = (Array(text), Array(name))
    var rows = [Array(0...name.count)]
    for i in text.indices {
      var row = [i + 1]
      for j in name.indices {
        var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (text[i] == name[j] ? 0 : 1))
        if i > 0, j > 0, text[i] == name[j - 1], text[i - 1] == name[j] { best = min(best, rows[i - 1][j - 1] + 1) }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[text.count][name.count]
  }
}
