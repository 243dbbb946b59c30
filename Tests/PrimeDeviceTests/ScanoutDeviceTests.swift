import Foundation
import Testing

@testable import Prime
@testable import PrimeProcesses
@testable import PrimeVerify

/// Buffers on displays, through the library.
///
/// The tests take displays, so they run in the lab only, one after the other.
@Suite(
  "Scanout through the library",
  .enabled(
    if: ProcessInfo.processInfo.environment["PRIME_LAB"] != nil,
    "this needs the kernel and the displays of the lab: run `make test`"),
  .serialized)
struct ScanoutOnARealKernel {
  private let deadline = Deadline(in: .seconds(60))
  private static let size = (width: 640, height: 480)

  /// An error of this test's own, in the middle of something.
  private struct Interrupted: Error {}

  private func device(_ driver: String) throws -> Device {
    let name = try Lab.name(of: driver)
    let found = try DeviceDiscovery().devices().first { $0.driver == name }
    return try Device.open(try #require(found?.primary, "the lab has no \(driver)"))
  }

  private func allocation(width: Int = size.width, height: Int = size.height) throws -> AllocationRequest {
    AllocationRequest(format: try #require(PixelFormat(.xrgb8888)), width: width, height: height)
  }

  /// What debugfs says of a device's displays, without the marks of the last commit.
  private func state(_ device: Device) throws -> String {
    let number = device.node.path.drop { !$0.isNumber }
    let text = try String(contentsOfFile: "/sys/kernel/debug/dri/\(number)/state", encoding: .utf8)
    return text.split(separator: "\n").filter { !$0.contains("_changed=") }.joined(separator: "\n")
  }

  private func content(_ frame: Int) -> PictureContent { .pattern(Pattern(seed: 7, index: frame)) }

  private func request(_ frames: Int) throws -> ScanoutRequest {
    var request = ScanoutRequest(
      exporter: Exporter(name: "vgem", node: try device("vgem").node, allocator: .dumb), displayName: "vkms",
      display: try device("vkms").node, format: try #require(PixelFormat(.xrgb8888)), seed: 7, deadline: deadline)
    request.frames = frames
    request.mode = ModeRequest(parsing: "64x48")
    return request
  }

  private func frames(of request: ScanoutRequest, from allocator: any Allocator) throws -> ScanoutFrames {
    try ScanoutFrames(
      request.exporter, allocator, request.format, size: (64, 48), modifiers: nil, check: { _ in })
  }

  private func write(_ frame: Int, _ frames: ScanoutFrames, _ request: ScanoutRequest) throws {
    try frames.write(frame, deadline: deadline) { bytes, layout in
      try request.content(of: frame).fill(&bytes, layout: layout)
    }
  }

  // MARK: - Several displays

  @Test func `one buffer is shown on two displays at once`() throws {
    let vkms = try device("vkms")
    let cirrus = try device("cirrus")
    // The kernel looks at a wire only for the master, and nobody may have been that since the boot.
    try cirrus.becomeMaster()
    let before = (try state(vkms), try state(cirrus))
    let allocator = DumbAllocator(device: try device("vgem"))
    let object = try allocator.allocate(try allocation())
    let description = object.description
    let buffer = try object.export(.readWrite).takeFirst()
    try buffer.write(deadline: deadline) { bytes in try content(0).fill(&bytes, layout: description.layout) }
    do {
      let onVKMS = try Framebuffer(GEMHandle(importing: buffer, into: vkms), description)
      let onCirrus = try Framebuffer(GEMHandle(importing: buffer, into: cirrus), description)
      let engine = try DisplayPipe(DisplayRoute(on: vkms, to: .writeback))
      let wire = try DisplayPipe(DisplayRoute(on: cirrus, to: .connected))
      let witness = try WritebackWitness(description, targetOtherwiseFrom: allocator, route: engine.route)
      let mode = try #require(wire.route.modes.first { $0.width == 640 && $0.height == 480 })
      try wire.show(.init(framebuffer: onCirrus.id, shown: Self.size), mode: mode, deadline: deadline)
      try engine.show(
        .init(framebuffer: onVKMS.id, shown: Self.size, target: witness.target),
        mode: try DisplayMode.withoutWire(width: 640, height: 480), deadline: deadline)
      #expect(try witness.look(content(0), wrong: content(9), on: engine, deadline: deadline) == nil)
      // Both name their own framebuffer of the one buffer.
      #expect(try state(vkms).contains("fb=\(onVKMS.id)\n"))
      #expect(try state(cirrus).contains("fb=\(onCirrus.id)\n"))
      // Written again while both show it: no copy was made for either.
      try buffer.write(deadline: deadline) { bytes in try content(1).fill(&bytes, layout: description.layout) }
      _ = try wire.flip(to: .init(framebuffer: onCirrus.id, shown: Self.size), deadline: deadline)
      _ = try engine.flip(
        to: .init(framebuffer: onVKMS.id, shown: Self.size, target: witness.target), deadline: deadline)
      #expect(try witness.look(content(1), wrong: content(0), on: engine, deadline: deadline) == nil)
      try engine.close()
      try wire.close()
    }
    #expect(try state(vkms) == before.0)
    #expect(try state(cirrus) == before.1)
    #expect(vkms.openHandleCount == 0)
    #expect(cirrus.openHandleCount == 0)
  }

  // MARK: - Frames

  @Test func `a frame that is written late is caught, and so is one that is never written`() throws {
    let vkms = try device("vkms")
    let request = try request(3)
    let allocator = DumbAllocator(device: try device("vgem"))
    let frames = try frames(of: request, from: allocator)
    let framebuffers = try frames.framebuffers(on: vkms, log: .init(isWanted: false))
    let pipe = try DisplayPipe(DisplayRoute(on: vkms, to: .writeback))
    let witness = try WritebackWitness(frames.description, targetOtherwiseFrom: allocator, route: pipe.route)
    func picture(_ frame: Int) -> DisplayPipe.Picture {
      .init(framebuffer: framebuffers.id(of: frame), shown: (64, 48), target: witness.target)
    }
    func look(_ frame: Int) throws -> String? {
      try witness.look(request.content(of: frame), wrong: request.wrongContent, on: pipe, deadline: deadline)
    }
    try write(0, frames, request)
    try pipe.show(picture(0), mode: try DisplayMode.withoutWire(width: 64, height: 48), deadline: deadline)
    #expect(try look(0) == nil)
    // Flipped to before it is written: the new buffer is still all zeros.
    _ = try pipe.flip(to: picture(1), deadline: deadline)
    #expect(try look(1)?.contains("3,072 of 3,072") == true)
    // Writing it now is too late for what was fetched already, and right for the next fetch.
    try write(1, frames, request)
    #expect(try look(1)?.contains("3,072 of 3,072") == true)
    _ = try pipe.flip(to: picture(1), deadline: deadline)
    #expect(try look(1) == nil)
    // Frame 2 uses the buffer of frame 0, which still holds that.
    _ = try pipe.flip(to: picture(2), deadline: deadline)
    let stale = try #require(try look(2))
    print("stale frame: \(stale)")
    #expect(stale.contains("3,072 of 3,072"))
    #expect(try look(0) == nil)
    try write(2, frames, request)
    _ = try pipe.flip(to: picture(2), deadline: deadline)
    #expect(try look(2) == nil)
    try pipe.close()
  }

  // MARK: - Ways out

  @Test func `an error in the middle puts the display back`() throws {
    let vkms = try device("vkms")
    let before = try state(vkms)
    let request = try request(2)
    #expect(throws: Interrupted.self) {
      let allocator = DumbAllocator(device: try device("vgem"))
      let frames = try frames(of: request, from: allocator)
      let framebuffers = try frames.framebuffers(on: vkms, log: .init(isWanted: false))
      let pipe = try DisplayPipe(DisplayRoute(on: vkms, to: .writeback))
      let witness = try WritebackWitness(frames.description, targetOtherwiseFrom: allocator, route: pipe.route)
      try pipe.show(
        .init(framebuffer: framebuffers.id(of: 0), shown: (64, 48), target: witness.target),
        mode: try DisplayMode.withoutWire(width: 64, height: 48), deadline: deadline)
      #expect(try state(vkms) != before)
      throw Interrupted()
    }
    #expect(try state(vkms) == before)
    #expect(vkms.openHandleCount == 0)
    // Nobody is master any more.
    let another = try vkms.reopened()
    try another.becomeMaster()
    another.dropMaster()
  }

  @Test func `a request to stop in the middle is obeyed between frames`() throws {
    let before = try state(try device("vkms"))
    let cancellation = Cancellation()
    var request = try request(1000)
    request.deadline = Deadline(in: .seconds(60), cancellation: cancellation)
    let outcome = ScanoutCheck(request).run(progress: { if $0.index == 4 { cancellation.request() } })
    #expect(outcome.wasCancelled)
    #expect(outcome.report.verdict == .error)
    #expect(outcome.report.finding == .cancelled)
    #expect(outcome.report.frames.map(\.index) == [0, 1, 2, 3, 4])
    #expect(outcome.report.restored == true)
    #expect(outcome.leaks.isClean)
    #expect(try state(try device("vkms")) == before)
  }

  // MARK: - The kernel's own words

  private func debugParameter() throws -> String {
    try String(contentsOfFile: "/sys/module/drm/parameters/debug", encoding: .utf8)
  }

  @Test func `the kernel says why it refuses a framebuffer`() throws {
    let before = try debugParameter()
    let vkms = try device("vkms")
    let object = try DumbAllocator(device: try device("vgem")).allocate(try allocation(width: 9000, height: 16))
    let buffer = try object.export(.readWrite).takeFirst()
    let handle = try GEMHandle(importing: buffer, into: vkms)
    let log = KernelDebugLog.Excerpt(isWanted: true)
    #expect(log.lines == nil)
    #expect(throws: PrimeError.self) {
      try log.explaining { _ = try Framebuffer(handle, object.description) }
    }
    let lines = try #require(log.lines)
    print("kernel: \(lines)")
    let least = Lab.isKernel("6.1") ? 20 : 10
    #expect(lines.contains { $0.hasSuffix("bad framebuffer width 9000, should be >= \(least) && <= 8192") })
    // Those of one call, not the log of the boot.
    #expect(lines.count <= 10)
    #expect(try debugParameter() == before)
  }

  @Test func `the kernel says why it refuses a commit, where it is asked`() throws {
    let before = try debugParameter()
    let vkms = try device("vkms")
    let allocator = DumbAllocator(device: try device("vgem"))
    let object = try allocator.allocate(try allocation(width: 64, height: 48))
    let buffer = try object.export(.readWrite).takeFirst()
    let framebuffer = try Framebuffer(GEMHandle(importing: buffer, into: vkms), object.description)
    let pipe = try DisplayPipe(DisplayRoute(on: vkms, to: .writeback))
    // The target must be as large as the mode.
    let picture = DisplayPipe.Picture(framebuffer: framebuffer.id, shown: (64, 48), target: framebuffer.id)
    let mode = try DisplayMode.withoutWire(width: 80, height: 48)
    // vkms of 6.1 comes to its plane first, which there has to be as large as the mode, too.
    let reason = Lab.isKernel("6.1") ? "Plane must cover entire CRTC" : "Invalid framebuffer size 64x48"
    for isWanted in [true, false] {
      let log = KernelDebugLog.Excerpt(isWanted: isWanted)
      let error = try #require(
        #expect(throws: PrimeError.self) {
          try log.explaining { try pipe.show(picture, mode: mode, deadline: deadline) }
        })
      #expect(error.operation == "DRM_IOCTL_MODE_ATOMIC")
      #expect(error.errno == .invalidArgument)
      if isWanted { print("kernel: \(log.lines?.count ?? 0) lines, the last \(log.lines?.last ?? "none")") }
      #expect((log.lines?.contains { $0.contains(reason) } ?? false) == isWanted)
    }
    try pipe.close()
    #expect(try debugParameter() == before)
  }
}
