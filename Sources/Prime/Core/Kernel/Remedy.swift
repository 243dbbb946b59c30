internal import Synchronization

/// What would help where a call or a step failed for something that the caller chose.
///
/// Sentences of errors and reports end with one. The libraries have words of their own for it; a program whose user chooses
/// by options names them in its words (`Remedy.name(by:)`), so that no sentence of a library knows an option.
package enum Remedy: Hashable, Sendable {
  /// More time, where a deadline passed.
  case moreTime
  /// A smaller buffer.
  case smallerBuffer
  /// A buffer of this size in pixels.
  case bufferSize(width: Int, height: Int)
  /// Another pixel format or size.
  case otherFormatOrSize
  /// This pixel format, by its name.
  case format(String)
  /// No list of modifiers: the driver chooses the layout.
  case implicitModifier
  /// Memory from GBM.
  case gbmAllocator
  /// A mode of a size that two displays have.
  case commonMode
  /// Another size for the overlay.
  case otherOverlaySize
  /// The measurement of what SYNC does.
  case coherencyCheck
  /// A second picture, written by the importer and seen by the exporter.
  case writeBack
  /// No such second picture.
  case noWriteBack
  /// The user at the other end of the socket, who is let in.
  case allowedPeer(UInt32)
  /// This process's user, whom the exporter lets in.
  case allowedCaller(UInt32)
  /// The path at which an exporter listens.
  case exporterPath
  /// An exporter at this address.
  case startedExporter(at: String)
  /// A look at what devices there are.
  case listOfDevices
  /// The checks of every pair of devices.
  case wholeMatrix
  /// Every device in place of the chosen ones.
  case allDevices
  /// Statements that run one after another.
  case oneJob
  /// A device that may be pulled out.
  case allowedUnplug
  /// A display that somebody may be looking at.
  case allowedModeset

  /// What the libraries call it.
  package var libraryWords: String {
    switch self {
    case .moreTime: "allow more time if the machine is only slow"
    case .smallerBuffer: "use a smaller buffer"
    case .bufferSize(let width, let height): "try a buffer of \(width)x\(height)"
    case .otherFormatOrSize: "try another format or size"
    case .format(let name): "use \(name)"
    case .implicitModifier: "give no modifiers for an implicit one"
    case .gbmAllocator: "allocate with GBM"
    case .commonMode: "choose a mode that both displays offer"
    case .otherOverlaySize: "try another size for the overlay"
    case .coherencyCheck: "the coherency check tells more"
    case .writeBack: "writing back would tell"
    case .noWriteBack: "do not write back"
    case .allowedPeer(let user): "allowing user \(user) lets it"
    case .allowedCaller(let user): "the exporter may allow user \(user)"
    case .exporterPath: "name the path at which the exporter listens"
    case .startedExporter: "start an exporter there, or wait longer"
    case .listOfDevices: "device discovery tells those of this machine"
    case .wholeMatrix: "the whole matrix shows which of the two refuses"
    case .allDevices: "choose all of them to look at more"
    case .oneJob: "one job at a time tells them apart"
    case .allowedUnplug: "name one that may be pulled out"
    case .allowedModeset: "allowing modesets takes the display for a moment all the same"
    }
  }
}

extension Remedy: CustomStringConvertible {
  /// The program's words for it where it has given some, else the libraries'.
  package var description: String { Self.wording.load()?.words(self) ?? libraryWords }

  /// Has every sentence from now on say remedies in the words of the program; the first who calls it decides.
  ///
  /// Called before other threads start, and inherited by forks, so that a process has one wording in its whole life.
  package static func name(by words: @escaping @Sendable (Remedy) -> String) {
    _ = wording.storeIfNil(Wording(words))
  }

  // No lock, which a fork could find taken.
  private static let wording = AtomicLazyReference<Wording>()

  private final class Wording: Sendable {
    let words: @Sendable (Remedy) -> String

    init(_ words: @escaping @Sendable (Remedy) -> String) { self.words = words }
  }
}
