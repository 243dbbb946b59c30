import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("A video device as an importer")
struct VideoPairTests {
  private static let path = "/dev/video0"

  private static func device(_ flags: UInt32, number: Int = 0) -> VideoDevice {
    VideoDevice(
      number: number, path: "/dev/video\(number)", driver: "fake", card: "fake", bus: "platform:fake",
      capabilities: VideoCapabilities(rawValue: flags), problem: nil)
  }

  private static let memoryToMemory = device(0x0400_8000)
  private static let camera = device(0x0400_0001)

  /// Checks the system heap with a device of the fake kernel.
  private func report(
    _ device: VideoDevice, queueing: Errno? = nil, _ engine: FakeVideo.Engine,
    sourceLocation: SourceLocation = #_sourceLocation
  ) -> CellReport {
    let kernel = FakeKernel([], otherNodes: [Self.path, "/dev/dma_heap/system"])
    kernel.addVideo(
      Self.path,
      FakeVideo.Node(
        number: DeviceNumber(major: 81, minor: 0),
        capability: KernelVideoCapability(
          driver: "fake", card: "fake", busInfo: "platform:fake", flags: device.capabilities?.rawValue ?? 0),
        formats: [VideoFourcc.xbgr32.rawValue], queueing: queueing, engine: engine))
    let check = PairCheck(
      exporter: Exporter(name: "heap:system", node: nil, allocator: .heap),
      importer: .video(device, among: [device]),
      request: AllocationRequest(format: Fixture.format("XRGB8888"), width: 64, height: 32), seed: 7, kernel: kernel,
      deadline: kernel.deadline)
    let report = check.run().report
    kernel.expectNothingLeft(sourceLocation: sourceLocation)
    return report
  }

  @Test("that copies what it reads proves the buffer, and the buffer written again")
  func copies() {
    let report = report(Self.memoryToMemory, .copies)
    #expect(report.verdict == .proven, "\(report.reason ?? "")")
    #expect(report.observers == [.v4l2])
    #expect(report.proofs == [.v4l2])
    #expect(report.importer == "video:0" && report.importerNode == "/dev/video0")
    // The exporter's own look, two of the device, and the exporter's behind the import.
    #expect(report.controls == 4)
    #expect(report.reason == nil)
  }

  @Test("that writes nothing is found out, whatever lay in its buffer before")
  func nothing() {
    let report = report(Self.memoryToMemory, .doesNothing)
    #expect(report.verdict == .mismatch)
    #expect(report.mismatch?.differing == 64 * 32)
    #expect(report.mismatch?.cause.name == "notWritten", "\(report.reason ?? "")")
    #expect(report.observers == [] && report.proofs == nil)
  }

  @Test("that took a copy at its first look is found out at the second")
  func stale() {
    let report = report(Self.memoryToMemory, .copiesTheFirst)
    #expect(report.verdict == .mismatch)
    #expect(report.mismatch?.cause.name == "stale", "\(report.reason ?? "")")
  }

  @Test("that refuses the buffer is quoted", arguments: [Errno.badAddress, .invalidArgument, .notImplemented])
  func refusals(errno: Errno) {
    for device in [Self.memoryToMemory, Self.camera] {
      let report = report(device, queueing: errno, .copies)
      #expect(report.verdict == .refused)
      #expect(report.call == "VIDIOC_QBUF" && report.errno == errno.name)
      // Whether the exporter or the importer said it is not known.
      #expect(report.refusedBy == .either)
    }
  }

  @Test("that another program has is not tested, and refuses nothing")
  func busy() {
    let report = report(Self.memoryToMemory, queueing: .busy, .copies)
    #expect(report.verdict == .untested)
    #expect(report.refusedBy == nil)
  }

  @Test("that only writes pictures of its own shares, and proves nothing")
  func camera() {
    let report = report(Self.camera, .fills(0x5a, leaving: 0))
    #expect(report.verdict == .shared, "\(report.reason ?? "")")
    #expect(report.observers == [.v4l2Capture])
    #expect(report.proofs == [])
    #expect(
      report.reason
        == "video:0 wrote two pictures of its own into every row of the buffer, and the exporter saw them; what a camera sees is "
        + "not known, so that no pixel could be compared, and that it reads a buffer was not shown")
  }

  @Test("that leaves the last row as it was, or everything, has not written the buffer", arguments: [256, 8192])
  func rows(left: Int) {
    let report = report(Self.camera, .fills(0x5a, leaving: left))
    #expect(report.verdict == .mismatch)
    #expect(
      report.reason
        == "video:0 was to write a picture into the whole buffer, and \(left / 256) of its 32 rows are as they were, the first "
        + "of them \(32 - left / 256)")
    #expect(report.observers == [])
  }

  @Test("whose copy nobody could give back is not tested, and no errno is made up")
  func output() {
    let report = report(Self.device(0x0400_0002), .copies)
    #expect(report.verdict == .untested)
    #expect(report.errno == nil && report.call == nil)
    #expect(
      report.reason
        == "fake (/dev/video0): it reads pictures, and no capture node of the same device could give back what it read")
  }
}
