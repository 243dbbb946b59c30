/// Text with what others chose in it, names of devices and processes, reports, lines of the kernel, so that a terminal shows
/// it and obeys none of it.
enum TerminalText {
  /// One word or sentence: breaks, tabs and every other control or format character become U+FFFD.
  static func word(_ text: String) -> String {
    if isPlain(text) && !text.utf8.contains(0x0a) { return text }
    return String(String.UnicodeScalarView(text.unicodeScalars.map { isOrder($0) ? replacement : $0 }))
  }

  /// Whole lines of this tool's: its own breaks, tabs and colours stay.
  static func lines(_ text: String) -> String {
    if isPlain(text) { return text }
    var result = String.UnicodeScalarView()
    let scalars = Array(text.unicodeScalars)
    var index = scalars.startIndex
    while index < scalars.endIndex {
      let scalar = scalars[index]
      if scalar == "\u{1b}",
        let colour = TextStyle.codes.first(where: { scalars[index...].starts(with: $0.unicodeScalars) })
      {
        result += colour.unicodeScalars
        index += colour.unicodeScalars.count
        continue
      }
      result.append(isOrder(scalar) && scalar != "\n" && scalar != "\t" ? replacement : scalar)
      index += 1
    }
    return String(result)
  }

  /// JSON: the characters that its encoder leaves as they are become escapes, which mean the same to whoever reads it.
  static func json(_ text: String) -> String {
    if isPlain(text) { return text }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      guard isOrder(scalar), scalar.value >= 0x20 else {
        result.append(scalar)
        continue
      }
      for unit in String(scalar).utf16 {
        let digits = String(unit, radix: 16)
        result += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".unicodeScalars
      }
    }
    return String(result)
  }

  private static let replacement: Unicode.Scalar = "\u{fffd}"

  /// Whether it holds nothing but printable ASCII and line breaks, as most of it does.
  private static func isPlain(_ text: String) -> Bool {
    text.utf8.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x0a }
  }

  /// Whether a terminal may do something else than show it: escapes, and what turns the direction of a line.
  private static func isOrder(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7f }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: return true
    default: return false
    }
  }
}
