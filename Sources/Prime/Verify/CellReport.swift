/// Everything that is said of one cell of the matrix; text and JSON are made from this and nothing else.
public struct CellReport: Hashable, Sendable, Codable {
  /// An observer that could not look, and why.
  public struct Attempt: Hashable, Sendable, Codable {
    /// Which observer.
    public var observer: ObserverName
    /// The call that failed.
    public var call: String
    /// Its errno's name.
    public var errno: String
    /// Why, where known.
    public var reason: String?
  }

  /// The exporter's name.
  public var exporter: String
  /// The node the exporter was opened through, nil for system memory.
  public var exporterNode: String?
  /// The importer's name.
  public var importer: String
  /// The node the importer was opened through.
  public var importerNode: String?
  /// How the buffer was allocated.
  public var allocator: AllocatorKind
  /// The pixel format's name.
  public var format: String
  /// The modifier the buffer has, or the one asked for where it was never allocated; nil where none was asked for.
  public var modifier: String?
  /// The width in pixels.
  public var width: Int
  /// The height in pixels.
  public var height: Int
  /// What is known.
  public var verdict: Verdict = .error
  /// The observers that saw what was written, the strongest first.
  public var observers: [ObserverName] = []
  /// The observers whose look is a proof, the strongest first; nil where the buffer was not looked at.
  public var proofs: [ObserverName]?
  /// Whether the importer mapped the buffer, and how that is known; nil where nothing was imported.
  public var mapping: ImportMapping?
  /// The format that a display engine was told the bytes have; nil where none looked.
  public var shownAs: String?
  /// Why the display's plane does not take the buffer in its own format, which says nothing of its bytes; nil where it does.
  public var formatObjection: String?
  /// Which GBM driver looked; nil where none did.
  public var gbm: GBMDriver?
  /// What the kernel complained of while the cell was checked, where that names its worker or a driver of the pair.
  public var kernelLog: [String]?
  /// The observers that were tried and could not look.
  public var tried: [Attempt] = []
  /// Who declined, for `refused`.
  public var refusedBy: Refuser?
  /// The call that was declined or failed.
  public var call: String?
  /// The name of its errno.
  public var errno: String?
  /// Why, in a sentence.
  public var reason: String?
  /// What arrived in place of what was written, for `mismatch`.
  public var mismatch: Mismatch?
  /// How many looks were also compared with a wrong expectation, and rightly found different.
  public var controls: Int = 0
  /// How many pictures the importer's display engine did not write back in time, so that they had to be composed again or
  /// were given up; nil where there were none.
  public var lostWritebacks: Int?
  /// What SYNC did for this exporter; nil where no bracket was reached.
  public var sync: SyncEffect?
  /// How long each step took, in nanoseconds.
  public var nanoseconds: [String: Int64] = [:]
}
