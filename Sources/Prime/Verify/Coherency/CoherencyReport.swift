public import Prime

/// How a buffer that an importer holds is written again: rightly, or with something of SYNC left out.
public enum CoherencyVariant: String, Hashable, Sendable, Codable, CaseIterable {
  /// In a bracket for writing.
  case bracketed
  /// The same, and then the importer lets go of the buffer.
  case bracketedThenClosed = "bracketed-then-closed"
  /// Without SYNC.
  case unsynced
  /// Without SYNC, and then a bracket for writing around nothing.
  case emptyBracket = "empty-bracket"
  /// Behind a START for writing whose END comes when everybody has looked.
  case endLeftOut = "end-left-out"
  /// In a bracket for reading.
  case insideReadBracket = "inside-read-bracket"
  /// Without SYNC, and then the importer lets go of the buffer.
  case unsyncedThenClosed = "unsynced-then-closed"

  /// Whether the writer did all that it has to (`linux/dma-buf.h`).
  public var isRight: Bool { self == .bracketed || self == .bracketedThenClosed }

  /// Whether the importer lets go of the buffer before anybody looks.
  var closesImport: Bool { self == .bracketedThenClosed || self == .unsyncedThenClosed }
}

/// What one observer saw of a buffer that was written again.
public struct CoherencyLook: Hashable, Sendable, Codable {
  /// Who looks, in this order: each later one may change what is there.
  public enum Observer: String, Hashable, Sendable, Codable {
    /// The CPU, outside of any bracket: the memory itself.
    case memory
    /// Whoever reads at the DMA addresses that the importer's driver was given.
    case eye
    /// The importer's display engine, which wrote what it fetched into a buffer of its own.
    case writeback
    /// The CPU in a bracket for reading.
    case cpu
  }

  /// What was seen.
  public enum Content: String, Hashable, Sendable, Codable {
    /// What was written last.
    case rewritten
    /// What was there before.
    case earlier
    /// Neither of the two.
    case other
  }

  /// How the buffer was written again.
  public var variant: CoherencyVariant
  /// Who looked.
  public var observer: Observer
  /// What was seen.
  public var saw: Content

  init(_ variant: CoherencyVariant, _ observer: Observer, _ saw: Content) {
    (self.variant, self.observer, self.saw) = (variant, observer, saw)
  }
}

/// Whether an importer sees what the CPU writes only because of SYNC, for one pair.
public struct CoherencyReport: FailureReporting, Hashable, Sendable, Codable {
  /// What is known.
  public enum Answer: String, Hashable, Sendable, Codable, CaseIterable {
    /// The importer reads the memory itself, and leaving SYNC out changes nothing.
    case notNeeded = "not-needed"
    /// Something is lost without SYNC, and nothing with it.
    case neededAndKept = "needed-and-kept"
    /// The importer reads a copy, which SYNC does not renew.
    case neededAndNotDone = "needed-and-not-done"
    /// Nothing that was seen tells; the reason says what is missing.
    case untold
  }

  /// The exporter's name.
  public var exporter: String
  /// The importer's name.
  public var importer: String
  /// How the buffers were allocated.
  public var allocator: AllocatorKind
  /// What is known.
  public var answer: Answer = .untold
  /// Why, in a sentence.
  public var reason: String?
  /// What was lost where something of SYNC was left out; nil where nothing was, so that this run proves nothing about SYNC.
  public var control: String?
  /// Whether the importer reaches the buffer through bounce buffers; nil where the kernel does not tell.
  public var bounced: Bool?
  /// What START and END reached; nil where that was not seen.
  public var sync: SyncEffect?
  /// What was seen, in the order of the looks.
  public var looks: [CoherencyLook] = []
  /// The call that failed.
  public var call: String?
  /// The name of the errno that the kernel answered; nil where it answered none.
  public var errno: String?
  /// What was found where no errno was answered; nil elsewhere.
  public var finding: PrimeError.Finding?
  /// How long it took, in nanoseconds.
  public var nanoseconds: Int64 = 0

  init(_ pair: RulePair) {
    exporter = pair.exporter.name
    importer = pair.importer.name
    allocator = pair.exporter.allocator
  }
}

extension CoherencyReport {
  /// Draws the answer from what was seen.
  ///
  /// - Parameters:
  ///   - isOwn: Whether the importer is the device that made the buffer, and so has nothing to map.
  ///   - transferred: The call that alone renews the importer's copy of a buffer of its own; nil where it has none.
  ///   - devicesSeeCaches: Whether every device of this machine sees what the CPU's caches hold.
  mutating func conclude(
    isOwn: Bool, transferred: String? = nil, devicesSeeCaches: Bool = CoherencyReport.devicesSeeCaches
  ) {
    let without = looks.first { !$0.variant.isRight && $0.saw == .earlier }
    control = without.map { "\($0.variant.rawValue): \($0.observer.rawValue) saw what was there before" }
    if let odd = looks.first(where: { $0.saw == .other }) {
      reason = "\(odd.variant.rawValue): \(odd.observer.rawValue) saw neither of the two contents"
    } else if let lost = looks.first(where: { $0.variant.isRight && $0.saw == .earlier }) {
      answer = .neededAndNotDone
      reason =
        "\(lost.variant.rawValue): \(lost.observer.rawValue) saw what was there before, though the bracket was right"
    } else if isOwn, let transferred {
      answer = .neededAndNotDone
      reason =
        "\(importer) has two copies of its buffer: what the CPU writes reaches its GPU by \(transferred), and by no SYNC"
    } else if without != nil {
      concludeFromLoss(devicesSeeCaches)
    } else if isOwn {
      answer = .notNeeded
      reason = "the importer made the buffer; \(Self.provesNothing)"
    } else if bounced == true && sync?.reach == SyncEffect.Reach.none && sync?.evidence == .traced {
      answer = .neededAndNotDone
      reason = "the importer reads a bounce buffer, and the kernel traced no copy into it at START or END"
    } else if bounced == false && !devicesSeeCaches {
      reason = "\(Self.provesNothing): nothing is bounced, and nothing tells whether the importer sees the CPU's caches"
    } else if bounced == false {
      answer = .notNeeded
      reason = "the importer's mapping is the memory itself; \(Self.provesNothing)"
    } else {
      reason = "\(Self.provesNothing): whether the importer reads a copy is told to root, by the kernel's trace events"
    }
  }

  /// Something was lost without SYNC, and nothing with it: it counts where SYNC reaches the importer.
  private mutating func concludeFromLoss(_ devicesSeeCaches: Bool) {
    switch (sync?.reach, bounced) {
    case (.ownMapping?, true?):
      answer = .neededAndNotDone
      reason =
        "what was lost was the exporter's own copy: START and END reach that alone, and the importer reads another"
    case (.ownMapping?, false?) where devicesSeeCaches:
      answer = .notNeeded
      reason = "what was lost was the exporter's own copy; the importer's mapping is the memory itself"
    case (.everyAttachment?, _): answer = .neededAndKept
    default: reason = "something was lost without SYNC, and nothing tells whether that was the importer's copy"
    }
  }

  #if arch(x86_64) || arch(i386) || arch(s390x)
    static let devicesSeeCaches = true
  #else
    static let devicesSeeCaches = false
  #endif

  private static let provesNothing = "leaving SYNC out changed nothing, so this run proves nothing about SYNC"
}
