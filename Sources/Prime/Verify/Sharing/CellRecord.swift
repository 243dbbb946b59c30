internal import Prime

/// Ends a check with a verdict of its own.
struct Stop: Error {
  var verdict: Verdict
  var refusedBy: Refuser?
  var error: PrimeError?
  var mismatch: Mismatch?
  /// What is said where there is neither an error nor a located mismatch.
  var reason: String?

  init(
    verdict: Verdict, refusedBy: Refuser? = nil, error: PrimeError? = nil, mismatch: Mismatch? = nil,
    reason: String? = nil
  ) {
    self.verdict = verdict
    self.refusedBy = refusedBy
    self.error = error
    self.mismatch = mismatch
    self.reason = reason
  }
}

extension Stop {
  /// Runs a step; where it throws, the check ends with `verdict`, or with `error` where something broke.
  static func declining<Result: ~Copyable>(
    _ verdict: Verdict, by refuser: Refuser? = nil, _ body: () throws -> Result
  ) throws -> Result {
    do {
      return try body()
    } catch let error as PrimeError where error.isUntestable {
      // Nothing was declined: no driver was asked.
      throw Stop(verdict: .untested, reason: "\(error.subject): \(error.reason ?? error.operation.description)")
    } catch let error as PrimeError where !error.isBreakage {
      throw Stop(verdict: verdict, refusedBy: refuser, error: error)
    }
  }

  /// Ends the check where a device or a memory cannot be used: untested, or an error where something broke.
  static func require(noProblem problem: PrimeError?) throws {
    guard let problem else { return }
    try declining(.untested) { throw problem }
  }
}

extension PrimeError {
  /// Whether this says that something broke, so that it is never a driver's way to decline.
  var isBreakage: Bool {
    if Self.callsNobodyDeclines.contains(operation) { return true }
    switch cause {
    case .errno(.inputOutput) where isOfDebugfs: return false
    case .errno(let errno):
      return [
        .inputOutput, .badDescriptor, .tooManyOpenFiles, .tooManyOpenFilesInSystem, .timedOut, .cancelled, .interrupted,
        .tryAgain,
      ].contains(errno)
    case .finding(let finding): return [.broken, .cancelled, .deadline].contains(finding)
    }
  }

  /// Whether an exporter has no CPU mappings at all.
  ///
  /// qxl answered `ENOSYS` from `gem_prime_mmap` up to 6.1; other drivers
  /// refuse with `ENODEV` or `EPERM`.
  var saysThatBuffersCannotBeMapped: Bool {
    let refusals: [Errno?] = [.notImplemented, .notSupported, .noSuchDevice, .notPermitted]
    return operation == "mmap" && refusals.contains(errno)
  }

  /// The control, SYNC and the questions about a dma-buf: every one that exists answers them.
  private static let callsNobodyDeclines: Set<PrimeError.Operation> = [
    .control, "DMA_BUF_IOCTL_SYNC(START)", "DMA_BUF_IOCTL_SYNC(END)", "poll for the fences", "fstatfs", "lseek",
    "fcntl(F_GETFL)", "fstat", "fcntl(F_DUPFD_CLOEXEC)", "drmGetVersion",
  ]
}

/// The report of one cell while its check runs.
final class CellRecord {
  var report: CellReport
  /// The inodes of the dma-bufs that the check made.
  var inodes: Set<UInt64> = []
  /// Whether the check ended because somebody asked to stop.
  private(set) var wasCancelled = false

  private let onStep: @Sendable (String) -> Void

  /// - Parameter onStep: Hears of each step before it begins.
  init(_ report: CellReport, onStep: @escaping @Sendable (String) -> Void = { _ in }) {
    self.report = report
    self.onStep = onStep
  }

  /// Runs a step and notes how long it took, also when it throws; a step that comes twice has the time of both.
  func timed<Result: ~Copyable>(_ name: String, _ body: () throws -> Result) throws -> Result {
    onStep(name)
    let start = ContinuousClock.now
    defer { report.nanoseconds[name, default: 0] += (ContinuousClock.now - start).nanoseconds }
    return try body()
  }

  /// Notes one look: a mismatch ends the check; a look that matched was compared with a wrong expectation as well.
  func seen(_ mismatch: Mismatch?, by observer: ObserverName?) throws {
    guard let mismatch else {
      report.controls += 1
      return
    }
    if let observer { report.observers = [observer] }
    throw Stop(verdict: .mismatch, mismatch: mismatch)
  }

  /// Ends the report with what a step threw.
  func stopped(by error: any Error) {
    let stop: Stop
    switch error {
    case let error as Stop: stop = error
    case let error as PrimeError: stop = Stop(verdict: .error, error: error)
    default:
      stop = Stop(
        verdict: .error,
        error: PrimeError(operation: .check, finding: .broken, subject: report.exporter, reason: "\(error)"))
    }
    report.verdict = stop.verdict
    report.refusedBy = stop.refusedBy
    report.reason = stop.reason
    if let error = stop.error {
      wasCancelled = error.finding == .cancelled
      report.note(error, reason: stop.reason)
    }
    if let mismatch = stop.mismatch {
      report.mismatch = mismatch
      let looker = report.observers.first.map { "\($0.rawValue) on \(report.importer)" } ?? "\(report.exporter) itself"
      report.reason = stop.reason ?? "\(looker) sees something else: \(mismatch.sentence)"
    }
    // Who saw it right before proves nothing any more.
    report.observers = []
    report.proofs = nil
  }

  /// Fails the check where handles are still open after everything was closed.
  func auditHandles(_ devices: [Device?]) {
    let open = devices.compactMap { $0?.openHandleCount }.reduce(0, +)
    guard open > 0 else { return }
    report.verdict = .error
    report.reason = "\(open) GEM handle\(open == 1 ? " is" : "s are") still open after the check"
  }
}
