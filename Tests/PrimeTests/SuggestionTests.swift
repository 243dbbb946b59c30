import Testing

@testable import prime_tool

@Suite("What a person may have meant who mistyped")
struct SuggestionTests {
  static let names = ["list", "verify", "scanout", "export", "import", "buffers", "check", "diff", "help"]

  @Test(
    "is the nearest name",
    arguments: [
      ("veryfy", "verify"), ("VERIFY", "verify"), ("verfiy", "verify"), ("scanot", "scanout"), ("exports", "export"),
      ("lsit", "list"), ("chekc", "check"),
    ])
  func near(text: String, name: String) {
    #expect(Suggestion.closest(to: text, among: Self.names) == name)
    #expect(Suggestion.sentence(for: text, among: Self.names) == ", did you mean '\(name)'?")
  }

  @Test("is not told where nothing is near", arguments: ["", "x", "li", "modetest", "0000:00:02.0", "vary"])
  func far(text: String) {
    #expect(Suggestion.closest(to: text, among: Self.names) == nil)
    #expect(Suggestion.sentence(for: text, among: Self.names) == "")
  }

  @Test("is one of the names that are there")
  func none() {
    #expect(Suggestion.closest(to: "vgem", among: []) == nil)
    #expect(Suggestion.closest(to: "XRG24", among: ["XRGB8888", "XR24"]) == "XR24")
    #expect(Suggestion.closest(to: "v", among: ["x"]) == nil)
  }
}
