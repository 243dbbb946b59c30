import Glibc
import Prime
import Testing

/// Every test that needs the six devices of the lab.
///
/// They share one machine, so one runs after the other.
@Suite("On a real kernel", .inTheLab, .leavesNothing, .serialized)
struct OnARealKernel {}

extension Trait where Self == ConditionTrait {
  /// Runs in the lab and nowhere else: the tests take displays and unplug devices, which nobody wants on their desktop.
  static var inTheLab: Self {
    .enabled(if: Lab.release != nil, "this needs the kernel and the six devices of the lab: run `make test`")
  }
}

/// The machine that `lab/run` boots.
enum Lab {
  /// The release of its kernel; nil outside of it.
  static let release = getenv("PRIME_LAB").map { String(cString: $0) }

  /// Whether its kernel is of a series, such as `6.1`.
  static func isKernel(_ series: String) -> Bool { release?.hasPrefix("\(series).") == true }

  /// Cancels a test, which is a counted skip, on the kernels where something else holds.
  static func skip(on series: String..., because reason: String) throws {
    for one in series where isKernel(one) { try cancel("Linux \(one): \(reason)") }
  }

  /// The event of a cancelled case has no reason with it, so a warning carries that into the counts.
  private static func cancel(_ reason: String) throws {
    Issue.record("\(reason)", severity: .warning)
    try Test.cancel("\(reason)")
  }

  /// Cancels a test on a kernel that has not what an allocator needs.
  static func require(_ allocator: AllocatorKind) throws {
    let path: String? =
      switch allocator {
      case .udmabuf: UDMABufAllocator.path
      case .heap: DMAHeapAllocator.path(of: DMAHeapAllocator.systemHeap)
      default: nil
      }
    if let path, !LinuxKernel().exists(path) { try cancel("this kernel has no \(path)") }
  }

  /// What the kernel calls a driver of the lab: that of cirrus is `cirrus-qemu` in newer ones.
  static func name(of driver: String) throws -> String {
    guard driver == "cirrus" else { return driver }
    return try DeviceDiscovery().devices().contains { $0.driver == "cirrus-qemu" } ? "cirrus-qemu" : driver
  }

  /// The one device of a driver.
  static func device(_ driver: String) throws -> DeviceDescription {
    let driver = try name(of: driver)
    let found = try DeviceDiscovery().devices().filter { $0.driver == driver }
    try #require(found.count == 1, "the lab has one \(driver), and \(found.count) were found")
    return found[0]
  }

  /// A new open file of a driver's primary node.
  static func open(_ driver: String) throws -> Device {
    try Device.open(try #require(device(driver).primary))
  }

  /// The only way a test waits without end is a bug, so nothing waits for longer than this.
  static var deadline: Deadline { Deadline(in: .seconds(60)) }

  static func text(_ path: String) throws -> String {
    try #require(LinuxKernel().text(of: path, limit: 16 << 20), "\(path) cannot be read")
  }

  /// What debugfs says a device shows.
  ///
  /// The marks of the last commit (`mode_changed=1`) are left out: they say what changed and not what is. So are who
  /// counts on a framebuffer, and where it is mapped, at the moment.
  static func displayState(_ driver: String) throws -> String {
    let folder = "/sys/kernel/debug/dri"
    let own = try #require(
      LinuxKernel().entries(of: folder).first {
        LinuxKernel().text(of: "\(folder)/\($0)/name")?.hasPrefix("\(driver) ") == true
          && LinuxKernel().exists("\(folder)/\($0)/state")
      })
    return try text("\(folder)/\(own)/state").split(separator: "\n")
      .filter {
        !$0.contains("_changed=") && !$0.contains("refcount=")
          && !$0.contains("vaddr=")
      }.joined(separator: "\n")
  }

  /// Expects that a device shows what it showed before.
  static func expectDisplay(_ driver: String, shows before: String, at location: SourceLocation = #_sourceLocation)
    throws
  {
    let changes = try displayState(driver).split(separator: "\n").difference(from: before.split(separator: "\n"))
    #expect(changes.isEmpty, "the display is not as it was: \(changes)", sourceLocation: location)
  }

  /// The inodes of every dma-buf of the kernel.
  ///
  /// Lines of `bufinfo` are: size, flags, mode, count, exporter, inode, name.
  static func dmaBufs() throws -> Set<UInt64> {
    Set(
      try text("/sys/kernel/debug/dma_buf/bufinfo").split(separator: "\n").compactMap { line in
        let columns = line.split(whereSeparator: \.isWhitespace)
        guard columns.count >= 6, columns[0].count == 8, columns[0].allSatisfy(\.isHexDigit) else { return nil }
        return UInt64(columns[5])
      })
  }
}

/// A layout that fills a buffer of one plane, for tests that describe a picture wrongly on purpose.
func layout(
  _ fourcc: Fourcc, _ width: Int, _ height: Int, _ planes: [PlaneLayout]
) throws -> PictureLayout {
  try PictureLayout(format: try #require(PixelFormat(fourcc)), width: width, height: height, planes: planes)
}

/// A request for a picture, XRGB8888 unless said otherwise.
func request(_ width: Int, _ height: Int, _ fourcc: Fourcc = .xrgb8888) throws -> AllocationRequest {
  AllocationRequest(format: try #require(PixelFormat(fourcc)), width: width, height: height)
}

/// The error that a call throws, nil where it throws none.
func primeError(_ body: () throws -> Void) throws -> PrimeError? {
  do {
    try body()
    return nil
  } catch let error as PrimeError {
    return error
  }
}

/// Fails a test that leaves a descriptor open, a device open or a dma-buf alive.
struct LeavesNothing: SuiteTrait, TestTrait, TestScoping {
  /// Every test of a suite has a check of its own.
  var isRecursive: Bool { true }

  func scopeProvider(for test: Test, testCase: Test.Case?) -> LeavesNothing? {
    testCase == nil || Lab.release == nil ? nil : self
  }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let descriptors = Self.descriptors()
    let buffers = try Lab.dmaBufs()
    try await function()
    let left = Self.descriptors().filter { descriptors[$0.key] != $0.value }
    #expect(left.isEmpty, "descriptors are still open")
    // The kernel frees a dma-buf a moment after its last descriptor was closed.
    var alive = try Lab.dmaBufs().subtracting(buffers)
    for _ in 0..<200 where !alive.isEmpty {
      LinuxKernel().pause(milliseconds: 10)
      alive = try Lab.dmaBufs().subtracting(buffers)
    }
    #expect(alive.isEmpty, "the kernel still lists dma-bufs of this test")
  }

  /// Open files that have to do with buffers.
  ///
  /// Mesa, Dispatch and the test library keep files of their own.
  private static func descriptors() -> [String: String] {
    let kinds = [
      "/dmabuf:", "/dev/dri/", "/dev/video", "/dev/udmabuf", "/dev/dma_heap/", "/memfd:", "anon_inode:sync_file",
      "anon_inode:syncobj_file",
    ]
    return ((try? DescriptorFacts.openFiles(by: LinuxKernel())) ?? [:]).filter {
      kinds.contains(where: $0.value.hasPrefix)
    }
  }
}

extension Trait where Self == LeavesNothing {
  static var leavesNothing: Self { LeavesNothing() }
}
