import Testing

@testable import Prime
@testable import PrimeVerify

/// A pair on the fake kernel, with what its check says when nothing fails.
struct PairScenario: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var allocator: AllocatorKind
  var exporter: FakeKernel.DeviceSetup
  var importer: FakeKernel.DeviceSetup
  var verdict: Verdict
  var observers: [ObserverName]
  /// Whether exporter and importer are two open files of one device.
  var isOneDevice = false

  /// Without a display engine.
  static let dark = FakeKernel.DeviceSetup(driver: "taker", primary: "/dev/dri/card1")
  /// With neither display engine nor Mesa driver, like vgem.
  static let blind = FakeKernel.DeviceSetup(driver: "taker", primary: "/dev/dri/card1", hasGBM: false)

  /// One for each observer, with each allocator among them.
  static let all = [
    PairScenario(
      testDescription: "dumb to a display engine", allocator: .dumb, exporter: Fixture.exporter,
      importer: Fixture.importer, verdict: .proven, observers: [.writeback, .identity]),
    PairScenario(
      testDescription: "dumb to another open file of its own device", allocator: .dumb, exporter: Fixture.exporter,
      importer: blind, verdict: .proven, observers: [.nativeMap, .identity], isOneDevice: true),
    PairScenario(
      testDescription: "udmabuf to a Mesa driver", allocator: .udmabuf, exporter: Fixture.exporter, importer: dark,
      verdict: .proven, observers: [.gbmMap, .identity]),
    PairScenario(
      testDescription: "GBM to a Mesa driver", allocator: .gbm, exporter: Fixture.exporter, importer: dark,
      verdict: .proven, observers: [.gbmMap, .identity]),
    PairScenario(
      testDescription: "heap to a device that cannot look", allocator: .heap, exporter: Fixture.exporter,
      importer: blind, verdict: .held, observers: [.identity]),
  ]

  static var display: PairScenario { all[0] }
  static var oneDevice: PairScenario { all[1] }
  static var mesa: PairScenario { all[2] }
  static var blindImporter: PairScenario { all[4] }

  func makeKernel() -> FakeKernel { Fixture.kernel(exporter: exporter, importer: importer) }

  /// Runs the check.
  func run(
    on kernel: FakeKernel, request: AllocationRequest = Fixture.request, deadline: Deadline? = nil,
    history: LookHistory = LookHistory()
  ) -> PairCheck.Outcome {
    let hasDevice = allocator == .dumb || allocator == .gbm
    var check = PairCheck(
      exporter: Exporter(
        name: hasDevice ? "maker" : allocator.rawValue, node: hasDevice ? Fixture.exporterNode : nil,
        allocator: allocator),
      importer: Importer(
        name: isOneDevice ? "maker" : "taker", node: isOneDevice ? Fixture.exporterNode : Fixture.importerNode),
      request: request, seed: Self.seed, kernel: kernel, deadline: deadline ?? kernel.deadline)
    check.release = KernelRelease(6, 12)
    check.history = history
    return check.run()
  }

  static let seed: UInt64 = 20_260_101

  /// Runs the check of a kernel that misbehaves, and looks that nothing is left.
  func report(
    request: AllocationRequest = Fixture.request, within limit: Duration = .seconds(60),
    sourceLocation: SourceLocation = #_sourceLocation, _ misbehaviour: (inout Faults) -> Void
  ) -> CellReport {
    let kernel = makeKernel()
    let before = kernel.shown(on: Fixture.importerNode.path)
    kernel.misbehave(misbehaviour)
    let report = run(on: kernel, request: request, deadline: Deadline(in: limit, on: kernel)).report
    kernel.expectNothingLeft(sourceLocation: sourceLocation)
    #expect(kernel.shown(on: Fixture.importerNode.path) == before, sourceLocation: sourceLocation)
    return report
  }
}
