public import Prime

/// What is known of one promise for one pair.
public enum RuleVerdict: String, Hashable, Sendable, Codable, CaseIterable {
  /// It was kept, and it was seen that this can be told.
  case held
  /// It was not kept.
  case broken
  /// It could not be tried here.
  case skipped
  /// The check itself failed, so nothing is known.
  case error
}

/// A promise between exporter and importer beside the arrival of the bytes: how fences hold, how long buffers live.
public struct RuleReport: FailureReporting, Hashable, Sendable, Codable {
  /// The exporter's name.
  public var exporter: String
  /// The importer's name.
  public var importer: String
  /// How the buffer was allocated.
  public var allocator: AllocatorKind
  /// The check's name, the same in every run.
  public var check: String
  /// What is known.
  public var verdict: RuleVerdict
  /// What is promised.
  public var expected: String
  /// What was seen in its place, or how far it was seen to hold.
  public var got: String?
  /// What the same observation gave with the cause left out, which has to differ; nil where there is no such observation.
  public var control: String?
  /// The call that failed.
  public var call: String?
  /// The name of the errno that the kernel answered; nil where it answered none.
  public var errno: String?
  /// What was found where no errno was answered; nil elsewhere.
  public var finding: PrimeError.Finding?
  /// Why, in a sentence.
  public var reason: String?
  /// How long it took, in nanoseconds.
  public var nanoseconds: Int64 = 0

  init(_ pair: RulePair, _ check: String, expected: String, verdict: RuleVerdict = .error) {
    exporter = pair.exporter.name
    importer = pair.importer.name
    allocator = pair.exporter.allocator
    self.check = check
    self.expected = expected
    self.verdict = verdict
  }
}

/// Ends one check without a verdict on the promise: it cannot be tried here.
struct RuleSkip: Error {
  let reason: String
  var error: PrimeError?

  init(_ reason: String, _ error: PrimeError? = nil) {
    self.reason = reason
    self.error = error
  }
}

/// What a check saw: the first thing that is not as promised, nil when everything is.
struct RuleFacts {
  private(set) var complaint: String?
  /// How far it was seen to hold, where that is worth a word.
  var note: String?

  /// Notes one observation.
  mutating func expect(_ what: String, _ got: String, is expected: String) {
    guard complaint == nil, got != expected else { return }
    complaint = "\(what): \(got), not \(expected)"
  }

  /// Puts words before what is not as promised.
  mutating func qualify(_ words: String) {
    complaint = complaint.map { words + $0 }
  }

  /// Notes an observation that is a sentence of its own where it does not hold.
  mutating func expect(_ holds: Bool, else sentence: @autoclosure () -> String) {
    guard complaint == nil, !holds else { return }
    complaint = sentence()
  }
}

/// Exporter and importer of a pair whose import works.
struct RulePair: Sendable {
  let exporter: Exporter
  let importer: Importer

  /// Runs one check and makes its report of what it saw or threw.
  ///
  /// - Parameter observe: Gives the first thing that is not as promised. It is called with the cause, and where there is a
  ///   control once more without it: then something has to be amiss, or the check proves nothing.
  func report(
    _ check: String, expected: String, withControl: Bool, _ observe: (_ withCause: Bool) throws -> RuleFacts
  ) -> RuleReport {
    var report = RuleReport(self, check, expected: expected)
    let start = ContinuousClock.now
    judge(&report, withControl: withControl, observe)
    report.nanoseconds = (ContinuousClock.now - start).nanoseconds
    return report
  }

  private func judge(
    _ report: inout RuleReport, withControl: Bool, _ observe: (_ withCause: Bool) throws -> RuleFacts
  ) {
    do {
      let facts = try observe(true)
      if let complaint = facts.complaint {
        report.verdict = .broken
        report.got = complaint
        return
      }
      report.verdict = .held
      report.got = facts.note
      guard withControl else { return }
      guard let control = try observe(false).complaint else {
        report.verdict = .error
        report.reason = "control: the same was seen with the cause left out, so this check proves nothing"
        return
      }
      report.control = control
    } catch let skip as RuleSkip {
      report.verdict = .skipped
      report.reason = skip.reason
      if let error = skip.error { report.note(error, reason: skip.reason) }
    } catch let error as PrimeError where error.isUntestable {
      // The kernel was not asked, so there is neither a call nor an errno of it.
      report.verdict = .skipped
      report.reason = "\(error.subject): \(error.reason ?? error.operation.description)"
    } catch let error as PrimeError {
      report.fail(error)
    } catch {
      report.verdict = .error
      report.reason = "\(error)"
    }
  }
}
