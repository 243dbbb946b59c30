internal import Prime

/// One complaint of the kernel's log: a warning with its trace, an oops, what lockdep or a sanitizer says, a hung task.
///
/// It names the task that ran (`CPU: 0 PID: 12 Comm: x`) and the modules whose code its trace goes through.
package struct KernelComplaint: Hashable, Sendable {
  /// Whose doing it is.
  package enum Culprit: Hashable, Sendable {
    /// It names a task or a driver of those that were asked about.
    case ours
    /// It names another task and another driver.
    case others
    /// It names nobody, or nobody that tells: a suspect.
    case unknown
  }

  /// Its lines, in order, without the time.
  package let lines: [String]
  /// The task that it names; nil where it names none, or one that an interrupt only interrupted.
  ///
  /// It is the number of a thread (`task_struct.pid`), which for the first of a process is the process's own.
  package let pid: Int32?
  /// The name of that task, at most 15 bytes, which a thread and a fork have from the one that started them.
  package let comm: String?
  /// The modules whose functions it names as the code that ran, and the driver and device that `drm_WARN` names.
  package let modules: Set<String>

  /// What it is about, for a sentence: the line that says it rather than the first one.
  package var headline: String { lines.first { KernelComplaintParser.isHeadline($0) } ?? lines.first ?? "" }

  /// Whom it names, for a sentence: `x (process 12) in iwlwifi`.
  package var names: String {
    let task = pid.map { pid in comm.map { "\($0) (process \(pid))" } ?? "process \(pid)" }
    let code = (tellingModules.isEmpty ? modules : tellingModules).sorted().joined(separator: ", ")
    return [task, code.isEmpty ? nil : code].compactMap { $0 }.joined(separator: " in ")
  }

  /// The lines that say most, for a report: what it is about, who ran, where, and the first functions of the trace.
  package var excerpt: [String] {
    let trace = lines.firstIndex(where: KernelComplaintParser.beginsTrace) ?? lines.endIndex
    let head = lines[..<trace].filter { line in
      KernelComplaintParser.isHeadline(line)
        || ["CPU: ", "RIP: ", "pc : ", "Workqueue: "].contains(where: line.hasPrefix)
        || line.contains(": [drm] ")
    }
    let functions = lines[trace...].dropFirst().prefix { $0.hasPrefix(" ") }.filter {
      !$0.hasPrefix(" ? ") && $0.contains("+0x")
    }
    return head + functions.prefix(8)
  }

  /// Whose doing it is, of the tasks and drivers that something was done with: DRM drivers' names or modules'.
  ///
  /// `comms` are names of tasks, for threads that may have ended before anybody could ask for their numbers.
  package func culprit(pids: Set<Int32>, comms: Set<String> = [], drivers: Set<String>) -> Culprit {
    let ours = Set(drivers.map(Self.moduleName))
    if pid.map(pids.contains) == true || comm.map(comms.contains) == true { return .ours }
    // A driver may be more than its module is called: bochs-drm is the module bochs, persona-ttm is persona.
    let named = modules.map(Self.moduleName)
    if named.contains(where: { name in ours.contains { $0 == name || $0.hasPrefix(name + "_") } }) { return .ours }
    return tellingModules.isEmpty ? .unknown : .others
  }

  /// The modules that tell whose doing it is: the core and the helpers work for every driver.
  package var tellingModules: Set<String> { modules.filter { !Self.isShared(Self.moduleName($0)) } }

  /// A name as modules are called in traces.
  private static func moduleName(_ driver: String) -> String { driver.replacing("-", with: "_") }

  private static func isShared(_ module: String) -> Bool {
    module == "drm" || module.hasPrefix("drm_") || ["ttm", "gpu_sched", "udmabuf", "cec"].contains(module)
  }
}
