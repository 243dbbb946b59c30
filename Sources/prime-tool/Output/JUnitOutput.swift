import Prime
import PrimeContract

/// The result of `check` as JUnit XML, as most viewers read it: a test suite for each group.
struct JUnitOutput {
  let report: CheckReport
  let strict: Bool

  var text: String {
    let suites = Contract.groups.compactMap { group -> String? in
      let results = report.statements.filter { $0.id.first == group.letter }
      return results.isEmpty ? nil : suite(group, results)
    }
    return """
      <?xml version="1.0" encoding="UTF-8"?>
      <testsuites name="prime-tool check" \(counts(report.statements))>
      \(suites.joined(separator: "\n"))
      </testsuites>

      """
  }

  private func suite(_ group: Contract.Group, _ results: [CheckResult]) -> String {
    let name = escaped("\(group.letter) \(group.title)")
    return """
        <testsuite name="\(name)" \(counts(results)) hostname="\(escaped(report.host.kernel))">
      \(results.map(testCase).joined(separator: "\n"))
        </testsuite>
      """
  }

  private func testCase(_ result: CheckResult) -> String {
    let name = escaped(result.id + (result.subject.map { " \($0)" } ?? ""))
    let head =
      "    <testcase name=\"\(name)\" classname=\"\(escaped("\(result.id) \(result.title)"))\" "
      + "time=\"\(seconds([result]))\""
    guard let body = body(result) else { return head + "/>" }
    return head + ">\n\(body)\n    </testcase>"
  }

  /// A deviation that does not fail the run is told, as a skip is, and never looks like a plain pass.
  private func body(_ result: CheckResult) -> String? {
    let reason = escaped(result.reason ?? "")
    let detail = escaped(([result.source] + result.calls + result.kernelLog).joined(separator: "\n"))
    switch result.outcome {
    case .pass: return nil
    case .skip: return "      <skipped message=\"\(reason)\"/>"
    case .error: return "      <error message=\"\(reason)\">\(detail)</error>"
    case let outcome where outcome.fails(strict: strict):
      return "      <failure message=\"\(reason)\">\(detail)</failure>"
    case let outcome: return "      <skipped message=\"\(outcome.rawValue): \(reason)\"/>"
    }
  }

  private func counts(_ results: [CheckResult]) -> String {
    let bodies = results.map { body($0) ?? "" }
    func count(_ tag: String) -> Int { bodies.count { $0.hasPrefix("      <\(tag)") } }
    return "tests=\"\(results.count)\" failures=\"\(count("failure"))\" errors=\"\(count("error"))\" "
      + "skipped=\"\(count("skipped"))\" time=\"\(seconds(results))\""
  }

  private func seconds(_ results: [CheckResult]) -> String {
    let milliseconds = results.reduce(0) { $0 + $1.nanoseconds } / 1_000_000
    let fraction = String(milliseconds % 1000)
    return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }

  /// XML 1.0 has no way to say most control characters.
  private func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\n": result += "&#10;"
      case _ where scalar.value < 0x20: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
