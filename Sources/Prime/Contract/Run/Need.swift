internal import Prime

/// What a statement needs from the machine beside its subject; probed once, and a missing one is a skip with its reason.
package enum Need: Hashable, Sendable {
  /// The process is root (`CAP_SYS_ADMIN`).
  case root
  /// The process may become an unprivileged user, which only root may.
  case unprivilegedUser
  /// debugfs is mounted and readable.
  case debugfs
  /// At least this kernel, as major and minor.
  case kernel(Int, Int)
  /// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE` (Linux 6.0, `CONFIG_SYNC_FILE`).
  case syncFiles
  /// `CONFIG_DMABUF_SYSFS_STATS`.
  case bufferStatistics
  /// vgem, for its fences.
  case vgem
  /// A second device beside the subject.
  case twoDevices
  /// DRM master on the subject: nobody else may hold it, and the statement runs alone on that device.
  case master
  /// Atomic mode setting on the subject.
  case atomic
  /// A writeback connector on the subject.
  case writeback
  /// A pipe CRC in debugfs for the subject.
  case pipeCRC
  /// Nothing else may run beside it.
  case alone
  /// An importer that need not see what the CPU wrote before SYNC carries it over: any that is not on x86, whose devices look
  /// into the processor's caches, and one that has a copy.
  case incoherentImporter
}

extension Need {
  /// What is needed, in a few words.
  var summary: String {
    switch self {
    case .root: "root"
    case .unprivilegedUser: "root, which becomes another user"
    case .debugfs: "debugfs"
    case .kernel(let major, let minor): "Linux \(major).\(minor)"
    case .syncFiles: "`CONFIG_SYNC_FILE`"
    case .bufferStatistics: "`CONFIG_DMABUF_SYSFS_STATS`"
    case .vgem: "vgem"
    case .twoDevices: "two devices"
    case .master: "DRM master"
    case .atomic: "atomic mode setting"
    case .writeback: "a writeback connector"
    case .pipeCRC: "a pipe CRC"
    case .alone: "to run alone"
    case .incoherentImporter: "an importer that is not cache-coherent"
    }
  }
}

extension Machine {
  /// Why a need is not met for a subject, in a sentence; nil where it is.
  func missing(_ need: Need, for subject: Subject) -> String? {
    switch need {
    case .root: isRoot ? nil : "this needs root"
    case .unprivilegedUser: isRoot ? nil : "only root can become another user to look as one"
    case .debugfs: hasDebugfs ? nil : "this needs debugfs, which only root may read where it is mounted"
    case .kernel(let major, let minor):
      kernelVersion.isAtLeast(major, minor) ? nil : "this came with Linux \(major).\(minor)"
    case .syncFiles:
      hasSyncFiles ? nil : "this kernel has no DMA_BUF_IOCTL_EXPORT_SYNC_FILE (Linux 6.0, CONFIG_SYNC_FILE)"
    case .bufferStatistics:
      hasBufferStatistics ? nil : "this kernel was built without CONFIG_DMABUF_SYSFS_STATS"
    case .vgem: vgem == nil ? "this needs the fences of vgem: \(absence(of: .vgem))" : nil
    case .twoDevices: devices.count { $0.usableNode != nil } >= 2 ? nil : "this needs a second device"
    case .master: subject.device.flatMap { masterProblem[$0] }
    case .atomic: subject.device?.capabilities?.atomic == true ? nil : "the driver has no atomic mode setting"
    case .writeback: subject.device?.capabilities?.writeback == true ? nil : "the device has no writeback connector"
    case .pipeCRC: subject.device.map(hasPipeCRC) == true ? nil : "the device has no pipe CRC that may be read"
    case .alone: nil
    case .incoherentImporter:
      subject.isBounced || !Self.isX86(HostDescription.current().architecture) ? nil : Self.cachesOfX86
    }
  }

  /// Whether `uname -m` names a processor of this family, of 32 or 64 bits: `x86_64`, `i386` to `i686`.
  static func isX86(_ architecture: String) -> Bool {
    architecture == "x86_64" || architecture.count == 4 && architecture.hasPrefix("i") && architecture.hasSuffix("86")
  }

  private static let cachesOfX86 =
    "on x86 devices look into the processor's caches, so that a missing bracket cannot show: run it on ARM, or boot with "
    + "swiotlb=force"
}
