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

  /// The other processes that have a node open, as far as the caller may see them; in place of a worker the tool that it works
  /// for, which puts the display back when it is stopped.
  static func processes(holding path: String) -> [(pid: String, name: String)] {
    let own = FileSystem.linkTarget(of: "/proc/self")
    return FileSystem.entries(of: "/proc").filter { $0.allSatisfy(\.isNumber) && $0 != own }.compactMap { pid in
      let folder = "/proc/\(pid)/fd"
      let holds = FileSystem.entries(of: folder).contains { FileSystem.linkTarget(of: "\(folder)/\($0)") == path }
      guard holds else { return nil }
      let name = name(of: pid)
      guard let number = CInt(pid), name == WorkerProcess.taskName(number), let parent = parent(of: pid) else {
        return (pid, name)
      }
      return (parent, self.name(of: parent))
    }
  }

  private static func name(of pid: String) -> String { FileSystem.text(of: "/proc/\(pid)/comm") ?? "?" }

  /// The process that started another one; nil where that is gone, so that the kernel's first one stands in for it.
  private static func parent(of pid: String) -> String? {
    let status = FileSystem.text(of: "/proc/\(pid)/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("PPid:") }
    return line?.split(whereSeparator: \.isWhitespace).last.map(String.init).flatMap { $0 == "1" ? nil : $0 }
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
