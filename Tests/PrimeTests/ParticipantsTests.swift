import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("A device as an exporter")
struct ExporterTests {
  private static let primary = DRMNode(path: "/dev/dri/card0", kind: .primary)
  private static let render = DRMNode(path: "/dev/dri/renderD128", kind: .render)

  private func exporters(
    _ setup: FakeKernel.DeviceSetup, usable: [DRMNode], _ allocators: Set<AllocatorKind> = []
  ) -> [Exporter] {
    let kernel = FakeKernel([setup])
    let device = DeviceDescription(
      driver: "maker", driverVersion: nil, bus: .init(name: "platform", identifier: "maker", pciIdentity: nil),
      primary: Self.primary, render: Self.render, usableNode: usable.first, usableNodes: usable, byPath: [],
      capabilities: nil, problem: nil)
    let exporters = Exporter.device(device, among: [device], allocators: allocators, kernel: kernel)
    kernel.expectNothingLeft()
    return exporters
  }

  private static let maker = FakeKernel.DeviceSetup(
    driver: "maker", primary: "/dev/dri/card0", render: "/dev/dri/renderD128")
  /// As v3d, panfrost, lima and etnaviv are.
  private static let makerWithoutDumb = FakeKernel.DeviceSetup(
    driver: "maker", primary: "/dev/dri/card0", render: "/dev/dri/renderD128", makesDumbBuffers: false)

  @Test("allocates dumb buffers where its driver makes them, through the primary node")
  func dumb() {
    let found = exporters(Self.maker, usable: [Self.primary, Self.render])
    #expect(found.map(\.allocator) == [.dumb])
    #expect(found.map(\.node) == [Self.primary])
  }

  @Test("allocates through GBM on the render node where its driver makes no dumb buffers")
  func noDumb() {
    let found = exporters(Self.makerWithoutDumb, usable: [Self.primary, Self.render])
    #expect(found.map(\.allocator) == [.gbm])
    #expect(found.map(\.node) == [Self.render])
    #expect(found.map(\.primary) == [Self.primary])
  }

  @Test("allocates through GBM where only the render node may be opened")
  func renderOnly() {
    #expect(exporters(Self.maker, usable: [Self.render]).map(\.allocator) == [.gbm])
  }

  @Test("that may not be opened at all keeps its usual allocator, so that it is skipped under its name")
  func closed() {
    #expect(exporters(Self.maker, usable: []).map(\.allocator) == [.dumb])
  }

  @Test("asked for by name, GBM takes the render node, or the primary one where that is all there is")
  func byName() {
    let both = exporters(Self.maker, usable: [Self.primary, Self.render], [.gbm, .dumb])
    #expect(both.map(\.allocator) == [.dumb, .gbm])
    #expect(both.map(\.node) == [Self.primary, Self.render])
    #expect(exporters(Self.maker, usable: [Self.primary], [.gbm]).map(\.node) == [Self.primary])
  }

  @Test("a failure that is none of the driver's leaves the choice at dumb buffers, where it is told")
  func failing() {
    let kernel = FakeKernel([Self.maker])
    kernel.fail(.createDumb, with: .noMemory)
    let device = DeviceDescription(
      driver: "maker", driverVersion: nil, bus: .init(name: "platform", identifier: "maker", pciIdentity: nil),
      primary: Self.primary, render: nil, usableNode: Self.primary, byPath: [], capabilities: nil, problem: nil)
    #expect(
      Exporter.device(device, among: [device], allocators: [], kernel: kernel).map(\.allocator) == [.dumb])
    kernel.expectNothingLeft()
  }
}

@Suite("The dma-heaps of a machine")
struct HeapTests {
  @Test("are all of them, the system heap first, also where that is missing")
  func names() throws {
    let tree = try FixtureTree()
    #expect(try SystemMemoryAvailability.heaps(in: "\(tree.root)/dev/dma_heap", by: FakeKernel([])) == ["system"])
    for name in ["linux,cma", "system", "default_cma_region"] { try tree.write("", to: "/dev/dma_heap/\(name)") }
    #expect(
      try SystemMemoryAvailability.heaps(in: "\(tree.root)/dev/dma_heap", by: FakeKernel([]))
        == ["system", "default_cma_region", "linux,cma"])
  }

  @Test("that cannot be listed are an error, and no machine without heaps")
  func unreadable() throws {
    let tree = try FixtureTree()
    // A loop of links is something that cannot be followed, also for root.
    try tree.link("/dev/dma_heap", to: "dma_heap")
    let error = primeError { try SystemMemoryAvailability.heaps(in: "\(tree.root)/dev/dma_heap", by: FakeKernel([])) }
    #expect(error?.operation == "opendir")
    #expect(error?.errno?.name == "ELOOP")
  }

  @Test("have names that tell them apart, and that tell how they allocate")
  func exporterNames() throws {
    let exporters = try Exporter.systemMemory([.udmabuf, .heap])
    #expect(exporters.map(\.name).prefix(2) == ["udmabuf", "heap:system"])
    #expect(exporters.allSatisfy { $0.allocator.isTold(byName: $0.name) })
    #expect(!AllocatorKind.dumb.isTold(byName: "heaping"))
    #expect(!AllocatorKind.heap.isTold(byName: "heaping"))
  }
}
