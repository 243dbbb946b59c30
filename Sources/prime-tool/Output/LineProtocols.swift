import Prime
import PrimeContract

/// The result of `check` in the line protocols that test runners read.
///
/// Names are stable: the statement's id and what it was looked at on. A known deviation is a `TODO`, as TAP calls an
/// expected failure, and a deviation of a driver is one too unless the run is strict.
struct LineProtocols {
  let report: CheckReport
  let strict: Bool

  /// TAP (testanything.org), with what differs as YAML.
  ///
  /// What this tool prints is the same in versions 13 and 14; a harness that does not know 14 refuses the number alone.
  func tap(version: Int) -> String {
    var lines = ["TAP version \(version)", "1..\(report.statements.count)"]
    for (index, result) in report.statements.enumerated() {
      lines.append(
        "\(holds(result) ? "ok" : "not ok") \(index + 1) - \(Self.escaped(description(result)))\(directive(result))")
      guard !holds(result) || !result.kernelLog.isEmpty else { continue }
      lines.append("  ---")
      for (key, value) in fields(result) { lines.append("  \(key): \(Self.quoted(value))") }
      lines.append("  ...")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// KTAP version 1 (`Documentation/dev-tools/ktap.rst`): each group a test with the statements as subtests.
  var ktap: String {
    let groups = Contract.groups.filter { group in report.statements.contains { $0.id.first == group.letter } }
    var lines = ["KTAP version 1", "1..\(groups.count)"]
    for (number, group) in groups.enumerated() {
      let results = report.statements.filter { $0.id.first == group.letter }
      lines += ["  KTAP version 1", "  # Subtest: \(group.letter)", "  1..\(results.count)"]
      for (index, result) in results.enumerated() {
        for (key, value) in holds(result) ? [] : fields(result) { lines.append("  # \(result.id): \(key): \(value)") }
        // KTAP knows no TODO: an expected failure is no failure, and the reason stands beside it.
        let expected = [.knownDeviation, .deviation, .suspect].contains(result.outcome) && !fails(result)
        let mark = holds(result) || expected ? "ok" : "not ok"
        let note = result.outcome == .skip || expected ? " # SKIP \(plain(result.reason))" : ""
        lines.append("  \(mark) \(index + 1) \(identifier(result))\(note)")
      }
      let failed = results.contains(where: fails)
      let ran = results.contains { $0.outcome != .skip }
      lines.append(
        "\(failed ? "not ok" : "ok") \(number + 1) \(group.letter)\(ran ? "" : " # SKIP nothing here to look at")")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// LAVA's test case lines, which its default parser reads from a job's output.
  var lava: String {
    report.statements.map { result in
      let word =
        switch result.outcome {
        case .skip: "skip"
        case .error: "unknown"
        default: fails(result) ? "fail" : "pass"
        }
      return "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=\(identifier(result)) RESULT=\(word)>\n"
    }.joined()
  }

  private func holds(_ result: CheckResult) -> Bool { [.pass, .unexpectedPass, .skip].contains(result.outcome) }

  private func fails(_ result: CheckResult) -> Bool { result.outcome.fails(strict: strict) }

  private func description(_ result: CheckResult) -> String {
    "\(result.id)\(result.subject.map { " \($0)" } ?? ""): \(result.title)"
  }

  private func directive(_ result: CheckResult) -> String {
    switch result.outcome {
    case .skip: " # SKIP \(plain(result.reason))"
    case .knownDeviation, .unexpectedPass, .suspect: " # TODO \(plain(result.reason))"
    case .deviation where !strict: " # TODO \(result.device ?? "the driver") differs: \(plain(result.reason))"
    default: ""
    }
  }

  private func fields(_ result: CheckResult) -> [(String, String)] {
    let optional: [(String, String?)] = [
      ("outcome", result.outcome.rawValue), ("device", result.device), ("expected", result.expected),
      ("got", result.got), ("reason", result.reason), ("source", result.source),
      ("kernel", result.kernelLog.first),
    ]
    return optional.compactMap { key, value in value.map { (key, plain($0)) } }
  }

  /// One word that is the same in every run: `B10_vgem`, `G05_udmabuf_to_vkms`.
  private func identifier(_ result: CheckResult) -> String {
    let subject = result.subject?.replacing(" → ", with: "_to_")
    let text = result.id + (subject.map { "_\($0)" } ?? "")
    return String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "_" })
  }

  private func plain(_ text: String?) -> String {
    (text ?? "").replacing("\n", with: " ").replacing("\r", with: " ")
  }

  /// TAP 14 wants these two escaped in a description.
  private static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("#", with: "\\#")
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
