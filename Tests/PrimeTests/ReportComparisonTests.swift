import Prime
import Testing

@Suite("Two reports compared")
struct ReportComparisonTests {
  private typealias Entry = ReportComparison.Entry

  private static let ranks = ["pass": 3, "known": 2, "deviation": 1, "fail": 0]

  private func entries(_ results: [(String, String)]) -> [Entry] {
    results.map { key, result in
      Entry(key: key, result: result, rank: Self.ranks[result], holds: result == "pass")
    }
  }

  private func compare(_ old: String, _ new: String) -> ReportComparison {
    ReportComparison(old: entries([("A01", old)]), new: entries([("A01", new)]))
  }

  @Test func `that are the same show nothing`() {
    let comparison = compare("pass", "pass")
    #expect(comparison.same == 1)
    #expect(!comparison.hasRegression)
  }

  @Test(arguments: [("pass", "fail"), ("pass", "known"), ("deviation", "fail"), ("skip", "fail")])
  func `show what got worse`(old: String, new: String) {
    let comparison = compare(old, new)
    #expect(comparison.worse == [.init(key: "A01", old: old, new: new)])
    #expect(comparison.hasRegression)
  }

  @Test(arguments: [("fail", "pass"), ("known", "pass"), ("fail", "known"), ("skip", "pass")])
  func `show what got better`(old: String, new: String) {
    let comparison = compare(old, new)
    #expect(comparison.better == [.init(key: "A01", old: old, new: new)])
    #expect(!comparison.hasRegression)
  }

  @Test func `count what held and is skipped now as worse, since a skip is never a pass`() {
    #expect(compare("pass", "skip").hasRegression)
  }

  @Test func `show what changes without a meaning`() {
    let comparison = compare("fail", "skip")
    #expect(comparison.different == [.init(key: "A01", old: "fail", new: "skip")])
    #expect(!comparison.hasRegression)
  }

  @Test func `count what held and is gone as lost`() {
    let comparison = ReportComparison(old: entries([("A01", "pass"), ("A02", "fail")]), new: [])
    #expect(comparison.lost.map(\.key) == ["A01"])
    #expect(comparison.disappeared.map(\.key) == ["A02"])
    #expect(comparison.hasRegression)
  }

  @Test func `show what only the new one knows`() {
    let comparison = ReportComparison(old: [], new: entries([("A01", "fail")]))
    #expect(comparison.appeared.map(\.key) == ["A01"])
    #expect(!comparison.hasRegression)
  }
}
