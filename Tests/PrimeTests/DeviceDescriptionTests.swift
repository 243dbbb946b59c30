import Prime
import Testing

@Suite("A device that was found")
struct DeviceDescriptionTests {
  private static let primary = DRMNode(path: "/dev/dri/card0", kind: .primary)
  private static let render = DRMNode(path: "/dev/dri/renderD128", kind: .render)

  private func kernel(closed: [String: Errno] = [:]) -> FakeKernel {
    let kernel = FakeKernel([.init(driver: "maker", primary: Self.primary.path, render: Self.render.path)])
    kernel.misbehave { $0.closedPaths = closed }
    return kernel
  }

  private func device(
    primary: DRMNode? = Self.primary, render: DRMNode? = Self.render, usable: DRMNode? = nil,
    problem: PrimeError? = nil
  ) -> DeviceDescription {
    DeviceDescription(
      driver: "maker", driverVersion: nil, bus: .init(name: "faux", identifier: "maker", pciIdentity: nil),
      primary: primary, render: render, usableNode: usable, byPath: [], capabilities: nil, problem: problem)
  }

  @Test func `opens the node that could be opened, each time anew`() throws {
    let kernel = kernel()
    do {
      let first = try device(usable: Self.render).open(kernel: kernel)
      let second = try device(usable: Self.render).open(kernel: kernel)
      #expect(first.node == Self.render)
      #expect(first !== second)
    }
    kernel.expectNothingLeft()
  }

  @Test func `that was left alone, as one that sleeps is, opens its primary node, or else its render node`() throws {
    let kernel = kernel()
    #expect(try device().open(kernel: kernel).node == Self.primary)
    kernel.misbehave { $0.closedPaths = [Self.primary.path: .permissionDenied] }
    #expect(try device().open(kernel: kernel).node == Self.render)
    kernel.expectNothingLeft()
  }

  @Test func `says of no node why its primary one cannot be opened`() {
    let kernel = kernel(closed: [Self.primary.path: .noSuchDevice, Self.render.path: .noSuchFile])
    let error = primeError { try device().open(kernel: kernel) }
    expect(error, is: "open", .noSuchDevice, on: Self.primary.path)
    #expect(error?.reason == "the device is gone")
  }

  @Test func `repeats why it could not be opened when it was found`() {
    let problem = PrimeError(operation: "open", errno: .permissionDenied, subject: Self.primary.path, reason: "no")
    #expect(primeError { try device(problem: problem).open(kernel: kernel()) } == problem)
  }

  @Test func `without a node is ENODEV`() {
    let error = primeError { try device(primary: nil, render: nil).open(kernel: kernel()) }
    expect(error, is: "open", found: .absent, on: "maker")
    #expect(error?.reason == "`/dev/dri` shows no node of it")
  }
}
