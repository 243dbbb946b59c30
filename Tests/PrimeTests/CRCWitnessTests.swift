import Testing

@testable import Prime
@testable import PrimeVerify

/// The witness itself, on a display that shows an imported buffer.
@Suite("A witness that reads checksums")
struct CRCWitnessTests {
  private static let patterns = (0..<3).map { Pattern(seed: 7, index: $0) }

  private static func kernel(_ sources: [String] = ["auto"]) -> FakeKernel {
    var importer = Fixture.importer
    importer.hasWriteback = false
    importer.hasOverlay = false
    importer.checksumSources = sources
    return Fixture.kernel(importer: importer)
  }

  /// A buffer of 64x64 that a display shows, with the first pattern in it.
  private final class Stage {
    let kernel: FakeKernel
    let picture: SharedPicture
    let display: ImportOnDisplay

    init(_ kernel: FakeKernel) throws {
      self.kernel = kernel
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      let object = try DumbAllocator(device: exporter).allocate(PairCheckTruthTests.request)
      picture = try object.export(.readWrite)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      display = try ImportOnDisplay(picture.imported(into: importer), of: picture, operation: .crc)
      try display.pipe.show(display.picture, mode: display.mode, deadline: kernel.deadline)
      try write(CRCWitnessTests.patterns[0])
    }

    func write(_ pattern: Pattern) throws {
      try picture.fill(pattern, deadline: kernel.deadline)
    }

    func witness(_ history: LookHistory = LookHistory()) throws(PrimeError) -> CRCWitness {
      try CRCWitness(showing: display.picture, picture.description, route: display.route, history: history)
    }

    /// What the witness says where the display should show a pattern.
    func look(_ witness: CRCWitness, expecting pattern: Pattern = patterns[0]) throws -> String? {
      try witness.look(
        .pattern(pattern), wrong: .pattern(patterns[2]), on: display.pipe, deadline: kernel.deadline)
    }
  }

  private func onStage(_ kernel: FakeKernel, _ body: (Stage) throws -> Void) throws {
    let before = kernel.shown(on: Fixture.importerNode.path)
    do {
      let stage = try Stage(kernel)
      try body(stage)
      try stage.display.pipe.close()
    }
    #expect(kernel.shown(on: Fixture.importerNode.path) == before)
    kernel.expectNothingLeft()
  }

  @Test func `has nothing to say of the picture that it should be, as often as it is asked`() throws {
    try onStage(Self.kernel()) { stage in
      let witness = try stage.witness()
      let first = try stage.look(witness)
      #expect(first == nil)
      try stage.write(Self.patterns[1])
      let second = try stage.look(witness, expecting: Self.patterns[1])
      #expect(second == nil)
    }
  }

  @Test func `says with both checksums that a picture is another`() throws {
    try onStage(Self.kernel()) { stage in
      let complaint = try stage.look(stage.witness(), expecting: Self.patterns[1])
      let words = "is not that of the same picture drawn on the device itself, 0x"
      #expect(complaint?.contains(words) == true, "\(complaint ?? "")")
    }
  }

  @Test(arguments: [
    ("/crc/control", "open", Errno.noSuchFile), ("/crc/control", "open", .permissionDenied),
    ("/crc/data", "open", .busy), ("/crc/data", "open", .inputOutput),
  ])
  func `is not to be had where a file of debugfs cannot be opened`(path: String, call: String, errno: Errno) throws {
    let kernel = Self.kernel()
    try onStage(kernel) { stage in
      kernel.misbehave { $0.closedPaths = [path: errno] }
      let error = primeError { try stage.witness() }
      expect(error, is: call, errno)
      #expect(error?.subject.hasSuffix(path) == true)
      #expect(error?.isBreakage == false)
      kernel.misbehave { $0.closedPaths = [:] }
    }
  }

  @Test func `takes the next source where one never settles, and the first one's reason where none does`() throws {
    for (bad, isLast) in [(Set(["auto"]), false), (["auto", "other"], true)] {
      let kernel = Self.kernel(["auto", "other"])
      try onStage(kernel) { stage in
        kernel.misbehave { faults in
          faults.badSources = bad
          faults.checksum = .neverSettles
        }
        let history = LookHistory()
        let witness = try stage.witness(history)
        guard isLast else {
          let complaint = try stage.look(witness)
          return #expect(complaint == nil)
        }
        let error = primeError { try stage.look(witness) }
        #expect(error?.operation == .crc)
        #expect(error?.isUntestable == true)
        #expect(history.objection(to: LookHistory.Pipe(of: stage.display.route)) == nil, "once is not always")
        _ = primeError { try stage.look(stage.witness(history)) }
        #expect(history.objection(to: LookHistory.Pipe(of: stage.display.route)) == error)
      }
    }
  }

  @Test func `gives up within seconds where no checksum comes, and looks no further for sources`() throws {
    let kernel = Self.kernel(["auto"] + (1...9).map { "port\($0)" })
    try onStage(kernel) { stage in
      let witness = try stage.witness()
      kernel.giveChecksums([])
      let before = kernel.waited
      let error = primeError { try stage.look(witness) }
      #expect(error?.reason == "no frame checksum came within 3 s")
      #expect(kernel.waited - before < .seconds(10), "\(kernel.waited - before)")
    }
  }

  @Test(arguments: [Errno.inputOutput, .noSuchDevice])
  func `sees nothing where the checksums cannot be read, which says nothing of the picture or of the device`(
    errno: Errno
  ) throws {
    let kernel = Self.kernel(["auto", "other"])
    try onStage(kernel) { stage in
      let witness = try stage.witness()
      kernel.giveChecksums([FakeChecksums.Piece(answer: .failure(errno))])
      let error = primeError { try stage.look(witness) }
      expect(error, is: "read", errno, on: "taker (/dev/dri/card1)")
      #expect(error?.isOfDebugfs == true)
      #expect(error?.isBreakage == false)
    }
  }

  @Test func `ends with its work where that is out of time`() throws {
    let kernel = Self.kernel()
    try onStage(kernel) { stage in
      let witness = try stage.witness()
      kernel.giveChecksums([])
      let error = primeError {
        try witness.look(
          .pattern(Self.patterns[0]), wrong: .pattern(Self.patterns[2]), on: stage.display.pipe,
          deadline: Deadline(in: .seconds(1), on: kernel))
      }
      expect(error, is: "poll for a frame checksum", found: .deadline)
    }
  }
}

/// The observer of a pair, of which the rest is in `LyingChecksumTests`.
@Suite("An observer by checksums")
struct CRCObserverTests {
  private static var scenario: PairScenario {
    var scenario = PairScenario.display
    scenario.importer.hasWriteback = false
    scenario.importer.hasOverlay = false
    scenario.importer.hasGBM = false
    scenario.importer.checksumSources = ["auto"]
    return scenario
  }

  private func crc(_ report: CellReport) -> CellReport.Attempt? { report.tried.first { $0.observer == .crc } }

  @Test(arguments: [Errno.noSuchFile, .permissionDenied])
  func `takes no display where there are no checksums to be read`(errno: Errno) throws {
    let kernel = Self.scenario.makeKernel()
    kernel.misbehave { $0.closedPaths = ["/crc/control": errno] }
    do {
      let exporter = DumbAllocator(device: try Device.open(Fixture.exporterNode, kernel: kernel))
      let object = try exporter.allocate(PairCheckTruthTests.request)
      let picture = try object.export(.readWrite)
      let imported = try picture.imported(into: Device.open(Fixture.importerNode, kernel: kernel))
      let error = primeError {
        _ = try CRCObserver(
          imported, of: picture, standInFrom: exporter, history: LookHistory(), deadline: kernel.deadline)
      }
      expect(error, is: "open", errno, on: "/sys/kernel/debug/dri/1/crtc-0/crc/control")
    }
    #expect(kernel.count(of: .setMaster) == 0)
    #expect(kernel.count(of: .kmsCommit) == 0)
    kernel.expectNothingLeft()
  }

  /// A driver may end its checksums with `ENODEV` or `EIO` and be there.
  @Test(arguments: [Errno.inputOutput, .noSuchDevice])
  func `that cannot read on leaves the cell to who else looks, and the display is put back`(errno: Errno) {
    let kernel = Self.scenario.makeKernel()
    let before = kernel.shown(on: Fixture.importerNode.path)
    kernel.giveChecksums([FakeChecksums.Piece(answer: .failure(errno))])
    let report = Self.scenario.run(on: kernel, request: PairCheckTruthTests.request).report
    #expect(report.verdict == .held)
    #expect(report.observers == [.identity])
    #expect(report.call == nil && report.errno == nil)
    #expect(crc(report)?.call == "read")
    #expect(crc(report)?.errno == errno.name)
    #expect(kernel.shown(on: Fixture.importerNode.path) == before)
    kernel.expectNothingLeft()
  }

  @Test func `asks for no checksum any more where none came in two cells of a run`() {
    let kernel = Self.scenario.makeKernel()
    kernel.giveChecksums([])
    let history = LookHistory()
    var waits: [Duration] = []
    for _ in 0..<3 {
      let before = kernel.waited
      let report = Self.scenario.run(on: kernel, request: PairCheckTruthTests.request, history: history).report
      waits.append(kernel.waited - before)
      #expect(report.verdict == .held)
      #expect(crc(report)?.reason == "taker (/dev/dri/card1): no frame checksum came within 3 s")
    }
    #expect(waits[0] >= .seconds(3) && waits[1] >= .seconds(3))
    #expect(waits[2] == .zero)
    kernel.expectNothingLeft()
  }
}
