import Prime
import Testing

extension OnARealKernel {
  @Suite("Discovery")
  struct DiscoveryOnLab {
    @Test func `finds the six devices, each once`() throws {
      let drivers = try DeviceDiscovery().devices().map(\.driver)
      #expect(try drivers.sorted() == ["bochs-drm", Lab.name(of: "cirrus"), "qxl", "vgem", "virtio_gpu", "vkms"])
    }

    @Test(arguments: [
      ("vgem", true, "platform", nil as String?), ("vkms", false, "platform", nil),
      ("cirrus", false, "pci", "1013:00b8"),
      ("bochs-drm", false, "pci", "1234:1111"), ("virtio_gpu", true, "pci", "1af4:1050"),
      ("qxl", false, "pci", "1b36:0100"),
    ])
    func `pairs a device's nodes and its links`(driver: String, hasRender: Bool, bus: String, identity: String?) throws
    {
      let device = try Lab.device(driver)
      let primary = try #require(device.primary)
      #expect(primary.kind == .primary)
      #expect(device.usableNode == primary)
      #expect((device.render != nil) == hasRender)
      #expect(device.problem == nil)
      // Devices without hardware got a bus of their own, for which udev has no other name than it had.
      #expect(device.bus.name == (bus == "platform" && Lab.isKernel("7.2") ? "faux" : bus))
      #expect(device.bus.pciIdentity?.description == identity)
      // udev names the links after the place on the bus, and points them at the nodes.
      let stem = "/dev/dri/by-path/\(bus)-\(device.bus.identifier)"
      #expect(device.byPath == (hasRender ? ["\(stem)-card", "\(stem)-render"] : ["\(stem)-card"]))
      #expect(LinuxKernel().resolved("\(stem)-card") == primary.path)
      if let render = device.render { #expect(LinuxKernel().resolved("\(stem)-render") == render.path) }
      // Both nodes belong to the same device of sysfs.
      let folders = [primary, device.render].compactMap { $0 }.map {
        LinuxKernel().resolved("/sys/class/drm/\($0.path.lastComponent)/device")
      }
      #expect(Set(folders).count == 1)
      #expect(folders.first != .some(nil))
    }

    /// In this order: dumb buffers, framebuffer modifiers, syncobj, atomic, writeback.
    @Test(arguments: [
      ("vgem", [nil, nil, false, nil, nil] as [Bool?]), ("vkms", [true, true, false, true, true]),
      ("cirrus", [true, true, false, true, false]), ("bochs-drm", [true, true, false, true, false]),
      ("virtio_gpu", [true, false, true, true, false]), ("qxl", [true, true, false, true, false]),
    ])
    func `reports what a driver says of itself`(driver: String, answers: [Bool?]) throws {
      if driver == "bochs-drm" || driver == "virtio_gpu" {
        try Lab.skip(on: "6.1", because: "bochs-drm has no PRIME there, and virtio_gpu no syncobj")
      }
      let capabilities = try #require(try Lab.device(driver).capabilities)
      #expect(
        [
          capabilities.dumbBuffer, capabilities.framebufferModifiers, capabilities.syncobj, capabilities.atomic,
          capabilities.writeback,
        ] == answers)
      // Every driver claims both, also those that refuse every import.
      #expect(capabilities.primeImport == true)
      #expect(capabilities.primeExport == true)
    }

    @Test func `does not take a display from anybody`() throws {
      let device = try Lab.open("vkms")
      let other = try Lab.open("vkms")
      #expect(!device.kernel.isMaster(device.rawDescriptor))
      try other.becomeMaster()
      other.dropMaster()
    }
  }
}
