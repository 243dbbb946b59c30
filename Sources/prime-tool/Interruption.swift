import Dispatch
import Glibc
import Prime

/// Turns SIGINT, SIGTERM, SIGHUP and SIGQUIT into a request to stop, and ends the process when the request or the deadline is not obeyed.
///
/// The work ends by itself within a fraction of a second, unless it hangs in a kernel call. Then ending the process is what
/// is left: the kernel closes every handle and descriptor and puts the display back.
final class Interruption {
  /// What the work looks at.
  let cancellation = Cancellation()
  private let sources: [any DispatchSourceSignal]
  private let received = Received()

  /// How long work that was asked to stop may take to do so.
  private static let patience = DispatchTimeInterval.seconds(5)

  private final class Received: @unchecked Sendable {
    /// Only touched on the one queue of the signal sources, and read after the work has ended.
    var number: Int32?
    var time = ContinuousClock.now
  }

  /// Watches from now on, until the process ends.
  init(timeout: Duration) {
    let queue = DispatchQueue(label: "signals")
    let cancellation = self.cancellation
    let received = self.received
    sources = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].map { number in
      // The default action would end the process before the source sees the signal.
      _ = signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler {
        if received.number != nil {
          if ContinuousClock.now - received.time > WorkerRun.echo { _exit(128 + number) }
          return
        }
        received.number = number
        received.time = .now
        cancellation.request()
        queue.asyncAfter(deadline: .now() + Self.patience) {
          StandardError.note("prime-tool: a kernel call does not return; ending the process")
          _exit(128 + number)
        }
      }
      source.resume()
      return source
    }
    let limit = timeout / .seconds(1)
    queue.asyncAfter(deadline: .now() + limit + 10) {
      StandardError.note(
        "prime-tool: the run did not end within \(Int(limit)) s and does not react: a kernel call hangs, or the picture is "
          + "too large for this machine. Ending the process; raise --timeout, or look into the kernel log")
      _exit(1)
    }
  }

  /// The exit code of a process that a signal asked to stop, nil where none came.
  var exitCode: Int32? {
    received.number.map { 128 + $0 }
  }
}
