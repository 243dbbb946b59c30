import Foundation
import Synchronization
import Testing

@testable import Prime

@Suite("A saved display")
struct SavedDisplayStateTests {
  private static let path = Fixture.importerNode.path

  private func withMaster(_ kernel: FakeKernel, _ body: (Device) throws -> Void) throws {
    let device = try Device.open(Fixture.importerNode, kernel: kernel)
    try device.becomeMaster()
    defer { device.dropMaster() }
    try body(device)
  }

  /// A console with a gamma table, a mirrored plane and a colour space.
  private func kernelWithLeftovers() -> FakeKernel {
    let kernel = Fixture.kernel()
    kernel.addBlob(0xb100, Array(0..<64), on: Self.path)
    kernel.set("GAMMA_LUT", of: FakeDevice.crtc, to: 0xb100, on: Self.path)
    kernel.set("rotation", of: FakeDevice.primaryPlane, to: 0x11, on: Self.path)
    kernel.set("Colorspace", of: FakeDevice.virtualConnector, to: 9, on: Self.path)
    return kernel
  }

  @Test func `is a value that another process can put back`() throws {
    let kernel = kernelWithLeftovers()
    let before = kernel.shown(on: Self.path)
    var bytes = Data()
    try withMaster(kernel) { device in
      let state = try SavedDisplayState(of: device)
      #expect(state[FakeDevice.crtc, "GAMMA_LUT"] == .blob(Array(0..<64)))
      #expect(state[FakeDevice.primaryPlane, "rotation"] == .number(0x11))
      #expect(state[FakeDevice.primaryPlane, "type"] == nil)
      #expect(state[FakeDevice.writebackConnector, "WRITEBACK_FB_ID"] == nil)
      bytes = try JSONEncoder().encode(state)
    }
    for (name, object) in [
      ("GAMMA_LUT", FakeDevice.crtc), ("MODE_ID", FakeDevice.crtc), ("ACTIVE", FakeDevice.crtc),
      ("FB_ID", FakeDevice.primaryPlane), ("CRTC_ID", FakeDevice.primaryPlane), ("SRC_W", FakeDevice.primaryPlane),
      ("Colorspace", FakeDevice.virtualConnector), ("CRTC_ID", FakeDevice.virtualConnector),
    ] {
      kernel.set(name, of: object, to: 0, on: Self.path)
    }
    kernel.set("rotation", of: FakeDevice.primaryPlane, to: 1, on: Self.path)
    #expect(kernel.shown(on: Self.path) != before)
    try withMaster(kernel) { device in
      let state = try JSONDecoder().decode(SavedDisplayState.self, from: bytes)
      #expect(
        state.changes(to: try SavedDisplayState(of: device)) == [
          "connector 49152 CRTC_ID, Colorspace", "plane 60928 CRTC_ID, FB_ID, SRC_W, rotation",
          "crtc 52224 ACTIVE, GAMMA_LUT, MODE_ID",
        ])
      try state.restore(on: device, deadline: Fixture.deadline)
      #expect(try SavedDisplayState(of: device) == state)
    }
    #expect(kernel.shown(on: Self.path) == before)
    kernel.expectNothingLeft()
  }

  @Test(arguments: [Errno.noMemory, .interrupted, .busy, .tryAgain])
  func `is put back although the kernel could not the first time`(errno: Errno) throws {
    let kernel = kernelWithLeftovers()
    try withMaster(kernel) { device in
      let state = try SavedDisplayState(of: device)
      let before = kernel.shown(on: Self.path)
      kernel.set("rotation", of: FakeDevice.primaryPlane, to: 1, on: Self.path)
      kernel.fail(.kmsCommit, with: errno, onCall: 1)
      kernel.fail(.kmsCreateBlob, with: .noMemory, onCall: 1)
      try state.restore(on: device, deadline: Fixture.deadline)
      #expect(kernel.shown(on: Self.path) == before)
    }
    kernel.expectNothingLeft()
  }

  @Test func `says what stays changed where it cannot be put back`() throws {
    let kernel = kernelWithLeftovers()
    try withMaster(kernel) { device in
      let state = try SavedDisplayState(of: device)
      kernel.set("rotation", of: FakeDevice.primaryPlane, to: 1, on: Self.path)
      kernel.fail(.kmsCommit, with: .inputOutput)
      let error = primeError { try state.restore(on: device, deadline: Fixture.deadline) }
      expect(error, is: "DRM_IOCTL_MODE_ATOMIC", .inputOutput, on: "taker (/dev/dri/card1)")
      #expect(
        error?.reason
          == "the display was not put back, and its picture is taken away; changed stay plane 60928 rotation")
    }
    kernel.expectNothingLeft()
  }

  @Test(
    "is not taken where a part of it cannot be read",
    arguments: [KernelCall.kmsProperties, .kmsBlob, .kmsPlanes, .kmsResources], [Errno.noMemory, .inputOutput])
  func halfRead(call: KernelCall, errno: Errno) throws {
    let count = try readsOfWhole(call)
    #expect(count > 0)
    for number in 1...count {
      let kernel = kernelWithLeftovers()
      let before = kernel.shown(on: Self.path)
      kernel.fail(call, with: errno, onCall: number)
      try withMaster(kernel) { device in
        #expect(primeError { _ = try SavedDisplayState(of: device) }?.errno == errno)
      }
      #expect(kernel.shown(on: Self.path) == before)
      kernel.expectNothingLeft()
    }
  }

  /// The watch is one for the process, so this test tells its own display apart by its path.
  @Test func `is told to the custodian before the display changes, and given back when it is put back`() throws {
    let kernel = kernelWithLeftovers()
    let before = kernel.shown(on: Self.path)
    let told = Told()
    DisplayCustody.watch(
      taken: { path, state in told.add("taken", path, state, kernel.shown(on: Self.path) == before) },
      restored: { path in told.add("restored", path, nil, kernel.shown(on: Self.path) == before) })
    defer { DisplayCustody.watch(taken: { _, _ in }, restored: { _ in }) }
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      let buffer = try Fixture.export(on: device.reopened())
      let target = try Fixture.export(on: device.reopened())
      let description = try DumbAllocator(device: device.reopened()).allocate(Fixture.request).description
      let shown = try Framebuffer(GEMHandle(importing: buffer, into: device), description)
      let written = try Framebuffer(GEMHandle(importing: target, into: device), description)
      let expected = try SavedDisplayState(of: device)
      let pipeline = try WritebackPipeline(on: device)
      #expect(told.list(of: expected) == [])
      try pipeline.capture(
        shown, shown: Size(width: 32, height: 16), into: written, mode: .withoutWire(width: 32, height: 16),
        deadline: Fixture.deadline)
      #expect(told.list(of: expected).first == "taken")
      try pipeline.close()
      // What other tests give back meanwhile comes behind it.
      #expect(told.list(of: expected).prefix(2) == ["taken", "restored"])
    }
    kernel.expectNothingLeft()
  }

  @Test func `leaves pixels as they are while a picture is shown, and names what it does not know`() throws {
    let kernel = kernelWithLeftovers()
    kernel.set("driver's own", of: FakeDevice.writebackConnector, to: 3, on: Self.path)
    kernel.set("Colorspace", of: FakeDevice.writebackConnector, to: 9, on: Self.path)
    let before = kernel.shown(on: Self.path)
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      try device.becomeMaster()
      let object = try DumbAllocator(device: device.reopened()).allocate(Fixture.request)
      let description = object.description
      let buffer = try object.export(.readWrite).takeFirst()
      let shown = try Framebuffer(GEMHandle(importing: buffer, into: device), description)
      let pipe = try DisplayPipe(DisplayRoute(on: device, to: .writeback))
      #expect(pipe.unusualProperties == ["connector 49153 driver's own"])
      try pipe.show(
        DisplayPipe.Picture(framebuffer: shown.id, shown: (32, 16), target: nil),
        mode: .withoutWire(width: 32, height: 16), deadline: Fixture.deadline)
      let now = kernel.shown(on: Self.path)
      for line in ["ee00 rotation=1", "ee00 alpha=65535", "cc00 GAMMA_LUT=[]", "c001 Colorspace=0"] {
        #expect(now.contains(line), "\(line)")
      }
      // Nobody here knows what it does, so it stays.
      #expect(now.contains("c001 driver's own=3"))
      try pipe.close()
    }
    #expect(kernel.shown(on: Self.path) == before)
    kernel.expectNothingLeft()
  }

  /// What the custodian was told while the display showed what it had shown.
  private final class Told: Sendable {
    private let list = Mutex<[(what: String, state: SavedDisplayState?, asBefore: Bool)]>([])

    func add(_ what: String, _ path: String, _ state: SavedDisplayState?, _ asBefore: Bool) {
      guard path == SavedDisplayStateTests.path else { return }
      list.withLock { $0.append((what, state, asBefore)) }
    }

    func list(of state: SavedDisplayState) -> [String] {
      list.withLock { list in
        // Other tests have displays at the same path: what they give back while ours is changed is not as before.
        var isTaken = false
        return list.compactMap { entry in
          if let told = entry.state {
            guard told == state else { return nil }
            isTaken = true
          }
          return isTaken && entry.asBefore ? entry.what : nil
        }
      }
    }
  }

  private func readsOfWhole(_ call: KernelCall) throws -> Int {
    let kernel = kernelWithLeftovers()
    try withMaster(kernel) { device in _ = try SavedDisplayState(of: device) }
    return kernel.count(of: call)
  }
}

extension FakeKernel {
  /// Adds a blob that another program made.
  func addBlob(_ id: UInt32, _ bytes: [UInt8], on path: String) {
    state.withLock { state in
      for index in state.devices.indices where state.devices[index].has(path) {
        state.devices[index].blobs[id] = bytes
      }
    }
  }
}
