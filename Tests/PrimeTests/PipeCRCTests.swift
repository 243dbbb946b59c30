import Testing

@testable import Prime

@Suite("The frame checksums of a CRTC, as debugfs gives them")
struct PipeCRCTests {
  private static let folder = "/sys/kernel/debug/dri/1/crtc-0/crc"
  private static let subject = "taker (/dev/dri/card1)"
  private let kernel: FakeKernel

  init() {
    var importer = Fixture.importer
    importer.checksumSources = ["none", "auto", "other", "dprx"]
    kernel = Fixture.kernel(importer: importer)
  }

  private func withDevice(_ body: (Device) throws -> Void) throws {
    do { try body(Device.open(Fixture.importerNode, kernel: kernel)) }
    kernel.expectNothingLeft()
  }

  /// Reads from checksums that come as told, and from no others.
  private func withChecksums(_ pieces: [FakeChecksums.Piece], _ body: (PipeCRC) throws -> Void) throws {
    kernel.giveChecksums(pieces)
    try withDevice { device in try body(PipeCRC(of: device, crtcIndex: 0)) }
  }

  /// One checksum a frame, with frame counters from 1 on.
  private func frames(_ values: [UInt32], after time: Duration = FakeChecksums.frameTime) -> [FakeChecksums.Piece] {
    values.enumerated().map { index, value in
      FakeChecksums.Piece(
        answer: .success("0x\(String(index + 1, radix: 16)) 0x\(String(value, radix: 16))\n"), after: time)
    }
  }

  // MARK: - The control file

  @Test func `come from the sources that the control file lists, the usual one first`() throws {
    try withDevice { device in
      let sources = try PipeCRC.sources(of: device, crtcIndex: 0)
      #expect(sources == ["auto", "other", "dprx"])
    }
  }

  @Test(arguments: [
    (false, "frame checksums are read from debugfs: mount it and run as root"),
    (true, "this driver gives no frame checksums"),
  ])
  func `are not there without the control file, with why`(hasDebugfs: Bool, reason: String) throws {
    kernel.misbehave { $0.closedPaths = ["/crc/control": .noSuchFile] }
    if hasDebugfs { kernel.addFile("/sys/kernel/debug/dri/1/name", "taker dev=taker unique=taker\n") }
    try withDevice { device in
      for error in [
        primeError { try PipeCRC.sources(of: device, crtcIndex: 0) },
        primeError { try PipeCRC(of: device, crtcIndex: 0) },
      ] {
        expect(error, is: "open", .noSuchFile, on: "\(Self.folder)/control")
        #expect(error?.reason == reason)
      }
    }
  }

  @Test func `cannot be started from a source that is none`() throws {
    try withDevice { device in
      let error = primeError { try PipeCRC(of: device, crtcIndex: 0, source: "pipe") }
      expect(error, is: "write", .invalidArgument, on: "\(Self.folder)/control")
    }
  }

  @Test(arguments: [Errno.busy, .inputOutput, .permissionDenied])
  func `cannot be started where the data file cannot be opened`(errno: Errno) throws {
    kernel.misbehave { $0.closedPaths = ["/crc/data": errno] }
    try withDevice { device in
      expect(primeError { try PipeCRC(of: device, crtcIndex: 0) }, is: "open", errno, on: "\(Self.folder)/data")
    }
  }

  // MARK: - Lines

  @Test(
    arguments: [
      ("0x00000007 0x0000abcd", 7, [0xabcd]), ("0xffffffff 0x1 0x2 0x3", 0xffff_ffff, [1, 2, 3]),
      ("XXXXXXXXXX 0xffffffff", nil, [0xffff_ffff]),
    ] as [(String, UInt64?, [UInt32])])
  func `are a frame counter, which not every driver has, and values`(
    line: String, frame: UInt64?, values: [UInt32]
  ) {
    #expect(PipeCRC.parse(line) == PipeCRC.Entry(frame: frame, values: values))
  }

  @Test(arguments: ["", "0x00000007", "0x00000007 abc?", "0x00000007 0x100000000", "0x00000007 0x1 0x"])
  func `are none where a line has no value, or one that is no number of 32 bits`(line: String) {
    #expect(PipeCRC.parse(line) == nil)
  }

  // MARK: - Reading

  @Test func `are given as they come, however many come together`() throws {
    let pieces = ["0x1 0xa\n0x2 0xb\n", "", "0x3 0xc\n0x9 0x1ffffffff\n0xa 0xd\n"]
    try withChecksums(pieces.map { FakeChecksums.Piece(answer: .success($0)) }) { checksums in
      let entries = try checksums.following(4, deadline: kernel.deadline)
      #expect(entries.map(\.frame) == [1, 2, 3, 0xa])
      #expect(entries.map(\.values) == [[0xa], [0xb], [0xc], [0xd]])
    }
  }

  @Test func `of one moment count as one, the last of them`() throws {
    let pieces = [
      FakeChecksums.Piece(answer: .success("0x1 0xa\n0x2 0xb\n0x3 0xc\n")),
      FakeChecksums.Piece(answer: .success("0x4 0xd\n"), after: .milliseconds(2)),
      FakeChecksums.Piece(answer: .success("0x5 0xe\n")),
    ]
    try withChecksums(pieces) { checksums in
      let fresh = try checksums.fresh(unlike: [[0xc]], times: 1, deadline: kernel.deadline)
      #expect(fresh == PipeCRC.Entry(frame: 5, values: [0xe]))
    }
  }

  @Test func `have settled where two agree behind the four that may be of other pictures`() throws {
    try withChecksums(frames([0xa, 0xa, 0xb, 0xb, 0xc, 0xc, 0xd])) { checksums in
      let settled = try checksums.settled(deadline: kernel.deadline)
      #expect(settled == PipeCRC.Entry(frame: 6, values: [0xc]))
    }
  }

  @Test(arguments: [(FakeChecksums.frameTime, 63), (.milliseconds(400), 10)])
  func `that never agree are given up after a second, on a slow machine after ten`(
    time: Duration, count: Int
  ) throws {
    try withChecksums(frames((1...100).map { UInt32($0) }, after: time)) { checksums in
      let error = primeError { try checksums.settled(deadline: kernel.deadline) }
      #expect(error?.operation == .crc)
      #expect(error?.isUntestable == true)
      #expect(
        error?.reason
          == "no two of \(count) frame checksums of one picture agree (dithering, PSR or DSC make them so)")
      #expect(kernel.waited == time * count)
    }
  }

  @Test func `that never come are waited for three seconds`() throws {
    try withChecksums([]) { checksums in
      let error = primeError { try checksums.settled(deadline: kernel.deadline) }
      #expect(error?.operation == .crc)
      #expect(error?.isUntestable == true)
      #expect(error?.reason == "no frame checksum came within 3 s")
      #expect(kernel.waited == .seconds(3))
      let fresh = try checksums.fresh(unlike: [], times: 1, deadline: kernel.deadline)
      #expect(fresh == nil)
      #expect(kernel.waited == .seconds(6))
    }
  }

  @Test func `that do not come before the deadline of the work end it`() throws {
    try withChecksums([]) { checksums in
      for (index, error) in [
        primeError { try checksums.settled(deadline: Deadline(in: .seconds(2), on: kernel)) },
        primeError { try checksums.fresh(unlike: [], times: 1, deadline: Deadline(in: .seconds(2), on: kernel)) },
        primeError { try checksums.following(1, deadline: Deadline(in: .seconds(2), on: kernel)) },
      ].enumerated() {
        expect(error, is: "poll for a frame checksum", found: .deadline, on: Self.subject)
        #expect(error?.isUntestable == false, "\(index)")
      }
      #expect(kernel.waited == .seconds(6))
    }
  }

  @Test func `of another picture are those that are not known, as often in a row as is asked for`() throws {
    try withChecksums(frames([0xa, 0xa, 0xb, 0xc, 0xc])) { checksums in
      let fresh = try checksums.fresh(unlike: [[0xa]], times: 2, deadline: kernel.deadline)
      #expect(fresh == PipeCRC.Entry(frame: 5, values: [0xc]))
    }
    try withChecksums(frames([UInt32](repeating: 0xa, count: 20))) { checksums in
      let fresh = try checksums.fresh(unlike: [[0xa]], times: 1, deadline: kernel.deadline)
      #expect(fresh == nil)
    }
  }

  @Test(arguments: [Errno.inputOutput, .noSuchDevice])
  func `that cannot be read are an error of read`(errno: Errno) throws {
    for read: (PipeCRC) throws -> Void in [
      { _ = try $0.settled(deadline: kernel.deadline) },
      { _ = try $0.fresh(unlike: [], times: 1, deadline: kernel.deadline) },
      { _ = try $0.following(1, deadline: kernel.deadline) },
    ] {
      try withChecksums([FakeChecksums.Piece(answer: .failure(errno))]) { checksums in
        expect(primeError { try read(checksums) }, is: "read", errno, on: Self.subject)
      }
    }
  }

  @Test func `are read on where a signal interrupts`() throws {
    let pieces = [FakeChecksums.Piece(answer: .failure(.interrupted))] + frames([0xa])
    try withChecksums(pieces) { checksums in
      let entries = try checksums.following(1, deadline: kernel.deadline)
      #expect(entries.map(\.values) == [[0xa]])
    }
  }
}
