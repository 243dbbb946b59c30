internal import Prime

/// The observers of one check: those that could look at A must look again at B.
final class ObserverSet {
  private var active: [any Observer] = []
  private let deadline: Deadline
  private let record: CellRecord
  private let history: LookHistory
  private let witness: (choice: WitnessChoice, node: DRMNode?)?
  /// That the importer's GPU has a copy of its own which nobody looked at; nil where it has none.
  private var unseenCopy: String?

  /// - Parameter witness: A program that looks too, and the node that it is to look through.
  init(
    deadline: Deadline, record: CellRecord, history: LookHistory = LookHistory(),
    witness: (choice: WitnessChoice, node: DRMNode?)? = nil
  ) {
    self.deadline = deadline
    self.record = record
    self.history = history
    self.witness = witness
  }

  /// Who saw what was written, the strongest first.
  var confirmed: [ObserverName] { active.map(\.name) }

  /// The observers whose look is a proof, the strongest first: a name alone is none.
  var proofs: [ObserverName] { active.filter(\.isProof).map(\.name) }

  /// Proven by the importer's own look; else what the handle is worth, which depends on whether the importer mapped the buffer.
  func verdict(_ mapping: ImportMapping) -> Verdict {
    guard !active.isEmpty else { return .untested }
    guard proofs.isEmpty else { return .proven }
    return mapping.isMade ? .shared : .held
  }

  /// Why those who looked prove nothing, where they have more to say than their names; nil where somebody proves it.
  var objection: String? { proofs.isEmpty ? active.lazy.compactMap(\.objection).first : nil }

  /// The format that a display engine was given the bytes as; nil where no display engine looked.
  var shownAs: Fourcc? { active.lazy.compactMap(\.showing).first?.shownAs }

  /// Why a plane does not list the buffer's own format and modifier, a fact beside what was looked at; nil where it does, or
  /// where no display engine looked.
  var formatObjection: String? { active.lazy.compactMap(\.showing).first?.objection }

  /// The size of the buffer of the same exporter that a display showed in this one's place, since its plane has to cover the
  /// mode; nil where the buffer itself was looked at.
  var standIn: (width: Int, height: Int)? { active.lazy.compactMap(\.showing).first?.standIn }

  /// By which conversion colours were compared; nil where bytes were.
  var conversion: String? { active.lazy.compactMap { ($0 as? PlanarWritebackObserver)?.conversion }.first }

  /// Which GBM driver looked; nil where none did.
  var gbm: GBMDriver? { active.lazy.compactMap { $0 as? GBMMapObserver }.first?.driver }

  /// Tries each observer, the strongest first, and keeps those that can look.
  ///
  /// `exporter` is the device that the buffer is of; nil for system memory, and where nobody says.
  func firstLook(
    at imported: borrowing ImportedPicture, of picture: borrowing SharedPicture, from exporter: DeviceIdentity?,
    allocator: any Allocator, _ examination: Examination
  ) throws {
    let importer = imported.device
    try attempt(.writeback, examination) {
      if picture.layout.planes.count > 1 {
        return try PlanarWritebackObserver(imported, of: picture, targetOtherwiseFrom: allocator)
      }
      return try WritebackObserver(imported, of: picture, targetOtherwiseFrom: allocator)
    }
    // A checksum takes many frames and shows no more than writeback does.
    if active.isEmpty {
      try attempt(.crc, examination) {
        try CRCObserver(imported, of: picture, standInFrom: allocator, history: history, deadline: deadline)
      }
    }
    if let (choice, node) = witness, choice.isAsked(about: importer, whereOthersLook: !active.isEmpty) {
      try attempt(.gpu, examination) {
        try GPUObserver(picture, on: importer, from: exporter, by: choice.program, through: node)
      }
    }
    try attempt(.nativeMap, examination) {
      try NativeMapObserver(picture, on: importer, from: exporter)
    }
    // Loading Mesa takes seconds on a slow machine, so it is asked only where nobody else can show it.
    if active.isEmpty {
      try attempt(.gbmMap, examination) { try GBMMapObserver(picture, on: importer) }
    }
    do {
      try attempt(.identity, examination) { try IdentityObserver(imported, of: picture) }
    } catch let error as PrimeError where error.operation == .identity && !active.isEmpty {
      // Somebody can look, and what is seen of B tells a copy better than a number does.
      giveWay(.identity, error)
    }
    if let exporter, exporter.isSameDevice(as: importer.identity), TwoCopies.areKept(by: importer) {
      let attempt = record.report.tried.first { $0.observer == .gpu }
      unseenCopy = TwoCopies.warning(importer.driver, gpuIsUnseen: attempt?.reason)
    }
    if active.isEmpty {
      record.report.reason = "the import succeeded, and nothing on this machine can look at the buffer through it"
    }
  }

  private func attempt(
    _ name: ObserverName, _ examination: Examination, _ make: () throws -> any Observer
  ) throws {
    do {
      try deadline.check("observe", on: record.report.importer)
      let observer = try make()
      if let writeback = observer as? any WritebackLooker { record.inodes.insert(writeback.targetInode) }
      try look(with: observer, examination)
      active.append(observer)
    } catch let error as PrimeError where !error.isBreakage {
      giveWay(name, error)
    }
  }

  private func look(with observer: any Observer, _ examination: Examination) throws {
    defer {
      if let writeback = observer as? any WritebackLooker, writeback.lostWritebacks > 0 {
        record.report.lostWritebacks = writeback.lostWritebacks
      }
    }
    try record.seen(try observer.look(examination, deadline: deadline), by: observer.name)
  }

  private func giveWay(_ name: ObserverName, _ error: PrimeError) {
    record.report.tried.append(CellReport.Attempt(name, endedBy: error))
    // Somebody asked for this one.
    if name == .gpu, witness?.choice.isNamed == true { record.report.warning = error.reason }
  }

  /// Notes who looked through another program, and what is to be said of the importer's copies.
  func noteWitness() {
    if let observer = active.lazy.compactMap({ $0 as? GPUObserver }).first {
      record.report.witness = observer.report
      record.report.warning = observer.warning ?? record.report.warning
    } else {
      record.report.warning = record.report.warning ?? unseenCopy
    }
  }

  /// Every observer that saw A must see B: a copy made at the import would still show A.
  func secondLook(_ examination: Examination) throws {
    for observer in active {
      try deadline.check("observe", on: record.report.importer)
      do {
        try look(with: observer, examination)
      } catch let error as PrimeError where observer.isOutside && error.isUntestable {
        giveWay(observer.name, error)
        active.removeAll { $0 === observer }
      }
    }
  }

  /// Writes from the importer's side where its own mapping allows it; false where none does.
  func write(_ pattern: Pattern) throws -> Bool {
    for case let observer as NativeMapObserver in active {
      try observer.write(pattern, deadline: deadline)
      return true
    }
    return false
  }

  /// Puts the display back where an observer changed it.
  func close() throws {
    for observer in active { try observer.close() }
  }
}
