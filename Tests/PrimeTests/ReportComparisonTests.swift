import Foundation
import Prime
import PrimeVerify
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

  /// A report of one pair whose fences were looked at, where `rules` is a JSON array.
  private func report(fences rules: String?) throws -> VerifyReport {
    let fences = rules.map { #""fences": \#($0),"# } ?? ""
    let text = """
      {"schema": "prime-tool/verify/2", "host": {"kernel": "6.12.0", "architecture": "x86_64"}, "seed": 1, "devices": [],
       "summary": {}, "leaks": {"descriptors": []}, "interrupted": false, \(fences)
       "cells": [{"exporter": "vgem", "importer": "vkms", "allocator": "dumb", "format": "XRGB8888", "width": 64,
         "height": 48, "verdict": "proven", "observers": ["writeback"], "tried": [], "controls": 1, "nanoseconds": {}}]}
      """
    return try JSONDecoder().decode(VerifyReport.self, from: Data(text.utf8))
  }

  private func fence(_ verdict: String) -> String {
    """
    [{"exporter": "vgem", "importer": "vkms", "allocator": "dumb", "check": "write-busy", "verdict": "\(verdict)",
      "expected": "the importer waits", "nanoseconds": 1}]
    """
  }

  private func compareFences(_ old: String?, _ new: String?) throws -> ReportComparison {
    ReportComparison(
      old: try report(fences: old.map(fence)).entries, new: try report(fences: new.map(fence)).entries)
  }

  @Test(arguments: ["broken", "error", "skipped"])
  func `of verify show a fence that held and does not any more`(verdict: String) throws {
    let comparison = try compareFences("held", verdict)
    #expect(
      comparison.worse == [.init(key: "vgem → vkms dumb fences: write-busy", old: "held", new: verdict)])
    #expect(comparison.same == 1)
  }

  @Test func `of verify count fences that are not looked at any more as lost, and new ones as new`() throws {
    #expect(try compareFences("held", nil).lost.map(\.key) == ["vgem → vkms dumb fences: write-busy"])
    #expect(try !compareFences(nil, "held").hasRegression)
    #expect(try compareFences("broken", "held").better.count == 1)
  }
}
