internal import Prime

/// What became of one statement on one subject.
package enum CheckOutcome: String, Hashable, Sendable, Codable, CaseIterable {
  /// Every expectation held.
  case pass
  /// The kernel does not do what is promised.
  case fail
  /// It fails, as it is known to for this driver on this kernel; the reason explains it.
  case knownDeviation
  /// It is known to fail here, and held.
  case unexpectedPass
  /// A helper's or a driver's own behaviour differs: reported under the driver's name, and a failure with `--strict`.
  case deviation
  /// It held, but the kernel complained meanwhile and nothing tells of whom: a failure with `--strict`.
  case suspect
  /// It does not apply, or what it needs is not here.
  case skip
  /// The check itself broke, so nothing is known.
  case error

  /// Whether it fails a run: what should hold and does not, and in a strict run also what is a driver's own.
  package func fails(strict: Bool) -> Bool {
    switch self {
    case .fail, .error: true
    case .deviation, .unexpectedPass, .suspect: strict
    case .pass, .knownDeviation, .skip: false
    }
  }
}

/// One statement on one subject, as it is reported.
package struct CheckResult: Hashable, Sendable, Codable {
  /// The statement's id.
  package var id: String
  /// The statement's sentence.
  package var title: String
  /// What a failure of it means.
  package var kind: Statement.Kind
  /// What it was looked at on, for example `vgem → vkms`; nil for the machine, and where nothing was.
  package var subject: String?
  /// The driver whose behaviour it shows.
  package var device: String?
  /// What became of it.
  package var outcome: CheckOutcome
  /// What the contract promises, of the first finding.
  package var expected: String?
  /// What was seen, of the first finding.
  package var got: String?
  /// Why it was skipped, known, or broken; and what else differed.
  package var reason: String?
  /// Every finding.
  package var findings: [Finding]
  /// The calls that led to it, with their answers; empty where it passed.
  package var calls: [String]
  /// What the kernel complained of meanwhile, whoever's doing it is: of each complaint the lines that say most.
  package var kernelLog: [String]
  /// Where the kernel says or does what is promised.
  package var source: String
  /// How long it took.
  package var nanoseconds: Int64

  /// A result with nothing to tell but its outcome and the reason.
  package init(_ statement: Statement, on subject: Subject?, _ outcome: CheckOutcome, reason: String? = nil) {
    id = statement.id
    title = statement.title
    kind = statement.kind
    self.subject = subject.flatMap { $0.name.isEmpty ? nil : $0.name }
    device = subject.flatMap { $0.driver.isEmpty ? nil : $0.driver }
    self.outcome = outcome
    self.reason = reason
    findings = []
    calls = []
    kernelLog = []
    source = statement.source
    nanoseconds = 0
  }
}

/// One thing that did not hold: what was promised, what the kernel did, and in which call.
package struct Finding: Hashable, Sendable, Codable {
  /// What the contract promises, for example `EINVAL`.
  package var expected: String
  /// What was seen instead, for example `success (0)`.
  package var got: String
  /// The call, with its arguments, or what was looked at.
  package var call: String

  package init(expected: String, got: String, call: String) {
    self.expected = expected
    self.got = got
    self.call = call
  }
}
