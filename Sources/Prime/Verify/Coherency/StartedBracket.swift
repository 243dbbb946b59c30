internal import Prime
internal import PrimeProcesses
internal import Synchronization

/// A raw `DMA_BUF_IOCTL_SYNC(START)` on a thread of its own, with its END where it came that far.
final class StartedBracket: Sendable {
  private let call: BackgroundCall<Errno?>

  /// Starts it and returns once the thread is about to make the call.
  init(on view: borrowing DMABuf, reading: Bool, subject: String) throws(PrimeError) {
    let own = try view.duplicate()
    let flags: UInt64 = reading ? 1 : 2
    let began = Began()
    let bracket = BracketCall(own, flags: flags, began: began)
    switch BackgroundCall.start({ bracket.run() }) {
    case .success(let started): call = started
    case .failure(let errno):
      throw .untestable(
        "pthread_create", on: subject, reason: "no thread could be started to wait in: \(errno) (\(errno.meaning))")
    }
    let deadline = Deadline(in: FenceRules.patience)
    while !began.hasBegun {
      try deadline.check("pthread_create", on: subject)
      deadline.pause(milliseconds: 1)
    }
  }

  /// How it ended: nil while it blocks, else the errno of START or END, nil where both worked.
  func end(within limit: Duration) -> Errno?? { call.result(within: limit) }

  private final class Began: Sendable {
    private let flag = Atomic<Bool>(false)
    var hasBegun: Bool { flag.load(ordering: .acquiring) }
    func now() { flag.store(true, ordering: .releasing) }
  }

  private final class BracketCall: Sendable {
    private let view: DMABuf
    private let flags: UInt64
    private let began: Began

    init(_ view: consuming DMABuf, flags: UInt64, began: Began) {
      self.view = view
      self.flags = flags
      self.began = began
    }

    func run() -> Errno? {
      began.now()
      while true {
        switch view.kernel.dmaBufSync(view.rawDescriptor, flags: flags) {
        case .failure(.interrupted), .failure(.tryAgain): continue
        case .failure(let errno): return errno
        case .success: break
        }
        break
      }
      if case .failure(let errno) = view.kernel.dmaBufSync(view.rawDescriptor, flags: flags | 4) { return errno }
      return nil
    }
  }
}
