package import Prime

/// Whether an importer has mapped a buffer for itself, and how that is known.
///
/// A handle says nothing of it: an importer may attach only, and map at its first use. An exporter that has no pages to give is
/// found out then and not before.
public enum ImportMapping: String, Hashable, Sendable, Codable {
  /// The importer is the device that made the buffer, and has nothing to map.
  case own
  /// The kernel traced the mapping while the import was made (`dma:dma_map_sg`).
  case traced
  /// This driver maps at import, by its source.
  case byDriver = "by-driver"
  /// The importer is attached to the buffer, and its display showed it, for which a driver has to have it mapped (`prepare_fb`).
  case shown
  /// The kernel traced the import, and no mapping was made for this device.
  case none
  /// Nothing tells.
  case unknown

  /// Whether the mapping is known to have been made.
  public var isMade: Bool { self != .none && self != .unknown }

  /// Why a handle is nothing more, in a sentence; nil where the mapping was made.
  func objection(of importer: String) -> String? {
    switch self {
    case .own, .traced, .byDriver, .shown: nil
    case .none:
      "\(importer) took the handle and did not map the buffer: its driver does that at its first use, which may fail then"
    case .unknown:
      "\(importer) took the handle; whether it mapped the buffer cannot be seen here: the kernel's trace events tell it to "
        + "root, from Linux 6.12 on, where another device made the buffer"
    }
  }
}

/// The number of a kernel, as far as rules of drivers depend on it.
package struct KernelRelease: Hashable, Sendable, Comparable {
  package let major: Int
  package let minor: Int

  package init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// Reads what `uname -r` prints, `6.12.117+deb12-amd64`; nil where it begins with no two numbers.
  package init?(_ text: String) {
    let numbers = text.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
    guard text.first?.isNumber == true, numbers.count == 2 else { return nil }
    self.init(numbers[0], numbers[1])
  }

  /// The release of a kernel; nil where it does not tell.
  package static func current(by kernel: any FileCalls) -> KernelRelease? {
    kernel.text(of: "/proc/sys/kernel/osrelease").flatMap(KernelRelease.init)
  }

  package static func < (one: KernelRelease, other: KernelRelease) -> Bool {
    (one.major, one.minor) < (other.major, other.minor)
  }
}

extension ImportMapping {
  /// Judges an import that was just made.
  ///
  /// - Parameters:
  ///   - exporter: The device that made the buffer; nil for system memory, and where that is not known.
  ///   - traced: The devices that the kernel traced mappings for since; nil where it was not asked.
  ///   - release: The kernel's number; nil where it is not known.
  init(by importer: Device, from exporter: DeviceIdentity?, traced: Set<String>?, release: KernelRelease?) {
    let identity = importer.identity
    if let exporter, exporter.isSameDevice(as: identity) {
      self = .own
    } else if let traced {
      self = identity.isNamed(in: traced) ? .traced : .none
    } else {
      self = Self.mapsAtImport(importer.driver, release: release) ? .byDriver : .unknown
    }
  }

  /// What is known when the importer's display has shown what it imported.
  ///
  /// One that is not attached to the buffer shows something else, a copy of its driver's.
  ///
  /// - Parameters:
  ///   - inodes: Of every dma-buf that was shown.
  ///   - traced: As above, since the import.
  func afterShowing(_ inodes: Set<UInt64>, by importer: Device, traced: Set<String>?) -> ImportMapping {
    guard !isMade else { return self }
    if let traced, importer.identity.isNamed(in: traced) { return .traced }
    guard let listed = DMABufList.listed(by: importer.kernel) else { return self }
    let areAttached = inodes.allSatisfy { inode in
      importer.identity.isNamed(in: listed.first { $0.inode == inode }?.attachedDevices ?? [])
    }
    return areAttached && !inodes.isEmpty ? .shown : self
  }

  /// Whether the source of a driver is known to map at import.
  ///
  /// `drm_gem_prime_import_dev()` (`drm_prime.c`, Linux 6.1 to 7.2) calls `dma_buf_map_attachment_unlocked()`. i915, xe and amdgpu
  /// only attach (`i915_gem_dmabuf.c`, `xe_dma_buf.c`, `amdgpu_dma_buf.c`); from 6.18 on so do drivers with the operations
  /// of `drm_gem_shmem_helper.h` (`drm_gem_shmem_prime_import_no_map()`).
  private static func mapsAtImport(_ driver: String, release: KernelRelease?) -> Bool {
    if alwaysMapping.contains(driver) { return true }
    guard let release else { return false }
    return release < KernelRelease(6, 18) && mappingBeforeSharedMemoryChanged.contains(driver)
  }

  private static let alwaysMapping: Set<String> = [
    "nouveau", "radeon", "vc4", "rockchip", "meson", "sun4i-drm", "imx-drm", "mxsfb-drm", "imx-lcdif", "tidss",
    "exynos", "etnaviv", "msm", "tegra", "omapdrm", "stm", "hdlcd", "komeda", "mali-dp", "armada-drm",
  ]

  /// Users of the operations of `drm_gem_shmem_helper.h`.
  private static let mappingBeforeSharedMemoryChanged: Set<String> = [
    "vgem", "vkms", "cirrus", "simpledrm", "ofdrm", "hyperv_drm",
  ]
}
