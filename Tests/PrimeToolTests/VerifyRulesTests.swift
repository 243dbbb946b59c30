import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  @Suite("The fences and lifetimes of pairs in the lab")
  struct VerifyRules {
    /// One run for all tests of this suite: a device and system memory to a display, to a display on a wire, to neither.
    static let run = Result {
      let ran = try Tool.run(
        "verify", "--fences", "--lifetime", "--json", "--seed", "7", "--size", "64x64", "--exporter", "vgem",
        "--exporter", "heap", "--importer", "vkms", "--importer", "cirrus", "--importer", "vgem", limit: .seconds(300))
      return (ran, try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)))
    }

    private static func reports(_ rules: [RuleReport]?, _ check: String) -> [RuleReport] {
      (rules ?? []).filter { $0.check == check }
    }

    @Test func `hold, and leave nothing`() throws {
      let (ran, report) = try Self.run.get()
      #expect(ran.code == 0)
      #expect(ran.standardError == "")
      let rules = (report.fences ?? []) + (report.lifetimes ?? [])
      for rule in rules where rule.verdict == .broken || rule.verdict == .error {
        Issue.record("\(rule.exporter) to \(rule.importer), \(rule.check): \(rule.got ?? rule.reason ?? "")")
      }
      #expect(report.fences?.count == 6 * 9)
      #expect(report.lifetimes?.count == 6 * 10)
      #expect(report.leaks.descriptors == [])
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `are told in a report that its schema describes`() throws {
      let path = NSTemporaryDirectory() + "prime-tool-verify-\(getpid()).json"
      defer { unlink(path) }
      try Self.run.get().0.standardOutput.write(toFile: path, atomically: true, encoding: .utf8)
      let valid = try Tool.validate(path, "schema/verify-2.schema.json")
      #expect(valid.code == 0, "\(valid.standardError)")
    }

    @Test(arguments: [
      "write-busy", "read-busy", "bracket-read", "bracket-write", "snapshot", "timeout", "commit", "commit-in-fence",
    ])
    func `show each fence check failing with the fence left out`(check: String) throws {
      let found = Self.reports(try Self.run.get().1.fences, check)
      #expect(found.count == 6)
      for report in found where report.verdict != .skipped { #expect(report.control != nil, "\(report.importer)") }
      // Only a device without a display engine has no commits.
      let skipped = found.filter { $0.verdict == .skipped }
      #expect(Set(skipped.map(\.importer)) == (check.hasPrefix("commit") ? ["vgem"] : []))
    }

    @Test func `go through every order`() throws {
      let report = try Self.run.get().1
      let orders = Self.reports(report.lifetimes, "orders")
      #expect(orders.filter { $0.exporter == "vgem" }.map(\.got) == ["324 orders", "324 orders", "324 orders"])
      #expect(orders.filter { $0.exporter == "heap:system" }.map(\.got) == ["18 orders", "18 orders", "18 orders"])
    }

    @Test func `show the buffer on when the exporter is killed`() throws {
      let killed = Self.reports(try Self.run.get().1.lifetimes, "exporter-killed").filter { $0.exporter == "vgem" }
      let seen = Dictionary(uniqueKeysWithValues: killed.map { ($0.importer, $0.got ?? "") })
      #expect(seen["vkms"] == "seen by writeback, identity")
      #expect(seen["cirrus"] == "seen by identity, while its display scanned it out")
      #expect(seen["vgem"] == "seen by native-map, identity")
    }
  }
}
