import Foundation
import Glibc
import Prime
import PrimeProcesses
import PrimeVerify

/// Runs pieces of work in worker processes and hears what comes of each; see `WorkerRun`.
///
/// It has to be made before this process starts a thread, and the process must not start one while it is used.
final class Supervisor {
  private let signals = StopSignals()
  /// The signal that asked to stop, nil where none came.
  private(set) var stoppedBy: Int32? {
    didSet { if oldValue == nil && stoppedBy != nil { stoppedAt = .now } }
  }
  /// Since when that is known.
  private var stoppedAt: ContinuousClock.Instant?
  /// The processes that no signal ends.
  private(set) var leftBehind: [Int32] = []
  private var inodes: Set<UInt64> = []
  private var leftDescriptors: [String] = []
  private let log = KernelLog()
  /// The displays that a worker has taken and not put back, by their nodes.
  private var taken: [String: SavedDisplayState] = [:]
  /// What a worker has changed on video devices and not put back, in its order, by the number that it told.
  private var changedVideo: [(number: Int, change: ChangedVideo)] = []
  /// What could not be put back, in sentences.
  private(set) var changedDevices: [String] = []
  /// Whether each display could be put back that a worker left changed, by their nodes.
  private(set) var putBack: [String: Bool] = [:]
  /// What `drm.debug` was before a worker changed it, while it is changed.
  private var debugBefore: String?

  /// What the note of a step begins with.
  fileprivate static let stepMark = UInt8(ascii: ">")

  /// What a worker tells while a piece runs, beside its steps.
  enum Note: Codable {
    /// Something of the piece's own, as JSON.
    case event(Data)
    /// A display is about to be changed; the way back.
    case took(node: String, SavedDisplayState)
    /// A display shows again what it showed.
    case gaveBack(node: String)
    /// Settings of video devices are about to be changed; what they were.
    case changesVideo(Int, [ChangedVideo])
    /// All that was told with this number is as it was.
    case restoredVideo(Int)
    /// The kernel is about to be asked to say more; what it was asked before.
    case debugs(before: String)
    /// It is asked that again.
    case debugsNoMore
  }

  /// What a piece is given.
  struct Context: Sendable {
    fileprivate let context: WorkerRun.Context
    fileprivate var piece: Int { context.piece }
    /// Asked for when the run is to stop.
    var cancellation: Cancellation { context.cancellation }

    /// Says which step begins, for the sentence where it never ends.
    ///
    /// There are ten in a cell of a few milliseconds: its name crosses the pipe as it is, behind a mark that begins no JSON.
    func step(_ name: String) { context.note([Supervisor.stepMark] + name.utf8) }

    /// Tells the parent something before the piece has its result.
    func event(_ value: some Encodable) {
      // Plain values always encode.
      if let data = try? JSONEncoder().encode(value) { tell(.event(data)) }
    }

    /// Has the parent hold the way back of everything on the machine that is changed from now on.
    fileprivate func watchChanges() {
      DisplayCustody.watch(
        taken: { tell(.took(node: $0, $1)) }, restored: { tell(.gaveBack(node: $0)) })
      VideoCustody.watch(
        changes: { tell(.changesVideo($0, $1)) }, restored: { tell(.restoredVideo($0)) })
      KernelDebugLog.watch(changed: { tell(.debugs(before: $0)) }, restored: { tell(.debugsNoMore) })
    }

    private func tell(_ note: Note) {
      if let data = try? JSONEncoder().encode(note) { context.note(Array(data)) }
    }
  }

  /// What the kernel complained of while a piece ran.
  struct Complaints {
    /// The process that ran it.
    var process: Int32
    /// The complaints that became complete, whoever they name.
    var complaints: [KernelComplaint]
  }

  /// A piece that gave no result, and why.
  struct Failure {
    /// What became of the process that ran it, in a sentence.
    var sentence: String
    /// The step that it was in.
    var step: String?
    /// What the kernel refused a process with, where none could be started.
    var errno: Errno?

    /// What became of the process, and in which step.
    var told: String { (step.map { "in the step '\($0)': " } ?? "") + sentence }
  }

  /// What came of a run of pieces.
  struct Run<Piece> {
    /// What each piece gave that was begun, in order; a piece that was stopped in its middle is none of them.
    var pieces: [Piece] = []
    /// Whether a signal or the end of the time left pieces out.
    var isCutShort = false
    /// Whether nobody wanted the rest.
    var wasUnwanted = false
  }

  /// What a worker tells at its end.
  private struct Left: Codable {
    var descriptors: [String]
  }

  /// Runs `count` pieces.
  ///
  /// - Parameters:
  ///   - limit: How long a piece may take.
  ///   - end: When all of them must have ended.
  ///   - piecesPerWorker: After how many pieces another process goes on.
  ///   - body: One piece, in a worker.
  ///   - began: Hears of each piece, in this process.
  ///   - heard: Hears what a piece tells before its end.
  ///   - judge: Has a say on each piece when it is over, with what the kernel complained of meanwhile.
  ///   - isUnwanted: Whether nobody wants the rest.
  ///   - failed: The piece in place of one that gave none.
  func run<Piece: Codable & Sendable>(
    _ count: Int, limit: @escaping @Sendable (Int) -> Duration, end: Deadline, piecesPerWorker: Int = .max,
    body: @escaping @Sendable (Int, Context) -> Piece, began: (Int) -> Void = { _ in },
    heard: (Data) -> Void = { _ in }, judge: (Int, inout Piece, Complaints) -> Void = { _, _, _ in },
    isUnwanted: () -> Bool = { false }, failed: (Int, Failure) -> Piece
  ) -> Run<Piece> {
    let audit = Audit()
    let work = WorkerRun(
      pieces: 0..<count, limit: limit, end: end, piecesPerWorker: piecesPerWorker,
      start: { audit.begin() },
      body: { context in
        let context = Context(context: context)
        context.watchChanges()
        let piece = body(context.piece, context)
        // Plain values always encode; the parent tells an answer of no bytes as one that makes no sense.
        return (try? JSONEncoder().encode(piece)).map(Array.init) ?? []
      },
      finish: {
        // The parent, which does it too, may be gone.
        DMAMapTrace.removeLeftOver(of: getpid())
        return (try? JSONEncoder().encode(Left(descriptors: audit.left()))).map(Array.init) ?? []
      })
    var run = Run<Piece>()
    var step: String?
    var process: Int32 = 0
    func conclude(_ index: Int, _ piece: Piece) {
      var piece = piece
      let complaints = log?.allComplaints() ?? []
      judge(index, &piece, Complaints(process: process, complaints: complaints))
      run.pieces.append(piece)
    }
    let outcome = work.run(signals: signals, isUnwanted: isUnwanted) { event in
      switch event {
      case .workerStarted(let identifier): process = identifier
      case .workerGone(let identifier):
        DMAMapTrace.removeLeftOver(of: identifier)
        putBackLog()
        putBackDisplays()
        putBackVideo()
      case .began(let piece):
        step = nil
        began(piece)
      case .note(_, let bytes) where bytes.first == Self.stepMark:
        step = String(decoding: bytes.dropFirst(), as: UTF8.self)
      case .note(_, let bytes):
        switch try? JSONDecoder().decode(Note.self, from: Data(bytes)) {
        case .event(let data)?: heard(data)
        case .took(let node, let state)?: taken[node] = state
        case .gaveBack(let node)?: taken[node] = nil
        case .changesVideo(let number, let changes)?: changedVideo += changes.map { (number, $0) }
        case .restoredVideo(let number)?: changedVideo.removeAll { $0.number == number }
        case .debugs(let before)?: debugBefore = debugBefore ?? before
        case .debugsNoMore?: debugBefore = nil
        case nil: break
        }
      case .result(let piece, let bytes):
        if let result = try? JSONDecoder().decode(Piece.self, from: Data(bytes)) {
          conclude(piece, result)
        } else {
          conclude(piece, failed(piece, Failure(sentence: "the worker's answer makes no sense", step: nil)))
        }
      case .failed(let piece, let failure):
        conclude(piece, failed(piece, Failure(sentence: failure.sentence, step: step, errno: failure.errno)))
      case .workerEnded(let bytes):
        let left = try? JSONDecoder().decode(Left.self, from: Data(bytes))
        leftDescriptors += left?.descriptors ?? []
      }
    }
    stoppedBy = stoppedBy ?? outcome.stoppedBy
    leftBehind += outcome.leftBehind
    run.isCutShort = outcome.stoppedBy != nil || outcome.ranOutOfTime || outcome.wasUnwanted
    run.wasUnwanted = outcome.wasUnwanted
    return run
  }

  /// Puts back what a worker asked of the kernel's log and could not take back.
  private func putBackLog() {
    guard let before = debugBefore.take() else { return }
    if !KernelDebugLog.putBack(before) {
      changedDevices.append("the parameter debug of the module drm could not be put back to \(before)")
    }
  }

  /// Puts back the displays that a worker left changed.
  private func putBackDisplays() {
    let states = taken.sorted { $0.key < $1.key }
    taken = [:]
    for (path, state) in states {
      let complaint = putBack {
        let device = try Device.open(DRMNode(path: path, kind: .primary))
        try device.becomeMaster()
        defer { device.dropMaster() }
        try state.restore(on: device, deadline: Deadline(in: .seconds(10)))
      }
      putBack[path] = complaint == nil
      if let complaint {
        changedDevices.append("\(path) could not be put back to what it showed: \(complaint)")
      }
    }
  }

  /// Puts back the settings of video devices that a worker left changed.
  private func putBackVideo() {
    let changes = changedVideo.map(\.change)
    guard !changes.isEmpty else { return }
    changedVideo = []
    guard let complaint = putBack({ try ChangedVideo.putBack(changes) }) else { return }
    let paths = Set(changes.map(\.path)).sorted().joined(separator: ", ")
    changedDevices.append("\(paths) could not be put back to the settings of before: \(complaint)")
  }

  /// Puts something back in a process of its own, since a call may hang; what is wrong with it in a sentence.
  ///
  /// A signal is no reason to leave the next device changed.
  private func putBack(_ body: @escaping @Sendable () throws -> Void) -> String? {
    // A signal that comes before the process has begun ends it at once.
    for _ in 0..<3 {
      if let complaint = tryToPutBack(body) { return complaint.isEmpty ? nil : complaint }
    }
    return "its process was told to stop each time"
  }

  /// What came of one try, empty where the device is as it was; nil where it was not begun.
  private func tryToPutBack(_ body: @escaping @Sendable () throws -> Void) -> String? {
    let work = WorkerRun(pieces: 0..<1, limit: { _ in .seconds(12) }, end: Deadline(in: .seconds(15))) { _ in
      do {
        try body()
        return []
      } catch {
        return Array("\(error)".utf8)
      }
    }
    var complaint: String?
    let outcome = work.run(signals: signals) { event in
      switch event {
      case .result(_, let bytes): complaint = String(decoding: bytes, as: UTF8.self)
      case .failed(_, let failure): complaint = failure.sentence
      default: break
      }
    }
    stoppedBy = stoppedBy ?? outcome.stoppedBy
    return complaint
  }

  /// Notes the dma-bufs that a piece made, which must be gone at the end.
  func made(_ inodes: Set<UInt64>) {
    self.inodes.formUnion(inodes)
  }

  /// What the workers left behind in themselves and in the kernel.
  func leaks(_ deadline: Deadline) -> LeakReport {
    LeakReport(descriptors: leftDescriptors, leftOf: inodes, by: LinuxKernel(), deadline: deadline)
  }

  /// What is to be said of the run beside its results: devices that stay changed, processes that do not end.
  var complaints: [String] {
    changedDevices
      + leftBehind.map { "process \($0) is left behind: a call of the kernel holds it, and its devices with it" }
  }

  /// The exit code for a signal that came behind the run, or that came again and is no echo; nil where none did.
  var impatience: Int32? {
    guard let signal = signals.received() else { return nil }
    let isEcho = stoppedAt.map { ContinuousClock.now - $0 < WorkerRun.echo } ?? false
    return isEcho ? nil : 128 + signal
  }

  /// The exit code of a run that a signal asked to stop, nil where none came.
  var exitCode: Int32? { stoppedBy.map { 128 + $0 } }
}

/// The descriptors of a worker at its start and at its end.
private final class Audit: @unchecked Sendable {
  /// Only touched on the one thread that does a worker's pieces.
  private var audit: LeakAudit?

  func begin() { audit = LeakAudit(by: LinuxKernel()) }
  func left() -> [String] { audit?.leftDescriptors ?? [] }
}
