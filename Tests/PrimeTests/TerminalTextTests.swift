import Foundation
import Testing

@testable import Prime
@testable import prime_tool

@Suite("Text on its way to a terminal")
struct TerminalTextTests {
  /// A clear screen, a bell, a turned direction, a C1 introducer and a line separator.
  private let hostile = "a\u{1b}[2Jb\u{7}c\u{202e}d\u{9b}e\u{2028}f"

  @Test func `is shown and not obeyed`() {
    let harmless = "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f"
    #expect(TerminalText.word(hostile) == harmless)
    #expect(TerminalText.lines(hostile) == harmless)
  }

  @Test func `of one word has no lines, and text has`() {
    #expect(TerminalText.word("a\nb\tc") == "a\u{fffd}b\u{fffd}c")
    #expect(TerminalText.lines("a\nb\tc → é\n") == "a\nb\tc → é\n")
  }

  @Test func `keeps this tool's colours, and nobody else's orders`() {
    #expect(TerminalText.lines("\u{1b}[32mproven\u{1b}[0m\n") == "\u{1b}[32mproven\u{1b}[0m\n")
    #expect(TerminalText.lines("\u{1b}[8mhidden\u{1b}]0;title") == "\u{fffd}[8mhidden\u{fffd}]0;title")
  }

  @Test func `in JSON means the same, and is escaped`() throws {
    let text = try JSONOutput.line(["name": hostile])
    #expect(text == #"{"name":"a\u001b[2Jb\u0007c\u202ed\u009be\u2028f"}"#)
    let read = try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
    #expect(read == ["name": hostile])
    // Above the first plane an escape has two parts.
    #expect(try JSONOutput.line(["a\u{e0001}"]) == #"["a\udb40\udc01"]"#)
  }

  @Test func `of a report that others wrote is harmless in a comparison`() {
    var comparison = ReportComparison(old: [], new: [])
    comparison.worse = [.init(key: "vgem\n\u{1b}]0;x\u{7}", old: "pass", new: "fail")]
    #expect(
      ComparisonText(comparison).text == """
        worse  vgem\u{fffd}\u{fffd}]0;x\u{fffd}  pass → fail
        1 worse, 0 lost, 0 better, 0 different, 0 new, 0 gone, 0 the same

        """)
  }
}
