import Glibc
import Testing

@testable import Prime
@testable import PrimeProcesses
@testable import PrimeVerify

extension OnARealKernel.OnVideoDevices {
  /// Pixels of a copy that are not the pattern's.
  private func wrongPixels(_ picture: VideoPicture, _ pattern: Pattern) throws -> Int {
    try pattern.compare(picture.bytes.span, layout: picture.layout, ignoringUnusedBits: false)
      .damages.map(\.differing).reduce(0, +)
  }

  private func diagnosis(_ picture: VideoPicture, _ pattern: Pattern) throws -> Mismatch? {
    try pattern.diagnose(
      picture.bytes.span, layout: picture.layout, earlier: [], ignoringUnusedBits: false, wasAltered: true)
  }

  private func write(_ pattern: Pattern, to buffer: borrowing DMABuf, _ layout: PictureLayout) throws {
    try buffer.write(deadline: Lab.deadline) { bytes in try pattern.fill(&bytes, layout: layout) }
  }

  /// Looks at one buffer through a device twice, with another picture each time.
  private func look(
    _ route: VideoRoute, _ fourcc: Fourcc, from source: any Allocator, into target: VideoTarget
  ) throws {
    let object = try source.allocate(request(Video.width, Video.height, fourcc))
    let layout = object.description.layout
    let picture = try object.export(.readWrite)
    let look = try VideoLook(route, at: picture, into: target)
    #expect(look.targetInode != picture.first.identity.inode)
    for index in 0..<2 {
      let pattern = Pattern(seed: 7, index: index)
      try write(pattern, to: picture.first, layout)
      let seen = try look.look(deadline: Lab.deadline)
      #expect(seen.layout.width == Video.width && seen.layout.height == Video.height)
      let wrong = try wrongPixels(seen, pattern)
      // Only where there is something to say: the diagnosis takes seconds in a debug build.
      let mismatch = wrong == 0 ? nil : try diagnosis(seen, pattern)
      #expect(wrong == 0, "\(mismatch.map(String.init(describing:)) ?? "")")
    }
    if look.lostPictures > 0 { print("\(look.lostPictures) pictures were lost") }
    look.close()
  }

  @Test(arguments: Video.Exporter.allCases)
  func `vivid reads every pixel of a buffer, and of it rewritten`(_ exporter: Video.Exporter) throws {
    try Video.requireScattered()
    try look(Video.route("vivid"), .xrgb8888, from: exporter.allocator(), into: .driver)
  }

  @Test(arguments: Video.Exporter.allCases)
  func `vivid writes every pixel of a buffer`(_ exporter: Video.Exporter) throws {
    try Video.requireScattered()
    try look(
      Video.route("vivid"), .xrgb8888, from: Video.Exporter.vgem.allocator(), into: .allocated(exporter.allocator()))
  }

  @Test(arguments: Video.Exporter.allCases)
  func `vim2m reads and writes every pixel, from each exporter to the opposite one`(_ exporter: Video.Exporter) throws {
    let all = Video.Exporter.allCases
    let other = all[all.count - 1 - (try #require(all.firstIndex(of: exporter)))]
    try look(
      Video.route("vim2m"), .rgb565, from: Video.Halved(base: exporter.allocator()),
      into: .allocated(Video.Halved(base: other.allocator())))
  }

  @Test func `vim2m writes into memory of its own`() throws {
    try look(
      Video.route("vim2m"), .rgb565, from: Video.Halved(base: Video.Exporter.vgem.allocator()), into: .driver)
  }

  /// How many of some pixels, another column in each row, are as they were.
  private func untouched(_ buffer: borrowing DMABuf) throws -> Int {
    try buffer.read(as: UInt32.self, deadline: Lab.deadline) { words in
      var untouched = 0
      for row in 0..<Video.height {
        for x in stride(from: row % 32, to: Video.width, by: 32) where words[row * Video.width + x] == 0xa5a5_a5a5 {
          untouched += 1
        }
      }
      return untouched
    }
  }

  private func mark(_ buffer: borrowing DMABuf) throws {
    try buffer.write(deadline: Lab.deadline) { bytes in
      bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { memset(start, 0xa5, $0.count) } }
    }
    #expect(try untouched(buffer) == Video.width * Video.height / 32)
  }

  @Test(arguments: Video.Exporter.allCases)
  func `vivid captures a picture of its own into a buffer, all of it`(_ exporter: Video.Exporter) throws {
    try Video.requireScattered()
    let object = try exporter.allocator().allocate(request(Video.width, Video.height))
    let buffer = try object.export(.readWrite).takeFirst()
    try mark(buffer)
    var capture = try VideoCapture(try Video.capture().open(), object.description)
    let frame = try capture.capture(into: buffer, deadline: Lab.deadline)
    #expect(frame.bytesUsed == [object.description.layout.byteCount])
    #expect(try untouched(buffer) == 0)
  }

  @Test func `a pattern that was never written is seen nowhere`() throws {
    try Video.requireScattered()
    let allocator = try Video.Exporter.vgem.allocator()
    let object = try allocator.allocate(request(Video.width, Video.height))
    let picture = try object.export(.readWrite)
    let (written, never) = (Pattern(seed: 7, index: 0), Pattern(seed: 8, index: 0))
    try write(written, to: picture.first, picture.layout)
    let look = try VideoLook(Video.route("vivid"), at: picture)
    #expect(try wrongPixels(look.look(deadline: Lab.deadline), never) > 307_000)
  }

  @Test(arguments: ["vgem", "vkms", "cirrus"])
  func `a buffer of vivid is imported by a display, as the driver laid it out`(importer: String) throws {
    var exporter = try VideoExporter(
      try Video.capture().open(), format: try #require(PixelFormat(.xrgb8888)), width: Video.width,
      height: Video.height, count: 2)
    #expect(exporter.description.layout.planes == [PlaneLayout(offset: 0, pitch: 2560)])
    let buffer = try exporter.export().takeFirst()
    #expect(fcntl(buffer.rawDescriptor, F_GETFD) == FD_CLOEXEC)
    #expect(buffer.access == .readWrite)
    #expect(buffer.byteCount == 1_228_800)
    let handle = try GEMHandle(importing: buffer, into: try Lab.open(importer))
    #expect(try handle.export(.readWrite).identity == buffer.identity)
    try mark(buffer)
    _ = try exporter.capture(deadline: Lab.deadline)
    let imported = try handle.export(.readWrite)
    #expect(try untouched(imported) == 0)
  }

  @Test func `what was exported outlives its queue and its file`() throws {
    func orphan() throws -> DMABuf {
      let exporter = try VideoExporter(
        try Video.capture().open(), format: try #require(PixelFormat(.xrgb8888)), width: 640, height: 480)
      let buffer = try exporter.export().takeFirst()
      try buffer.write(deadline: Lab.deadline) { bytes in bytes[640 * 480 * 4 - 1] = 0x5a }
      return buffer
    }
    let buffer = try orphan()
    #expect(try buffer.read(deadline: Lab.deadline) { bytes in bytes[640 * 480 * 4 - 1] } == 0x5a)
  }

  @Test func `a buffer that is too small is refused with its size and the one needed`() throws {
    let object = try DumbAllocator(device: try Lab.open("vgem")).allocate(request(Video.width, Video.height / 2))
    let buffer = try object.export(.readWrite).takeFirst()
    let whole = try PictureLayout.packed(
      format: try #require(PixelFormat(.xrgb8888)), width: Video.width, height: Video.height)
    let file = try Video.capture().open()
    var capture = try VideoCapture(file, BufferDescription(layout: whole, modifier: .linear))
    let refused = try primeError { _ = try capture.capture(into: buffer, deadline: Lab.deadline) }
    #expect(
      refused?.description
        == "VIDIOC_QBUF on vivid (\(file.path)): EINVAL (Invalid argument): the dma-buf of memory plane 0 has 614400 bytes "
        + "and 640x480 XR24 needs 1228800 on this device: take a larger buffer")
  }

  @Test(
    .enabled(if: Video.isContiguous, "this needs `lab/run --video contiguous`"),
    arguments: [Video.Exporter.vgem, .heap])
  func `a scattered buffer is refused by a device that takes one piece only`(_ exporter: Video.Exporter) throws {
    // More than the largest piece that the heap takes at once (1 MiB).
    let object = try exporter.allocator().allocate(request(1280, 720))
    let buffer = try object.export(.readWrite).takeFirst()
    let file = try Video.capture().open()
    var capture = try VideoCapture(file, object.description)
    let refused = try primeError { _ = try capture.capture(into: buffer, deadline: Lab.deadline) }
    #expect(
      refused?.description
        == "VIDIOC_QBUF on vivid (\(file.path)): EFAULT (Bad address): a device without an IOMMU takes memory in "
        + "one piece only, and this buffer is scattered: take one from a contiguous dma-heap (linux,cma), or from the device "
        + "itself; a device that the processor serves says the same of a buffer that the kernel cannot map"
    )
  }

  /// Loads vivid with single-planar queues (1) or multi-planar ones (2); only this test machine's users are asked.
  private func loadVivid(multiplanar: Int) throws {
    try #require(ProgramProcess.run(["/sbin/modprobe", "-r", "vivid"], within: .seconds(30)))
    try #require(ProgramProcess.run(["/sbin/modprobe", "vivid", "multiplanar=\(multiplanar)"], within: .seconds(30)))
  }

  @Test func `multi-planar queues read and write every pixel, by the same code`() throws {
    try Video.requireScattered()
    try loadVivid(multiplanar: 2)
    defer { #expect(throws: Never.self) { try loadVivid(multiplanar: 1) } }
    let capture = try Video.capture()
    #expect(capture.capabilities?.description == "capture, multi-planar")
    try look(
      Video.route("vivid"), .xrgb8888, from: Video.Exporter.vgem.allocator(),
      into: .allocated(Video.Exporter.cirrus.allocator()))
    // A format of two buffers, each of which is exported.
    var queue = try VideoQueue(try capture.open(), .capture)
    let twoBuffers = try #require(VideoFourcc.codes(of: .nv12).last)
    #expect(twoBuffers.memoryPlaneCount == 2)
    let format = try queue.setFormat(twoBuffers, width: 640, height: 480)
    #expect(format.memoryPlanes.map(\.pitch) == [640, 640])
    try queue.request(.driver, count: 2)
    let (luma, chroma) = (try queue.export(0).byteCount, try queue.export(0, plane: 1).byteCount)
    #expect([luma, chroma].elementsEqual(format.memoryPlanes.map(\.byteCount), by: >=))
    #expect(try primeError { _ = try queue.export(0, plane: 2).byteCount }?.errno == .invalidArgument)
  }

  @Test func `a look puts the device back as it was`() throws {
    try Video.requireScattered()
    let (capture, output) = (try Video.capture(), try Video.device("vivid") { $0.outputs })
    func state() throws -> [String] {
      try [capture, output].flatMap { device in
        let file = try device.open()
        let isOutput = device == output
        let queue = try VideoQueue(file, isOutput ? .output : .capture)
        var state = ["\(queue.format) \(queue.format.memoryPlanes)"]
        state.append(
          "\(try file.kernel.videoChosenConnection(file.rawDescriptor, isOutput: isOutput).get())")
        var id: UInt32 = 0
        while case .success(let control) = file.kernel.videoNextControl(file.rawDescriptor, after: id) {
          id = control.id
          // vivid counts it up by itself, as cameras with automatic gain do.
          guard control.name != "Gain" else { continue }
          state.append(
            "\(control.name): \(String(describing: try? file.kernel.videoControl(file.rawDescriptor, id).get()))")
        }
        return state
      }
    }
    let before = try state()
    try look(Video.route("vivid"), .xrgb8888, from: Video.Exporter.vgem.allocator(), into: .driver)
    let changes = try state().difference(from: before)
    #expect(changes.isEmpty, "\(changes)")
  }
}
