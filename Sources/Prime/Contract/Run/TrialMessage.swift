internal import Prime
internal import PrimeProcesses

/// What a child tells its parent: each call before it makes it, and the report at the end.
///
/// They are a worker's notes and its result; the parent keeps what arrived before a child died.
enum TrialMessage {
  static func call(_ text: String) -> [UInt8] { WorkerMessage(.note, 0, Array(text.utf8)).encoded }

  static func report(_ report: Trial.Report) -> [UInt8] {
    let result = report.result
    var bytes: [UInt8] = []
    append([result.outcome.rawValue, result.reason ?? "", "\(result.nanoseconds)", "\(report.callCount)"], to: &bytes)
    append(result.findings.flatMap { [$0.expected, $0.got, $0.call] }, to: &bytes)
    append(result.calls, to: &bytes)
    append(report.dmaBufs.map(String.init), to: &bytes)
    return WorkerMessage(.result, 0, bytes).encoded
  }

  /// The last call that was announced and the report, as far as they arrived.
  static func parse(_ bytes: [UInt8], _ trial: Trial) -> (lastCall: String?, report: Trial.Report?) {
    var lastCall: String?
    var report: Trial.Report?
    var received = bytes
    for message in WorkerMessage.take(from: &received) {
      switch message.kind {
      case .note: lastCall = String(decoding: message.bytes, as: UTF8.self)
      case .result: report = Self.report(message.bytes, of: trial) ?? report
      case .began, .ended: continue
      }
    }
    return (lastCall, report)
  }

  private static func report(_ bytes: [UInt8], of trial: Trial) -> Trial.Report? {
    var rest = bytes[...]
    guard let facts = takeTexts(from: &rest), facts.count == 4, let outcome = CheckOutcome(rawValue: facts[0]),
      let nanoseconds = Int64(facts[2]), let callCount = Int(facts[3]), let findings = takeTexts(from: &rest),
      let calls = takeTexts(from: &rest), let dmaBufs = takeTexts(from: &rest), rest.isEmpty
    else { return nil }
    var result = CheckResult(trial.statement, on: trial.subject, outcome, reason: facts[1].isEmpty ? nil : facts[1])
    result.findings = stride(from: 0, to: findings.count - findings.count % 3, by: 3).map {
      Finding(expected: findings[$0], got: findings[$0 + 1], call: findings[$0 + 2])
    }
    (result.expected, result.got) = (result.findings.first?.expected, result.findings.first?.got)
    (result.calls, result.nanoseconds) = (calls, nanoseconds)
    return Trial.Report(result: result, dmaBufs: Set(dmaBufs.compactMap { UInt64($0) }), callCount: callCount)
  }

  // A list: how many texts, and each with its byte count before it. A text of the kernel's may hold any byte.

  private static func append(_ texts: [String], to bytes: inout [UInt8]) {
    bytes.append(number: UInt32(texts.count))
    for text in texts {
      bytes.append(number: UInt32(text.utf8.count))
      bytes += text.utf8
    }
  }

  private static func takeTexts(from bytes: inout ArraySlice<UInt8>) -> [String]? {
    guard let count = takeNumber(from: &bytes) else { return nil }
    var texts: [String] = []
    while texts.count < count {
      guard let size = takeNumber(from: &bytes), size <= bytes.count else { return nil }
      texts.append(String(decoding: bytes.prefix(size), as: UTF8.self))
      bytes = bytes.dropFirst(size)
    }
    return texts
  }

  private static func takeNumber(from bytes: inout ArraySlice<UInt8>) -> Int? {
    guard bytes.count >= 4 else { return nil }
    defer { bytes = bytes.dropFirst(4) }
    return Int(Array(bytes.prefix(4)).number(at: 0, as: UInt32.self))
  }
}
