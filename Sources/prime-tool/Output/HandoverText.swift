import Prime
import PrimeVerify

/// One end of a hand-over, as people read it.
struct HandoverText {
  private let verbose: Bool
  private let style = TextStyle()

  init(verbose: Bool) {
    self.verbose = verbose
  }

  /// All that is said.
  func text(_ report: HandoverReport) -> String {
    var lines = [line(report)]
    if report.requested > 1 {
      lines.append(
        "\(report.completed) of \(report.requested) hand-overs in \(TextStyle.milliseconds(report.nanoseconds))")
    }
    if let warning = report.warning { lines.append("warning: \(warning)") }
    for (verb, program) in [("drawn", report.drawnBy), ("read", report.witness)] where verbose {
      if let program { lines.append("  \(TextStyle.sentence(verb, by: program))") }
    }
    for attempt in report.tried where verbose {
      lines.append("  \(TextStyle.sentence(attempt))")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The verdict, what it is about, and why.
  func line(_ report: HandoverReport) -> String {
    let colour: TextStyle.Colour =
      switch report.verdict {
      case .proven: .green
      case .shared, .held, .reported, .untested: .yellow
      case .refused, .mismatch, .error: .red
      }
    var line = style.paint(report.verdict.rawValue, colour)
    if !report.observers.isEmpty { line += " by " + report.observers.map(\.rawValue).joined(separator: ", ") }
    line += ": " + subject(report)
    if report.wroteBack { line += ", written back and seen" }
    // The importer's sentence names the call itself.
    let call = report.call.map { [$0, report.errno].compactMap(\.self).joined(separator: " ") } ?? ""
    let why = [call, report.reason ?? ""].filter { !$0.isEmpty }.joined(separator: ": ")
    return why.isEmpty ? line : "\(line): \(why)"
  }

  /// `vgem dumb 1024x768 XRGB8888 linear → user 0`.
  private func subject(_ report: HandoverReport) -> String {
    var words = [report.device]
    if let allocator = report.allocator, !allocator.isTold(byName: report.device) { words.append(allocator.rawValue) }
    var picture: [String] = []
    if let format = report.format, let width = report.width, let height = report.height {
      picture = ["\(width)x\(height)", format, report.modifier ?? ""]
    }
    let peer = report.peerUser.map { "user \($0)" } ?? "nobody"
    switch report.role {
    case .exporter: return (words + picture + ["→", peer]).joined(separator: " ")
    case .importer: return ([peer] + picture + ["→"] + words).joined(separator: " ")
    }
  }
}
