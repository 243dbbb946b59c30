public import Prime

/// Everything that is said of one cell of the matrix; text and JSON are made from this and nothing else.
public struct CellReport: FailureReporting, Hashable, Sendable, Codable {
  /// An observer that could not look, and why.
  public struct Attempt: Hashable, Sendable, Codable {
    /// Which observer.
    public var observer: ObserverName
    /// The call that failed.
    public var call: String
    /// The name of the errno that the kernel answered; nil where the kernel was not asked.
    public var errno: String?
    /// Why, where known.
    public var reason: String?

    /// Whether it could look if another program, or a permission, were not in its way.
    ///
    /// What `gbm_bo_map` answers is Mesa's own, and says nothing of either.
    public var isObstructed: Bool {
      observer != .gbmMap && [Errno.busy, .permissionDenied, .notPermitted].map(\.name).contains(errno)
    }

    init(_ observer: ObserverName, endedBy error: PrimeError) {
      self.observer = observer
      call = error.operation.description
      errno = error.reportedErrno
      reason = "\(error.subject): \(error.explanation)"
    }
  }

  /// How large a picture is.
  public struct Size: Hashable, Sendable, Codable {
    /// In pixels.
    public var width: Int
    /// In pixels.
    public var height: Int

    package init(width: Int, height: Int) {
      self.width = width
      self.height = height
    }
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
  /// The width and height in pixels that were to be looked at, where the machine could not map so large a picture for the
  /// importer and a smaller one was looked at; nil otherwise.
  public var asked: Size?
  /// Whether each plane had a buffer of its own; nil where one buffer had all of them.
  public var disjoint: Bool?
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
  /// By which conversion the display's colours were compared, and how closely; nil where bytes were.
  public var conversion: String?
  /// Why the display's plane does not take the buffer in its own format, which says nothing of its bytes; nil where it does.
  public var formatObjection: String?
  /// Which GBM driver looked; nil where none did.
  public var gbm: GBMDriver?
  /// Who drew the buffer, for a GPU; nil for every other exporter.
  public var drawnBy: WitnessReport?
  /// Who looked through another program; nil where none did.
  public var witness: WitnessReport?
  /// What the kernel complained of while the cell was checked, where that names its worker or a driver of the pair.
  public var kernelLog: [String]?
  /// The observers that were tried and could not look.
  public var tried: [Attempt] = []
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
  /// What arrived in place of what was written, for `mismatch`.
  public var mismatch: Mismatch?
  /// How many looks were also compared with a wrong expectation, and rightly found different.
  public var controls: Int = 0
  /// How many pictures the importer's display engine did not write back in time, so that they had to be composed again or
  /// were given up; nil where there were none.
  public var lostWritebacks: Int?
  /// Whether the importer reaches the buffer through bounce buffers, so that its mapping is a copy; nil where the kernel does
  /// not tell.
  public var bounced: Bool?
  /// What speaks against a pair that shares: its importer has a copy that SYNC does not renew; nil where nothing does.
  public var warning: String?
  /// What SYNC did for this importer of this exporter; nil where nothing was imported.
  public var sync: SyncEffect?
  /// How long each step took, in nanoseconds.
  public var nanoseconds: [String: Int64] = [:]
}
