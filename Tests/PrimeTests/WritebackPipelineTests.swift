import Testing

@testable import Prime

@Suite("A writeback pipeline")
struct WritebackPipelineTests {
  static let path = Fixture.importerNode.path

  /// A picture and a target on the importer, 32x16, and what was shown before.
  private final class Stage {
    let kernel: FakeKernel
    let shownBefore: [String]
    let device: Device
    let picture: DMABuf
    let target: DMABuf
    let description: BufferDescription

    init(_ kernel: FakeKernel = Fixture.kernel()) throws {
      self.kernel = kernel
      shownBefore = kernel.shown(on: WritebackPipelineTests.path)
      device = try Device.open(Fixture.importerNode, kernel: kernel)
      let allocator = DumbAllocator(device: try device.reopened())
      let object = try allocator.allocate(Fixture.request)
      description = object.description
      picture = try object.export(.readWrite).takeFirst()
      target = try Fixture.export(on: device.reopened())
      try picture.write(deadline: Fixture.deadline) { bytes in
        for index in 0..<2048 { bytes[index] = UInt8(truncatingIfNeeded: index * 7 + index / 128) }
      }
    }

    func framebuffer(_ buffer: borrowing DMABuf) throws -> Framebuffer {
      try Framebuffer(GEMHandle(importing: buffer, into: device), description)
    }

    /// One capture from beginning to end.
    func run(
      closes: Bool = true, size: (width: Int, height: Int) = (32, 16), deadline: Deadline? = nil
    ) throws {
      let pictureFramebuffer = try framebuffer(picture)
      let targetFramebuffer = try framebuffer(target)
      let pipeline = try WritebackPipeline(on: device)
      try pipeline.capture(
        pictureFramebuffer, shown: Size(width: 32, height: 16), into: targetFramebuffer,
        mode: .withoutWire(width: size.width, height: size.height), deadline: deadline ?? kernel.deadline)
      if closes { try pipeline.close() }
    }

    /// Whether the colours of the target are the picture's.
    var arrived: Bool {
      let expected = colours(of: picture)
      return expected != nil && colours(of: target) == expected
    }

    private func colours(of buffer: borrowing DMABuf) -> [UInt32]? {
      try? buffer.read(as: UInt32.self, deadline: Fixture.deadline) { words in
        (0..<512).map { words[$0] & 0xff_ffff }
      }
    }
  }

  /// Runs the body on a stage and looks that the display is as before and nothing is open.
  private func onStage(
    _ kernel: FakeKernel = Fixture.kernel(), sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (Stage) throws -> Void
  ) throws {
    let before: [String]
    do {
      let stage = try Stage(kernel)
      before = stage.shownBefore
      try body(stage)
    }
    #expect(kernel.shown(on: Self.path) == before, sourceLocation: sourceLocation)
    kernel.expectNothingLeft(sourceLocation: sourceLocation)
  }

  @Test("writes what the display engine fetched into the target, and puts the display back")
  func capture() throws {
    try onStage { stage in
      #expect(!stage.arrived)
      try stage.run()
      #expect(stage.arrived)
      #expect(stage.kernel.shown(on: Self.path) == stage.shownBefore)
      #expect(!stage.kernel.isMaster(stage.device.rawDescriptor))
    }
  }

  @Test("puts the display back also when nobody closes it")
  func forgotten() throws {
    try onStage { stage in try stage.run(closes: false) }
  }

  @Test("puts back a display that showed nothing")
  func darkDisplay() throws {
    var importer = Fixture.importer
    importer.showsPicture = false
    try onStage(Fixture.kernel(importer: importer)) { stage in try stage.run() }
  }

  @Test("switches an overlay off while it captures, and on again")
  func overlay() throws {
    let kernel = Fixture.kernel()
    for (name, value) in [
      ("FB_ID", UInt64(FakeDevice.consoleFramebuffer)), ("CRTC_ID", UInt64(FakeDevice.crtc)), ("SRC_W", 8 << 16),
      ("SRC_H", 8 << 16),
    ] {
      kernel.set(name, of: FakeDevice.overlayPlane, to: value, on: Self.path)
    }
    try onStage(kernel) { stage in
      try stage.run()
      #expect(stage.arrived)
    }
    #expect(kernel.shown(on: Self.path).contains("ee01 FB_ID=\(FakeDevice.consoleFramebuffer)"))
  }

  @Test("sends an interrupted commit again", arguments: [Errno.interrupted, .tryAgain])
  func interrupted(errno: Errno) throws {
    let kernel = Fixture.kernel()
    kernel.fail(.kmsCommit, with: errno, onCalls: 1...2)
    try onStage(kernel) { stage in
      try stage.run()
      #expect(stage.arrived)
    }
    // Two interrupted, one that set the mode, one that captured, one that restored.
    #expect(kernel.count(of: .kmsCommit) == 5)
  }

  @Test(
    "that is refused its commit names it, and changes nothing on the display",
    arguments: [Errno.invalidArgument, .busy, .permissionDenied, .noMemory, .inputOutput, .noSuchFile])
  func commitFails(errno: Errno) throws {
    let kernel = Fixture.kernel()
    kernel.fail(.kmsCommit, with: errno, onCall: 1)
    try onStage(kernel) { stage in
      expect(primeError { try stage.run() }, is: "DRM_IOCTL_MODE_ATOMIC", errno, on: "taker (/dev/dri/card1)")
      #expect(!stage.arrived)
    }
  }

  @Test func `lets a task wait for a flip until the picture is written, too`() async throws {
    let kernel = Fixture.kernel()
    let before: [String]
    do {
      let stage = try Stage(kernel)
      before = stage.shownBefore
      let pictureFramebuffer = try stage.framebuffer(stage.picture)
      let targetFramebuffer = try stage.framebuffer(stage.target)
      let picture = DisplayPipe.Picture(
        framebuffer: pictureFramebuffer.id, shown: (32, 16), target: targetFramebuffer.id)
      let pipe = try DisplayPipe(DisplayRoute(on: stage.device, to: .writeback))
      try pipe.show(picture, mode: .withoutWire(width: 32, height: 16), deadline: kernel.deadline)
      let flip = try pipe.start(flipTo: picture, after: nil, deadline: kernel.deadline)
      #expect(pipe.unfinished != nil)
      try await pipe.finish(flip, deadline: kernel.deadline)
      #expect(pipe.unfinished == nil)
      // A fence that does not signal is waited for, and what cannot be composed again is given up.
      kernel.misbehave { $0.losesWritebacks = true }
      let lost = try pipe.start(flipTo: picture, after: nil, deadline: kernel.deadline)
      do throws(PrimeError) {
        try await pipe.finish(lost, deadline: kernel.deadline)
        Issue.record("nothing was thrown")
      } catch {
        expect(error, is: "poll for the writeback fence", found: .deadline, on: "taker (/dev/dri/card1)")
      }
      #expect(pipe.lostWritebacks == 1)
      #expect(pipe.unfinished == nil)
      kernel.misbehave { $0.losesWritebacks = false }
      try pipe.close()
    }
    #expect(kernel.shown(on: Self.path) == before)
    kernel.expectNothingLeft()
  }

  @Test("whose fence never signals ends at the deadline, and puts the display back")
  func fenceNeverSignals() throws {
    let kernel = Fixture.kernel()
    try onStage(kernel) { stage in
      kernel.misbehave { $0.neverReady = true }
      let error = primeError { try stage.run(deadline: Deadline(in: .milliseconds(30), on: kernel)) }
      expect(error, is: "poll for the writeback fence", found: .deadline, on: "taker (/dev/dri/card1)")
    }
  }

  @Test("whose fence never signals says so long before the work is out of time, and puts the display back")
  func fenceIsLost() throws {
    let kernel = Fixture.kernel()
    try onStage(kernel) { stage in
      kernel.misbehave { $0.neverReady = true }
      let error = primeError { try stage.run(deadline: Deadline(in: .seconds(600), on: kernel)) }
      expect(error, is: "poll for the writeback fence", found: .deadline, on: "taker (/dev/dri/card1)")
      #expect(
        error?.reason?.hasPrefix("it never signalled this writeback, not within 5 s, and it could not be") == true)
      #expect(kernel.waited < .seconds(60))
    }
  }

  @Test("whose job is lost is written once the frame checksums have it composed again")
  func composedAgain() throws {
    var importer = Fixture.importer
    importer.checksumSources = ["auto"]
    let kernel = Fixture.kernel(importer: importer)
    kernel.misbehave { $0.losesWritebacks = true }
    try onStage(kernel) { stage in
      try stage.run()
      #expect(stage.arrived)
    }
    // Five seconds for the fence, and what the kernel needs to let go of the target.
    #expect(kernel.waited == .milliseconds(5020))
  }

  @Test(
    "waits until the kernel counts one reference to the target, a second at the most, or a frame where it tells no count",
    arguments: [(1, 0), (2, 1000), (nil, 20)] as [(references: Int?, milliseconds: Int)])
  func release(references: Int?, milliseconds: Int) throws {
    let kernel = Fixture.kernel()
    if let references {
      let list = (0xfb00...0xfb20).map { "framebuffer[\($0)]:\n\trefcount=\(references)\n" }
      kernel.addFile("/sys/kernel/debug/dri/1/framebuffer", list.joined())
    }
    try onStage(kernel) { stage in try stage.run() }
    #expect(kernel.waited == .milliseconds(milliseconds))
  }

  @Test("that the engine has not let go of is seen in debugfs")
  func references() {
    let text = """
      framebuffer[47]:
      \tallocated by = prime-tool
      \trefcount=3
      \tformat=XR24 little-endian (0x34325258)
      framebuffer[4]:
      \tallocated by = [fbcon]
      \trefcount=1

      """
    #expect(FramebufferReferences.parse(text, 47) == 3)
    #expect(FramebufferReferences.parse(text, 4) == 1)
    #expect(FramebufferReferences.parse(text, 7) == nil)
    #expect(FramebufferReferences.parse("framebuffer[4]:\n\trefcount=many", 4) == nil)
    #expect(FramebufferReferences.parse("", 4) == nil)
  }

  @Test("whose fence cannot be waited for names the wait, and puts the display back")
  func waitFails() throws {
    let kernel = Fixture.kernel()
    try onStage(kernel) { stage in
      kernel.fail(.poll, with: .inputOutput)
      let error = primeError { try stage.run() }
      expect(error, is: "poll for the writeback fence", .inputOutput)
    }
  }

  @Test("that gets no fence does not take the picture for written")
  func noFence() throws {
    let kernel = Fixture.kernel()
    kernel.misbehave { $0.withholdsFence = true }
    try onStage(kernel) { stage in
      let error = primeError { try stage.run() }
      expect(error, is: "DRM_IOCTL_MODE_ATOMIC", found: .broken)
      #expect(error?.reason == "the kernel accepted the commit and gave no writeback fence")
    }
  }

  @Test("whose restoring commit fails says so when it is closed, and gives mastership back all the same")
  func restoreFails() throws {
    let kernel = Fixture.kernel()
    kernel.fail(.kmsCommit, with: .inputOutput, onCall: 2)
    do {
      let stage = try Stage(kernel)
      expect(primeError { try stage.run() }, is: "DRM_IOCTL_MODE_ATOMIC", .inputOutput)
      #expect(!kernel.isMaster(stage.device.rawDescriptor))
    }
    kernel.expectNothingLeft()
  }

  /// Every call that finding the way and saving the state makes, with the name under which an error reports it.
  static let setupCalls: [(KernelCall, String)] = [
    (.kmsResources, "drmModeGetResources"), (.kmsConnector, "drmModeGetConnector"),
    (.kmsEncoderCRTCs, "drmModeGetEncoder"), (.kmsPlanes, "drmModeGetPlaneResources"),
    (.kmsPlane, "drmModeGetPlane"), (.kmsProperties, "drmModeObjectGetProperties"),
    (.kmsBlob, "drmModeGetPropertyBlob"), (.kmsCreateBlob, "drmModeCreatePropertyBlob"),
    (.setMaster, "drmSetMaster"), (.kmsAddFramebuffer, "drmModeAddFB2WithModifiers"),
  ]

  @Test(
    "that fails at any step names the call, the errno and the device, and puts the display back", arguments: setupCalls)
  func setupFails(call: KernelCall, operation: String) throws {
    let kernel = Fixture.kernel()
    try onStage(kernel) { stage in
      let before = kernel.counts
      try stage.run()
      let calls = kernel.count(of: call) - before[call, default: 0]
      #expect(calls > 0, "\(call) is never made")
    }
    // The blob of the mode to restore is made by the close, whose error `run` shows too.
    let count = kernel.count(of: call)
    for number in 1...count {
      for errno in [Errno.invalidArgument, .noSuchFile, .noSuchDevice, .noMemory, .permissionDenied, .inputOutput] {
        let kernel = Fixture.kernel()
        kernel.fail(call, with: errno, onCall: number)
        do {
          let stage = try Stage(kernel)
          // The second blob is the restored mode's own: without it there is no way back, and the error says so. Memory may
          // be there the next moment, so that the way back is tried again.
          let isRestoring = call == .kmsCreateBlob && number == 2
          guard !isRestoring || errno != .noMemory else {
            try stage.run()
            #expect(kernel.shown(on: Self.path) == stage.shownBefore)
            continue
          }
          expect(primeError { try stage.run() }, is: operation, errno, on: "taker (/dev/dri/card1)")
          #expect((kernel.shown(on: Self.path) == stage.shownBefore) != isRestoring, "\(call) \(number) \(errno)")
        }
        kernel.expectNothingLeft("\(call) \(number) \(errno)")
      }
    }
  }

  @Test("does not exist on a device without atomic mode setting or without a writeback connector, and says which")
  func missing() throws {
    let kernel = Fixture.kernel()
    do {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      let error = primeError { _ = try WritebackPipeline(on: exporter) }
      expect(error, is: "drmSetClientCap", .notSupported, on: "maker (/dev/dri/card0)")
      #expect(error?.reason == "it has no atomic mode setting with writeback connectors")
    }
    kernel.expectNothingLeft()
    var importer = Fixture.importer
    importer.hasWriteback = false
    let other = Fixture.kernel(importer: importer)
    do {
      let device = try Device.open(Fixture.importerNode, kernel: other)
      let error = primeError { _ = try WritebackPipeline(on: device) }
      #expect(error?.reason == "it has no writeback connector: it has Virtual-1 (connected)")
    }
    other.expectNothingLeft()
  }

  @Test("does not take a display that another program holds")
  func otherMaster() throws {
    let kernel = Fixture.kernel()
    kernel.misbehave { $0.otherMaster = true }
    try onStage(kernel) { stage in
      let error = primeError { try stage.run() }
      expect(error, is: "drmSetMaster", .busy)
    }
    #expect(kernel.count(of: .kmsCommit) == 0)
  }

  @Test("of a device that is pulled out in the middle leaves nothing open")
  func unplugged() throws {
    for number in 1...2 {
      let kernel = Fixture.kernel()
      do {
        let stage = try Stage(kernel)
        kernel.unplug(Self.path, atCall: number, of: .kmsCommit)
        expect(primeError { try stage.run() }, is: "DRM_IOCTL_MODE_ATOMIC", .noSuchDevice)
      }
      kernel.expectNothingLeft()
    }
  }

  @Test("refuses a mode beyond what a mode can say")
  func hugeMode() throws {
    try onStage { stage in
      let error = primeError { try stage.run(size: (70_000, 16)) }
      expect(error, is: "drmModeCreatePropertyBlob", found: .tooLarge)
    }
  }

  @Test("shows a display engine that reads a row too low")
  func shifted() throws {
    let kernel = Fixture.kernel()
    kernel.misbehave { $0.shiftsRowsBy = 1 }
    try onStage(kernel) { stage in
      try stage.run()
      #expect(!stage.arrived)
    }
  }
}
