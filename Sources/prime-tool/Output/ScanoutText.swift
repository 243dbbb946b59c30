import Prime
import PrimeVerify

/// A scanout run, as people read it.
struct ScanoutText {
  private let verbose: Bool
  private let style = TextStyle()

  init(verbose: Bool) {
    self.verbose = verbose
  }

  /// What was chosen, before anything is shown.
  func choice(_ report: ScanoutReport) -> String {
    let buffer = "\(report.exporter) \(report.allocator.rawValue), \(report.format) \(report.modifier ?? "")"
    var lines: [String] = []
    let way = "\(report.connector ?? "?"), CRTC \(report.crtc ?? 0), plane \(report.plane ?? 0), \(report.path ?? "")"
    lines.append("\(buffer) → \(report.display): \(way), mode \(report.mode ?? "?"), \(report.pattern)")
    if let target = report.target { lines.append("  written back into memory of \(target), which puts it out") }
    if let overlay = report.overlay { lines.append("  above it " + text(overlay)) }
    for other in report.alongside ?? [] { lines.append(choice(other)) }
    return lines.joined(separator: "\n")
  }

  private func text(_ overlay: ScanoutReport.Overlay) -> String {
    let buffer = "\(overlay.exporter) \(overlay.allocator.rawValue), \(overlay.format) \(overlay.modifier ?? "")"
    let place = overlay.rectangle.map { "\($0.width)x\($0.height) at (\($0.x),\($0.y))" } ?? "?"
    let alpha = overlay.alpha < 255 ? ", alpha \(overlay.alpha)" : ""
    return "\(buffer): \(overlay.planeKind?.rawValue ?? "?") plane \(overlay.plane ?? 0), \(place)\(alpha)"
  }

  /// One frame.
  func frame(_ frame: ScanoutReport.Frame) -> String {
    let sequence = frame.sequence.map { " at \($0)" } ?? ""
    let missed = frame.missedVblanks > 0 ? ", \(frame.missedVblanks) vblanks missed" : ""
    return
      "frame \(frame.index)\(sequence): \(frame.content.rawValue), \(TextStyle.milliseconds(frame.latency))\(missed)"
  }

  /// The verdict and the figures behind it.
  func result(_ report: ScanoutReport) -> String {
    guard let others = report.alongside else { return lines(of: report).joined(separator: "\n") + "\n" }
    let blocks = ([report] + others).map { report in
      // The name before the verdict, whatever colour that has.
      lines(of: report).map { "\(report.display): \($0)" }.joined(separator: "\n")
    }
    return blocks.joined(separator: "\n") + "\n"
  }

  private func lines(of report: ScanoutReport) -> [String] {
    var lines: [String] = []
    if report.frames.count > 1 { lines.append(statistics(report.frames)) }
    let seen = report.witnesses.map(\.rawValue).joined(separator: ", ")
    let colour: TextStyle.Colour =
      switch report.verdict {
      case .proven: .green
      case .shared, .held, .reported, .untested: .yellow
      case .refused, .mismatch, .error: .red
      }
    var verdict = style.paint(report.verdict.rawValue, colour)
    if report.verdict == .proven { verdict += " by \(seen)" }
    if report.tolerance > 0 { verdict += ", within \(report.tolerance) of 255 for \(cause(report))" }
    let call = [report.call, report.errno].compactMap { $0 }.joined(separator: " ")
    let reason = report.reason.map { call.isEmpty ? ": \($0)" : ": \(call): \($0)" } ?? ""
    lines.append(verdict + reason)
    for attempt in report.tried where verbose || report.verdict == .shared || report.verdict == .held {
      lines.append("  \(TextStyle.sentence(attempt))")
    }
    for line in report.kernelLog ?? [] { lines.append("  kernel: \(line)") }
    if report.lostWritebacks > 0 { lines.append(lost(report)) }
    if report.restored == true && verbose { lines.append("the display shows again what it showed before") }
    return lines
  }

  /// What the allowance is for.
  private func cause(_ report: ScanoutReport) -> String {
    guard let overlay = report.overlay, overlay.alpha < 255 else { return "the conversion of formats" }
    return report.tolerance > 1 ? "blending and the conversion of formats" : "blending"
  }

  /// Whether the verdict stands or not, a display engine that loses pictures is worth a line.
  private func lost(_ report: ScanoutReport) -> String {
    let count = report.lostWritebacks
    return "\(report.display) lost \(count) writeback\(count == 1 ? "" : "s"): not written within 5 s"
      + (report.verdict == .proven ? ", composed again, and the content then looked at like any other" : "")
  }

  private func statistics(_ frames: [ScanoutReport.Frame]) -> String {
    let proven = frames.count { $0.content == .proven }
    let missed = frames.map(\.missedVblanks).reduce(0, +)
    // The first frame comes with the mode, which takes as long as the driver likes.
    let latencies = frames.dropFirst().map(\.latency).sorted()
    let median = latencies[latencies.count / 2]
    return
      "\(frames.count) frames, \(proven) proven, \(missed) vblanks missed, latency median \(TextStyle.milliseconds(median)), "
      + "largest \(TextStyle.milliseconds(latencies.last ?? median))"
  }
}
