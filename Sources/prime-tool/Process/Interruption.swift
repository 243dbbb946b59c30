import CProcess
import Glibc
import Prime
import PrimeProcesses

/// Turns SIGINT, SIGTERM, SIGHUP and SIGQUIT into a request to stop, and ends the process when the request or the deadline is not obeyed.
///
/// The work ends by itself within a fraction of a second, unless it hangs in a kernel call. Then ending the process is what
/// is left: the kernel closes every handle and descriptor and puts the display back. None of it needs a thread, which a full
/// table of processes would not give.
struct Interruption {
  /// What the work looks at.
  let cancellation = Cancellation(orWhere: { cprocess_interruption() != 0 })

  /// How long work that was asked to stop may take to do so, in seconds.
  private static let patience: Int32 = 5

  /// Watches from now on, until the process ends; once in a process.
  init(timeout: Duration) {
    let limit = timeout / .seconds(1)
    let late =
      "prime-tool: the run did not end within \(Self.whole(limit)) s and does not react: a kernel call hangs, or "
      + "the picture is too large for this machine. Ending the process; raise --timeout, or look into the kernel log\n"
    let deaf = "prime-tool: a kernel call does not return; ending the process\n"
    // Safe: both strings are copies that nobody frees, for as long as the process lives.
    unsafe cprocess_watch_interruptions(
      limit + 10, strdup(late), Self.patience, strdup(deaf), Int32(WorkerRun.echo / .milliseconds(1)))
  }

  private static func whole(_ seconds: Double) -> String {
    Int(exactly: seconds.rounded()).map(String.init) ?? "\(seconds)"
  }

  /// The exit code of a process that a signal asked to stop, nil where none came.
  var exitCode: Int32? {
    let number = cprocess_interruption()
    return number == 0 ? nil : 128 + number
  }
}
