import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("An allocator")
struct AllocatorTests {
  let kernel = Fixture.kernel()

  /// Those that the fake kernel has; what a GPU draws needs a program.
  private static let kinds: [AllocatorKind] = [.gbm, .dumb, .udmabuf, .heap]

  /// Makes one of each kind on the exporter.
  private func makeAllocator(_ kind: AllocatorKind, _ kernel: FakeKernel) throws -> any Allocator {
    switch kind {
    case .dumb: DumbAllocator(device: try Device.open(Fixture.exporterNode, kernel: kernel))
    case .gbm: GBMAllocator(device: try GBMDevice(on: Device.open(Fixture.exporterNode, kernel: kernel)))
    case .udmabuf: UDMABufAllocator(kernel: kernel)
    case .heap: DMAHeapAllocator(kernel: kernel)
    case .v4l2: Self.makeVideo(kernel)
    case .gpu: throw PrimeError.untestable(.witness, on: "the fake kernel", reason: "no GPU is here")
    }
  }

  private static func makeVideo(_ kernel: FakeKernel) -> VideoAllocator {
    let capability = KernelVideoCapability(driver: "fake", card: "fake", busInfo: "platform:fake", flags: 0x0400_0001)
    kernel.addVideo(
      "/dev/video0",
      FakeVideo.Node(
        number: DeviceNumber(major: 81, minor: 0), capability: capability,
        formats: [VideoFourcc.xbgr32, .nv12].map(\.rawValue), engine: .doesNothing))
    let device = VideoDevice(
      number: 0, path: "/dev/video0", driver: "fake", card: "fake", bus: "platform:fake",
      capabilities: VideoCapabilities(rawValue: capability.flags), problem: nil)
    return VideoAllocator(device, kernel: kernel)
  }

  @Test(
    "gives a buffer with the pitch that its maker chose, and whole pages",
    arguments: [
      // 33 pixels are 132 bytes: the fake's dumb buffers align to 64, the others to 256.
      (AllocatorKind.dumb, 192, 4096), (.gbm, 256, 8192), (.udmabuf, 256, 8192), (.heap, 256, 8192),
    ])
  func layout(kind: AllocatorKind, pitch: Int, byteCount: Int) throws {
    do {
      let allocator = try makeAllocator(kind, kernel)
      #expect(allocator.kind == kind)
      let object = try allocator.allocate(
        AllocationRequest(format: Fixture.format("XRGB8888"), width: 33, height: 17))
      #expect(object.description.layout.planes == [PlaneLayout(offset: 0, pitch: pitch)])
      // gbm_bo_create without a list of modifiers leaves the arrangement implicit.
      #expect(object.description.modifier == (kind == .gbm ? .invalid : .linear))
      #expect(object.description.width == 33)
      #expect(object.description.height == 17)
      let buffer = try object.export(.readWrite).takeFirst()
      #expect(buffer.byteCount == byteCount)
      #expect(buffer.access == .readWrite)
    }
    kernel.expectNothingLeft()
  }

  @Test("lays the planes of NV12 one below the other at one pitch", arguments: Self.kinds)
  func planes(kind: AllocatorKind) throws {
    do {
      let allocator = try makeAllocator(kind, kernel)
      let object = try allocator.allocate(AllocationRequest(format: Fixture.format("NV12"), width: 256, height: 32))
      #expect(
        object.description.layout.planes == [PlaneLayout(offset: 0, pitch: 256), PlaneLayout(offset: 8192, pitch: 256)])
    }
    kernel.expectNothingLeft()
  }

  @Test(
    "that makes linear memory cannot try a request for anything else, which nobody refuses",
    arguments: [AllocatorKind.dumb, .udmabuf, .heap, .v4l2])
  func notLinear(kind: AllocatorKind) throws {
    do {
      let allocator = try makeAllocator(kind, kernel)
      var request = Fixture.request
      request.modifiers = [Modifier(rawValue: 0x0100_0000_0000_0001)]
      let error = primeError { try allocator.allocate(request) }
      #expect(error?.isUntestable == true)
      #expect(error?.reason?.hasSuffix("linear, and linear is not among the modifiers asked for") == true)
      #expect(error?.description.contains("EOPNOTSUPP") == false)
    }
    #expect(kernel.count(of: .createDumb) + kernel.count(of: .udmabufCreate) + kernel.count(of: .dmaHeapAllocate) == 0)
    kernel.expectNothingLeft()
  }

  @Test("of GBM has rows and nothing else: what its Mesa driver arranges otherwise cannot be written")
  func tiled() throws {
    let tiled = Modifier(rawValue: 0x0100_0000_0000_0001)
    let kernel = Fixture.kernel(
      exporter: .init(driver: "maker", primary: "/dev/dri/card0", tiledModifier: tiled.rawValue))
    do {
      let allocator = try makeAllocator(.gbm, kernel)
      var request = Fixture.request
      request.modifiers = [tiled]
      let error = primeError { try allocator.allocate(request) }
      #expect(error?.isUntestable == true)
      #expect(error?.reason?.contains("arranges the pixels as INTEL 0x0100000000000001") == true)
      // An implicit modifier is rows only where rows were asked for.
      request.modifiers = nil
      request.usage = .rendering
      #expect(primeError { try allocator.allocate(request) }?.isUntestable == true)
      // Where rows will do, rows are asked for.
      request.modifiers = [tiled, .linear]
      #expect(try allocator.allocate(request).description.modifier == .linear)
    }
    kernel.expectNothingLeft()
  }

  @Test(
    "of GBM exports the buffer that libgbm means, with the access asked for, whosever its handle is",
    arguments: [
      FakeKernel.GBMHandles.own, .ofAnotherFile, .alsoOfAnotherBuffer,
    ])
  func gbmExport(handles: FakeKernel.GBMHandles) throws {
    let kernel = Fixture.kernel(exporter: .init(driver: "maker", primary: "/dev/dri/card0", gbmHandles: handles))
    kernel.misbehave { $0.gbmExportsForReading = handles == .own }
    do {
      let object = try makeAllocator(.gbm, kernel).allocate(Fixture.request)
      let buffer = try object.export(.readWrite).takeFirst()
      #expect(buffer.access == .readWrite)
      #expect(kernel.gbmMemory == kernel.memory(of: buffer))
    }
    kernel.expectNothingLeft()
  }

  @Test(
    "of GBM says that nothing can be written where libgbm exports for reading, and nobody else can or it was the first",
    arguments: [FakeKernel.GBMHandles.ofAnotherFile, .own])
  func gbmReadOnly(handles: FakeKernel.GBMHandles) throws {
    let kernel = Fixture.kernel(exporter: .init(driver: "maker", primary: "/dev/dri/card0", gbmHandles: handles))
    kernel.misbehave { faults in
      faults.gbmExportsForReading = true
      faults.gbmExportsWhenAllocating = handles == .own
    }
    do {
      let object = try makeAllocator(.gbm, kernel).allocate(Fixture.request)
      let error = primeError { try object.export(.readWrite) }
      #expect(error?.isUntestable == true)
      #expect(error?.reason == "its Mesa driver exports for reading only, so nothing can be written")
      #expect(try object.export(.read).access == .read)
    }
    kernel.expectNothingLeft()
  }

  @Test("of GBM allocates through the render node, and through the primary one where Mesa makes dumb buffers")
  func node() throws {
    for (isSoftware, expected) in [(false, "/dev/dri/renderD128"), (true, "/dev/dri/card0")] {
      let kernel = Fixture.kernel(
        exporter: .init(
          driver: "maker", primary: "/dev/dri/card0", render: "/dev/dri/renderD128", gbmIsSoftware: isSoftware))
      do {
        let exporter = Exporter(
          name: "maker", primary: Fixture.exporterNode, render: DRMNode(path: "/dev/dri/renderD128", kind: .render),
          allocator: .gbm)
        #expect(exporter.node?.path == "/dev/dri/renderD128")
        let allocator = try Allocators.make(exporter, kernel: kernel)
        #expect(allocator.node?.path == "/dev/dri/renderD128")
        _ = try allocator.allocate(Fixture.request).export(.readWrite)
        #expect(allocator.node?.path == expected)
        // It does not ask the render node again.
        _ = try allocator.allocate(Fixture.request).export(.readWrite)
        #expect(kernel.count(of: .gbmCreateDevice) == (isSoftware ? 2 : 1))
      }
      kernel.expectNothingLeft()
    }
  }

  @Test(
    "of dumb buffers, Mesa's or its own, cannot be tried where the render node alone is there",
    arguments: [
      (AllocatorKind.gbm, "Mesa has no driver for this GPU and allocates dumb buffers, "),
      (.dumb, "it was asked for a dumb buffer, "),
    ])
  func renderNodeAlone(kind: AllocatorKind, start: String) {
    let kernel = Fixture.kernel(
      exporter: .init(driver: "maker", primary: "/dev/dri/card0", render: "/dev/dri/renderD128", gbmIsSoftware: true))
    let exporter = Exporter(
      name: "maker", primary: nil, render: DRMNode(path: "/dev/dri/renderD128", kind: .render), allocator: kind)
    let error = primeError { try Allocators.make(exporter, kernel: kernel).allocate(Fixture.request) }
    #expect(error?.isUntestable == true)
    #expect(error?.subject == "maker (/dev/dri/renderD128)")
    #expect(
      error?.reason == start
        + "which only a primary node makes (EACCES on a render node): make the device's /dev/dri/card* visible here")
    kernel.expectNothingLeft()
  }

  @Test("of GBM that needs the primary node and may not open it says so, with the call that failed")
  func primaryNeeded() throws {
    let kernel = Fixture.kernel(
      exporter: .init(driver: "maker", primary: "/dev/dri/card0", render: "/dev/dri/renderD128", gbmIsSoftware: true))
    kernel.misbehave { $0.closedPaths = ["/dev/dri/card0": .permissionDenied] }
    let exporter = Exporter(
      name: "maker", primary: Fixture.exporterNode, render: DRMNode(path: "/dev/dri/renderD128", kind: .render),
      allocator: .gbm)
    let error = primeError { try Allocators.make(exporter, kernel: kernel).allocate(Fixture.request) }
    #expect(error?.isUntestable == true)
    #expect(error?.operation == "gbm_bo_create")
    #expect(error?.subject == "maker (/dev/dri/renderD128)")
    #expect(
      error?.reason?.hasPrefix(
        "Mesa has no driver for this GPU and allocates dumb buffers, which need the primary node /dev/dri/card0: ")
        == true)
    kernel.expectNothingLeft()
  }

  @Test("of GBM cannot be tried where neither Mesa has a driver nor the kernel's makes dumb buffers")
  func nobodyAllocates() throws {
    let kernel = Fixture.kernel(
      exporter: .init(
        driver: "maker", primary: "/dev/dri/card0", render: "/dev/dri/renderD128", makesDumbBuffers: false,
        gbmIsSoftware: true))
    let exporter = Exporter(
      name: "maker", primary: Fixture.exporterNode, render: DRMNode(path: "/dev/dri/renderD128", kind: .render),
      allocator: .gbm)
    let error = primeError { try Allocators.make(exporter, kernel: kernel).allocate(Fixture.request) }
    #expect(error?.isUntestable == true)
    #expect(error?.subject == "maker (/dev/dri/card0)")
    #expect(error?.reason?.hasPrefix("Mesa has no driver for this GPU here, and the kernel's makes no dumb") == true)
    kernel.expectNothingLeft()
  }

  @Test(
    "of a heap whose memory the CPU may not map cannot be tried, and no other failure of mmap is that",
    arguments: [
      (Errno.invalidArgument, true), (.permissionDenied, true), (.noMemory, false), (.interrupted, false),
    ])
  func protectedHeap(errno: Errno, isUntestable: Bool) throws {
    kernel.fail(.map, with: errno)
    let error = primeError { try makeAllocator(.heap, kernel).allocate(Fixture.request) }
    #expect(error?.isUntestable == isUntestable)
    #expect(error?.operation == "mmap")
    if !isUntestable { #expect(error?.errno == errno) }
    kernel.expectNothingLeft()
  }

  @Test("of a heap takes the heap that it is told")
  func namedHeap() throws {
    let kernel = FakeKernel([], otherNodes: ["/dev/dma_heap/linux,cma"])
    #expect(primeError { try DMAHeapAllocator(kernel: kernel).allocate(Fixture.request) }?.errno == .noSuchFile)
    let exporter = Exporter(name: "heap:linux,cma", node: nil, allocator: .heap, heap: "linux,cma")
    _ = try Allocators.make(exporter, kernel: kernel).allocate(Fixture.request)
    kernel.expectNothingLeft()
  }

  @Test("refuses a picture without pixels before anybody is asked", arguments: Self.kinds)
  func impossibleSize(kind: AllocatorKind) throws {
    do {
      let allocator = try makeAllocator(kind, kernel)
      var request = Fixture.request
      request.width = 0
      let error = primeError { try allocator.allocate(request) }
      #expect(error?.finding == .unsuitable)
      #expect(error?.reason?.contains("0x16") == true)
    }
    #expect(kernel.count(of: .createDumb) + kernel.count(of: .gbmCreateBuffer) == 0)
    #expect(kernel.count(of: .udmabufCreate) + kernel.count(of: .dmaHeapAllocate) == 0)
    kernel.expectNothingLeft()
  }

  @Test("keeps the list of modifiers it was asked for: GBM gives one of them")
  func explicitModifier() throws {
    do {
      var request = Fixture.request
      request.modifiers = [.linear]
      #expect(try makeAllocator(.gbm, kernel).allocate(request).description.modifier == .linear)
    }
    kernel.expectNothingLeft()
  }

  @Test("that gets fewer bytes than the picture needs says so instead of faulting later")
  func tooSmall() throws {
    kernel.misbehave { $0.halvesDumbBuffers = true }
    do {
      let allocator = try makeAllocator(.dumb, kernel)
      let request = AllocationRequest(format: Fixture.format("XRGB8888"), width: 32, height: 32)
      let error = primeError { try allocator.allocate(request) }
      expect(error, is: "DRM_IOCTL_MODE_CREATE_DUMB", found: .broken, on: "maker (/dev/dri/card0)")
      #expect(error?.reason == "the driver gave 2048 bytes where 4096 are needed")
    }
    kernel.expectNothingLeft()
  }

  /// The calls of one allocation and export, by allocator, with the name under which an error reports each.
  static let steps: [(AllocatorKind, KernelCall, String)] = [
    (.dumb, .createDumb, "DRM_IOCTL_MODE_CREATE_DUMB"),
    (.dumb, .primeHandleToFD, "drmPrimeHandleToFD"),
    (.dumb, .fileSystemMagic, "fstatfs"),
    (.gbm, .gbmCreateDevice, "gbm_create_device"),
    (.gbm, .gbmCreateBuffer, "gbm_bo_create"),
    (.gbm, .gbmLayout, "gbm_bo_get_plane_count"),
    (.gbm, .primeHandleToFD, "drmPrimeHandleToFD"),
    (.gbm, .gbmExport, "gbm_bo_get_fd_for_plane"),
    (.udmabuf, .open, "open"),
    (.udmabuf, .createSealedMemory, "memfd_create"),
    (.udmabuf, .udmabufCreate, "UDMABUF_CREATE"),
    (.udmabuf, .fileSystemMagic, "fstatfs"),
    (.udmabuf, .seekToEnd, "lseek"),
    (.udmabuf, .statusFlags, "fcntl(F_GETFL)"),
    (.udmabuf, .status, "fstat"),
    (.udmabuf, .duplicate, "fcntl(F_DUPFD_CLOEXEC)"),
    (.heap, .open, "open"),
    (.heap, .dmaHeapAllocate, "DMA_HEAP_IOCTL_ALLOC"),
    (.heap, .duplicate, "fcntl(F_DUPFD_CLOEXEC)"),
  ]

  @Test("that fails at any step names the call and leaves nothing behind", arguments: steps)
  func failures(kind: AllocatorKind, call: KernelCall, operation: String) throws {
    for errno in [
      Errno.invalidArgument, .noSuchFile, .noSuchDevice, .notImplemented, .noMemory, .tooManyOpenFiles,
      .permissionDenied, .inputOutput, .busy, .notSupported, .interrupted, .tryAgain,
    ] {
      // The handle of a buffer object may be another file's, and libgbm is asked then.
      if (kind, call, errno) == (.gbm, .primeHandleToFD, .noSuchFile) { continue }
      let kernel = Fixture.kernel()
      kernel.fail(call, with: errno, onCall: 1)
      let error = primeError { try makeAllocator(kind, kernel).allocate(Fixture.request).export(.readWrite) }
      expect(error, is: operation, errno)
      kernel.expectNothingLeft("\(kind) \(call) \(errno)")
    }
  }

  @Test("of system memory that is not there says which node is missing", arguments: [AllocatorKind.udmabuf, .heap])
  func noNode(kind: AllocatorKind) throws {
    let kernel = FakeKernel([Fixture.exporter])
    let path = kind == .heap ? "/dev/dma_heap/system" : "/dev/udmabuf"
    let error = primeError { try makeAllocator(kind, kernel).allocate(Fixture.request) }
    expect(error, is: "open", .noSuchFile, on: path)
    kernel.expectNothingLeft()
  }

  @Test(
    "gives rows as far apart as the importer's own, so that its display takes them",
    arguments: [
      // The importer's multiple, the exporter's, and the pitch of 33 pixels, which are 132 bytes.
      (AllocatorKind.dumb, 256, 64, 256), (.dumb, 64, 64, 192), (.dumb, 4, 64, 192), (.dumb, 64, 4, 192),
      // The exporter rounds 256 to 288, which the importer does not take: 768 is a multiple of both.
      (.dumb, 256, 96, 768),
      (.udmabuf, 64, 64, 192), (.udmabuf, 4, 64, 132), (.heap, 512, 64, 512),
    ])
  func importersPitch(kind: AllocatorKind, importers: UInt32, exporters: UInt32, pitch: Int) throws {
    var exporter = Fixture.exporter
    exporter.dumbPitchAlignment = exporters
    var importer = Fixture.importer
    importer.dumbPitchAlignment = importers
    importer.pitchMultiple = importers
    let kernel = Fixture.kernel(exporter: exporter, importer: importer)
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      var request = AllocationRequest(format: Fixture.format("XRGB8888"), width: 33, height: 16)
      request.pitch = try ImporterPitch(for: request, on: device)
      #expect(request.pitch?.multiple == Int(importers))
      let object = try makeAllocator(kind, kernel).allocate(request)
      #expect(object.description.layout.planes == [PlaneLayout(offset: 0, pitch: pitch)])
      let buffer = try object.export(.readWrite).takeFirst()
      #expect(buffer.byteCount >= pitch * 16)
      _ = try Framebuffer(GEMHandle(importing: buffer, into: device), object.description)
    }
    kernel.expectNothingLeft()
  }

  @Test("lays both planes of NV12 at the importer's pitch", arguments: [AllocatorKind.dumb, .udmabuf, .heap])
  func importersPitchOfPlanes(kind: AllocatorKind) throws {
    do {
      var request = AllocationRequest(format: Fixture.format("NV12"), width: 100, height: 32)
      request.pitch = ImporterPitch(own: 320, multiple: 64)
      #expect(
        try makeAllocator(kind, kernel).allocate(request).description.layout.planes
          == [PlaneLayout(offset: 0, pitch: 320), PlaneLayout(offset: 10240, pitch: 320)])
    }
    kernel.expectNothingLeft()
  }

  @Test("asks no importer for its pitch that makes no dumb buffers, or is opened through a render node")
  func noPitch() throws {
    let kernel = FakeKernel([
      .init(driver: "v3d", primary: "/dev/dri/card0", render: "/dev/dri/renderD128", makesDumbBuffers: false),
      .init(driver: "vgem", primary: "/dev/dri/card1", render: "/dev/dri/renderD129"),
    ])
    for node in [Fixture.exporterNode, DRMNode(path: "/dev/dri/renderD129", kind: .render)] {
      let device = try Device.open(node, kernel: kernel)
      #expect(try ImporterPitch(for: Fixture.request, on: device) == nil)
    }
    kernel.expectNothingLeft()
  }

  @Test("that asks an importer for its pitch fails with what is no answer about dumb buffers")
  func pitchFails() throws {
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      for errno in [Errno.noMemory, .interrupted, .inputOutput, .noSuchDevice] {
        for number in 1...2 {
          kernel.fail(.createDumb, with: errno, onCall: kernel.count(of: .createDumb) + number)
          let error = primeError { try ImporterPitch(for: Fixture.request, on: device) }
          expect(error, is: "DRM_IOCTL_MODE_CREATE_DUMB", errno, on: "taker (/dev/dri/card1)")
        }
      }
      for errno in [Errno.notImplemented, .permissionDenied, .invalidArgument] {
        kernel.fail(.createDumb, with: errno, onCall: kernel.count(of: .createDumb) + 1)
        #expect(try ImporterPitch(for: Fixture.request, on: device) == nil)
      }
    }
    kernel.expectNothingLeft()
  }
}
