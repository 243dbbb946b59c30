import Prime
import Testing

@Suite("Device discovery")
struct DiscoveryTests {
  /// The drivers of the recorded tree, by node: what a driver calls itself is not in sysfs.
  static let labKernel = FakeKernel([
    .init(driver: "vgem", primary: "/dev/dri/card0", render: "/dev/dri/renderD128"),
    .init(driver: "vkms", primary: "/dev/dri/card1", displayFormats: [Fixture.fourcc("XRGB8888")]),
    .init(driver: "cirrus", primary: "/dev/dri/card2"),
    .init(driver: "bochs-drm", primary: "/dev/dri/card3"),
    .init(driver: "virtio_gpu", primary: "/dev/dri/card4", render: "/dev/dri/renderD129"),
    .init(driver: "qxl", primary: "/dev/dri/card5"),
  ])

  @Test("finds the six devices of the lab, in the order of their nodes")
  func lab() {
    let devices = DeviceDiscovery(systemRoot: FixtureTree.lab, kernel: Self.labKernel).devices()
    #expect(devices.map(\.driver) == ["vgem", "vkms", "cirrus", "bochs-drm", "virtio_gpu", "qxl"])
    #expect(devices.allSatisfy { $0.problem == nil })
    #expect(devices.map(\.driverVersion) == [String?](repeating: "1.2.3", count: 6))
    #expect(
      devices.map { $0.primary?.path } == (0...5).map { "\(FixtureTree.lab)/dev/dri/card\($0)" })
    #expect(
      devices.map { $0.render?.path.split(separator: "/").last } == ["renderD128", nil, nil, nil, "renderD129", nil])
    #expect(devices.allSatisfy { $0.usableNode == $0.primary })
    #expect(devices.map(\.bus.name) == ["platform", "platform", "pci", "pci", "pci", "pci"])
    #expect(
      devices.map(\.bus.identifier)
        == ["vgem", "vkms", "0000:00:0c.0", "0000:00:0d.0", "0000:00:0e.0", "0000:00:0f.0"])
    #expect(
      devices.map { $0.bus.pciIdentity?.description }
        == [nil, nil, "1013:00b8", "1234:1111", "1af4:1050", "1b36:0100"])
    #expect(
      devices.map { $0.byPath.map { $0.split(separator: "/").last ?? "" } } == [
        ["platform-vgem-card", "platform-vgem-render"], ["platform-vkms-card"], ["pci-0000:00:0c.0-card"],
        ["pci-0000:00:0d.0-card"], ["pci-0000:00:0e.0-card", "pci-0000:00:0e.0-render"], ["pci-0000:00:0f.0-card"],
      ])
    #expect(devices.map { $0.capabilities?.writeback } == [nil, true, nil, nil, nil, nil])
    Self.labKernel.expectNothingLeft()
  }

  @Test("finds nothing where there is nothing, without an error")
  func nothing() throws {
    let tree = try FixtureTree()
    #expect(DeviceDiscovery(systemRoot: tree.root, kernel: Fixture.kernel()).devices() == [])
  }

  @Test("names the group that a node belongs to where it may not be opened, and keeps what sysfs tells")
  func noPermission() throws {
    let tree = try FixtureTree(copyOf: FixtureTree.lab)
    let group = try tree.giveForeignGroup(to: "/dev/dri/card2")
    let kernel = Fixture.kernel()
    kernel.fail(.open, with: .permissionDenied)
    let devices = DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
    #expect(devices.count == 6)
    let cirrus = try #require(devices.first { $0.bus.identifier == "0000:00:0c.0" })
    #expect(cirrus.driver == "cirrus")
    #expect(cirrus.driverVersion == nil)
    #expect(cirrus.capabilities == nil)
    #expect(cirrus.usableNode == nil)
    #expect(cirrus.problem?.operation == "open")
    #expect(cirrus.problem?.errno == .permissionDenied)
    #expect(
      cirrus.problem?.reason
        == "it belongs to the group \(group): join it with `sudo usermod -aG \(group) $USER` and log in again")
    // The kernel's module where the driver itself cannot be asked; vgem has not even that.
    #expect(devices.map(\.driver) == ["vgem", "vkms", "cirrus", "bochs-drm", "virtio-pci", "qxl"])
    kernel.expectNothingLeft()
  }

  @Test("uses the render node where the primary one may not be opened")
  func renderOnly() throws {
    let kernel = FakeKernel([
      .init(driver: "virtio_gpu", primary: "/dev/dri/card4", render: "/dev/dri/renderD129")
    ])
    kernel.misbehave { $0.closedPaths = ["/dev/dri/card4": .permissionDenied] }
    let devices = DeviceDiscovery(systemRoot: FixtureTree.lab, kernel: kernel).devices()
    let virtio = try #require(devices.first { $0.bus.identifier == "0000:00:0e.0" })
    #expect(virtio.driver == "virtio_gpu")
    #expect(virtio.usableNode == virtio.render)
    #expect(virtio.usableNode?.path == "\(FixtureTree.lab)/dev/dri/renderD129")
    #expect(virtio.problem == nil)
    kernel.expectNothingLeft()
  }

  @Test("finds a device on the faux bus, which libdrm's own enumeration leaves out")
  func faux() throws {
    let tree = try FixtureTree()
    try tree.addNode("card0", minor: 0, of: "faux/vgem")
    try tree.addNode("renderD128", minor: 128, of: "faux/vgem")
    try tree.link("/sys/devices/faux/vgem/subsystem", to: "../../../bus/faux")
    let kernel = FakeKernel([.init(driver: "vgem", render: "/dev/dri/renderD128")])
    let devices = DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
    #expect(devices.count == 1)
    #expect(devices.first?.bus == DeviceDescription.Bus(name: "faux", identifier: "vgem", pciIdentity: nil))
    #expect(devices.first?.render?.kind == .render)
    kernel.expectNothingLeft()
  }

  @Test("names a virtio device by the PCI function it sits on")
  func virtio() throws {
    let tree = try FixtureTree()
    let function = "pci0000:00/0000:00:02.0"
    try tree.addNode("card0", minor: 0, of: "\(function)/virtio0")
    try tree.write("0x1af4\n", to: "/sys/devices/\(function)/vendor")
    try tree.write("0x1050\n", to: "/sys/devices/\(function)/device")
    try tree.link("/sys/devices/\(function)/virtio0/subsystem", to: "../../../../bus/virtio")
    let kernel = FakeKernel([.init(driver: "virtio_gpu")])
    let bus = DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices().first?.bus
    #expect(bus?.name == "pci")
    #expect(bus?.identifier == "0000:00:02.0")
    #expect(bus?.pciIdentity == DeviceDescription.PCIIdentity(vendor: 0x1af4, device: 0x1050))
  }

  @Test("leaves out a device whose node /dev does not show, as in a container, and connectors and control nodes")
  func leftOut() throws {
    let tree = try FixtureTree(copyOf: FixtureTree.lab)
    try tree.remove("/dev/dri/card5")
    // Minors from 64 on were control nodes, which the kernel dropped in 2018.
    try tree.addNode("controlD64", minor: 64, of: "platform/old")
    let devices = DeviceDiscovery(systemRoot: tree.root, kernel: Self.labKernel).devices()
    #expect(devices.map(\.driver) == ["vgem", "vkms", "cirrus", "bochs-drm", "virtio_gpu"])
  }

  @Test("sorts card10 behind card2")
  func order() throws {
    let tree = try FixtureTree()
    try tree.addNode("card10", minor: 10, of: "platform/late")
    try tree.addNode("card2", minor: 2, of: "platform/early")
    let kernel = FakeKernel([.init(driver: "late", primary: "/dev/dri/card10"), .init(primary: "/dev/dri/card2")])
    let devices = DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
    #expect(devices.map(\.bus.identifier) == ["early", "late"])
  }

  @Test("reports a device that does not answer with what it can say about it, and goes on to the others")
  func broken() {
    let kernel = FakeKernel([
      .init(driver: "vgem", primary: "/dev/dri/card0"), .init(driver: "qxl", primary: "/dev/dri/card5"),
    ])
    kernel.unplug("/dev/dri/card0", of: .version)
    let devices = DeviceDiscovery(systemRoot: FixtureTree.lab, kernel: kernel).devices()
    #expect(devices.first?.bus.identifier == "vgem")
    #expect(devices.first?.problem?.operation == "drmGetVersion")
    #expect(devices.first?.problem?.errno == .noSuchDevice)
    #expect(devices.last?.driver == "qxl")
    #expect(devices.last?.problem == nil)
    kernel.expectNothingLeft()
  }
}
