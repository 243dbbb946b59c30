import Synchronization
import Testing

@testable import Prime
@testable import PrimeVerify

/// One end of a hand-over on the fake kernel, with a peer that says what the test wants.
@Suite("A hand-over between processes")
struct HandoverSessionTests {
  static let address = "/nowhere/socket"
  static let seed: UInt64 = 77
  static let users = HandoverUsers(own: FakeSockets.ownUser, also: [])

  /// 32x16 XRGB8888 at a pitch of 128 bytes, in one page.
  static let description = BufferDescription(
    layout: Fixture.layout("XRGB8888", width: 32, height: 16, planes: [PlaneLayout(offset: 0, pitch: 128)]),
    modifier: .linear)

  static func offer(access: DMABuf.Access = .readWrite, asksForWriteBack: Bool = false) -> HandoverOffer {
    HandoverOffer(description, access: access, seed: seed, asksForWriteBack: asksForWriteBack)
  }

  static func content(_ index: Int, seed: UInt64 = seed) -> [UInt8] {
    Fixture.page(Pattern(seed: seed, index: index), description.layout)
  }

  static var picture: FakePeer.Enclosure { .dmaBuf(bytes: content(0), writable: true) }

  /// An exporter that offers this.
  static func exporter(
    _ bytes: [UInt8], _ enclosures: [FakePeer.Enclosure], verdict: HandoverReply? = HandoverReply(.verdict, .verified)
  ) -> FakePeer {
    FakePeer(
      messages: [FakePeer.Message(bytes: bytes, enclosures: enclosures)]
        + (verdict.map { [FakePeer.Message(bytes: $0.bytes)] } ?? []))
  }

  func importing(
    _ peers: [FakePeer], on kernel: FakeKernel = Fixture.kernel(importer: PairScenario.blind), writesBack: Bool = false,
    users: HandoverUsers = users, within limit: Duration = .seconds(20)
  ) -> HandoverReport {
    kernel.expect(peers, at: Self.address)
    let report = HandoverImport(
      Importer(name: "taker", node: Fixture.importerNode), writesBack: writesBack, count: max(1, peers.count),
      deadline: Deadline(in: limit, on: kernel), kernel: kernel
    ).run(at: .path(Self.address), for: users) { _ in }
    kernel.expectNothingLeft()
    return report
  }

  func exporting(
    _ peers: [FakePeer], on kernel: FakeKernel = Fixture.kernel(), asksForWriteBack: Bool = false, count: Int = 1,
    within limit: Duration = .seconds(20), cancellation: Cancellation? = nil
  ) -> (report: HandoverReport, notes: [String]) {
    kernel.expect(peers, at: Self.address)
    var notes: [String] = []
    let report = HandoverExport(
      Exporter(name: "udmabuf", node: nil, allocator: .udmabuf), request: Fixture.request, seed: Self.seed,
      asksForWriteBack: asksForWriteBack, count: count,
      deadline: Deadline(in: limit, on: kernel, cancellation: cancellation), kernel: kernel
    ).run(at: .path(Self.address), for: Self.users) { notes.append($0) }
    kernel.expectNothingLeft()
    return (report, notes)
  }

  @Test func `arrives, and the exporter hears of it`() throws {
    let kernel = Fixture.kernel(importer: PairScenario.blind)
    let report = importing([Self.exporter(Self.offer().bytes, [Self.picture])], on: kernel)
    #expect(report.verdict == .held)
    #expect(report.observers == [.identity])
    #expect(report.completed == 1)
    #expect(report.reason?.hasPrefix("taker took the handle; whether it mapped the buffer cannot be seen here") == true)
    let answer = try HandoverReply(parsing: try #require(kernel.sent.first).bytes, expecting: .answer)
    #expect(answer == HandoverReply(.answer, .verified))
  }

  @Test func `is proven where the importer's display engine shows it`() throws {
    let kernel = Fixture.kernel()
    let verdict = HandoverReply(.verdict, .verified, wroteBack: true)
    let report = importing(
      [Self.exporter(Self.offer(asksForWriteBack: true).bytes, [Self.picture], verdict: verdict)], on: kernel)
    #expect(report.verdict == .proven)
    #expect(report.observers == [.writeback, .identity])
    #expect(report.wroteBack)
    let answer = try HandoverReply(parsing: try #require(kernel.sent.first).bytes, expecting: .answer)
    #expect(answer == HandoverReply(.answer, .verified, wroteBack: true, isProof: true))
  }

  @Test func `with another content is a mismatch`() throws {
    let kernel = Fixture.kernel(importer: PairScenario.blind)
    let report = importing(
      [Self.exporter(Self.offer().bytes, [.dmaBuf(bytes: Self.content(0, seed: 78), writable: true)])], on: kernel)
    #expect(report.verdict == .mismatch)
    let answer = try HandoverReply(parsing: try #require(kernel.sent.first).bytes, expecting: .answer)
    #expect(answer.outcome == .mismatch)
  }

  /// What is offered, and what is said of it.
  static let refusals: [(change: @Sendable (inout HandoverOffer) -> Void, [FakePeer.Enclosure], String)] = [
    ({ _ in }, [], "0 descriptors came where 1 was announced"),
    ({ _ in }, [picture, .again], "2 descriptors came where 1 was announced"),
    ({ _ in }, [.node], "descriptor 0: this file is not a dma-buf"),
    ({ _ in }, [.memory], "descriptor 0: this file is not a dma-buf"),
    (
      { $0.access = .read }, [picture],
      "buffer 0 is announced for reading and its descriptor is for reading and writing"
    ),
    (
      { _ in }, [.dmaBuf(bytes: content(0), writable: false)],
      "buffer 0 is announced for reading and writing and its descriptor is for reading"
    ),
    ({ $0.height = 33 }, [picture], "plane 0 ends at byte 4224 of a dma-buf of 4096"),
    ({ $0.planes[0].offset = 2049 }, [picture], "plane 0 ends at byte 4097 of a dma-buf of 4096"),
    (
      { $0.planes[0].offset = .max - 100 }, [picture],
      "the offset of plane 0 cannot be 18446744073709551515"
    ),
    ({ $0.planes[0].pitch = 127 }, [picture], "plane 0: a pitch of 127 bytes is too small: one row needs 128 bytes"),
    (
      { $0.planes[0].pitch = .max }, [picture], "plane 0 ends at byte 64424509553 of a dma-buf of 4096"
    ),
    (
      { $0.height = .max }, [picture], "plane 0 ends at byte 549755813760 of a dma-buf of 4096"
    ),
    (
      { $0.fourcc = Fourcc(rawValue: 0x2020_2020) }, [picture],
      "the pixel format 0x20202020 is not known here, so its content cannot be checked"
    ),
    (
      { $0.modifier = Modifier(rawValue: 0x0100_0000_0000_0001) }, [picture],
      "the modifier INTEL 0x0100000000000001 arranges pixels in a way that the CPU cannot check: hand over a linear buffer"
    ),
    (
      { $0.fourcc = Fixture.fourcc("NV12") }, [picture], "NV12 has 2 planes, but 1 was given"
    ),
  ]

  @Test(arguments: refusals.indices)
  func `is refused where it is not what was said, and nothing is imported`(index: Int) throws {
    let (change, enclosures, sentence) = Self.refusals[index]
    let kernel = Fixture.kernel(importer: PairScenario.blind)
    var offer = Self.offer()
    change(&offer)
    let report = importing([Self.exporter(offer.bytes, enclosures)], on: kernel)
    #expect(report.verdict == .refused)
    #expect(report.reason == "user 1000, process 42: \(sentence)")
    #expect(kernel.count(of: .primeFDToHandle) == 0)
    let answer = try HandoverReply(parsing: try #require(kernel.sent.first).bytes, expecting: .answer)
    #expect(answer.outcome == .refused)
    #expect(answer.sentence.contains(sentence.prefix(100)))
  }

  @Test func `in two descriptors is one buffer or two, by which dma-bufs they are`() {
    var offer = Self.offer()
    offer.fourcc = Fixture.fourcc("NV12")
    offer.bufferCount = 2
    offer.planes = [.init(buffer: 0, pitch: 32, offset: 0), .init(buffer: 1, pitch: 32, offset: 512)]
    let layout = Fixture.layout(
      "NV12", width: 32, height: 16, planes: [PlaneLayout(offset: 0, pitch: 32), PlaneLayout(offset: 512, pitch: 32)])
    let bytes = Fixture.page(Pattern(seed: Self.seed, index: 0), layout)
    let first = FakePeer.Enclosure.dmaBuf(bytes: bytes, writable: true)
    #expect(importing([Self.exporter(offer.bytes, [first, .again])]).verdict == .held)
    // The second dma-buf has the chroma plane at the same place.
    let apart = importing([Self.exporter(offer.bytes, [first, first])])
    #expect(apart.verdict == .held)
    #expect(apart.observers == [.identity])
    // Nobody wrote the chroma plane into this one.
    let empty = FakePeer.Enclosure.dmaBuf(bytes: [UInt8](repeating: 0, count: 4096), writable: true)
    let missing = importing([Self.exporter(offer.bytes, [first, empty])])
    #expect(missing.verdict == .mismatch)
    #expect(missing.mismatch?.plane == 1)
    // It is too small for where the chroma plane is said to lie.
    offer.planes[1].offset = 4000
    let beyond = importing([Self.exporter(offer.bytes, [first, first])])
    #expect(beyond.verdict == .refused)
    #expect(beyond.reason == "user 1000, process 42: plane 1 ends at byte 4256 of a dma-buf of 4096")
  }

  @Test func `with descriptors that did not all arrive is refused`() {
    var peer = Self.exporter(Self.offer().bytes, [Self.picture])
    peer.messages[0].lacksDescriptors = true
    let report = importing([peer])
    #expect(!report.verdict.passes)
    #expect(report.reason?.contains("not every descriptor arrived") == true)
  }

  @Test func `with a stranger ends before anything is read`() {
    var peer = Self.exporter(Self.offer().bytes, [Self.picture])
    peer.user = 1001
    let kernel = Fixture.kernel(importer: PairScenario.blind)
    let report = importing([peer], on: kernel)
    #expect(report.verdict == .error)
    #expect(
      report.reason
        == "/nowhere/socket: the other end is user 1001: only user 1000 may take part; allowing user 1001 lets it")
    #expect(kernel.count(of: .socketReceive) == 0)
    #expect(
      importing([peer], users: HandoverUsers(own: FakeSockets.ownUser, also: [1001])).verdict == .held)
  }

  @Test func `turns a stranger away and waits for the next`() throws {
    let kernel = Fixture.kernel()
    let answer = FakePeer.Message(bytes: HandoverReply(.answer, .verified).bytes)
    let (report, notes) = exporting([FakePeer(user: 0), FakePeer(messages: [answer])], on: kernel)
    #expect(notes == ["the other end is user 0: only user 1000 may take part; allowing user 0 lets it"])
    #expect(report.verdict == .reported)
    #expect(report.completed == 1)
    #expect(kernel.sent.map(\.bytes.count) == [128, 256])
    #expect(kernel.state.withLock { $0.sockets.modes } == [0o600])
    #expect(HandoverUsers(own: 1000, also: [1001]).fileMode == 0o666)
  }

  /// What an importer answers, and what becomes of it.
  @Test(arguments: [
    (
      HandoverReply(.answer, .verified, wroteBack: true, isProof: true), 1, Verdict.reported,
      HandoverReply.Outcome.verified
    ),
    (HandoverReply(.answer, .verified, wroteBack: true), 0, .mismatch, .mismatch),
    (HandoverReply(.answer, .verified, wroteBack: true), 2, .mismatch, .mismatch),
    (HandoverReply(.answer, .verified), 1, .mismatch, .mismatch),
    (HandoverReply(.answer, .verified), 0, .error, .failed),
    (HandoverReply(.answer, .refused, errno: 19, sentence: "no"), 0, .refused, .verified),
    (HandoverReply(.answer, .mismatch, sentence: "no"), 0, .mismatch, .mismatch),
  ])
  func `is judged by what the buffer holds, not by what the importer says`(
    answer: HandoverReply, pattern: Int, verdict: Verdict, told: HandoverReply.Outcome
  ) throws {
    let kernel = Fixture.kernel()
    // udmabuf rounds a pitch up to 256 bytes.
    let layout = Fixture.layout("XRGB8888", width: 32, height: 16, planes: [PlaneLayout(offset: 0, pitch: 256)])
    let bytes = Fixture.page(Pattern(seed: Self.seed, index: pattern), layout)
    let (report, _) = exporting(
      [FakePeer(messages: [FakePeer.Message(bytes: answer.bytes, writes: bytes)])], on: kernel, asksForWriteBack: true)
    #expect(report.verdict == verdict)
    let sent = try #require(kernel.sent.last)
    #expect(try HandoverReply(parsing: sent.bytes, expecting: .verdict).outcome == told)
  }

  @Test func `whose importer goes away says so`() {
    let (report, _) = exporting([FakePeer()])
    #expect(report.verdict == .error)
    #expect(report.reason == "user 1000, process 42: the other end went away before the importer's answer came")
    let other = importing([FakePeer()])
    #expect(other.reason == "user 1000, process 42: the other end went away before an offer came")
    let late = importing([Self.exporter(Self.offer().bytes, [Self.picture], verdict: nil)])
    #expect(late.reason == "user 1000, process 42: the other end went away before the exporter's verdict came")
  }

  @Test func `that nobody comes to ends with its deadline`() {
    let (report, _) = exporting([], within: .milliseconds(60))
    #expect(report.finding == .deadline)
    #expect(importing([], within: .milliseconds(60)).finding == .deadline)
    let cancellation = Cancellation()
    cancellation.request()
    let (stopped, _) = exporting([], cancellation: cancellation)
    #expect(stopped.interrupted)
  }

  @Test(arguments: KernelCall.allCases, [Errno.inputOutput, .noMemory, .interrupted])
  func `leaves nothing where a call fails`(call: KernelCall, errno: Errno) {
    for number in 1...2 {
      // An importer that is turned away is not the last one that may come.
      let soon = Duration.seconds(1)
      let kernel = Fixture.kernel()
      kernel.fail(call, with: errno, onCall: number)
      _ = importing(
        [Self.exporter(Self.offer(asksForWriteBack: true).bytes, [Self.picture])], on: kernel,
        within: soon)
      let other = Fixture.kernel()
      other.fail(call, with: errno, onCall: number)
      _ = exporting(
        [FakePeer(messages: [FakePeer.Message(bytes: HandoverReply(.answer, .verified).bytes)])], on: other,
        within: soon)
    }
  }
}
