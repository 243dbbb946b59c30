internal import Prime
internal import PrimeProcesses

/// The report of one display while a scanout runs.
final class ScanoutRecord {
  var report: ScanoutReport
  /// What the display engine wrote last, where it could.
  var captured: RGBImage?
  /// Whether a step of this display ended the run.
  private(set) var hasStopped = false
  private(set) var wasCancelled = false
  /// What the kernel said of a refused call.
  let log: KernelDebugLog.Excerpt

  init(_ request: ScanoutRequest, _ display: ScanoutRequest.Display) {
    log = KernelDebugLog.Excerpt(isWanted: request.explains)
    report = ScanoutReport(
      exporter: request.exporter.name, exporterNode: request.exporter.nodePath,
      allocator: request.exporter.allocator, display: display.name, displayNode: display.node.path,
      format: request.format.fourcc.name, pattern: request.content.name, seed: request.seed)
    report.target = request.target?.name
    report.targetNode = request.target?.nodePath
    report.overlay = request.overlay.map {
      ScanoutReport.Overlay(
        exporter: $0.exporter.name, exporterNode: $0.exporter.nodePath, allocator: $0.exporter.allocator,
        format: $0.format.fourcc.name, alpha: $0.alpha)
    }
  }

  /// Runs a step of this display; what it throws goes into its report as well.
  func attempt<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      stopped(by: error)
      throw error
    }
  }

  /// Ends the report with what a step threw.
  func stopped(by error: any Error) {
    hasStopped = true
    let stop =
      (error as? Stop)
      ?? Stop(
        verdict: .error,
        error: error as? PrimeError
          ?? PrimeError(operation: .scanout, finding: .broken, subject: report.display, reason: "\(error)"))
    wasCancelled = stop.error?.finding == .cancelled
    // What was seen before somebody ended the hold stays true.
    guard !wasCancelled || !report.verdict.arrives else { return }
    report.verdict = stop.verdict
    report.refusedBy = stop.refusedBy
    report.kernelLog = log.lines
    guard let error = stop.error else {
      report.reason = stop.reason ?? report.reason
      return
    }
    report.note(error, reason: "\(error.subject): \(stop.explanation(of: error))")
  }

  /// Ends the report because another display ended the run.
  func ended(with other: ScanoutRecord) {
    guard !report.verdict.arrives else { return }
    report.verdict = .untested
    report.reason = "not shown to the end, since \(other.report.display) ended it: see there"
  }
}

extension Stop {
  /// Why a display declined.
  ///
  /// One pair gives no evidence for the side of a refused import, so that what is said of its errno is a guess.
  func explanation(of error: PrimeError) -> String {
    guard refusedBy == .either, let errno = error.errno, error.reason == nil else { return error.explanation }
    return RefusalReason.guess(errno)
  }
}
