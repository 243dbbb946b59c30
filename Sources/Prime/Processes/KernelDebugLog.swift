internal import Glibc
internal import Prime
internal import Synchronization

/// The kernel's own words on one call: `drm.debug` is switched on around it and `/dev/kmsg` read from where it began.
///
/// Only root may do that. The parameter is put back as it was.
package enum KernelDebugLog {
  private static let parameter = "/sys/module/drm/parameters/debug"
  /// Core, driver, KMS, PRIME, atomic and state messages (`enum drm_debug_category`); vblank alone would drown them.
  private static let categories = "0x5f"
  /// Where others print all the time, reading would not end.
  private static let mostRecords = 1000

  private struct Watch {
    var changed: @Sendable (String) -> Void
    var restored: @Sendable () -> Void
  }

  private static let watcher = Mutex<Watch?>(nil)

  /// Has somebody told from now on before the parameter is changed, and what it was, so that it is put back also where this
  /// process dies; and when it is as it was.
  package static func watch(changed: @escaping @Sendable (String) -> Void, restored: @escaping @Sendable () -> Void) {
    watcher.withLock { $0 = Watch(changed: changed, restored: restored) }
  }

  /// Puts the parameter back to what `watch` told; false where that fails.
  package static func putBack(_ before: String) -> Bool { LinuxKernel().write(before, to: parameter) }

  /// Whether this process may do it.
  package static var isPermitted: Bool {
    LinuxKernel().isWritable(parameter) && LinuxKernel().isWritable("/dev/kmsg")
  }

  /// What the kernel said of the last call that failed.
  package final class Excerpt {
    private let isWanted: Bool
    /// The lines; nil where no call failed, or where asking is not permitted.
    package private(set) var lines: [String]?

    /// Collects nothing unless it is wanted: the kernel prints a lot in that mode, to everybody.
    package init(isWanted: Bool) {
      self.isWanted = isWanted
    }

    /// Runs `body`, and where it throws keeps the lines that DRM printed meanwhile.
    package func explaining<Result: ~Copyable>(_ body: () throws -> Result) throws -> Result {
      guard isWanted, KernelDebugLog.isPermitted, let before = LinuxKernel().text(of: KernelDebugLog.parameter),
        let records = KernelRecords()
      else { return try body() }
      let watcher = KernelDebugLog.watcher.withLock { $0 }
      watcher?.changed(before)
      LinuxKernel().write(KernelDebugLog.categories, to: KernelDebugLog.parameter)
      defer {
        if KernelDebugLog.putBack(before) { watcher?.restored() }
      }
      do {
        return try body()
      } catch {
        _ = KernelDebugLog.putBack(before)
        let own = "pid=\(getpid()),"
        // Reference counts and the echo of each ioctl give no reason; opening and closing are other programs', without
        // a process id on most of their lines.
        let noise = [
          "OBJ ID:", "drm_ioctl [drm]", "drm_ioctl:", "drm_stub_open", "drm_open_helper", "drm_authmagic",
          "drm_release", "drm_file_free", "drm_client_dev_restore",
        ]
        var found: [String] = []
        var count = 0
        while count < KernelDebugLog.mostRecords, let line = records.next() {
          count += 1
          guard line.contains("drm") && (!line.contains("pid=") || line.contains(own)) else { continue }
          if !noise.contains(where: line.contains) { found.append(line) }
        }
        lines = found
        throw error
      }
    }
  }
}
