import Testing

@testable import Prime
@testable import PrimeVerify

/// What a look is worth: not who looked, but what was looked at.
@Suite("A look that proves nothing")
struct ObserverProofTests {
  @Test("is the importer's mapping of another device's buffer, which is at best the exporter's own")
  func mappingOfAnImport() {
    let report = PairScenario.blindImporter.report { $0.mapsImports = true }
    #expect(report.verdict == .held)
    #expect(report.observers == [.identity])
    let attempt = report.tried.first { $0.observer == .nativeMap }
    #expect(attempt?.call == "native-map")
    #expect(attempt != nil && attempt?.errno == nil, "nobody asked the kernel")
  }

  @Test("is a gbm_bo_map that shows what is written later: the buffer's own memory")
  func mapInPlace() {
    let report = PairScenario.mesa.report { $0.gbmMapsMemory = true }
    #expect(report.verdict == .held)
    #expect(report.observers == [.gbmMap, .identity])
    #expect(report.reason?.hasPrefix("gbm_bo_map gave the buffer's own memory") == true, "\(report.reason ?? "")")
  }

  @Test(
    "is a copy that the processor made, or that nobody knows who made",
    arguments: [
      (["/usr/lib/dri/kms_swrast_dri.so"], "the Mesa driver kms_swrast computes on the processor"),
      (["/usr/lib/libvulkan_lvp.so", "/usr/lib/libgallium-25.0.so"], "the Mesa driver lavapipe computes"),
      (["/usr/lib/libgallium-25.0.so"], "gbm_bo_map gave a copy, and nothing tells whether the device or"),
      (["/usr/lib/dri/iris_dri.so", "/usr/lib/dri/radeonsi_dri.so"], "gbm_bo_map gave a copy, and nothing tells"),
    ] as [([String], String)])
  func software(libraries: [String], sentence: String) {
    let report = PairScenario.mesa.report { $0.libraries = libraries }
    #expect(report.verdict == .held)
    #expect(report.observers == [.gbmMap, .identity])
    #expect(report.reason?.hasPrefix(sentence) == true, "\(report.reason ?? "")")
  }

  @Test("is none where the map is a copy by the device's own driver")
  func copy() {
    let report = PairScenario.mesa.report { _ in }
    #expect(report.verdict == .proven)
    #expect(report.observers == [.gbmMap, .identity])
    #expect(report.reason == nil)
  }

  @Test(
    "is told by the library that a driver was loaded from, and with one library for all by the kernel driver",
    arguments: [
      ("i915", ["/lib/dri/iris_dri.so"], "iris", false), ("amdgpu", ["/lib/dri/radeonsi_dri.so"], "radeonsi", false),
      ("i915", ["/lib/libgallium-24.2.so"], nil, false), ("vkms", ["/lib/libgallium-24.2.so"], nil, nil),
      ("amdgpu", ["/lib/dri/kms_swrast_dri.so"], "kms_swrast", true),
      ("vkms", ["/lib/dri/swrast_dri.so"], "swrast", true),
      ("i915", ["/lib/dri/kms_swrast_dri.so", "/lib/dri/iris_dri.so"], "iris", false),
      ("rockchip", ["/lib/dri/rockchip_dri.so"], "rockchip", false),
    ] as [(String, [String], String?, Bool?)])
  func drivers(kernelDriver: String, libraries: [String], driver: String?, isSoftware: Bool?) {
    let found = GBMDriver(backend: "drm", kernelDriver: kernelDriver, libraries: libraries)
    #expect(found.driver == driver)
    #expect(found.isSoftware == isSoftware)
    #expect(!found.isProof)
  }

  /// `/sys/dev/char` as the kernel has it: each number leads to its node, and that to its device.
  @Test("is not made one by a name: devices are told apart by the numbers of their nodes")
  func identities() throws {
    let tree = try FixtureTree()
    for (minor, node, device) in [
      (0, "card0", "gpu"), (1, "card1", "gpu"), (128, "renderD128", "gpu"), (2, "card2", "other"),
    ] {
      try tree.addNode(node, minor: minor, of: device)
      try tree.link("/sys/dev/char/226:\(minor)", to: "../../devices/\(device)/drm/\(node)")
    }
    func identity(_ minor: UInt32) -> DeviceIdentity {
      DeviceIdentity(DeviceNumber(major: 226, minor: minor), systemRoot: tree.root, kernel: LinuxKernel())
    }
    #expect(identity(0).isSameDevice(as: identity(0)))
    #expect(identity(0).isSameDevice(as: identity(128)))
    #expect(identity(128).isSameDevice(as: identity(0)))
    // Two primary nodes above one piece of hardware are two DRM devices.
    #expect(!identity(0).isSameDevice(as: identity(1)))
    #expect(!identity(2).isSameDevice(as: identity(128)))
    // sysfs tells nothing of these.
    #expect(!identity(7).isSameDevice(as: identity(135)))
    #expect(identity(7).isSameDevice(as: identity(7)))
  }
}
