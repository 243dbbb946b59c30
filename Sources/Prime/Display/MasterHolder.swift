/// Who else has a display open, when it cannot be had (`drmSetMaster` answers `EBUSY` or `EACCES`).
enum MasterHolder {
  /// One sentence that names the other processes with this node open, as far as the caller may see them.
  static func reason(for errno: Errno, path: String) -> String {
    let others = processes(holding: path)
    let names = others.map { "\($0.name) (pid \($0.pid))" }.joined(separator: ", ")
    switch errno {
    case .busy where !others.isEmpty:
      return "another program is master of this display; \(names) has it open: "
        + "stop it, or switch to a free virtual terminal"
    case .permissionDenied where !others.isEmpty:
      return "only root or the first program to open a display may set modes; \(names) has it open"
    case .busy:
      return "another program is master of this display: stop the compositor, or switch to a free virtual terminal"
    default:
      return "only root or the first program to open a display may set modes: "
        + "run as root or from a free virtual terminal"
    }
  }

  /// The other processes that have a node open, as far as the caller may see them.
  static func processes(holding path: String) -> [(pid: String, name: String)] {
    let own = FileSystem.linkTarget(of: "/proc/self")
    return FileSystem.entries(of: "/proc").filter { $0.allSatisfy(\.isNumber) && $0 != own }.compactMap { pid in
      let folder = "/proc/\(pid)/fd"
      let holds = FileSystem.entries(of: folder).contains { FileSystem.linkTarget(of: "\(folder)/\($0)") == path }
      return holds ? (pid, FileSystem.text(of: "/proc/\(pid)/comm") ?? "?") : nil
    }
  }
}

extension Device {
  /// Becomes DRM master, which mode setting needs (`drmSetMaster`).
  ///
  /// - Throws: `drmSetMaster` with `EBUSY` or `EACCES`, and who has the display open.
  public func becomeMaster() throws(PrimeError) {
    let result = kernel.setMaster(rawDescriptor)
    guard case .failure(let errno) = result else { return }
    throw PrimeError(
      operation: "drmSetMaster", errno: errno, subject: subject,
      reason: [.busy, .permissionDenied].contains(errno)
        ? MasterHolder.reason(for: errno, path: node.path) : PrimeError.commonReason(errno))
  }
}
