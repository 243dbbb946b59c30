public import Prime

/// What one end of a run of hand-overs found: the model that text and JSON are made from.
///
/// The numbers and names of a picture are those of the last hand-over. Keys are stable within a schema version.
public struct HandoverReport: FailureReporting, Hashable, Sendable, Codable {
  /// The name and version of the schema of `export --json` and `import --json`.
  public static let currentSchema = "prime-tool/handover/1"

  /// Which end this is.
  public enum Role: String, Hashable, Sendable, Codable {
    /// It made the buffer.
    case exporter
    /// It took the buffer.
    case importer
  }

  /// Which schema this is.
  public var schema = currentSchema
  /// Where it was made.
  public var host: HostDescription
  /// Which end this is.
  public var role: Role
  /// This end's device, `udmabuf` or `heap`.
  public var device: String
  /// The node it was opened through, nil for system memory.
  public var node: String?
  /// The way to allocate, on the exporter's side.
  public var allocator: AllocatorKind?
  /// How many hand-overs were asked for.
  public var requested: Int
  /// How many were made, with a verdict that passes.
  public var completed = 0
  /// The user at the other end, nil where nobody came.
  public var peerUser: UInt32?
  /// The pixel format's name, nil where none was told.
  public var format: String?
  /// The modifier.
  public var modifier: String?
  /// The width in pixels.
  public var width: Int?
  /// The height in pixels.
  public var height: Int?
  /// What the content was made from.
  public var seed: UInt64?
  /// What is known of the last hand-over.
  public var verdict: Verdict = .error
  /// Who on the importing side saw the content, the strongest first; the exporter is not told.
  public var observers: [ObserverName] = []
  /// The observers that were tried and could not look.
  public var tried: [CellReport.Attempt] = []
  /// How many looks were also compared with a wrong expectation, and rightly found different.
  public var controls = 0
  /// Whether the importer wrote into the buffer and the exporter found what it should.
  public var wroteBack = false
  /// Who declined, for `refused`.
  public var refusedBy: Refuser?
  /// The call that was declined or failed.
  public var call: String?
  /// The name of the errno that the kernel answered; nil where it answered none.
  public var errno: String?
  /// What was found where no errno was answered; nil elsewhere.
  public var finding: PrimeError.Finding?
  /// Why, in a sentence.
  public var reason: String?
  /// What is to be said of the buffer whatever the verdict is, in a sentence.
  public var warning: String?
  /// The program that drew the buffer, on the exporter's side, and what it drew with; nil where the CPU wrote it.
  public var drawnBy: WitnessReport?
  /// The program that looked on the importer's side, and what it looked with; nil where none did.
  public var witness: WitnessReport?
  /// What arrived in place of what was written.
  public var mismatch: Mismatch?
  /// How long all of it took, in nanoseconds.
  public var nanoseconds: Int64 = 0
  /// What the run left behind in this process; a dma-buf that the other end keeps is not counted.
  public var leaks = LeakReport(descriptors: [], dmaBufs: nil)
  /// Whether somebody stopped it.
  public var interrupted = false
  /// What the kernel complained of meanwhile; nil where it did not, or where it may not be heard.
  public var kernelLog: [String]?

  /// Reading the list of packages takes longer than a hand-over.
  private static let thisHost = HostDescription.current()

  init(role: Role, device: String, node: DRMNode?, allocator: AllocatorKind?, requested: Int) {
    host = Self.thisHost
    self.role = role
    self.device = device
    self.node = node?.path
    self.allocator = allocator
    self.requested = requested
  }

  mutating func describe(_ description: BufferDescription, seed: UInt64) {
    format = description.fourcc.name
    modifier = description.modifier.description
    width = description.width
    height = description.height
    self.seed = seed
  }

  /// Takes over what one hand-over's record holds.
  mutating func take(_ record: CellRecord) {
    let cell = record.report
    verdict = cell.verdict
    observers = cell.observers
    tried = cell.tried
    controls = cell.controls
    refusedBy = cell.refusedBy
    takeFailure(of: cell)
    mismatch = cell.mismatch
    warning = cell.warning ?? warning
    witness = cell.witness
    interrupted = record.wasCancelled
  }
}

/// The pictures of a hand-over; the numbers are part of the format that `docs/handover.md` describes.
enum HandoverPatterns {
  /// What the exporter writes.
  static func offered(_ seed: UInt64) -> Pattern { Pattern(seed: seed, index: 0) }
  /// What the importer writes back.
  static func returned(_ seed: UInt64) -> Pattern { Pattern(seed: seed, index: 1) }
  /// What nobody ever writes.
  static func wrong(_ seed: UInt64) -> Pattern { Pattern(seed: seed, index: 3) }

  /// What to look for before and after the importer wrote.
  static func examination(_ seed: UInt64, afterWriteBack: Bool) -> Examination {
    afterWriteBack
      ? Examination(expected: returned(seed), earlier: [offered(seed)], wrong: wrong(seed))
      : Examination(expected: offered(seed), wrong: wrong(seed))
  }
}
