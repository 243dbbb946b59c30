internal import Prime
internal import PrimeProcesses

/// Writes buffers again that an importer holds, in a bracket and with something of SYNC left out, and compares what is seen.
///
/// Where an importer reads a copy (`swiotlb_tbl_map_single`, or a cache), a write that SYNC does not carry over is not only
/// missed by the importer: the next START for reading, or the end of the mapping, puts the old bytes back over it. So the CPU
/// alone can tell right from wrong, without root.
struct CoherencyCheck {
  let pair: RulePair
  let seed: UInt64
  let kernel: any KernelCalls
  let deadline: Deadline
  /// Sees what START and END have the kernel do; nil where it does not tell.
  var trace: DMAMapTrace?
  /// The kernel's number; nil where it is not known.
  var release: KernelRelease?
  /// The size of the buffers in pixels: 250 KiB, which is one piece that a bounce buffer takes.
  var size = (width: 320, height: 200)

  private var earlier: Pattern { Pattern(seed: seed, index: 0) }
  private var rewritten: Pattern { Pattern(seed: seed, index: 1) }

  /// Looks at every variant, each with a buffer and an import of its own.
  ///
  /// Everything it opened is closed when it returns.
  func run() -> CoherencyReport {
    var report = CoherencyReport(pair)
    let start = ContinuousClock.now
    do {
      let (isOwn, transferred) = try measure(&report)
      for variant in CoherencyVariant.allCases {
        try deadline.check("write again", on: pair.exporter.name)
        report.looks += try looks(variant, isBounced: report.bounced)
      }
      report.conclude(isOwn: isOwn, transferred: transferred)
    } catch {
      report.answer = .untold
      report.reason = "\(error)"
      if let error = error as? PrimeError { report.note(error, reason: report.reason) }
    }
    report.nanoseconds = (ContinuousClock.now - start).nanoseconds
    return report
  }

  /// A buffer with the earlier content, and both devices.
  private struct Bench: ~Copyable {
    let allocator: any Allocator
    let picture: SharedPicture
    let exporter: Device?
    let importer: Device
    /// The device that made the buffer; nil for system memory, and where that is not the exporter and not known.
    let maker: DeviceIdentity?
  }

  private func bench() throws -> Bench {
    let exporter = try pair.exporter.node.map { (node) throws(PrimeError) in try Device.open(node, kernel: kernel) }
    let allocator = try Allocators.make(pair.exporter, on: exporter, kernel: kernel)
    let object = try allocator.allocate(AllocationRequest(format: .xrgb8888, width: size.width, height: size.height))
    let picture = try object.export(.readWrite)
    let importer = try pair.importer.open(by: kernel)
    var maker = exporter?.identity
    if maker?.isSameDevice(as: importer.identity) == true, object.isMadeElsewhere(exportedAs: picture) { maker = nil }
    return Bench(allocator: allocator, picture: picture, exporter: exporter, importer: importer, maker: maker)
  }

  /// Notes what START and END reach and whether the import is bounced, and says whether both ends are one device, and by which call that
  /// renews a copy of its own.
  private func measure(_ report: inout CoherencyReport) throws -> (isOwn: Bool, transferred: String?) {
    let bench = try bench()
    let measurement = SyncMeasurement(trace: trace, deadline: deadline)
    let alone = try measurement.observe(bench.picture.first)
    trace?.clear()
    let handle = try importing(bench)
    let mapping = ImportMapping(
      by: bench.importer, from: bench.maker, traced: trace?.devices(), release: release)
    report.bounced = BouncedImport.isSeen(by: bench.importer.identity, in: trace, mapping: mapping)
    report.sync = SyncEffect(
      of: bench.picture.first, from: bench.maker == nil ? nil : bench.exporter, to: bench.importer, waitsForFences: nil,
      alone: alone, shared: try measurement.observe(bench.picture.first), isBounced: report.bounced)
    withExtendedLifetime(handle) {}
    return (mapping == .own, TwoCopies.areKept(by: bench.importer) ? VirtGPUTransfer.toHost.operation.description : nil)
  }

  private func importing(_ bench: borrowing Bench) throws(PrimeError) -> ImportedPicture {
    try bench.picture.imported(into: bench.importer, deadline: deadline.atMost(.seconds(5)))
  }

  private func looks(_ variant: CoherencyVariant, isBounced: Bool?) throws -> [CoherencyLook] {
    let bench = try bench()
    let layout = bench.picture.layout
    try bench.picture.fill(earlier, deadline: deadline)
    trace?.clear()
    var handle: ImportedPicture? = try importing(bench)
    let eye = DeviceEye(
      of: bench.importer.identity, byteCount: layout.byteCount, isBounced: isBounced, in: trace, by: kernel)
    let engine = variant.closesImport ? nil : try engine(bench)
    defer { try? engine?.close() }
    return try rewrite(bench.picture, variant) {
      if variant.closesImport { handle = nil }
      var looks = [CoherencyLook(variant, .memory, try content(layout) { try bench.picture.first.readWithoutSync($0) })]
      if !variant.closesImport, let bytes = eye?.bytes() {
        looks.append(CoherencyLook(variant, .eye, try content(layout) { try $0(bytes.span) }))
      }
      if let engine {
        try engine.capture(deadline: deadline)
        looks.append(
          CoherencyLook(
            variant, .writeback, try content(engine.layout) { try engine.read(deadline: deadline, $0) }))
      }
      looks.append(
        CoherencyLook(variant, .cpu, try content(layout) { try bench.picture.first.read(deadline: deadline, $0) }))
      withExtendedLifetime(handle) {}
      return looks
    }
  }

  /// The importer's display engine; nil where it has none that can look.
  private func engine(_ bench: borrowing Bench) throws -> CoherencyEngine? {
    do throws(PrimeError) {
      return try CoherencyEngine(bench.picture, on: bench.importer, otherwise: bench.allocator)
    } catch {
      guard !error.isBreakage else { throw error }
      return nil
    }
  }

  /// Writes the buffer again and has `look` look at it; what was left out is made up for behind that.
  private func rewrite(
    _ picture: borrowing SharedPicture, _ variant: CoherencyVariant, _ look: () throws -> [CoherencyLook]
  ) throws -> [CoherencyLook] {
    switch variant {
    case .bracketed, .bracketedThenClosed:
      try picture.fill(rewritten, deadline: deadline)
    case .unsynced, .unsyncedThenClosed: try writeWithoutSync(picture)
    case .emptyBracket:
      try writeWithoutSync(picture)
      try picture.first.bracket(writing: true, deadline: deadline) {}
    case .insideReadBracket:
      try picture.first.bracket(writing: false, deadline: deadline) { try writeWithoutSync(picture) }
    case .endLeftOut:
      return try picture.first.bracket(writing: true, deadline: deadline) {
        try writeWithoutSync(picture)
        return try look()
      }
    }
    return try look()
  }

  private func writeWithoutSync(_ picture: borrowing SharedPicture) throws {
    try picture.first.writeWithoutSync { bytes in try rewritten.fill(&bytes, layout: picture.layout) }
  }

  private func content(
    _ layout: PictureLayout, _ read: ((Span<UInt8>) throws -> CoherencyLook.Content) throws -> CoherencyLook.Content
  ) throws -> CoherencyLook.Content {
    try read { bytes in
      if try rewritten.matches(bytes, layout: layout, ignoringUnusedBits: true) { return .rewritten }
      return try earlier.matches(bytes, layout: layout, ignoringUnusedBits: true) ? .earlier : .other
    }
  }
}
