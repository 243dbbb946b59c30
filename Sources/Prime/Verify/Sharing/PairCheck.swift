internal import Prime
internal import PrimeProcesses

/// Checks one exporter, one importer, one allocator, one format and one size, in the five steps of the pair check:
/// write A and see it on the importer, write B after the import and see that, write C from the importer where it can be
/// written and see it on the exporter, compare each look with a wrong expectation too, and close everything.
package struct PairCheck {
  let exporter: Exporter
  let importer: Importer
  var request: AllocationRequest
  let seed: UInt64
  let kernel: any KernelCalls
  let deadline: Deadline
  /// The devices that are asked about a refused import.
  var neutral: [NeutralDevice] = []
  /// Whether the importer claims to import, by its node's path.
  var advertised: Bool?
  /// Sees which mappings an import makes; nil where the kernel does not tell.
  var trace: DMAMapTrace?
  /// What earlier cells of this process showed of the devices.
  var history = LookHistory()
  /// A program that looks too; nil where none does.
  var witness: WitnessChoice?
  /// The kernel's number; nil where it is not known.
  var release: KernelRelease?
  /// Hears of each step before it begins.
  var onStep: @Sendable (String) -> Void = { _ in }

  /// The patterns of one check: B is written after the import, C from the importer's side, `wrong` never.
  struct Patterns {
    let a: Pattern
    let b: Pattern
    let c: Pattern
    let wrong: Pattern

    init(seed: UInt64) {
      a = Pattern(seed: seed, index: 0)
      b = Pattern(seed: seed, index: 1)
      c = Pattern(seed: seed, index: 2)
      wrong = Pattern(seed: seed, index: 3)
    }
  }

  /// The report of a check, and what the run that it belongs to must know besides.
  package struct Outcome: Codable, Sendable {
    package var report: CellReport
    /// The inodes of the dma-bufs it made, for the leak audit.
    package var inodes: Set<UInt64>
    /// Whether somebody asked to stop while it ran.
    package let wasCancelled: Bool
    /// Whether the kernel could not map the buffer for the importer, which a smaller one may spare it.
    package let couldNotBeMapped: Bool

    package init(report: CellReport, inodes: Set<UInt64>, wasCancelled: Bool, couldNotBeMapped: Bool = false) {
      self.report = report
      self.inodes = inodes
      self.wasCancelled = wasCancelled
      self.couldNotBeMapped = couldNotBeMapped
    }
  }

  /// Runs the check.
  ///
  /// Everything it opened is closed when it returns, whatever happened.
  func run() -> Outcome {
    if let way = importer.video { return run(with: way) }
    let record = CellRecord(emptyReport, onStep: onStep)
    var couldNotBeMapped = false
    do {
      for problem in [exporter.problem, importer.problem] { try Stop.require(noProblem: problem) }
      let devices = try opened(record)
      defer { record.auditHandles([devices.exporter, devices.importer]) }
      do {
        try share(devices, record)
        // One observer gives way to the next also where the device itself is gone.
        if record.report.verdict == .untested { try devices.checkPresence() }
      } catch {
        guard let failure = Self.failure(behind: error), devices.isGone(failure) else { throw error }
        throw failure.explained(OpenDevices.goneReason)
      }
    } catch {
      couldNotBeMapped = Self.failure(behind: error).map(BouncedImport.isFailure) ?? false
      record.stopped(by: error)
    }
    return Outcome(
      report: record.report, inodes: record.inodes, wasCancelled: record.wasCancelled,
      couldNotBeMapped: couldNotBeMapped)
  }

  /// The call that ended a check; nil where none did.
  private static func failure(behind error: any Error) -> PrimeError? {
    (error as? Stop)?.error ?? error as? PrimeError
  }

  private struct OpenDevices {
    /// Nil for system memory.
    var exporter: Device?
    var importer: Device
    /// The device that made the buffer; nil for system memory, and where that is not the exporter and not known.
    var maker: DeviceIdentity?

    init(exporter: Device?, importer: Device) {
      self.exporter = exporter
      self.importer = importer
      maker = exporter?.identity
    }

    static let goneReason = "the device went away during the run"

    /// Throws where a device does not even tell its version any more.
    func checkPresence() throws(PrimeError) {
      for case let device? in [exporter, importer] {
        _ = try device.kernel.version(device.rawDescriptor).orThrow("drmGetVersion", on: device.subject)
      }
    }

    /// Whether an error comes from a device that was unplugged: then it does not even tell its version any more.
    func isGone(_ error: PrimeError) -> Bool {
      guard error.errno == .noSuchDevice || error.errno == .noSuchAddress else { return false }
      do throws(PrimeError) { try checkPresence() } catch { return true }
      return false
    }
  }

  /// What is said of a cell before anything is known.
  var emptyReport: CellReport {
    var report = CellReport(
      exporter: exporter.name, exporterNode: exporter.nodePath, importer: importer.name,
      importerNode: importer.nodePath, allocator: exporter.allocator, format: request.format.fourcc.name,
      modifier: request.modifiers?.first?.description, width: request.width, height: request.height)
    if request.isDisjoint { report.disjoint = true }
    return report
  }

  /// Opens both sides.
  ///
  /// A node that was found before the run and is not there any more is no reason to skip.
  private func opened(_ record: CellRecord) throws -> OpenDevices {
    try Stop.declining(.untested) {
      do throws(PrimeError) {
        return try openDevices()
      } catch {
        guard [.noSuchFile, .noSuchDevice, .noSuchAddress].contains(error.errno) else { throw error }
        throw Stop(verdict: .error, error: error.explained("the device went away during the run"))
      }
    }
  }

  private func openDevices() throws(PrimeError) -> OpenDevices {
    let exporterDevice: Device?
    if let node = exporter.node {
      exporterDevice = try Device.open(node, kernel: kernel)
    } else {
      exporterDevice = nil
    }
    return OpenDevices(exporter: exporterDevice, importer: try importer.open(by: kernel))
  }

  private func share(_ devices: OpenDevices, _ record: CellRecord) throws {
    let patterns = Patterns(seed: seed)
    try Stop.declining(.untested) {
      let needed = try request.packedLayout(operation: .allocate, on: exporter.name)
      try MemoryBudget.check(needed.byteCount, operation: .allocate, on: exporter.name, by: kernel)
    }
    let allocator = try Stop.declining(.refused, by: .exporter) {
      try Allocators.make(exporter, on: devices.exporter, kernel: kernel)
    }
    let object = try record.timed("allocate") {
      var request = request
      request.pitch = try ImporterPitch(for: request, on: devices.importer)
      return try Stop.declining(.refused, by: .exporter) { try allocator.allocate(request) }
    }
    record.report.modifier = object.description.modifier.description
    let picture = try record.timed("export") {
      try Stop.declining(.refused, by: .exporter) { try object.export(.readWrite) }
    }
    record.inodes.formUnion(picture.identities.map(\.inode))
    var devices = devices
    // Where both ends are one device, what is its own needs no mapping, and is shown by its own.
    if let maker = devices.maker, maker.isSameDevice(as: devices.importer.identity),
      object.isMadeElsewhere(exportedAs: picture)
    {
      devices.maker = nil
    }
    trace?.clear()
    let untouched = try record.timed("import") { try importUntouched(picture, devices) }
    let measurement = SyncMeasurement(trace: trace, deadline: deadline)
    var alone = SyncEffect.Observation()
    try record.timed("write") {
      do {
        alone = try measurement.observe(picture.first)
        try write(patterns.a, to: picture, by: allocator, record)
      } catch let error as PrimeError where error.saysThatBuffersCannotBeMapped {
        throw unmappable(error)
      }
    }
    // The exporter's own view comes first: what is wrong there says nothing about sharing.
    try record.timed("readBack") {
      try examine(picture, examination(patterns.a, wrong: patterns.wrong), record)
    }
    let written = try lookAtImport(
      of: picture, from: allocator, devices, after: untouched, alone: alone, measurement, record)
    // The import is closed, and everything that looked through it.
    try record.timed("afterImport") { try examineReleased(picture, written, record) }
  }

  /// Imports the buffer, looks at it through the importer, rewrites it and looks again.
  ///
  /// - Returns: What the buffer has to hold when the import is closed.
  private func lookAtImport(
    of picture: borrowing SharedPicture, from allocator: any Allocator,
    _ devices: OpenDevices, after untouched: UntouchedImport, alone: SyncEffect.Observation,
    _ measurement: SyncMeasurement, _ record: CellRecord
  ) throws -> Examination {
    let patterns = Patterns(seed: seed)
    trace?.clear()
    let imported = try record.timed("import") {
      do throws(PrimeError) {
        return try importing(picture, devices)
      } catch {
        throw refusal(error, of: picture, devices, after: untouched)
      }
    }
    var mapping = ImportMapping(
      by: devices.importer, from: devices.maker, traced: trace?.devices(), release: release)
    record.report.bounced = BouncedImport.isSeen(by: devices.importer.identity, in: trace, mapping: mapping)
    let observers = ObserverSet(
      deadline: deadline, record: record, history: history, witness: witness.map { ($0, importer.render) })
    try record.timed("observe") {
      try observers.firstLook(
        at: imported, of: picture, from: devices.maker, allocator: allocator,
        examination(patterns.a, wrong: patterns.wrong))
    }
    try record.timed("rewrite") { try write(patterns.b, to: picture, by: allocator, record) }
    var written = examination(patterns.b, earlier: [patterns.a], wrong: patterns.wrong)
    try record.timed("observeAgain") { try observers.secondLook(written) }
    try record.timed("writeBack") {
      guard try observers.write(patterns.c) else { return }
      written = examination(patterns.c, earlier: [patterns.a, patterns.b], wrong: patterns.wrong)
      try examine(picture, written, record)
    }
    try observers.close()
    record.report.sync = try record.timed("sync") {
      let fences = FenceWait(vgem: neutral.first { $0.isVGEM }?.node, kernel: kernel)
      return SyncEffect(
        of: picture.first, from: devices.maker == nil ? nil : devices.exporter, to: devices.importer,
        waitsForFences: history.waitsForFences(exporter) {
          fences.isSeen(on: picture.first) { record.inodes.insert($0) }
        },
        alone: alone,
        shared: try measurement.observe(picture.first), isBounced: record.report.bounced)
    }
    var notShown: PrimeError?
    if observers.verdict(mapping) == .held {
      try record.timed("show") {
        do throws(PrimeError) {
          let display = try ImportOnDisplay(imported, of: picture, operation: .commit)
          mapping = try display.showOnce(deadline: deadline) {
            mapping.afterShowing(Set(picture.identities.map(\.inode)), by: devices.importer, traced: trace?.devices())
          }
        } catch {
          guard !error.isBreakage else { throw error }
          notShown = error
        }
      }
    }
    record.report.mapping = mapping
    record.report.observers = observers.confirmed
    record.report.verdict = observers.verdict(mapping)
    record.report.proofs = observers.proofs
    observers.noteWitness()
    // An engine that was seen to read what was written reads no copy.
    if record.report.verdict != .proven, record.report.warning == nil {
      record.report.warning = BouncedImport.warning(
        importer: importer.name, exporter: exporter.name, isBounced: record.report.bounced,
        reach: record.report.sync?.reach, evidence: record.report.sync?.evidence)
    }
    record.report.shownAs = observers.shownAs?.name
    record.report.conversion = observers.conversion
    record.report.formatObjection = observers.formatObjection
    record.report.gbm = observers.gbm
    let isHeld = record.report.verdict == .held
    let onDisplay = notShown.map { error in
      let what =
        error.isUntestable
        ? error.reason ?? ""
        : [error.operation.description, error.errno?.name].compactMap(\.self).joined(separator: " ")
      return "no display of it shows the buffer, for which it would have to map it (\(what))"
    }
    let ofHandle = isHeld ? [mapping.objection(of: importer.name), onDisplay] : []
    let objections = ([observers.objection] + ofHandle + [untouched.objection(exporter, importer)]).compactMap(\.self)
    if !objections.isEmpty { record.report.reason = objections.joined(separator: "; ") }
    return written
  }

  private func importing(
    _ picture: borrowing SharedPicture, _ devices: OpenDevices
  ) throws(PrimeError) -> ImportedPicture {
    try picture.imported(into: devices.importer, deadline: deadline.atMost(.seconds(5)))
  }

  /// Imports the buffer as its exporter made it, and once more behind a look of the CPU where that is refused.
  ///
  /// - Throws: the refusal where both are.
  private func importUntouched(_ picture: borrowing SharedPicture, _ devices: OpenDevices) throws -> UntouchedImport {
    let refused: Errno
    do throws(PrimeError) {
      _ = try importing(picture, devices)
      return .taken
    } catch {
      guard let errno = error.errno, !error.isBreakage else {
        throw refusal(error, of: picture, devices, after: .taken)
      }
      refused = errno
    }
    try picture.forEachBuffer { (_, buffer) throws in try buffer.bracket(writing: false, deadline: deadline) {} }
    do throws(PrimeError) {
      _ = try importing(picture, devices)
      return .refused(refused)
    } catch {
      throw refusal(error, of: picture, devices, after: .refused(refused))
    }
  }

  /// Asks third parties which side refused; what broke and is no refusal stays as it is.
  private func refusal(
    _ error: PrimeError, of picture: borrowing SharedPicture, _ devices: OpenDevices, after untouched: UntouchedImport
  ) -> any Error {
    if error.isBreakage {
      let bounced = BouncedImport.refusal(
        error, of: picture.byteCount, request.format, into: importer.name, seen: trace?.seen(),
        isImporter: devices.importer.identity.isNamed)
      return bounced ?? error
    }
    guard let errno = error.errno else { return error }
    let inquiry = RefusalInquiry(neutral: neutral, kernel: kernel, deadline: deadline.atMost(.seconds(5))) {
      ImportMapping(by: $0, from: $1, traced: trace?.devices(), release: release)
    }
    let evidence = inquiry.evidence(
      on: picture, request, kind: exporter.allocator, exporter: devices.maker, importer: devices.importer)
    var reason = RefusalReason.sentence(
      exporter: exporter.name, importer: importer.name, evidence, errno: errno, byteCount: picture.byteCount,
      advertised: advertised)
    if case .taken = untouched {
      reason = "\(importer.name) took this buffer before the CPU had touched it, and does not now: \(reason)"
    }
    return Stop(verdict: .refused, refusedBy: evidence.refuser, error: error, reason: reason)
  }

  /// Why nothing can be shown with an exporter whose buffers have no CPU mappings.
  func unmappable(_ error: PrimeError) -> Stop {
    Stop(
      verdict: .untested,
      reason:
        "\(exporter.name) exports the buffer and does not let the CPU map it (\(error.errno?.name ?? error.explanation)), so "
        + "nothing can be written there that an importer could be seen to read")
  }

  private func examination(_ expected: Pattern, earlier: [Pattern] = [], wrong: Pattern) -> Examination {
    Examination(expected: expected, earlier: earlier, wrong: wrong, isDrawn: exporter.allocator == .gpu)
  }

  private func write(
    _ pattern: Pattern, to picture: borrowing SharedPicture, by allocator: any Allocator,
    _ record: CellRecord
  ) throws {
    guard let gpu = allocator as? GPUAllocator else { return try write(pattern, to: picture) }
    try deadline.check("write", on: exporter.name)
    // One that stops drawing shows nothing of the importer.
    try Stop.declining(.untested) {
      try gpu.draw(into: picture, deadline: deadline) { bytes, layout in try pattern.fill(&bytes, layout: layout) }
    }
    record.report.drawnBy = gpu.report(on: picture)
    record.report.warning = gpu.warning(on: picture)
  }

  /// Has the CPU write, in a bracket.
  func write(_ pattern: Pattern, to picture: borrowing SharedPicture) throws {
    try deadline.check("write", on: exporter.name)
    try picture.fill(pattern, deadline: deadline)
  }

  /// Looks through the exporter's own descriptor once nobody imports the buffer any more.
  ///
  /// Where the importer reaches the memory through a bounce buffer (swiotlb), the kernel copies that back when the import is
  /// closed: what the CPU wrote and SYNC did not carry to the importer is gone then, and the importer had never seen it.
  func examineReleased(
    _ picture: borrowing SharedPicture, _ examination: Examination, _ record: CellRecord
  ) throws {
    do {
      try examine(picture, examination, record)
    } catch let stop as Stop where stop.verdict == .mismatch {
      throw Stop(
        verdict: .mismatch, mismatch: stop.mismatch,
        reason: "what the CPU wrote inside of SYNC brackets is gone since \(importer.name) has closed its import, so "
          + "that it never reached \(importer.name): \(stop.mismatch?.sentence ?? "")")
    }
  }

  /// Looks through the exporter's own descriptor.
  func examine(
    _ picture: borrowing SharedPicture, _ examination: Examination, _ record: CellRecord
  ) throws {
    try deadline.check("read", on: exporter.name)
    try record.seen(try picture.examine(examination, deadline: deadline), by: nil)
  }
}
