import Prime
import Testing

@Suite("A device's name on the command line")
struct DeviceSelectorTests {
  /// Two vkms and a virtio GPU on PCI, as `list` would print them.
  static let devices = [
    device("vkms", .init(name: "faux", identifier: "vkms", pciIdentity: nil), card: 0),
    device("vkms", .init(name: "faux", identifier: "vkms2", pciIdentity: nil), card: 1),
    device(
      "virtio_gpu",
      .init(name: "pci", identifier: "0000:00:02.0", pciIdentity: .init(vendor: 0x1af4, device: 0x1050)), card: 2,
      render: 128, byPath: ["/dev/dri/by-path/pci-0000:00:02.0-card", "/dev/dri/by-path/pci-0000:00:02.0-render"]),
  ]

  private static func device(
    _ driver: String, _ bus: DeviceDescription.Bus, card: Int, render: Int? = nil, byPath: [String] = []
  ) -> DeviceDescription {
    let primary = DRMNode(path: "/dev/dri/card\(card)", kind: .primary)
    return DeviceDescription(
      driver: driver, driverVersion: "1.0.0", bus: bus, primary: primary,
      render: render.map { DRMNode(path: "/dev/dri/renderD\($0)", kind: .render) }, usableNode: primary,
      byPath: byPath, capabilities: nil, problem: nil,
      numbers: ([card] + (render.map { [$0] } ?? [])).compactMap { DeviceNumber(parsing: "226:\($0)") })
  }

  @Test(
    "names devices by node, link, driver, driver and number, the first letters of a driver, or PCI address",
    arguments: [
      ("/dev/dri/card0", [0]), ("/dev/dri/card2", [2]), ("/dev/dri/renderD128", [2]),
      ("/dev/dri/by-path/pci-0000:00:02.0-card", [2]), ("/dev/dri/by-path/pci-0000:00:02.0-render", [2]),
      ("vkms", [0, 1]), ("driver:vkms", [0, 1]), ("vkms:0", [0]), ("vkms:1", [1]), ("driver:vkms:1", [1]),
      ("virtio_gpu", [2]), ("virtio_gpu:0", [2]), ("0000:00:02.0", [2]), ("pci:0000:00:02.0", [2]),
      ("00:02.0", [2]), ("PCI:00:02.0", [2]), ("card1", [1]), ("card2", [2]), ("renderD128", [2]), ("RENDERD128", [2]),
      ("VKMS", [0, 1]), ("Vkms:1", [1]), ("virtio-gpu", [2]), ("virtio-gpu:0", [2]), ("vk", [0, 1]), ("vk:1", [1]),
      ("virt", [2]), ("driver:VIR", [2]),
    ])
  func matches(text: String, indices: [Int]) {
    #expect(DeviceSelector(text).matches(in: Self.devices) == indices.map { Self.devices[$0] })
  }

  @Test(
    "names nothing that is not there",
    arguments: [
      "", "vgem", "vkms:2", "vkms:-1", "vkms:x", "vkms:", ":1", "/dev/dri/card7", "/", "0000:00:03.0", "pci:vkms",
      "v", "v:0", "card7", "card128", "renderD2", "00:03.0", "kms", "driver:",
    ])
  func noMatch(text: String) {
    #expect(DeviceSelector(text).matches(in: Self.devices) == [])
  }

  @Test("means the driver of that name, where another one begins with it")
  func wholeName() {
    let names = ["persona-ttm", "persona-ttm-eviction", "xe", "xen"]
    let devices = names.enumerated().map {
      Self.device($1, .init(name: "faux", identifier: $1, pciIdentity: nil), card: $0)
    }
    #expect(DeviceSelector("persona-ttm").matches(in: devices).map(\.driver) == ["persona-ttm"])
    #expect(DeviceSelector("persona-ttm-").matches(in: devices).map(\.driver) == ["persona-ttm-eviction"])
    #expect(DeviceSelector("xe").matches(in: devices).map(\.driver) == ["xe"])
    #expect(DeviceSelector("persona").matches(in: devices) == [])
  }

  @Test("finds a device through any link to its node")
  func link() throws {
    let tree = try FixtureTree()
    try tree.write("", to: "/dev/dri/card0")
    try tree.link("/favourite", to: "dev/dri/card0")
    let node = DRMNode(path: "\(tree.root)/dev/dri/card0", kind: .primary)
    let device = DeviceDescription(
      driver: "vgem", driverVersion: nil, bus: .init(name: "faux", identifier: "vgem", pciIdentity: nil),
      primary: node, render: nil, usableNode: node, byPath: [], capabilities: nil, problem: nil)
    #expect(DeviceSelector("\(tree.root)/favourite").matches(in: [device]) == [device])
    #expect(DeviceSelector("\(tree.root)/other").matches(in: [device]) == [])
  }

  @Test("is kept as it was given, for messages")
  func text() {
    #expect(DeviceSelector("pci:0000:00:02.0").description == "pci:0000:00:02.0")
  }

  @Test("that reports use is the driver, with a number only where several have it")
  func labels() {
    #expect(Self.devices.map { $0.label(among: Self.devices) } == ["vkms:0", "vkms:1", "virtio_gpu"])
    #expect(
      Self.devices.allSatisfy { device in
        DeviceSelector(device.label(among: Self.devices)).matches(in: Self.devices) == [device]
      })
  }
}
