public import Prime

/// The exporting end: makes buffers, hands them to importers that connect, and checks what they write back.
public struct HandoverExport: Sendable {
  private let exporter: Exporter
  private let request: AllocationRequest
  /// What the first buffer's content is made from.
  public let seed: UInt64
  private let asksForWriteBack: Bool
  private let count: Int
  private let kernel: any KernelCalls
  private let deadline: Deadline

  /// Plans `count` hand-overs, each of a buffer of its own; `seed` is the first one's, and the next ones count on.
  public init(
    _ exporter: Exporter, request: AllocationRequest, seed: UInt64, asksForWriteBack: Bool, count: Int = 1,
    deadline: Deadline, showingMesaOutput: Bool = true
  ) {
    self.init(
      exporter, request: request, seed: seed, asksForWriteBack: asksForWriteBack, count: count, deadline: deadline,
      kernel: LinuxKernel(silencesMesa: !showingMesaOutput))
  }

  package init(
    _ exporter: Exporter, request: AllocationRequest, seed: UInt64, asksForWriteBack: Bool, count: Int,
    deadline: Deadline, kernel: any KernelCalls
  ) {
    self.exporter = exporter
    self.request = request
    self.seed = seed
    self.asksForWriteBack = asksForWriteBack
    self.count = count
    self.deadline = deadline
    self.kernel = kernel
  }

  /// Hands over to whoever connects to the address; `note` hears of peers that were turned away.
  ///
  /// It ends with the first hand-over that fails. Everything is closed and the socket's file removed when it returns.
  public func run(
    at address: HandoverAddress, for users: HandoverUsers, note: (String) -> Void
  ) -> HandoverReport {
    reporting { report in
      let maker = try BufferMaker(self)
      // The first buffer comes before the socket: nobody should connect to an exporter that has nothing.
      var prepared: PreparedBuffer? = try maker.make(seed: seed)
      defer { maker.close(&report) }
      if case .descriptor(let number) = address {
        let connection = try HandoverConnection(openDescriptor: number, from: users, kernel: kernel)
        try handOver(prepared.take(), over: connection, &report)
        return
      }
      let listener = try HandoverListener(at: address, for: users, kernel: kernel)
      for index in 0..<count {
        let buffer =
          if let first = prepared.take() { first } else { try maker.make(seed: seed &+ UInt64(index)) }
        let connection = try listener.accept(deadline: deadline) { note($0.reason ?? $0.description) }
        try handOver(buffer, over: connection, &report)
        guard report.verdict.arrives else { return }
      }
    }
  }

  /// Makes a buffer and gives its descriptor to `body`, for a program that inherits it.
  ///
  /// With a write-back asked for, the buffer must hold it when `body` has returned true.
  public func lend(
    _ body: (_ dmaBuf: CInt, _ description: BufferDescription, _ byteCount: Int) throws -> Bool
  ) -> HandoverReport {
    reporting { report in
      let maker = try BufferMaker(self)
      defer { maker.close(&report) }
      let prepared = try maker.make(seed: seed)
      describe(prepared, &report)
      try Stop.declining(.untested) { try prepared.picture.requireOneBuffer(.handover, on: exporter.name) }
      let isDone = try body(
        prepared.picture.first.rawDescriptor, prepared.picture.description, prepared.picture.first.byteCount)
      report.verdict = .shared
      guard isDone, asksForWriteBack else { return }
      try judge(prepared, wroteBack: true, &report)
      report.wroteBack = report.verdict.arrives
    }
  }

  private func reporting(_ body: (inout HandoverReport) throws -> Void) -> HandoverReport {
    let audit = LeakAudit(by: kernel)
    let start = ContinuousClock.now
    var report = HandoverReport(
      role: .exporter, device: exporter.name, node: exporter.node, allocator: exporter.allocator, requested: count)
    do {
      try Stop.require(noProblem: exporter.problem)
      try body(&report)
    } catch {
      let record = CellRecord(blank)
      record.stopped(by: error)
      report.take(record)
    }
    report.nanoseconds = (ContinuousClock.now - start).nanoseconds
    report.leaks = audit.report(inodes: [], deadline: deadline)
    return report
  }

  /// A cell for the record of one failure; its importer is whoever connected.
  private var blank: CellReport {
    CellReport(
      exporter: exporter.name, importer: "the importer", allocator: exporter.allocator,
      format: request.format.fourcc.name, width: request.width, height: request.height)
  }

  /// One buffer with its first content.
  private struct PreparedBuffer: ~Copyable {
    let picture: SharedPicture
    /// Keeps the handle of the exporter's side.
    let object: BufferObject
    let seed: UInt64
    /// Draws it; nil where the CPU writes it.
    let gpu: GPUAllocator?
    /// What carries to the CPU what the exporter's own GPU wrote back; nil for a device without a copy for its GPU.
    let copies: TwoCopies?

    deinit { gpu?.forget(picture) }
  }

  /// The exporter's open device and its allocator, for all buffers of a run.
  private struct BufferMaker {
    private let plan: HandoverExport
    private let device: Device?
    private let allocator: any Allocator

    init(_ plan: HandoverExport) throws {
      self.plan = plan
      let exporter = plan.exporter
      device = try Stop.declining(.untested) {
        guard let node = exporter.node else { return nil }
        return try Device.open(node, kernel: plan.kernel)
      }
      try Stop.declining(.untested) {
        let needed = try plan.request.packedLayout(operation: .allocate, on: exporter.name)
        try MemoryBudget.check(
          needed.byteCount, operation: .allocate, on: exporter.name, by: plan.kernel)
      }
      let device = device
      allocator = try Stop.declining(.refused, by: .exporter) {
        try Allocators.make(exporter, on: device, kernel: plan.kernel)
      }
    }

    /// Allocates, exports, writes pattern 0 and sees it; what is wrong here says nothing about sharing.
    func make(seed: UInt64) throws -> PreparedBuffer {
      let name = plan.exporter.name
      try plan.deadline.check(.allocate, on: name)
      let object = try Stop.declining(.refused, by: .exporter) { try allocator.allocate(plan.request) }
      let picture = try Stop.declining(.refused, by: .exporter) { try object.export(.readWrite) }
      let gpu = allocator as? GPUAllocator
      let copies = try device.flatMap { device throws(PrimeError) in
        try TwoCopies(of: picture, on: device, madeBy: device.identity)
      }
      let pattern = HandoverPatterns.offered(seed)
      if let gpu {
        try Stop.declining(.untested) {
          try gpu.draw(into: picture, deadline: plan.deadline) { bytes, layout in
            try pattern.fill(&bytes, layout: layout)
          }
        }
      } else {
        try picture.fill(pattern, deadline: plan.deadline)
      }
      let prepared = PreparedBuffer(
        picture: picture, object: object, seed: seed, gpu: gpu, copies: copies)
      if let mismatch = try plan.look(at: prepared, wroteBack: false) { throw try plan.misdrawn(prepared, mismatch) }
      return prepared
    }

    /// Fails the run where a GEM handle is left.
    func close(_ report: inout HandoverReport) {
      guard let count = device?.openHandleCount, count > 0 else { return }
      report.verdict = .error
      report.reason = "\(count) GEM handle\(count == 1 ? " is" : "s are") still open after the hand-over"
    }
  }

  private func describe(_ prepared: borrowing PreparedBuffer, _ report: inout HandoverReport) {
    report.describe(prepared.picture.description, seed: prepared.seed)
    report.drawnBy = prepared.gpu?.report(on: prepared.picture)
    report.warning = prepared.gpu?.warning(on: prepared.picture)
  }

  private func look(
    at prepared: borrowing PreparedBuffer, wroteBack: Bool, ignoringUnusedBits: Bool = false
  ) throws -> Mismatch? {
    try prepared.picture.examine(
      HandoverPatterns.examination(prepared.seed, afterWriteBack: wroteBack), ignoringUnusedBits: ignoringUnusedBits,
      deadline: deadline)
  }

  /// What a buffer is ended with that holds something else than was written; the other end compares every bit.
  private func misdrawn(_ prepared: borrowing PreparedBuffer, _ mismatch: Mismatch) throws -> Stop {
    guard prepared.gpu != nil, try look(at: prepared, wroteBack: false, ignoringUnusedBits: true) == nil else {
      return Stop(verdict: .mismatch, mismatch: mismatch)
    }
    return Stop(
      verdict: .untested,
      reason:
        "\(exporter.name) does not draw the bits of \(prepared.picture.description.fourcc) that carry nothing, and the "
        + "other end compares every bit: \(Remedy.format("ARGB8888"))")
  }

  /// Looks for what was written back, also where the exporter's own GPU wrote it into its copy.
  private func lookAtBoth(_ prepared: borrowing PreparedBuffer, _ report: inout HandoverReport) throws -> Mismatch? {
    var first: Mismatch?
    let (mismatch, tookTransfer) = try TwoCopies.look(renewing: prepared.copies, .fromHost, deadline: deadline) {
      isRenewed in
      let seen = try look(at: prepared, wroteBack: true)
      if !isRenewed { first = seen }
      // The CPU's copy is lost behind the transfer, and what was wrong with it is the one to tell.
      return seen.map { first ?? $0 }
    }
    if tookTransfer, let device = prepared.copies?.device { report.warning = TwoCopies.warning(device, .fromHost) }
    return mismatch
  }

  private func judge(
    _ prepared: borrowing PreparedBuffer, wroteBack: Bool, _ report: inout HandoverReport
  ) throws {
    guard let mismatch = try wroteBack ? lookAtBoth(prepared, &report) : look(at: prepared, wroteBack: false) else {
      report.controls += 1
      return
    }
    report.verdict = .mismatch
    report.mismatch = mismatch
    report.reason =
      wroteBack
      ? "\(exporter.name) does not see what was to be written back: \(mismatch.sentence)"
      : "the content changed though nothing was written back: \(mismatch.sentence)"
  }

  /// One hand-over: offer, answer, verdict, and the other end's end.
  private func handOver(
    _ prepared: consuming PreparedBuffer?, over connection: consuming HandoverConnection,
    _ report: inout HandoverReport
  ) throws {
    guard let prepared = consume prepared else { return }
    describe(prepared, &report)
    report.peerUser = connection.peer.user
    let offer = HandoverOffer(
      prepared.picture.description, access: prepared.picture.access, seed: prepared.seed,
      asksForWriteBack: asksForWriteBack)
    try connection.send(offer.bytes, dmaBufs: prepared.picture.rawDescriptors, deadline: deadline)
    let answer = try connection.receiveReply(.answer, "the importer's answer", deadline: deadline)
    report.take(answer)
    if answer.outcome == .verified || answer.wroteBack {
      try judge(prepared, wroteBack: answer.wroteBack, &report)
      report.wroteBack = answer.wroteBack && report.verdict.arrives
    }
    if report.verdict.arrives && asksForWriteBack && !answer.wroteBack {
      report.verdict = .error
      report.reason = "the importer was asked to write back, and did not"
    }
    let isRight = report.verdict.arrives || answer.outcome != .verified
    let verdict = HandoverReply(
      .verdict, report.verdict == .mismatch ? .mismatch : isRight ? .verified : .failed, wroteBack: report.wroteBack,
      sentence: isRight ? "" : report.reason ?? "")
    do throws(PrimeError) {
      try connection.send(verdict.bytes, deadline: deadline)
    } catch {
      // An importer that does not want to hear it may be gone.
      guard error.isEndOfPeer else { throw error }
    }
    try connection.awaitEnd(deadline: deadline)
    if report.verdict.arrives { report.completed += 1 }
  }
}

extension HandoverReport {
  /// What the importer says of the hand-over.
  fileprivate mutating func take(_ answer: HandoverReply) {
    verdict =
      switch answer.outcome {
      // It is the other end that looked, or says so; this side saw nothing.
      case .verified: .reported
      case .mismatch: .mismatch
      case .refused: .refused
      case .failed: .error
      }
    refusedBy = answer.outcome == .refused ? .importer : nil
    errno = answer.errno == 0 ? nil : Errno(rawValue: Int32(answer.errno)).name
    reason = answer.sentence.isEmpty ? nil : answer.sentence
    if answer.outcome == .verified {
      let what = answer.isProof ? "proved the content" : "holds the buffer"
      reason = "the importer reports that it \(what), which is not this side's look"
    }
    controls = 0
    wroteBack = false
  }
}
