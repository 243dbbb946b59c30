internal import Synchronization

/// A request to stop that one thread makes and any number of waits obey.
public final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)
  private let isRequestedElsewhere: @Sendable () -> Bool

  /// Makes one that nobody has asked for yet.
  public convenience init() {
    self.init(orWhere: { false })
  }

  /// Makes one that somebody else may ask for as well, a handler of a signal for one.
  package init(orWhere isRequestedElsewhere: @escaping @Sendable () -> Bool) {
    self.isRequestedElsewhere = isRequestedElsewhere
  }

  /// Asks every wait and every loop that looks at this value to end with `cancelled`.
  public func request() {
    flag.store(true, ordering: .releasing)
  }

  /// Whether somebody asked.
  public var isRequested: Bool {
    flag.load(ordering: .acquiring) || isRequestedElsewhere()
  }
}

/// The moment a piece of work must have ended by, on a kernel's clock (`ClockCalls`), and the request to stop that may end it
/// before.
public struct Deadline: Sendable {
  private let end: SuspendingClock.Instant
  private let clock: any ClockCalls
  private let limit: Duration
  private let cancellation: Cancellation?
  private let advice: String?

  /// A deadline `limit` from now.
  ///
  /// - Parameters:
  ///   - limit: How long the work may take.
  ///   - cancellation: A request to stop that ends the work before.
  ///   - advice: What to do where it passes, for the error's sentence; nil says to allow more time.
  public init(in limit: Duration, cancellation: Cancellation? = nil, advice: String? = nil) {
    let clock = LinuxKernel()
    self.init(end: clock.now + limit, clock: clock, limit: limit, cancellation: cancellation, advice: advice)
  }

  /// A deadline `limit` from now on a kernel's clock, with the usual advice.
  package init(in limit: Duration, on clock: any ClockCalls, cancellation: Cancellation? = nil) {
    self.init(end: clock.now + limit, clock: clock, limit: limit, cancellation: cancellation, advice: nil)
  }

  /// This deadline or `limit` from now, whichever comes first.
  public func atMost(_ limit: Duration) -> Deadline {
    let candidate = Deadline(
      end: clock.now + limit, clock: clock, limit: limit, cancellation: cancellation, advice: advice)
    return candidate.end < end ? candidate : self
  }

  /// The same moment, and one more request to stop that is obeyed in place of the one before.
  package func obeying(_ cancellation: Cancellation) -> Deadline {
    Deadline(end: end, clock: clock, limit: limit, cancellation: cancellation, advice: advice)
  }

  /// This deadline or `limit` from now, whichever comes first; `advice` is what is said where the latter passes.
  package func atMost(_ limit: Duration, advice: String) -> Deadline {
    let candidate = Deadline(
      end: clock.now + limit, clock: clock, limit: limit, cancellation: cancellation, advice: advice)
    return candidate.end < end ? candidate : self
  }

  private init(
    end: SuspendingClock.Instant, clock: any ClockCalls, limit: Duration, cancellation: Cancellation?, advice: String?
  ) {
    self.end = end
    self.clock = clock
    self.limit = limit
    self.cancellation = cancellation
    self.advice = advice
  }

  /// How long is left, zero when the moment has passed.
  public var remaining: Duration {
    max(.zero, end - clock.now)
  }

  /// Sleeps on its clock where the kernel has nothing to poll, or less where a signal comes.
  package func pause(milliseconds: UInt32) { clock.pause(milliseconds: milliseconds) }

  /// Whether somebody asked to stop.
  package var isCancelled: Bool { cancellation?.isRequested == true }

  /// Ends the work where its time is over, or somebody asked to stop.
  ///
  /// - Throws: `operation` with `deadline` when the moment has passed, and with `cancelled` when somebody asked to stop before
  ///   it had.
  public func check(_ operation: PrimeError.Operation, on subject: @autoclosure () -> String) throws(PrimeError) {
    // The time comes first: whoever waits for this work asks it to stop as well, once its time is over.
    if remaining == .zero {
      throw PrimeError(
        operation: operation, finding: .deadline, subject: subject(),
        reason: "it did not finish within \(limit.wholeSeconds); \(advice ?? Remedy.moreTime.description)")
    }
    if cancellation?.isRequested == true {
      throw PrimeError(operation: operation, finding: .cancelled, subject: subject(), reason: "interrupted")
    }
  }

  /// How long one `poll` may sleep, in milliseconds, so that a request to stop is seen soon.
  var pollSlice: Int32 {
    let slice = min(remaining, .milliseconds(50))
    return max(1, Int32(slice / .milliseconds(1)))
  }
}

extension Duration {
  /// `1.5 s`, for messages.
  package var wholeSeconds: String {
    let seconds = self / .seconds(1)
    return seconds == seconds.rounded() ? "\(Int(seconds)) s" : "\(seconds) s"
  }

  /// Whole nanoseconds.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
