public import Prime
package import PrimeProcesses

/// The importing end: takes buffers from an exporter, checks every word that is said of them, imports them, and looks.
public struct HandoverImport: Sendable {
  private let importer: Importer
  private let writesBack: Bool
  private let count: Int
  private let kernel: any KernelCalls
  private let deadline: Deadline

  /// Plans `count` hand-overs, each over a connection of its own.
  ///
  /// It writes back where the exporter asks for it; with `writesBack` a buffer that cannot be written is refused.
  public init(
    _ importer: Importer, writesBack: Bool, count: Int = 1, deadline: Deadline, showingMesaOutput: Bool = true
  ) {
    self.init(
      importer, writesBack: writesBack, count: count, deadline: deadline,
      kernel: LinuxKernel(silencesMesa: !showingMesaOutput))
  }

  /// The devices that are asked about a refused import.
  package var neutral: [NeutralDevice] = []
  /// Sees which mappings an import makes; nil where the kernel does not tell.
  package var trace: DMAMapTrace?
  /// A program that looks too; nil where none does.
  public var witness: WitnessChoice?
  /// Hears of each step before it begins.
  package var onStep: @Sendable (String) -> Void = { _ in }

  package init(
    _ importer: Importer, writesBack: Bool, count: Int, deadline: Deadline, kernel: any KernelCalls
  ) {
    self.importer = importer
    self.writesBack = writesBack
    self.count = count
    self.deadline = deadline
    self.kernel = kernel
  }

  /// The report of a run that came to nothing: its verdict is an error.
  package var blankReport: HandoverReport {
    HandoverReport(role: .importer, device: importer.name, node: importer.node, allocator: nil, requested: count)
  }

  /// Takes buffers from the exporter at the address, which is waited for; `note` hears when that takes a while.
  ///
  /// It ends with the first hand-over that fails. Everything is closed when it returns.
  public func run(
    at address: HandoverAddress, for users: HandoverUsers, note: (String) -> Void
  ) -> HandoverReport {
    run(at: address, for: users, completed: { _ in }, note: note)
  }

  /// As above; `completed` hears of each hand-over that passed, with how many did.
  package func run(
    at address: HandoverAddress, for users: HandoverUsers, completed: (Int) -> Void, note: (String) -> Void
  ) -> HandoverReport {
    let audit = LeakAudit(by: kernel)
    let start = ContinuousClock.now
    var report = blankReport
    let opening = CellRecord(blank)
    do {
      let device = try openDevice()
      for index in 0..<count {
        onStep("connect")
        let connection = try HandoverConnection.connect(
          to: address, for: users, waits: index == 0, deadline: deadline, kernel: kernel
        ) { note("nobody exports at \(address) yet; waiting") }
        report.peerUser = connection.peer.user
        take(over: connection, on: device, &report)
        guard report.verdict.arrives else { break }
        report.completed += 1
        completed(report.completed)
      }
    } catch {
      opening.stopped(by: error)
      report.take(opening)
    }
    report.nanoseconds = (ContinuousClock.now - start).nanoseconds
    report.leaks = audit.report(inodes: [], deadline: deadline)
    return report
  }

  /// A cell for the record of one hand-over.
  ///
  /// Its allocator is that of the picture which a display engine writes; who allocated the imported one is not told.
  private var blank: CellReport {
    CellReport(
      exporter: "the exporter", importer: importer.name, importerNode: importer.node?.path, allocator: .dumb,
      format: "",
      width: 0, height: 0)
  }

  private func openDevice() throws -> Device {
    try Stop.require(noProblem: importer.problem)
    return try Stop.declining(.untested) {
      try importer.open(by: kernel)
    }
  }

  /// One hand-over: offer, answer, verdict.
  private func take(
    over connection: consuming HandoverConnection, on device: Device, _ report: inout HandoverReport
  ) {
    let record = CellRecord(blank)
    var wroteBack = false
    do {
      let (bytes, descriptors) = try connection.receive("an offer", room: HandoverOffer.byteCount, deadline: deadline)
      do {
        wroteBack = try check(bytes, descriptors, from: connection.subject, on: device, record, &report)
      } catch {
        record.stopped(by: error)
      }
      record.auditHandles([device])
      try connection.send(answer(record.report, wroteBack: wroteBack).bytes, deadline: deadline)
      let verdict = try connection.receiveReply(.verdict, "the exporter's verdict", deadline: deadline)
      if record.report.verdict.arrives { try hear(verdict, wroteBack: wroteBack) }
    } catch {
      // What this end found itself is more than that it could not tell it.
      if record.report.verdict.arrives || record.report.reason == nil { record.stopped(by: error) }
    }
    report.take(record)
    report.wroteBack = wroteBack && record.report.verdict.arrives
  }

  /// Checks one picture and says whether it wrote back; everything it opened is closed when it returns.
  private func check(
    _ bytes: [UInt8], _ descriptors: HandoverDescriptors, from subject: String, on device: Device, _ record: CellRecord,
    _ report: inout HandoverReport
  ) throws -> Bool {
    let handedOver = try Stop.declining(.refused, by: .importer) {
      let picture = try HandedOverPicture(offering: bytes, descriptors, from: subject)
      guard !writesBack || picture.offer.access == .readWrite else {
        throw PrimeError(
          operation: .handover, finding: .unsuitable, subject: subject,
          reason: "the buffer is handed over for reading only: \(Remedy.noWriteBack)")
      }
      return picture
    }
    let seed = handedOver.offer.seed
    report.describe(handedOver.picture.description, seed: seed)
    trace?.clear()
    let imported: ImportedPicture
    onStep("import")
    do throws(PrimeError) {
      imported = try handedOver.picture.imported(into: device, deadline: deadline)
    } catch {
      guard !error.isBreakage else { throw error }
      throw refusal(error, of: handedOver.picture, on: device)
    }
    let maker = TwoCopies.onlyMaker(ofImportsInto: device)
    // A trace without a mapping says nothing here: the buffer may be this device's own, which mostly nobody tells.
    let judged = ImportMapping(by: device, from: maker, traced: trace?.devices(), release: .current(by: kernel))
    let mapping = judged == .none ? .unknown : judged
    record.report.mapping = mapping
    let observers = ObserverSet(
      deadline: deadline, record: record, witness: witness.map { ($0, importer.render) })
    onStep("observe")
    try observers.firstLook(
      at: imported, of: handedOver.picture, from: maker, allocator: try secondBuffer(on: device),
      HandoverPatterns.examination(seed, afterWriteBack: false))
    let returns = writesBack || handedOver.offer.asksForWriteBack
    if returns {
      onStep("write back")
      try write(HandoverPatterns.returned(seed), to: handedOver.picture, through: observers)
      try observers.secondLook(HandoverPatterns.examination(seed, afterWriteBack: true))
    }
    try observers.close()
    record.report.observers = observers.confirmed
    observers.noteWitness()
    let verdict = observers.verdict(mapping)
    record.report.verdict = verdict
    if verdict == .held { record.report.reason = mapping.objection(of: importer.name) }
    // What was written after the import shows a copy for what it is; without that, only the dma-buf's number does.
    if !returns && verdict == .proven && !observers.confirmed.contains(.identity) {
      throw Stop(
        verdict: .error,
        reason: "\(importer.name) shows the picture, but holds another dma-buf than was handed over: it may be a copy; "
          + Remedy.writeBack.description)
    }
    return returns
  }

  /// Asks third parties which side refused.
  private func refusal(
    _ error: PrimeError, of picture: borrowing SharedPicture, on device: Device
  ) -> any Error {
    guard let errno = error.errno else { return error }
    let inquiry = RefusalInquiry(neutral: neutral, kernel: kernel, deadline: deadline.atMost(.seconds(5))) {
      ImportMapping(by: $0, from: $1, traced: trace?.devices(), release: .current(by: kernel))
    }
    let evidence = inquiry.evidence(
      on: picture, AllocationRequest(format: picture.layout.format, size: picture.layout.size),
      kind: nil, exporter: nil, importer: device)
    return Stop(
      verdict: .refused, refusedBy: evidence.refuser, error: error,
      reason: RefusalReason.sentence(
        exporter: "the exporter", importer: importer.name, evidence, errno: errno, byteCount: picture.byteCount))
  }

  /// Where a display engine's picture goes, on an open file of its own.
  private func secondBuffer(on device: Device) throws -> any Allocator {
    DumbAllocator(device: try device.reopened())
  }

  private func write(
    _ pattern: Pattern, to picture: borrowing SharedPicture, through observers: ObserverSet
  ) throws {
    try deadline.check("write", on: importer.name)
    if try observers.write(pattern) { return }
    try picture.fill(pattern, deadline: deadline)
  }

  private func answer(_ cell: CellReport, wroteBack: Bool) -> HandoverReply {
    let outcome: HandoverReply.Outcome =
      switch cell.verdict {
      case .proven, .shared, .held, .reported: .verified
      case .mismatch: .mismatch
      case .refused: .refused
      // Nobody could look at what was imported all the same.
      case .untested, .error: .failed
      }
    let number = cell.errno.flatMap(Errno.init(name:))?.rawValue ?? 0
    let call = [cell.call, cell.errno].compactMap(\.self).joined(separator: " ")
    return HandoverReply(
      .answer, outcome, errno: UInt32(clamping: number), wroteBack: wroteBack, isProof: cell.verdict == .proven,
      sentence: cell.verdict.arrives ? "" : [call, cell.reason ?? ""].filter { !$0.isEmpty }.joined(separator: ": "))
  }

  private func hear(_ verdict: HandoverReply, wroteBack: Bool) throws {
    switch verdict.outcome {
    case .verified:
      guard verdict.wroteBack == wroteBack else {
        throw Stop(verdict: .error, reason: "the exporter did not look at what was written back")
      }
    case .mismatch: throw Stop(verdict: .mismatch, reason: "the exporter: \(verdict.sentence)")
    case .refused, .failed: throw Stop(verdict: .error, reason: "the exporter: \(verdict.sentence)")
    }
  }
}
