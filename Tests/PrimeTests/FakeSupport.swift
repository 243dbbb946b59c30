import Prime
import PrimeVerify
import Testing

/// What the tests over the fake kernel share: two devices, a small picture, and ways to look at errors and bytes.
enum Fixture {
  static let exporterNode = DRMNode(path: "/dev/dri/card0", kind: .primary)
  static let importerNode = DRMNode(path: "/dev/dri/card1", kind: .primary)

  /// An exporter like vgem: dumb buffers, no display.
  static let exporter = FakeKernel.DeviceSetup(driver: "maker", primary: "/dev/dri/card0")
  /// An importer like vkms: a display engine that writes back.
  static let importer = FakeKernel.DeviceSetup(
    driver: "taker", primary: "/dev/dri/card1", displayFormats: [fourcc("XRGB8888"), fourcc("NV12")])

  /// Both devices, with `/dev/udmabuf` and a heap beside them.
  static func kernel(
    exporter: FakeKernel.DeviceSetup = exporter, importer: FakeKernel.DeviceSetup = importer
  ) -> FakeKernel {
    FakeKernel([exporter, importer], otherNodes: ["/dev/udmabuf", "/dev/dma_heap/system", "/dev/null", "/dev/video0"])
  }

  /// Time enough for anything that does not hang.
  static var deadline: Deadline { Deadline(in: .seconds(20)) }

  static func fourcc(_ name: String) -> Fourcc {
    guard let fourcc = Fourcc(parsing: name) else { fatalError("\(name) is no format") }
    return fourcc
  }

  static func format(_ name: String) -> PixelFormat {
    guard let format = PixelFormat(fourcc(name)) else { fatalError("\(name) is not described") }
    return format
  }

  /// A layout that the test knows to be possible.
  static func layout(_ name: String, width: Int, height: Int, planes: [PlaneLayout]) -> PictureLayout {
    do {
      return try PictureLayout(format: format(name), width: width, height: height, planes: planes)
    } catch {
      fatalError("\(error)")
    }
  }

  /// A buffer of one page with a pattern in it.
  static func page(_ pattern: Pattern, _ layout: PictureLayout) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    var span = bytes.mutableSpan
    do {
      try pattern.fill(&span, layout: layout)
    } catch {
      fatalError("\(error)")
    }
    return bytes
  }

  /// 32x16 XRGB8888: 128 bytes a row, 2048 bytes, half a page.
  static let request = AllocationRequest(format: format("XRGB8888"), width: 32, height: 16)

  /// A dumb buffer on an open device, exported.
  static func export(
    on device: Device, _ access: DMABuf.Access = .readWrite, request: AllocationRequest = request
  ) throws -> DMABuf {
    try DumbAllocator(device: device).allocate(request).export(access).takeFirst()
  }
}

/// The `PrimeError` that the body throws; another error, or none, fails the test.
func primeError<Result: ~Copyable>(
  sourceLocation: SourceLocation = #_sourceLocation, of body: () throws -> Result
) -> PrimeError? {
  do {
    _ = try body()
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
  } catch let error as PrimeError {
    return error
  } catch {
    Issue.record("something else was thrown: \(error)", sourceLocation: sourceLocation)
  }
  return nil
}

/// States that an error names its call, its errno and what it was made on.
func expect(
  _ error: PrimeError?, is operation: String, _ errno: Errno, on subject: String? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard let error else { return }
  #expect(error.operation.description == operation, sourceLocation: sourceLocation)
  #expect(error.errno == errno, sourceLocation: sourceLocation)
  if let subject { #expect(error.subject == subject, sourceLocation: sourceLocation) }
  // The sentence that a person reads holds all of it.
  #expect(error.description.contains(operation), sourceLocation: sourceLocation)
  #expect(error.description.contains(errno.name), sourceLocation: sourceLocation)
}

/// States that an error names its step, what this library found and what it was about, and tells no errno.
func expect(
  _ error: PrimeError?, is operation: String, found finding: PrimeError.Finding, on subject: String? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard let error else { return }
  #expect(error.operation.description == operation, sourceLocation: sourceLocation)
  #expect(error.cause == .finding(finding), sourceLocation: sourceLocation)
  if let subject { #expect(error.subject == subject, sourceLocation: sourceLocation) }
  #expect(error.description.hasPrefix("\(operation) on \(error.subject): "), sourceLocation: sourceLocation)
  #expect(error.reason?.isEmpty == false, sourceLocation: sourceLocation)
}

/// An error that comes from no kernel.
struct BodyFailure: Error, Equatable {
  var number: Int
}
