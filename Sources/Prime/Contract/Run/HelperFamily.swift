internal import Prime

/// What a driver's buffers are made with: the kernel's helpers have rules of their own, which the drivers on them share.
package enum HelperFamily: String, Hashable, Sendable, Codable, CaseIterable {
  /// `drm_gem_shmem_helper.c`: pages of the shared-memory file system.
  case shmem
  /// `drm_gem_dma_helper.c`: one range that is contiguous for the device.
  case dma
  /// `drm_gem_vram_helper.c`: small video memory, managed by TTM.
  case vram
  /// `drm_gem_ttm_helper.c` or TTM itself: memory that moves.
  case ttm
  /// No helper of DRM: `udmabuf.c`.
  case udmabuf
  /// No helper of DRM: `system_heap.c`.
  case systemHeap

  /// How sentences call it.
  package var name: String {
    switch self {
    case .shmem: "GEM-shmem"
    case .dma: "GEM-DMA"
    case .vram: "GEM-VRAM"
    case .ttm: "TTM"
    case .udmabuf: "udmabuf"
    case .systemHeap: "the system heap"
    }
  }

  /// Whether an import is certain to take memory that lies in many pieces; the DMA helper's drivers take one piece alone.
  package var takesManyPieces: Bool { [.shmem, .ttm].contains(self) }

  /// The kernel modules whose functions a driver of a family calls; the DMA helper was called CMA helper up to 6.0.
  private var helperModules: [String] {
    switch self {
    case .shmem: ["drm_shmem_helper"]
    case .dma: ["drm_dma_helper", "drm_cma_helper"]
    case .vram: ["drm_vram_helper"]
    case .ttm: ["drm_ttm_helper", "ttm"]
    case .udmabuf, .systemHeap: []
    }
  }
}

/// Which helper a driver is built on, and how that is known: what is measured comes before what was read in the kernel's source.
package struct DriverFamily: Hashable, Sendable {
  /// nil where nothing tells, or where what tells contradicts itself.
  package var family: HelperFamily?
  /// How it is known, or why it is not, as a sentence's end: `its module vkms uses drm_shmem_helper`.
  package var evidence: String
  /// The family that it seemed to be, where it does what no driver of that does.
  package var contradicted: HelperFamily?

  init(_ family: HelperFamily?, _ evidence: String) {
    (self.family, self.evidence) = (family, evidence)
  }

  /// Looks for it.
  ///
  /// - Parameters:
  ///   - modules: the kernel modules of the driver.
  ///   - holders: which modules use a module (`/sys/module/NAME/holders`); nil where the kernel has no such module, which it
  ///     may be built with.
  ///   - givesOffsetsForImports: whether the device answers `MAP_DUMB` of an import with an offset; nil where nobody could ask.
  package init(
    driver: String, modules: Set<String>, kernel: Machine.KernelVersion, givesOffsetsForImports: Bool?,
    holders: (String) -> [String]?
  ) {
    let measured = HelperFamily.measured(of: modules, holders: holders)
    (family, evidence) = measured ?? HelperFamily.read(of: driver, kernel)
    // drm_gem_dumb_map_offset() refuses it, and drivers on these helpers use that unless they have a function of their own.
    if givesOffsetsForImports == true, let supposed = family, [.shmem, .dma].contains(supposed) {
      evidence += ", and it maps imports as no driver on \(supposed.name) does"
      (family, contradicted) = (nil, supposed)
    }
  }
}

extension HelperFamily {
  fileprivate static func measured(
    of modules: Set<String>, holders: (String) -> [String]?
  ) -> (HelperFamily?, String)? {
    var found: [(family: HelperFamily, module: String, helper: String)] = []
    for family in allCases {
      for helper in family.helperModules {
        guard let module = holders(helper)?.first(where: modules.contains) else { continue }
        found.append((family, module, helper))
      }
    }
    // The VRAM helper's drivers use TTM's functions as well.
    if found.contains(where: { $0.family == .vram }) { found.removeAll { $0.family == .ttm } }
    guard let first = found.first else { return nil }
    let helpers = found.map(\.helper).joined(separator: " and ")
    let isOne = found.allSatisfy { $0.family == first.family }
    return (isOne ? first.family : nil, "its module \(first.module) uses \(helpers)")
  }

  /// For kernels that have the helper built in: drivers that were read in Linux 6.12 and 7.2.
  fileprivate static func read(of driver: String, _ kernel: Machine.KernelVersion) -> (HelperFamily?, String) {
    guard let entry = table.first(where: { $0.drivers.contains(driver) && kernel.isAtLeast($0.since.0, $0.since.1) })
    else { return (nil, "its module uses none of the helpers' modules, and its source was not read") }
    return (entry.family, "in Linux \(entry.since.0).\(entry.since.1) and later it is, by \(entry.source)")
  }

  private static let table: [(family: HelperFamily, since: (Int, Int), drivers: Set<String>, source: String)] = [
    (
      .shmem, (6, 1),
      ["vgem", "vkms", "cirrus", "cirrus-qemu", "simpledrm", "udl", "gud", "gm12u320", "hyperv_drm", "virtio_gpu"],
      "DRM_GEM_SHMEM_DRIVER_OPS and virtgpu_object.c"
    ),
    (.shmem, (6, 12), ["ast", "mgag200", "ofdrm", "ssd130x"], "DRM_GEM_SHMEM_DRIVER_OPS"),
    (.shmem, (6, 13), ["bochs-drm"], "DRM_GEM_SHMEM_DRIVER_OPS"),
    (.shmem, (7, 2), ["appletbdrm", "corebootdrm", "efidrm", "vesadrm"], "DRM_GEM_SHMEM_DRIVER_OPS"),
    (.vram, (6, 1), ["bochs-drm", "vboxvideo"], "DRM_GEM_VRAM_DRIVER"),
    (.ttm, (6, 1), ["amdgpu", "nouveau", "qxl", "radeon", "vmwgfx"], "ttm_device_init()"),
    (.ttm, (6, 12), ["loongson", "xe"], "ttm_device_init()"),
    (
      .dma, (6, 12),
      [
        "arcpgu", "aspeed-gfx-drm", "atmel-hlcdc", "fsl-dcu-drm", "hdlcd", "imx-dcss", "imx-drm", "imx-lcdc",
        "ingenic-drm",
        "kirin", "komeda", "logicvc-drm", "mali-dp", "mcde", "meson", "mxsfb-drm", "imx-lcdif", "pl111", "rcar-du",
        "rz-du",
        "shmob-drm", "sprd", "sti", "stm", "sun4i-drm", "tidss", "tilcdc", "tve200", "vc4", "zynqmp-dpsub",
      ], "DRM_GEM_DMA_DRIVER_OPS"
    ),
  ]
}
