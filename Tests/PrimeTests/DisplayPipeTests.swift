import Glibc
import PrimeProcesses
import Synchronization
import Testing

@testable import Prime

/// A display that shows the framebuffers of a library's user.
@Suite("A display")
struct DisplayPipeTests {
  private static let path = Fixture.importerNode.path
  private static let display = FakeKernel.DeviceSetup(
    driver: "taker", primary: path, displayFormats: [.xrgb8888], hasWriteback: false, checksumSources: ["auto"])
  let kernel = Fixture.kernel(exporter: FenceFixture.vgem, importer: display)

  /// Two framebuffers of 64x64, the display with its mode of that size, and a buffer of vgem's for fences.
  private final class Stage {
    let pipe: DisplayPipe
    let first: Framebuffer
    let second: Framebuffer
    let mode: DisplayMode
    let vgem: Device
    let fenced: DMABuf
    private let handle: GEMHandle

    init(_ kernel: FakeKernel, legacy: Bool = false) throws {
      vgem = try Device.open(Fixture.exporterNode, kernel: kernel)
      fenced = try Fixture.export(on: vgem)
      handle = try GEMHandle(importing: fenced, into: vgem)
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      first = try Self.framebuffer(on: device)
      second = try Self.framebuffer(on: device)
      let route = try DisplayRoute(on: device, to: .connected, legacy: legacy)
      mode = try #require(route.modes.first { $0.size == Size(width: 64, height: 64) })
      pipe = try DisplayPipe(route)
    }

    static func framebuffer(on device: Device, width: Int = 64, height: Int = 64) throws -> Framebuffer {
      let request = AllocationRequest(format: .xrgb8888, width: width, height: height)
      let object = try DumbAllocator(device: device).allocate(request)
      return try Framebuffer(GEMHandle(importing: object.export(.read).takeFirst(), into: device), object.description)
    }

    func fence() throws -> VGEMFence { try VGEMFence(attachingTo: handle, as: .write) }
    func syncFile() throws -> SyncFile { try fenced.exportSyncFile(for: .read) }
  }

  /// Runs the body with the stage, and states that the display is as before and nothing is left.
  private func withStage(legacy: Bool = false, _ body: (Stage) throws -> Void) throws {
    let before = kernel.shown(on: Self.path)
    do { try body(Stage(kernel, legacy: legacy)) }
    #expect(kernel.shown(on: Self.path) == before)
    kernel.expectNothingLeft()
  }

  private func plane(_ property: String) -> String? {
    kernel.shown(on: Self.path).first { $0.hasPrefix("ee00 \(property)=") }?.split(separator: "=").last.map(String.init)
  }

  // MARK: - Show

  @Test func `shows a framebuffer, and what it showed before when it goes`() throws {
    try withStage { stage in
      try stage.pipe.show(stage.first, mode: stage.mode, deadline: Fixture.deadline)
      #expect(plane("FB_ID") == "\(stage.first.id)")
      #expect(plane("SRC_W") == "\(64 << 16)")
      try stage.pipe.close()
      #expect(plane("FB_ID") == "\(FakeDevice.consoleFramebuffer)")
    }
  }

  @Test func `shows the upper left part of a larger framebuffer, or the part that it is told`() throws {
    try withStage { stage in
      let large = try Stage.framebuffer(on: stage.pipe.route.device, width: 128, height: 96)
      try stage.pipe.show(large, mode: stage.mode, deadline: Fixture.deadline)
      #expect([plane("SRC_X"), plane("SRC_Y"), plane("SRC_W"), plane("SRC_H")] == ["0", "0", "4194304", "4194304"])
      let part = Rectangle(origin: Point(x: 64, y: 32), size: Size(width: 64, height: 64))
      try stage.pipe.show(large, part: part, mode: stage.mode, deadline: Fixture.deadline)
      // 16 bits of fraction: 64 and 32 pixels, and 64x64.
      #expect([plane("SRC_X"), plane("SRC_Y")] == ["4194304", "2097152"])
      #expect([plane("SRC_W"), plane("SRC_H")] == ["4194304", "4194304"])
      #expect([plane("CRTC_X"), plane("CRTC_Y"), plane("CRTC_W"), plane("CRTC_H")] == ["0", "0", "64", "64"])
      try stage.pipe.close()
    }
  }

  @Test func `shows no part that does not lie within the framebuffer, and asks no kernel`() throws {
    try withStage { stage in
      let part = Rectangle(origin: Point(x: 1, y: 0), size: Size(width: 64, height: 64))
      let deadline = Fixture.deadline
      let error = primeError { try stage.pipe.show(stage.first, part: part, mode: stage.mode, deadline: deadline) }
      expect(error, is: "commit", found: .unsuitable, on: "taker (/dev/dri/card1)")
      #expect(
        error?.reason == "the part 64x64+1+0 does not lie within framebuffer \(stage.first.id), which is 64x64")
      #expect(kernel.count(of: .kmsCommit) == 0)
    }
  }

  @Test func `shows no framebuffer of another device, whose number may be one of its own`() throws {
    let other = FakeKernel.DeviceSetup(driver: "other", primary: "/dev/dri/card0", displayFormats: [.xrgb8888])
    let kernel = Fixture.kernel(exporter: other, importer: Self.display)
    do {
      let foreign = try Stage.framebuffer(on: Device.open(Fixture.exporterNode, kernel: kernel))
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      let pipe = try DisplayPipe(DisplayRoute(on: device, to: .connected))
      let mode = try #require(pipe.route.modes.first)
      let reason =
        "framebuffer \(foreign.id) is other (/dev/dri/card0)'s: import the buffer into this display's device"
      let deadline = Fixture.deadline
      #expect(primeError { try pipe.show(foreign, mode: mode, deadline: deadline) }?.reason == reason)
      #expect(primeError { try pipe.flip(to: foreign, deadline: deadline) }?.reason == reason)
      #expect(primeError { try pipe.start(flipTo: foreign, deadline: deadline) }?.reason == reason)
      #expect(kernel.count(of: .kmsCommit) == 0)
    }
    kernel.expectNothingLeft()
  }

  @Test func `shows a first framebuffer once a fence has signalled, and signals its own then`() throws {
    try withStage { stage in
      let (mode, deadline) = (stage.mode, Fixture.deadline)
      let drawing = try stage.fence()
      let part = Rectangle(size: Size(width: 32, height: 64))
      let started = try stage.pipe.start(
        showing: stage.first, part: part, mode: mode, after: stage.syncFile(), deadline: deadline)
      #expect(try !started.outFence.isSignalled)
      #expect(primeError { try stage.pipe.flip(to: stage.second, deadline: deadline) }?.errno == .busy)
      try drawing.signal()
      #expect(try started.outFence.wait(deadline: deadline) == .signalled)
      #expect(
        try stage.pipe.finish(started, deadline: deadline).time == DisplayEvent.Timestamp(seconds: 1, microseconds: 0))
      #expect([plane("FB_ID"), plane("SRC_W")] == ["\(stage.first.id)", "\(32 << 16)"])
      #expect(kernel.shown(on: Self.path).contains("cc00 ACTIVE=1"))
      try stage.pipe.close()
    }
  }

  @Test func `waits for the fence of a first framebuffer by the deadline's time, and shows it after all`() throws {
    try withStage { stage in
      let drawing = try stage.fence()
      let early = primeError {
        try stage.pipe.show(
          stage.first, mode: stage.mode, after: stage.syncFile(), deadline: Deadline(in: .milliseconds(20), on: kernel))
      }
      expect(early, is: "poll for the page flip", found: .deadline, on: "taker (/dev/dri/card1)")
      try drawing.signal()
      let flip = try stage.pipe.show(
        stage.second, mode: stage.mode, after: stage.syncFile(), deadline: Fixture.deadline)
      #expect(flip.time.seconds == 1)
      #expect(plane("FB_ID") == "\(stage.second.id)")
      try stage.pipe.close()
    }
  }

  // MARK: - Test

  @Test func `says whether it would show a framebuffer and changes nothing`() throws {
    var setup = Self.display
    setup.planeCoversMode = true
    let kernel = Fixture.kernel(exporter: FenceFixture.vgem, importer: setup)
    let before = kernel.shown(on: Self.path)
    do {
      let stage = try Stage(kernel)
      let deadline = Fixture.deadline
      try stage.pipe.test(stage.first, mode: stage.mode, deadline: deadline)
      let part = Rectangle(size: Size(width: 32, height: 64))
      let error = primeError { try stage.pipe.test(stage.first, part: part, mode: stage.mode, deadline: deadline) }
      expect(error, is: "DRM_IOCTL_MODE_ATOMIC", .invalidArgument, on: "taker (/dev/dri/card1)")
      #expect(kernel.shown(on: Self.path) == before)
    }
    #expect(kernel.shown(on: Self.path) == before)
    kernel.expectNothingLeft()
  }

  @Test func `without atomic mode setting cannot be asked, and never says yes`() throws {
    try withStage(legacy: true) { stage in
      let deadline = Fixture.deadline
      let error = primeError { try stage.pipe.test(stage.first, mode: stage.mode, deadline: deadline) }
      #expect(error?.isUntestable == true)
      #expect(error?.reason == "it has no atomic mode setting, and the older calls cannot be asked without doing it")
      expect(
        primeError { try stage.pipe.start(flipTo: stage.first, deadline: deadline) }, is: "DRM_IOCTL_MODE_ATOMIC",
        found: .unsupported)
      expect(
        primeError { try stage.pipe.start(showing: stage.first, mode: stage.mode, deadline: deadline) },
        is: "DRM_IOCTL_MODE_ATOMIC", found: .unsupported)
    }
  }

  // MARK: - Flips

  @Test func `flips to another framebuffer and says when it was shown`() throws {
    try withStage { stage in
      try stage.pipe.show(stage.first, mode: stage.mode, deadline: Fixture.deadline)
      let flip = try stage.pipe.flip(to: stage.second, deadline: Fixture.deadline)
      #expect(plane("FB_ID") == "\(stage.second.id)")
      #expect(flip.time == DisplayEvent.Timestamp(seconds: 1, microseconds: 0))
      try stage.pipe.close()
    }
  }

  @Test func `that is only flipped shows at the end what it showed before, too`() throws {
    try withStage { stage in
      let part = try Stage.framebuffer(on: stage.pipe.route.device, width: 64, height: 48)
      try stage.pipe.flip(to: part, deadline: Fixture.deadline)
      #expect(plane("FB_ID") == "\(part.id)")
      try stage.pipe.close()
    }
  }

  @Test func `flips once a fence has signalled, and signals its own then`() throws {
    try withStage { stage in
      try stage.pipe.show(stage.first, mode: stage.mode, deadline: Fixture.deadline)
      let drawing = try stage.fence()
      let flip = try stage.pipe.start(flipTo: stage.second, after: stage.syncFile(), deadline: Fixture.deadline)
      #expect(try !flip.outFence.isSignalled)
      let early = primeError { try stage.pipe.finish(flip, deadline: Deadline(in: .milliseconds(20))) }
      expect(early, is: "poll for the page flip", found: .deadline, on: "taker (/dev/dri/card1)")
      let second = primeError { try stage.pipe.start(flipTo: stage.first, deadline: Fixture.deadline) }
      expect(second, is: "DRM_IOCTL_MODE_ATOMIC", .busy)
      try drawing.signal()
      #expect(try flip.outFence.wait(deadline: Fixture.deadline) == .signalled)
      #expect(try stage.pipe.finish(flip, deadline: Fixture.deadline).time.seconds == 1)
      try stage.pipe.close()
    }
  }

  @Test func `flips that are finished in another order than they were shown`() throws {
    try withStage { stage in
      try stage.pipe.show(stage.first, mode: stage.mode, deadline: Fixture.deadline)
      let first = try stage.pipe.start(flipTo: stage.second, deadline: Fixture.deadline)
      let second = try stage.pipe.start(flipTo: stage.first, deadline: Fixture.deadline)
      try stage.pipe.finish(second, deadline: Fixture.deadline)
      try stage.pipe.finish(first, deadline: Fixture.deadline)
      try stage.pipe.close()
    }
  }

  @Test func `whose flips nobody finishes does not fill the kernel's queue of events`() throws {
    try withStage { stage in
      try stage.pipe.show(stage.first, mode: stage.mode, deadline: Fixture.deadline)
      for _ in 0..<200 { _ = try stage.pipe.start(flipTo: stage.second, deadline: Fixture.deadline) }
      // One event of 32 bytes, where the kernel has room for 128.
      #expect(kernel.state.withLock { $0.files.values.map(\.events.count).max() } == 32)
      let last = try stage.pipe.start(flipTo: stage.first, deadline: Fixture.deadline)
      try stage.pipe.finish(last, deadline: Fixture.deadline)
      try stage.pipe.close()
    }
  }

  // MARK: - Tasks

  @Test func `lets a task wait for a flip`() async throws {
    let before = kernel.shown(on: Self.path)
    do {
      let stage = try Stage(kernel)
      try stage.pipe.show(stage.first, mode: stage.mode, deadline: Fixture.deadline)
      try await stage.pipe.flip(to: stage.second, deadline: Fixture.deadline)
      #expect(plane("FB_ID") == "\(stage.second.id)")
      let drawing = try stage.fence()
      let flip = try stage.pipe.start(flipTo: stage.first, after: stage.syncFile(), deadline: Fixture.deadline)
      do throws(PrimeError) {
        try await stage.pipe.finish(flip, deadline: Deadline(in: .milliseconds(20)))
        Issue.record("nothing was thrown")
      } catch {
        expect(error, is: "poll for the page flip", found: .deadline)
      }
      let polls = kernel.count(of: .poll)
      // On a thread, since other tests may keep the pool's.
      let drawn = BackgroundCall<Void>.start { [kernel] in
        while kernel.count(of: .poll) < polls + 3 { sched_yield() }
        kernel.expireFences()
      }
      #expect(try await stage.pipe.finish(flip, deadline: Fixture.deadline).time.seconds == 1)
      #expect(try drawn.get().result(within: .seconds(20)) != nil)
      _ = FenceFixture.signalError(drawing)
      try stage.pipe.close()
    }
    #expect(kernel.shown(on: Self.path) == before)
    kernel.expectNothingLeft()
  }
}
