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
  func lab() throws {
    let devices = try DeviceDiscovery(systemRoot: FixtureTree.lab, kernel: Self.labKernel).devices()
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
    #expect(try DeviceDiscovery(systemRoot: tree.root, kernel: Fixture.kernel()).devices() == [])
  }

  @Test("tells who forbids a node that may not be opened, and keeps what sysfs tells")
  func noPermission() throws {
    let tree = try FixtureTree(copyOf: FixtureTree.lab)
    try tree.setMode(0o660, of: "/dev/dri/card2")
    let kernel = Fixture.kernel()
    kernel.fail(.open, with: .permissionDenied)
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
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
        == "its mode 0660 allows it: a security module (SELinux, AppArmor) forbids it, which the kernel log tells")
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
    let devices = try DeviceDiscovery(systemRoot: FixtureTree.lab, kernel: kernel).devices()
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
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
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
    let bus = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices().first?.bus
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
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: Self.labKernel).devices()
    #expect(devices.map(\.driver) == ["vgem", "vkms", "cirrus", "bochs-drm", "virtio_gpu"])
  }

  @Test("knows a device by its nodes' numbers, as a container may show them under other names")
  func otherNames() throws {
    let tree = try FixtureTree()
    try tree.addNode("card0", minor: 0, of: "platform/vgem")
    try tree.addNode("card1", minor: 1, of: "platform/vkms")
    try tree.remove("/dev/dri/card1")
    let kernel = FakeKernel([.init(driver: "vkms", primary: "/dev/dri/card0")])
    kernel.misbehave { $0.nodeMinors = ["/dev/dri/card0": 1] }
    let discovery = DeviceDiscovery(systemRoot: tree.root, kernel: kernel)
    let devices = try discovery.devices()
    #expect(devices.map(\.driver) == ["vkms"])
    #expect(devices.map(\.bus.identifier) == ["vkms"])
    #expect(devices.map { $0.primary?.path } == ["\(tree.root)/dev/dri/card0"])
    #expect(try discovery.unshownNodes() == ["card0"])
    kernel.expectNothingLeft()
  }

  @Test("tells one node under two names by the kernel's")
  func twoNames() throws {
    let tree = try FixtureTree()
    try tree.addNode("card1", minor: 1, of: "platform/vkms")
    try tree.write("", to: "/dev/dri/a-name")
    let kernel = FakeKernel([.init(driver: "vkms", primary: "/dev/dri/card1")])
    kernel.misbehave { $0.nodeMinors = ["/dev/dri/a-name": 1] }
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
    #expect(devices.map { $0.primary?.path } == ["\(tree.root)/dev/dri/card1"])
    kernel.expectNothingLeft()
  }

  @Test("finds each node as a device where there is no sysfs")
  func withoutSysfs() throws {
    let tree = try FixtureTree()
    try tree.write("", to: "/dev/dri/card3")
    try tree.write("", to: "/dev/dri/renderD128")
    try tree.write("", to: "/dev/dri/notes")
    let kernel = FakeKernel([.init(driver: "vgem", primary: "/dev/dri/card3", render: "/dev/dri/renderD128")])
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
    #expect(devices.map(\.driver) == ["vgem", "vgem"])
    #expect(devices.map(\.bus.name) == ["unknown", "unknown"])
    #expect(devices.map(\.bus.identifier) == ["226:3", "226:128"])
    #expect(devices.map { $0.usableNode?.kind } == [.primary, .render])
    kernel.expectNothingLeft()
  }

  @Test("sorts card10 behind card2")
  func order() throws {
    let tree = try FixtureTree()
    try tree.addNode("card10", minor: 10, of: "platform/late")
    try tree.addNode("card2", minor: 2, of: "platform/early")
    let kernel = FakeKernel([.init(driver: "late", primary: "/dev/dri/card10"), .init(primary: "/dev/dri/card2")])
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
    #expect(devices.map(\.bus.identifier) == ["early", "late"])
  }

  @Test("reports a device that does not answer with what it can say about it, and goes on to the others")
  func broken() throws {
    let kernel = FakeKernel([
      .init(driver: "vgem", primary: "/dev/dri/card0"), .init(driver: "qxl", primary: "/dev/dri/card5"),
    ])
    kernel.unplug("/dev/dri/card0", of: .version)
    let devices = try DeviceDiscovery(systemRoot: FixtureTree.lab, kernel: kernel).devices()
    #expect(devices.first?.bus.identifier == "vgem")
    #expect(devices.first?.problem?.operation == "drmGetVersion")
    #expect(devices.first?.problem?.errno == .noSuchDevice)
    #expect(devices.last?.driver == "qxl")
    #expect(devices.last?.problem == nil)
    kernel.expectNothingLeft()
  }

  @Test("is an error where a device's file stays and cannot be read: nothing is left out")
  func unreadable() throws {
    let tree = try FixtureTree()
    try tree.addNode("card0", minor: 0, of: "platform/vgem")
    try tree.makeUnreadable("/sys/devices/platform/vgem/drm/card0/dev")
    let kernel = FakeKernel([.init(driver: "vgem", primary: "\(tree.root)/dev/dri/card0")])
    let error = try #require(throws: PrimeError.self) {
      try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices()
    }
    #expect(error.operation == "read" && error.errno == .noSuchAddress)
    #expect(error.subject == "\(tree.root)/sys/class/drm/card0/dev")
  }

  /// The recorded tree with a cirrus and a virtio_gpu that sleep.
  private func sleepyTree() throws -> FixtureTree {
    let tree = try FixtureTree(copyOf: FixtureTree.lab)
    try tree.write("suspended\n", to: "/sys/devices/pci0000:00/0000:00:0c.0/power/runtime_status")
    try tree.write("D3cold\n", to: "/sys/devices/pci0000:00/0000:00:0e.0/power_state")
    try tree.write("active\n", to: "/sys/devices/pci0000:00/0000:00:0f.0/power/runtime_status")
    try tree.write("virtio_gpu dev=0000:00:0e.0 unique=0000:00:0e.0\n", to: "/sys/kernel/debug/dri/4/name")
    return tree
  }

  /// The recorded devices, in a kernel of this test's own.
  private static func newLabKernel() -> FakeKernel {
    FakeKernel([
      .init(driver: "vgem", primary: "/dev/dri/card0"), .init(driver: "vkms", primary: "/dev/dri/card1"),
      .init(driver: "cirrus", primary: "/dev/dri/card2"), .init(driver: "bochs-drm", primary: "/dev/dri/card3"),
      .init(driver: "virtio_gpu", primary: "/dev/dri/card4"), .init(driver: "qxl", primary: "/dev/dri/card5"),
    ])
  }

  @Test("leaves a device asleep that nobody asked for, and tells what sysfs knows of it")
  func asleep() throws {
    let tree = try sleepyTree()
    let kernel = Self.newLabKernel()
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices(.awake)
    #expect(devices.map(\.driver) == ["vgem", "vkms", "cirrus", "bochs-drm", "virtio_gpu", "qxl"])
    #expect(devices.map(\.isAsleep) == [false, false, true, false, true, false])
    #expect(devices.map { $0.usableNode != nil } == [true, true, false, true, false, true])
    #expect(devices.allSatisfy { $0.problem == nil })
    let cirrus = devices[2]
    #expect(cirrus.capabilities == nil && cirrus.driverVersion == nil)
    #expect(cirrus.bus.pciIdentity?.description == "1013:00b8")
    #expect(cirrus.primary?.path == "\(tree.root)/dev/dri/card2")
    #expect(!kernel.openedPaths.contains { $0.hasSuffix("/card2") || $0.hasSuffix("/card4") })
    let woken = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices(.all)
    #expect(woken.allSatisfy { $0.usableNode != nil })
    #expect(woken.map(\.isAsleep) == [false, false, true, false, true, false])
    kernel.expectNothingLeft()
  }

  @Test(
    "opens only the devices that are named",
    arguments: [
      (["0000:00:0c.0"], ["card2"]), (["pci:0000:00:0c.0", "vkms"], ["card1", "card2"]), (["virtio_gpu"], ["card4"]),
      (["cirrus", "qxl"], ["card2", "card5"]),
      // bochs-drm is what both sysfs and DRM call it. vgem has no driver on its bus, but a device of that name.
      (["vgem", "bochs-drm"], ["card0", "card3"]),
      // A name that nobody has, and a path that is no node.
      (["nouveau"], ["card0", "card1", "card2", "card3", "card4", "card5"]), (["/dev/null"], []),
    ])
  func named(selectors: [String], expected: [String]) throws {
    let tree = try sleepyTree()
    let kernel = Self.newLabKernel()
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices(.named(selectors))
    #expect(devices.count == 6)
    let opened = Set(kernel.openedPaths.compactMap { $0.split(separator: "/").last.map(String.init) })
    #expect(opened.filter { $0.hasPrefix("card") }.sorted() == expected)
    for text in selectors where text != "nouveau" && text != "/dev/null" {
      #expect(DeviceSelector(text).matches(in: devices).contains { $0.usableNode != nil })
    }
    kernel.expectNothingLeft()
  }

  @Test("wakes no device for a driver's name that one of those awake has, whatever their bus calls it")
  func otherName() throws {
    let tree = try sleepyTree()
    let kernel = FakeKernel([
      .init(driver: "vgem", primary: "/dev/dri/card0"), .init(driver: "persona-ttm", primary: "/dev/dri/card1"),
      .init(driver: "cirrus", primary: "/dev/dri/card2"), .init(driver: "bochs-drm", primary: "/dev/dri/card3"),
      .init(driver: "virtio_gpu", primary: "/dev/dri/card4"), .init(driver: "qxl", primary: "/dev/dri/card5"),
    ])
    let devices = try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices(.named(["persona-ttm"]))
    #expect(devices.map(\.driver)[1] == "persona-ttm")
    #expect(!kernel.openedPaths.contains { $0.hasSuffix("/card2") || $0.hasSuffix("/card4") })
    kernel.expectNothingLeft()
  }

  @Test(
    "is no absence where a file of sysfs cannot be looked at",
    arguments: [
      "/sys/class/drm", "/sys/devices/pci0000:00/0000:00:0c.0/drm/card2/dev",
      "/sys/devices/pci0000:00/0000:00:0c.0/drm/card2/device", "/sys/devices/pci0000:00/0000:00:0c.0/vendor",
      "/sys/devices/pci0000:00/0000:00:0c.0/power_state", "/dev/dri/by-path",
    ])
  func unreadable(path: String) throws {
    let tree = try FixtureTree(copyOf: FixtureTree.lab)
    if path.hasSuffix("power_state") == false { try tree.remove(path) }
    // A loop of links cannot be followed, also by root.
    try tree.link(path, to: path.split(separator: "/").last.map(String.init) ?? "")
    let kernel = Self.newLabKernel()
    let error = primeError { try DeviceDiscovery(systemRoot: tree.root, kernel: kernel).devices() }
    #expect(error?.errno?.name == "ELOOP")
    #expect(error?.subject.hasPrefix(tree.root) == true)
    kernel.expectNothingLeft()
  }

  @Test(
    "is no device's problem where this process has no descriptor or no memory for a node",
    arguments: [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .interrupted])
  func ownFailure(errno: Errno) {
    let kernel = Self.newLabKernel()
    kernel.fail(.open, with: errno, onCall: 3)
    let error = primeError { try DeviceDiscovery(systemRoot: FixtureTree.lab, kernel: kernel).devices() }
    expect(error, is: "open", errno)
    kernel.expectNothingLeft()
  }
}
