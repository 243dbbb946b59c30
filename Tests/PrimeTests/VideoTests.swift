import Testing

@testable import Prime
@testable import PrimeContract

@Suite("A V4L2 format")
struct VideoFormatTests {
  @Test(
    "is the DRM format with the same bytes in memory",
    arguments: [
      ("XR24", "XRGB8888"), ("AR24", "ARGB8888"), ("XB24", "XBGR8888"), ("AB24", "ABGR8888"), ("RX24", "RGBX8888"),
      ("RA24", "RGBA8888"), ("BX24", "BGRX8888"), ("BA24", "BGRA8888"), ("RGB3", "BGR888"), ("BGR3", "RGB888"),
      ("RGBP", "RGB565"), ("XR15", "XRGB1555"), ("GREY", "R8"), ("Y16 ", "R16"), ("NV12", "NV12"), ("NM12", "NV12"),
      ("YU12", "YUV420"), ("YV12", "YVU420"), ("YUYV", "YUYV"), ("UYVY", "UYVY"), ("P010", "P010"),
    ])
  func drm(code: String, name: String) {
    #expect(Self.code(code).drm == Fixture.fourcc(name))
    #expect(VideoFourcc.codes(of: Fixture.fourcc(name)).contains(Self.code(code)))
  }

  /// Codes that mean one thing to V4L2 and another, or nothing, to DRM.
  @Test("is never found by its code alone", arguments: ["RGB4", "BGR4", "BG12", "ABC4", "RG16", "MJPG"])
  func unknown(code: String) {
    #expect(Self.code(code).drm == nil)
  }

  @Test("of one buffer comes before that of several")
  func order() {
    #expect(VideoFourcc.codes(of: Fixture.fourcc("NV12")).map(\.description) == ["NV12", "NM12"])
    #expect(VideoFourcc.codes(of: Fixture.fourcc("YUV420")).map(\.memoryPlaneCount) == [1, 3])
    #expect(VideoFourcc.codes(of: Fixture.fourcc("XRGB8888")) == [.xbgr32])
    #expect(VideoFourcc.codes(of: Fixture.fourcc("XRGB2101010")) == [])
  }

  @Test("has one place in the table for each code")
  func unique() {
    #expect(Set(VideoFourcc.formats.map(\.video)).count == VideoFourcc.formats.count)
    for pair in VideoFourcc.formats {
      #expect(PixelFormat(pair.drm) != nil, "\(pair.video)")
    }
  }

  @Test("is printed as v4l2-ctl prints it")
  func printing() {
    #expect(VideoFourcc(rawValue: 0x3432_5258).description == "XR24")
    #expect(VideoFourcc(rawValue: 0xa036_3159).description == "Y16 -BE")
    #expect(VideoFourcc(rawValue: 1).description == "0x00000001")
  }

  static func code(_ characters: String) -> VideoFourcc {
    VideoFourcc(rawValue: characters.utf8.enumerated().reduce(0) { $0 | UInt32($1.element) << (8 * $1.offset) })
  }

  private func format(
    _ code: String, _ width: UInt32, _ height: UInt32, _ planes: [KernelVideoFormat.Plane]
  ) -> VideoFormat {
    VideoFormat(
      KernelVideoFormat(
        type: 1, width: width, height: height, pixelFormat: Self.code(code).rawValue, field: 1, planes: planes))
  }

  @Test("lays its planes out with the driver's pitch")
  func layouts() throws {
    let packed = format("XR24", 640, 480, [.init(bytesPerLine: 2816, sizeImage: 2816 * 480)])
    #expect(try packed.layout(on: "a test").planes == [PlaneLayout(offset: 0, pitch: 2816)])
    let pairs = format("NV12", 640, 480, [.init(bytesPerLine: 704, sizeImage: 704 * 720)])
    #expect(
      try pairs.layout(on: "a test").planes
        == [PlaneLayout(offset: 0, pitch: 704), PlaneLayout(offset: 704 * 480, pitch: 704)])
    let planar = format("YU12", 640, 480, [.init(bytesPerLine: 704, sizeImage: 704 * 720)])
    #expect(
      try planar.layout(on: "a test").planes == [
        PlaneLayout(offset: 0, pitch: 704), PlaneLayout(offset: 704 * 480, pitch: 352),
        PlaneLayout(offset: 704 * 600, pitch: 352),
      ])
  }

  @Test("that cannot be described says so")
  func undescribed() {
    let several = format(
      "NM12", 64, 64, [.init(bytesPerLine: 64, sizeImage: 4096), .init(bytesPerLine: 64, sizeImage: 2048)])
    #expect(primeError { try several.layout(on: "a test") }?.isUntestable == true)
    let unknown = format("MJPG", 64, 64, [.init(bytesPerLine: 0, sizeImage: 4096)])
    #expect(primeError { try unknown.layout(on: "a test") }?.isUntestable == true)
    let small = format("XR24", 64, 64, [.init(bytesPerLine: 256, sizeImage: 256 * 63)])
    expect(primeError { try small.layout(on: "a test") }, is: "VIDIOC_G_FMT", found: .broken, on: "a test")
    let narrow = format("XR24", 64, 64, [.init(bytesPerLine: 252, sizeImage: 256 * 64)])
    expect(primeError { try narrow.layout(on: "a test") }, is: "VIDIOC_G_FMT", found: .broken, on: "a test")
  }
}

@Suite("Video devices")
struct VideoDeviceTests {
  private static func node(_ minor: UInt32, _ driver: String, _ bus: String, flags: UInt32) -> FakeVideo.Node {
    FakeVideo.Node(
      number: DeviceNumber(major: 81, minor: minor),
      capability: KernelVideoCapability(driver: driver, card: "\(driver) card", busInfo: bus, flags: flags),
      formats: [VideoFourcc.xbgr32.rawValue])
  }

  private struct Machine {
    let tree: FixtureTree
    let kernel: FakeKernel

    func devices() throws -> [VideoDevice] { try VideoDiscovery(systemRoot: tree.root, kernel: kernel).devices() }
  }

  /// Ten is before two by name, and `/dev` calls the node of `video2` otherwise, as a container may.
  private func machine() throws -> Machine {
    let tree = try FixtureTree()
    let paths = ["video0", "video10", "video7"].map { "\(tree.root)/dev/\($0)" }
    for path in ["video0", "video10", "video7"] { try tree.write("", to: "/dev/\(path)") }
    let numbers = [("video0", "81:0"), ("video10", "81:4"), ("video2", "81:2"), ("video3", "81:3")]
    for (name, number) in numbers {
      try tree.write("\(number)\n", to: "/sys/class/video4linux/\(name)/dev")
      try tree.write("a \(name)\n", to: "/sys/class/video4linux/\(name)/name")
    }
    try tree.write("81:9\n", to: "/sys/class/video4linux/v4l-subdev0/dev")
    let kernel = FakeKernel([], otherNodes: paths)
    kernel.addVideo(paths[0], Self.node(0, "vivid", "platform:vivid-000", flags: 0x0400_0001))
    kernel.addVideo(paths[1], Self.node(4, "vim2m", "platform:vim2m", flags: 0x0400_8000))
    kernel.addVideo(paths[2], Self.node(2, "vivid", "platform:vivid-000", flags: 0x0400_0002))
    return Machine(tree: tree, kernel: kernel)
  }

  @Test("are joined with their nodes by device number and sorted by the kernel's number")
  func discovery() throws {
    let machine = try machine()
    let devices = try machine.devices()
    #expect(devices.map(\.number) == [0, 2, 10])
    #expect(devices.map { $0.path.lastComponent } == ["video0", "video7", "video10"])
    #expect(devices.map(\.driver) == ["vivid", "vivid", "vim2m"])
    #expect(devices.map(\.capabilities?.description) == ["capture", "output", "mem2mem"])
    #expect(devices.named("video:2") == [devices[1]])
    #expect(devices.named("vivid") == [devices[0], devices[1]])
    #expect(devices.named("platform:vim2m") == [devices[2]])
    #expect(devices.named(devices[1].path) == [devices[1]])
    #expect(devices.named("video:3") == [])
    // `/dev` calls it video7.
    #expect(devices.named("video2") == [devices[1]] && devices.named("VIDEO:2") == [devices[1]])
    #expect(devices.named("VIVID") == [devices[0], devices[1]])
    #expect(devices.named("Platform:VIM2M") == [devices[2]])
    #expect(
      VideoRoute.all(in: devices)
        == [.memoryToMemory(devices[2]), .loop(output: devices[1], capture: devices[0])])
    machine.kernel.expectNothingLeft()
  }

  @Test("that may not be opened are listed with the reason, as sysfs knows them")
  func noPermission() throws {
    let machine = try machine()
    machine.kernel.fail(.open, with: .permissionDenied)
    let devices = try machine.devices()
    #expect(devices.map(\.number) == [0, 2, 10])
    #expect(devices.map { $0.problem?.errno } == [.permissionDenied, .permissionDenied, .permissionDenied])
    #expect(devices.map(\.card) == ["a video0", "a video2", "a video10"])
    #expect(devices.allSatisfy { $0.capabilities == nil })
    #expect(VideoRoute.all(in: devices) == [])
    machine.kernel.expectNothingLeft()
  }

  @Test("are not told as absent where this process has no descriptor left")
  func noDescriptor() throws {
    let machine = try machine()
    machine.kernel.fail(.open, with: .tooManyOpenFiles)
    expect(primeError { try machine.devices() }, is: "open", .tooManyOpenFiles)
    machine.kernel.expectNothingLeft()
  }

  @Test("tell why a buffer is refused")
  func refusals() throws {
    let kernel = FakeKernel([], otherNodes: ["/dev/video0", "/dev/dma_heap/system"])
    var node = Self.node(0, "fake", "platform:fake", flags: 0x0400_0001)
    node.format = KernelVideoFormat(
      type: 1, width: 64, height: 64, pixelFormat: VideoFourcc.xbgr32.rawValue, field: 1,
      planes: [.init(bytesPerLine: 256, sizeImage: 16384)])
    let request = AllocationRequest(format: Fixture.format("XRGB8888"), width: 64, height: 64)
    let object = try DMAHeapAllocator(kernel: kernel).allocate(request)
    let whole = try object.export(.readWrite).takeFirst()
    let half = try DMAHeapAllocator(kernel: kernel).allocate(
      AllocationRequest(format: Fixture.format("XRGB8888"), width: 64, height: 32)
    ).export(.readWrite).takeFirst()
    for (errno, words) in [
      (Errno.badAddress, "in one piece only, and this buffer is scattered"),
      (.invalidArgument, "refused to attach the buffer"),
    ] {
      node.queueing = errno
      kernel.addVideo("/dev/video0", node)
      let error = primeError {
        var capture = try VideoCapture(VideoFile.open("/dev/video0", kernel: kernel), object.description)
        return try capture.capture(into: whole, deadline: Fixture.deadline)
      }
      expect(error, is: "VIDIOC_QBUF", errno, on: "fake (/dev/video0)")
      #expect(error?.reason?.contains(words) == true)
    }
    let error = primeError {
      var capture = try VideoCapture(VideoFile.open("/dev/video0", kernel: kernel), object.description)
      return try capture.capture(into: half, deadline: Fixture.deadline)
    }
    #expect(
      error?.reason
        == "the dma-buf of memory plane 0 has 8192 bytes and 64x64 XR24 needs 16384 on this device: take a larger buffer"
    )
  }

  @Test("that lay a picture out otherwise than the buffer are not tried")
  func otherPitch() throws {
    let kernel = FakeKernel([], otherNodes: ["/dev/video0"])
    var node = Self.node(0, "fake", "platform:fake", flags: 0x0400_0001)
    node.format = KernelVideoFormat(
      type: 1, width: 64, height: 64, pixelFormat: VideoFourcc.xbgr32.rawValue, field: 1,
      planes: [.init(bytesPerLine: 512, sizeImage: 32768)])
    kernel.addVideo("/dev/video0", node)
    let description = BufferDescription(
      layout: Fixture.layout("XRGB8888", width: 64, height: 64, planes: [PlaneLayout(offset: 0, pitch: 256)]),
      modifier: .linear)
    let error = primeError {
      try VideoCapture(VideoFile.open("/dev/video0", kernel: kernel), description).format
    }
    #expect(error?.isUntestable == true)
    #expect(
      error?.reason
        == "its rows are [512] bytes apart, its planes at [0], and those of the buffer [256] at [0]")
    kernel.expectNothingLeft()
  }
}
