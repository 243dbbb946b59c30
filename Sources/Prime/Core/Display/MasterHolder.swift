/// Who else has a display open, when it cannot be had (`drmSetMaster` answers `EBUSY` or `EACCES`).
package enum MasterHolder {
  /// What all threads of a worker process are called, in `/proc/PID/comm` and in the kernel's log.
  package static func taskName(ofWorker identifier: CInt) -> String { "worker-\(identifier)" }

  /// One sentence that names the program that is master where the kernel tells (debugfs), else the other processes with this
  /// node open, as far as the caller may see them.
  static func reason(
    for errno: Errno, path: String, number: DeviceNumber, _ kernel: any FileCalls
  ) -> String {
    if errno == .busy, let master = master(of: number, kernel) {
      if master.pid == kernel.linkTarget(of: "/proc/self") {
        return "another open file of this process is master of this display: close that one, or drop the master there"
      }
      return
        "\(master.name) (pid \(master.pid)) is master of this display: stop it, or switch to a free virtual terminal"
    }
    let others = processes(holding: path, by: kernel)
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

  /// The program that the kernel calls master of the device; nil where it names none, or the caller may not read that.
  private static func master(of number: DeviceNumber, _ kernel: any FileCalls) -> (pid: String, name: String)? {
    // The kernel counts processes in the namespace of the reader; one that it cannot see there is told as 0.
    guard let list = kernel.text(of: "/sys/kernel/debug/dri/\(number.minor)/clients"),
      let pid = masterProcess(inClients: list), pid != "0"
    else { return nil }
    return user(of: pid, kernel)
  }

  /// The pid of the master in what debugfs lists of a device's open files (`drm_clients_info`, `drm_debugfs.c`): a line
  /// `command tgid dev master a uid magic` for each, in which the command may have spaces, and newer kernels add columns.
  static func masterProcess(inClients list: String) -> String? {
    for line in list.split(separator: "\n").dropFirst() {
      let words = line.split(separator: " ")
      for index in words.indices.dropFirst().dropLast(5) {
        let isRow =
          [index, index + 1, index + 4].allSatisfy { words[$0].allSatisfy(\.isNumber) }
          && [index + 2, index + 3].allSatisfy { ["y", "n"].contains(words[$0]) }
        if isRow, words[index + 2] == "y" { return String(words[index]) }
        if isRow { break }
      }
    }
    return nil
  }

  /// The other processes that have a node open, as far as the caller may see them; in place of a worker the tool that it works
  /// for, which puts the display back when it is stopped.
  package static func processes(
    holding path: String, by kernel: any FileCalls
  ) -> [(pid: String, name: String)] {
    let own = kernel.linkTarget(of: "/proc/self")
    return kernel.entries(of: "/proc").filter { $0.allSatisfy(\.isNumber) && $0 != own }.compactMap { pid in
      let folder = "/proc/\(pid)/fd"
      let holds = kernel.entries(of: folder).contains { kernel.linkTarget(of: "\(folder)/\($0)") == path }
      return holds ? user(of: pid, kernel) : nil
    }
  }

  /// A process by its name; in place of a worker the tool that it works for.
  private static func user(of pid: String, _ kernel: any FileCalls) -> (pid: String, name: String) {
    let name = name(of: pid, kernel)
    guard let number = CInt(pid), name == taskName(ofWorker: number), let parent = parent(of: pid, kernel)
    else {
      return (pid, name)
    }
    return (parent, self.name(of: parent, kernel))
  }

  private static func name(of pid: String, _ kernel: any FileCalls) -> String {
    kernel.text(of: "/proc/\(pid)/comm") ?? "?"
  }

  /// The process that started another one; nil where that is gone, so that the kernel's first one stands in for it.
  private static func parent(of pid: String, _ kernel: any FileCalls) -> String? {
    let status = kernel.text(of: "/proc/\(pid)/status") ?? ""
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
        ? MasterHolder.reason(for: errno, path: node.path, number: identity.number, kernel)
        : PrimeError.commonReason(errno))
  }
}
