package import Prime

/// Who is behind a GBM device, as far as a process can see.
public struct GBMDriver: Hashable, Sendable, Codable {
  /// What `gbm_bo_map` gave.
  public enum View: String, Hashable, Sendable, Codable {
    /// The driver copied the picture: an open map goes on showing what was there when it was made.
    case copy
    /// The buffer's own memory: an open map shows what is written later. On many drivers this is the exporter's mapping.
    case mapping
  }

  /// The name of libgbm's backend: `drm` for Mesa.
  public var backend: String?
  /// The Mesa driver, from the name of the library it was loaded from; nil where that does not tell.
  public var driver: String?
  /// The kernel driver of the node.
  public var kernelDriver: String
  /// Whether the driver computes on the processor; nil where that cannot be seen.
  public var isSoftware: Bool?
  /// What its map of the buffer is; nil where nothing was written while it was open.
  public var view: View?

  /// Judges a device that this process has loaded Mesa for.
  package init(on device: GBMDevice) {
    self.init(
      backend: device.kernel.gbmBackendName(device.pointer), kernelDriver: device.driver,
      libraries: device.kernel.loadedLibraries())
  }

  /// Judges by the libraries of the process.
  ///
  /// Up to Mesa 24.1 a driver is loaded by a name of its own (`iris_dri.so`); later there is one library for all, and the
  /// kernel driver alone tells for whom Mesa has a driver that uses the hardware.
  init(backend: String?, kernelDriver: String, libraries: [String]) {
    self.backend = backend
    self.kernelDriver = kernelDriver
    let names = libraries.map(\.lastComponent).compactMap { name in
      name.hasSuffix("_dri.so") ? String(name.dropLast("_dri.so".count)) : nil
    }
    let suitable = Self.hardware[kernelDriver] ?? []
    if libraries.contains(where: { $0.lastComponent.hasPrefix("libvulkan_lvp") }) {
      driver = "lavapipe"
      isSoftware = true
    } else if let own = names.first(where: { suitable.contains($0) }) {
      driver = own
      isSoftware = false
    } else if let software = names.first(where: Self.software.contains) {
      driver = software
      isSoftware = true
    } else if names.count == 1 {
      driver = names[0]
      isSoftware = names[0] == kernelDriver ? false : nil
    } else {
      isSoftware = names.isEmpty && !suitable.isEmpty ? false : nil
    }
  }

  /// Whether what it shows is the importing device reading the buffer: a copy, and not the processor's.
  public var isProof: Bool { view == .copy && isSoftware == false }

  /// Why its look is not a proof, in a sentence; nil where it is one.
  public var objection: String? {
    let name = driver.map { "the Mesa driver \($0)" } ?? "the Mesa driver behind \(kernelDriver)"
    guard isSoftware != true else {
      return "\(name) computes on the processor: that it reads the buffer says nothing of the device"
    }
    switch view {
    case .mapping?:
      return "gbm_bo_map gave the buffer's own memory (an open map showed what was written later), and not what the "
        + "device reads: on many drivers it is the exporter's own mapping"
    case .copy? where isSoftware == false: return nil
    case .copy?: return "gbm_bo_map gave a copy, and nothing tells whether the device or the processor made it"
    case nil:
      return "gbm_bo_map showed the picture, and nothing was written while the map was open that tells a copy by the "
        + "device from the exporter's own memory"
    }
  }

  /// Whether Mesa has a driver for the hardware of a kernel driver.
  static func drivesHardware(of kernelDriver: String) -> Bool { hardware[kernelDriver] != nil }

  /// The names that Mesa's software drivers are loaded by.
  private static let software: Set<String> = ["swrast", "kms_swrast"]

  /// The Mesa drivers that use the hardware of a kernel driver (Mesa's
  /// `src/loader/pci_id_driver_map.h`, `src/gallium/targets/dri`).
  private static let hardware: [String: Set<String>] = [
    "i915": ["iris", "crocus", "i915", "i965"], "xe": ["iris"], "amdgpu": ["radeonsi"],
    "radeon": ["r300", "r600", "radeonsi"], "nouveau": ["nouveau", "nouveau_vieux"], "virtio_gpu": ["virtio_gpu"],
    "vmwgfx": ["vmwgfx"], "msm": ["msm", "msm_dpu"], "vc4": ["vc4"], "v3d": ["v3d"], "panfrost": ["panfrost"],
    "panthor": ["panthor"], "lima": ["lima"], "etnaviv": ["etnaviv"], "tegra": ["tegra"], "asahi": ["asahi"],
  ]
}
