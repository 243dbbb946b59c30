/// What somebody means to do with a buffer, which decides the fences that stand in the way.
public enum FenceAccess: String, Hashable, Sendable, Codable {
  /// A reader waits for those who write.
  case read
  /// A writer waits for those who write and for those who read.
  case write
}

/// How far the work behind a fence has come.
public enum FenceStatus: Hashable, Sendable {
  /// The work goes on (0).
  case pending
  /// The work is done (1).
  case signalled
  /// The work ended with an error (a negative errno), and nobody waits for it any more.
  case failed(Errno)

  /// Reads the number that `SYNC_IOC_FILE_INFO` gives.
  init(kernelStatus: Int32) {
    self =
      switch kernelStatus {
      case 0: .pending
      // The magnitude, so that no number of the kernel's can trap here.
      case ..<0: .failed(Errno(rawValue: Int32(clamping: kernelStatus.magnitude)))
      default: .signalled
      }
  }

  /// Whether nobody has to wait any more, for a good end or a bad one.
  public var isOver: Bool { self != .pending }
}

extension FenceStatus: CustomStringConvertible {
  /// `pending`, `signalled`, or `failed with ETIMEDOUT (Connection timed out)`.
  public var description: String {
    switch self {
    case .pending: "pending"
    case .signalled: "signalled"
    case .failed(let errno): "failed with \(errno)"
    }
  }
}

/// One fence of a sync_file (`struct sync_fence_info`).
public struct FenceInfo: Hashable, Sendable {
  /// The driver whose work it stands for, for example `vgem`.
  ///
  /// Names are for people: those of a signalled fence differ from one kernel version to the next.
  public let driver: String
  /// The timeline it belongs to (`obj_name`), for example `unbound`.
  public let timeline: String
  /// How far it has come.
  public let status: FenceStatus
  /// When it signalled, in nanoseconds of `CLOCK_MONOTONIC`; nil while it is pending.
  public let timestamp: UInt64?

  init(_ fence: KernelFence) {
    driver = fence.driver
    timeline = fence.timeline
    status = FenceStatus(kernelStatus: fence.status)
    timestamp = status == .pending ? nil : fence.timestamp
  }
}

/// What a sync_file tells of itself (`struct sync_file_info`).
public struct SyncFileInfo: Hashable, Sendable {
  /// The name: the one that `merge` was given, or what the kernel made up, which is nothing to rely on.
  public let name: String
  /// Signalled when every fence is, failed when one of them ended with an error.
  public let status: FenceStatus
  /// The fences; those of an idle buffer are one that has signalled.
  public let fences: [FenceInfo]

  /// Those of the fences that somebody still has to wait for.
  package var pending: [PrimeError.PendingFence] {
    fences.filter { $0.status == .pending }.map { PrimeError.PendingFence(driver: $0.driver, timeline: $0.timeline) }
  }
}
