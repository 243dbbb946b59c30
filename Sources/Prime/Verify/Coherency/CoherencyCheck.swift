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
    let description: BufferDescription
    let buffer: DMABuf
    let exporter: Device?
    let importer: Device
    /// The device that made the buffer; nil for system memory, and where that is not the exporter and not known.
    let maker: DeviceIdentity?
  }

  private func bench() throws -> Bench {
    guard let node = pair.importer.node, let format = PixelFormat(.xrgb8888) else {
      throw PrimeError(operation: "open", finding: .absent, subject: pair.importer.name, reason: "it has no node")
    }
    let exporter = try pair.exporter.node.map { (node) throws(PrimeError) in try Device.open(node, kernel: kernel) }
    let allocator = try Allocators.make(pair.exporter, on: exporter, kernel: kernel)
    let object = try allocator.allocate(AllocationRequest(format: format, width: size.width, height: size.height))
    let buffer = try object.export(.readWrite)
    let importer = try Device.open(node, kernel: kernel)
    var maker = exporter?.identity
    if maker?.isSameDevice(as: importer.identity) == true, object.isMadeElsewhere(exportedAs: buffer) { maker = nil }
    return Bench(
      allocator: allocator, description: object.description, buffer: buffer, exporter: exporter, importer: importer,
      maker: maker)
  }

  /// Notes what START and END reach and whether the import is bounced, and says whether both ends are one device, and by which call that
  /// renews a copy of its own.
  private func measure(_ report: inout CoherencyReport) throws -> (isOwn: Bool, transferred: String?) {
    let bench = try bench()
    let measurement = SyncMeasurement(trace: trace, deadline: deadline)
    let alone = try measurement.observe(bench.buffer)
    trace?.clear()
    let handle = try importing(bench)
    let mapping = ImportMapping(
      by: bench.importer, from: bench.maker, traced: trace?.devices(), release: release)
    report.bounced = BouncedImport.isSeen(by: bench.importer.identity, in: trace, mapping: mapping)
    report.sync = SyncEffect(
      of: bench.buffer, from: bench.maker == nil ? nil : bench.exporter, to: bench.importer, waitsForFences: nil,
      alone: alone, shared: try measurement.observe(bench.buffer), isBounced: report.bounced)
    withExtendedLifetime(handle) {}
    return (mapping == .own, TwoCopies.areKept(by: bench.importer) ? VirtGPUTransfer.toHost.operation.description : nil)
  }

  private func importing(_ bench: borrowing Bench) throws(PrimeError) -> GEMHandle {
    try GEMHandle(importing: bench.buffer, into: bench.importer, deadline: deadline.atMost(.seconds(5)))
  }

  private func looks(_ variant: CoherencyVariant, isBounced: Bool?) throws -> [CoherencyLook] {
    let bench = try bench()
    let layout = bench.description.layout
    try bench.buffer.write(deadline: deadline) { bytes in try earlier.fill(&bytes, layout: layout) }
    trace?.clear()
    var handle: GEMHandle? = try importing(bench)
    let eye = DeviceEye(
      of: bench.importer.identity, byteCount: layout.byteCount, isBounced: isBounced, in: trace, by: kernel)
    let engine = variant.closesImport ? nil : try engine(bench)
    defer { try? engine?.close() }
    return try rewrite(bench.buffer, variant, layout) {
      if variant.closesImport { handle = nil }
      var looks = [CoherencyLook(variant, .memory, try content(layout) { try bench.buffer.readWithoutSync($0) })]
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
        CoherencyLook(variant, .cpu, try content(layout) { try bench.buffer.read(deadline: deadline, $0) }))
      withExtendedLifetime(handle) {}
      return looks
    }
  }

  /// The importer's display engine; nil where it has none that can look.
  private func engine(_ bench: borrowing Bench) throws -> CoherencyEngine? {
    do throws(PrimeError) {
      return try CoherencyEngine(bench.buffer, bench.description, on: bench.importer, otherwise: bench.allocator)
    } catch {
      guard !error.isBreakage else { throw error }
      return nil
    }
  }

  /// Writes the buffer again and has `look` look at it; what was left out is made up for behind that.
  private func rewrite(
    _ buffer: borrowing DMABuf, _ variant: CoherencyVariant, _ layout: PictureLayout,
    _ look: () throws -> [CoherencyLook]
  ) throws -> [CoherencyLook] {
    switch variant {
    case .bracketed, .bracketedThenClosed:
      try buffer.write(deadline: deadline) { bytes in try rewritten.fill(&bytes, layout: layout) }
    case .unsynced, .unsyncedThenClosed: try writeWithoutSync(buffer, layout)
    case .emptyBracket:
      try writeWithoutSync(buffer, layout)
      try buffer.bracket(writing: true, deadline: deadline) {}
    case .insideReadBracket:
      try buffer.bracket(writing: false, deadline: deadline) { try writeWithoutSync(buffer, layout) }
    case .endLeftOut:
      return try buffer.bracket(writing: true, deadline: deadline) {
        try writeWithoutSync(buffer, layout)
        return try look()
      }
    }
    return try look()
  }

  private func writeWithoutSync(_ buffer: borrowing DMABuf, _ layout: PictureLayout) throws {
    try buffer.writeWithoutSync { bytes in try rewritten.fill(&bytes, layout: layout) }
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
