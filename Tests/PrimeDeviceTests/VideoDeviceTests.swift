import Glibc
import Testing

@testable import Prime
@testable import PrimeVerify

extension OnARealKernel {
  /// V4L2 devices, which the lab has where it is asked for them.
  @Suite("Video", .serialized, .enabled(if: Video.isThere, "this needs `lab/run --video`"))
  struct OnVideoDevices {}
}

/// The V4L2 devices of `lab/run --video`: vivid's capture and output nodes, and vim2m.
enum Video {
  private static let parts = Set(
    getenv("PRIME_LAB_WITH").map { String(cString: $0).split(separator: " ").map(String.init) } ?? [])
  /// Whether this lab has them.
  static let isThere = parts.contains("video")
  /// Whether vivid takes memory in one piece only.
  static let isContiguous = parts.contains("contiguous")

  static let (width, height) = (640, 480)

  /// The one node of a driver with a role.
  static func device(_ driver: String, _ role: (VideoCapabilities) -> Bool) throws -> VideoDevice {
    let found = try VideoDevice.all().named(driver).filter { $0.capabilities.map(role) == true }
    try #require(found.count == 1, "the lab has one such node of \(driver), and \(found.map(\.name)) were found")
    return found[0]
  }

  static func capture() throws -> VideoDevice { try device("vivid") { $0.captures } }

  /// The way through a driver's devices.
  static func route(_ driver: String) throws -> VideoRoute {
    let routes = VideoRoute.all(in: try VideoDevice.all().named(driver))
    try #require(routes.count == 1, "one way leads through \(driver), and \(routes) were found")
    return routes[0]
  }

  /// What makes the buffers, as the tests name it.
  enum Exporter: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case vgem, vkms, cirrus
    case bochs = "bochs-drm"
    case virtioGPU = "virtio_gpu"
    case qxl, udmabuf, heap

    var testDescription: String { rawValue }

    func allocator() throws -> any Allocator {
      switch self {
      case .udmabuf:
        try Lab.require(.udmabuf)
        return UDMABufAllocator()
      case .heap:
        try Lab.require(.heap)
        return DMAHeapAllocator()
      default:
        if self == .bochs { try Lab.skip(on: "6.1", because: "bochs-drm exports nothing") }
        if self == .qxl { try Lab.skip(on: "6.1", because: "what qxl exports cannot be mapped at all") }
        return DumbAllocator(device: try Lab.open(rawValue))
      }
    }
  }

  /// Pictures of two bytes a pixel in buffers of pixels twice as wide: virtio_gpu makes no others.
  struct Halved: Allocator {
    let base: any Allocator
    var kind: AllocatorKind { base.kind }
    var node: DRMNode? { base.node }

    func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
      guard let wide = PixelFormat(.xrgb8888) else { throw .untestable("a test", on: "a test", reason: "no XRGB8888") }
      var wanted = AllocationRequest(format: wide, width: request.width / 2, height: request.height)
      wanted.pitch = request.pitch
      let object = try base.allocate(wanted)
      let layout = try PictureLayout.checked(
        format: request.format, width: request.width, height: request.height,
        planes: object.description.layout.planes, operation: "a test", on: "a test")
      return BufferObject(
        adopting: try object.export(.readWrite).retold(as: BufferDescription(layout: layout, modifier: .linear)))
    }
  }

  /// Cancels a test where vivid takes memory in one piece only.
  static func requireScattered() throws {
    guard isContiguous else { return }
    Issue.record("vivid takes memory in one piece only here", severity: .warning)
    try Test.cancel("vivid takes memory in one piece only here")
  }
}

extension OnARealKernel.OnVideoDevices {
  @Test func `are found by number, driver and bus, with what they can do`() throws {
    let devices = try VideoDevice.all()
    #expect(devices.map(\.number) == devices.map(\.number).sorted())
    #expect(devices.allSatisfy { $0.problem == nil && $0.path == "/dev/video\($0.number)" })
    let capture = try Video.capture()
    let output = try Video.device("vivid") { $0.outputs }
    let vim2m = try Video.device("vim2m") { $0.isMemoryToMemory }
    #expect([capture, output, vim2m].map(\.bus) == ["platform:vivid-000", "platform:vivid-000", "platform:vim2m"])
    #expect([capture, output, vim2m].map(\.card) == ["vivid", "vivid", "vim2m"])
    #expect(
      [capture, output, vim2m].map(\.capabilities?.description) == ["capture", "output", "mem2mem"])
    #expect(devices.named("video:\(output.number)") == [output])
    #expect(devices.named(output.path) == [output])
    #expect(devices.named("platform:vim2m") == [vim2m])
    #expect(devices.named("vivid").count == 4)
    #expect(devices.named("cirrus") == [])
  }

  @Test func `that may not be opened are listed with the reason`() throws {
    let before = try VideoDevice.all()
    // Root opens anything. Nothing else of this process runs beside this test.
    #expect(setegid(65534) == 0 && seteuid(65534) == 0)
    defer { #expect(seteuid(0) == 0 && setegid(0) == 0) }
    let devices = try VideoDevice.all()
    #expect(devices.map(\.path) == before.map(\.path))
    #expect(devices.map { $0.problem?.errno } == [Errno?](repeating: .permissionDenied, count: devices.count))
    #expect(devices.allSatisfy { $0.capabilities == nil && $0.problem?.reason != nil })
    #expect(VideoRoute.all(in: devices) == [])
    // What the bus calls the driver.
    #expect(devices.map(\.driver) == before.map(\.driver))
  }

  @Test func `offer formats under the kernel's codes`() throws {
    let file = try Video.capture().open()
    let queue = try VideoQueue(file, .capture)
    let formats = try queue.formats()
    #expect(formats.contains(.xbgr32))
    #expect(formats.contains(.nv12))
    #expect(Set(formats).count == formats.count)
    let refused = try primeError { _ = try VideoQueue(file, .output).bufferCount }
    #expect(refused?.isUntestable == true)
    #expect(
      refused?.description == "VIDIOC_QUERYCAP on vivid (\(file.path)): the node has no output queue of pictures")
  }

  @Test func `lay a picture out by themselves, also wider than asked for`() throws {
    var queue = try VideoQueue(try Video.capture().open(), .capture)
    let own = try queue.setFormat(.xbgr32, width: 640, height: 480)
    #expect(own.memoryPlanes == [try #require(own.memoryPlanes.first)])
    #expect(try own.layout(on: "a test").planes == [PlaneLayout(offset: 0, pitch: 2560)])
    let wide = try queue.setFormat(.xbgr32, width: 640, height: 480, pitch: 2816)
    #expect(try wide.layout(on: "a test").planes == [PlaneLayout(offset: 0, pitch: 2816)])
    #expect(wide.memoryPlanes.map(\.byteCount) == [2816 * 480])
    let twoPlanes = try queue.setFormat(.nv12, width: 640, height: 480)
    #expect(
      try twoPlanes.layout(on: "a test").planes
        == [PlaneLayout(offset: 0, pitch: 640), PlaneLayout(offset: 640 * 480, pitch: 640)])
  }

  @Test func `belong to one file at a time`() throws {
    let device = try Video.capture()
    var first = try VideoQueue(try device.open(), .capture)
    try first.request(.driver, count: 2)
    let refused = try primeError {
      var second = try VideoQueue(try device.open(), .capture)
      try second.request(.driver, count: 2)
    }
    #expect(
      refused?.description
        == "VIDIOC_REQBUFS on vivid (\(device.path)): EBUSY (Device or resource busy): another program has the queue, or "
        + "the buffers of this one are still mapped")
  }

  @Test func `end a wait for a picture at its deadline`() throws {
    var queue = try VideoQueue(try Video.capture().open(), .capture)
    try queue.request(.driver, count: 2)
    try queue.start()
    // Nothing is queued, so that nothing can come.
    let refused = try primeError { _ = try queue.dequeue(deadline: Deadline(in: .milliseconds(300))) }
    #expect(refused?.operation == "poll for a picture")
    #expect(refused?.finding == .deadline || refused?.finding == .broken)
  }
}
