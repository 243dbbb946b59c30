import Testing

@testable import Prime
@testable import PrimeContract

@Suite("What a driver is built on")
struct HelperFamilyTests {
  /// The lab's 6.12.
  private static let lab = [
    "drm_shmem_helper": ["cirrus", "vgem", "virtio_gpu", "vkms", "persona"], "drm_vram_helper": ["bochs"],
    "drm_ttm_helper": ["bochs", "drm_vram_helper", "qxl"], "ttm": ["drm_ttm_helper", "drm_vram_helper", "qxl"],
  ]

  private func family(
    _ driver: String, _ modules: Set<String>, kernel: (Int, Int) = (6, 12), maps: Bool? = nil,
    holders: [String: [String]] = lab
  ) -> DriverFamily {
    DriverFamily(
      driver: driver, modules: modules, kernel: Machine.KernelVersion(major: kernel.0, minor: kernel.1),
      givesOffsetsForImports: maps
    ) { holders[$0] }
  }

  @Test("is measured: whose functions its module calls")
  func measured() {
    #expect(family("vkms", ["vkms"]).family == .shmem)
    #expect(family("vkms", ["vkms"]).evidence == "its module vkms uses drm_shmem_helper")
    #expect(family("bochs-drm", ["bochs"]).family == .vram)
    #expect(family("qxl", ["qxl"]).family == .ttm)
    #expect(family("ast", ["ast"], holders: ["drm_shmem_helper": ["ast"]]).family == .shmem)
    #expect(family("vc4", ["vc4"], kernel: (6, 0), holders: ["drm_cma_helper": ["vc4"]]).family == .dma)
  }

  @Test("is what was read where the kernel has its helpers built in, of that kernel")
  func read() {
    #expect(family("vgem", ["vgem"], holders: [:]).family == .shmem)
    #expect(family("bochs-drm", ["bochs"], kernel: (6, 12), holders: [:]).family == .vram)
    #expect(family("bochs-drm", ["bochs"], kernel: (6, 13), holders: [:]).family == .shmem)
    #expect(family("vgem", ["vgem"], kernel: (5, 4), holders: [:]).family == nil)
    #expect(family("vgem", ["vgem"], kernel: (6, 1), holders: [:]).evidence.contains("DRM_GEM_SHMEM_DRIVER_OPS"))
  }

  @Test("is not known of a driver that nothing is known of, or that says two things")
  func unknown() {
    #expect(family("i915", ["i915"]).family == nil)
    #expect(family("x", ["x"], holders: ["drm_shmem_helper": ["x"], "ttm": ["x"]]).family == nil)
    // The module calls GEM-shmem's functions, but the device maps imports, which those do not.
    let persona = family("persona-ttm", ["persona"], maps: true)
    #expect(persona.family == nil)
    #expect(persona.contradicted == .shmem)
    #expect(family("msm", ["msm"], maps: true).contradicted == nil)
    #expect(
      persona.evidence
        == "its module persona uses drm_shmem_helper, and it maps imports as no driver on GEM-shmem does")
    #expect(family("persona-lazy", ["persona"], maps: false).family == .shmem)
    #expect(family("qxl", ["qxl"], maps: true).family == .ttm)
  }
}

@Suite("The modules of a device's driver")
struct DeviceModulesTests {
  @Test("are linked from its bus, or called like it, or like its beginning")
  func modules() throws {
    let tree = try FixtureTree()
    for name in ["vgem", "persona"] { try tree.write("live", to: "/sys/module/\(name)/initstate") }
    func device(_ driver: String, _ node: String) -> DeviceDescription {
      DeviceDescription(
        driver: driver, driverVersion: nil, bus: .init(name: "pci", identifier: "x", pciIdentity: nil),
        primary: DRMNode(path: "/dev/dri/\(node)", kind: .primary), render: nil, usableNode: nil, byPath: [],
        capabilities: nil, problem: nil)
    }
    func modules(_ driver: String, _ node: String) -> Set<String> {
      device(driver, node).modules(systemRoot: tree.root, by: FakeKernel([]))
    }
    #expect(modules("vgem", "card0") == ["vgem"])
    #expect(modules("persona-no-dumb", "card0") == ["persona"])
    #expect(modules("elsewhere", "card0") == ["elsewhere"])
    try tree.link("/sys/class/drm/card3/device/driver/module", to: "../../../../module/bochs")
    #expect(modules("bochs-drm", "card3") == ["bochs"])
    try tree.link("/sys/class/drm/card4/device/driver/module", to: "../../../../module/virtio_pci")
    try tree.link("/sys/class/drm/card4/device/virtio10/driver/module", to: "../../../../module/virtio_gpu")
    #expect(modules("virtio_gpu", "card4") == ["virtio_gpu"])
  }
}
