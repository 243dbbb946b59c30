internal import Prime

/// Puts the lines of the kernel's log together to complaints, each with its whole trace.
///
/// The forms are those of `lib/bug.c`, `kernel/panic.c`, `lib/dump_stack.c`, `kernel/hung_task.c`, `mm/kasan/report.c` and
/// `kernel/locking/lockdep.c`, of Linux 6.1 to 7.2, on x86 and ARM.
package struct KernelComplaintParser {
  /// Warnings that are known and tell of nothing that anybody did wrong, by what their headline holds.
  ///
  /// vkms (seen on 6.12 and 7.2) warns where its composer comes late, on a busy machine, and composes that frame again (`WritebackJob`).
  private static let known = ["compose_active_planes"]

  /// vivid's thread (seen on 6.12) sleeps until its next picture, and for less than nothing where it comes late, on a busy machine
  /// (`vivid_thread_vid_cap`): the picture is late then and not lost.
  private static func isLateVivid(_ complaint: KernelComplaint) -> Bool {
    complaint.headline.contains("schedule_timeout: wrong timeout value") && complaint.modules == ["vivid"]
  }

  /// A trace is shorter; what follows an end that was lost is not its own.
  private static let mostLines = 200

  private var open: Splat?
  private var previous = ""
  private var finished: [KernelComplaint] = []

  package init() {}

  /// Whether a complaint has begun whose end has not been read yet.
  package var isWithinComplaint: Bool { open != nil }

  /// Reads the next line of the log, without its time.
  package mutating func read(_ line: String) {
    defer { previous = line }
    if var splat = open {
      guard splat.ends(before: line) else {
        splat.add(line)
        open = splat
        if splat.ends(with: line) || splat.lines.count >= Self.mostLines { finish() }
        return
      }
      finish()
    }
    if line.contains(Splat.cut) {
      open = Splat(line)
    } else if Self.isHeadline(line) {
      open = Splat(line)
    } else if Splat.task(of: line) != nil || Self.beginsTrace(line) {
      // dump_stack() alone: the line before says why.
      var splat = Splat(previous)
      splat.add(line)
      open = splat
    }
  }

  /// The complaints that are complete, once; with `all` also one whose end has not come.
  package mutating func take(all: Bool = false) -> [KernelComplaint] {
    if all { finish() }
    defer { finished = [] }
    return finished
  }

  private mutating func finish() {
    defer { open = nil }
    guard let complaint = open?.complaint else { return }
    let isKnown = Self.known.contains(where: complaint.headline.contains) || Self.isLateVivid(complaint)
    if !isKnown { finished.append(complaint) }
  }

  /// Whether the functions of a trace follow.
  static func beginsTrace(_ line: String) -> Bool { line.contains("Call Trace:") || line.contains("Call trace:") }

  /// Whether a line says of itself that something is wrong.
  static func isHeadline(_ line: String) -> Bool {
    let signs = [
      "WARNING:", "BUG:", "kernel BUG at", "Oops", "general protection", "Unable to handle kernel", "refcount_t:",
      "UBSAN:",
      "KASAN:", "KFENCE:", "KCSAN:", "blocked for more than", "self-detected stall", "detected stalls",
      "detected expedited stalls", "hard LOCKUP", "INFO: trying to register non-static key", "page allocation failure",
    ]
    return signs.contains(where: line.contains)
  }
}

/// A complaint as it is read.
private struct Splat {
  static let cut = "------------[ cut here ]"
  private static let traceEnd = "---[ end trace"
  /// Where an interrupt's functions end and those of the task that it interrupted begin, in traces that do not mark it.
  ///
  /// arm64 and arm; x86 writes `<IRQ>` and `</IRQ>`.
  private static let interruptEntries = [
    "el1_interrupt", "el1h_64_irq", "el0_interrupt", "el0t_64_irq", "el1h_64_fiq", "__irq_svc", "__irq_usr",
  ]

  private(set) var lines: [String]
  private let isCut: Bool
  private var hasHeadline: Bool
  private var task: (pid: Int32, comm: String?)?
  /// Said in words, for what has no line `CPU: … Comm: …`.
  private var saidTask: (pid: Int32, comm: String?)?
  private var modules: Set<String> = []
  private var hasTrace = false
  /// Whether the trace marks its parts, as `<TASK>` to `</TASK>`.
  private var hasMarks = false
  private var isInterrupt = false
  /// Past the interrupt's part: those functions were only interrupted.
  private var isPastInterrupt = false
  private var isStall = false

  init(_ line: String) {
    lines = []
    isCut = line.contains(Self.cut)
    hasHeadline = false
    add(line)
  }

  // MARK: - Where it ends

  /// Whether this line begins something else.
  func ends(before line: String) -> Bool {
    if line.contains(Self.cut) { return true }
    // Another headline after the task was told: the end of this one was lost.
    if task != nil, hasTrace, KernelComplaintParser.isHeadline(line), !line.contains("Oops"), !isKASAN { return true }
    guard hasTrace, !hasEndLine, !isKASAN, !hasMarks else { return false }
    // The trace of lockdep, of a hung task, of dump_stack() on ARM: it has no line that ends it.
    return !line.hasPrefix(" ") && Self.task(of: line) == nil && Self.symbol(in: line) == nil
  }

  /// Whether this line is its last.
  func ends(with line: String) -> Bool {
    if line.contains(Self.traceEnd) { return true }
    if isKASAN { return lines.count > 2 && line.hasPrefix("=====") && hasTrace }
    return !hasEndLine && line.hasPrefix(" </TASK>")
  }

  /// Warnings and oopses end with `---[ end trace`.
  private var hasEndLine: Bool {
    isCut || lines.contains { $0.contains("Oops") || $0.contains("kernel BUG at") || $0.contains("general protection") }
  }

  private var isKASAN: Bool { lines.contains { $0.contains("KASAN:") || $0.contains("KFENCE:") } }

  // MARK: - What it says

  mutating func add(_ line: String) {
    lines.append(line)
    if KernelComplaintParser.isHeadline(line) {
      hasHeadline = true
      // A watchdog's interrupt tells of the task that it interrupted.
      if ["soft lockup", "hard LOCKUP", "stall"].contains(where: line.contains) { isStall = true }
    }
    if line.contains("Modules linked in:") { return }
    if KernelComplaintParser.beginsTrace(line) { hasTrace = true }
    if task == nil { task = Self.task(of: line) }
    if saidTask == nil { saidTask = Self.saidTask(in: line) }
    // Later lines of that kind are of drivers that print meanwhile.
    if task == nil, !hasTrace, let words = Self.drmDevice(in: line) { modules.formUnion(words) }
    if line.hasPrefix(" <") { hasMarks = true }
    if line.hasPrefix(" <IRQ>") { isInterrupt = true }
    if line.hasPrefix(" </IRQ>") { isPastInterrupt = true }
    guard let symbol = Self.symbol(in: line), !(isInterrupt && isPastInterrupt && !isStall) else { return }
    if let module = symbol.module { modules.insert(module) }
    if hasTrace, Self.interruptEntries.contains(symbol.function) { (isInterrupt, isPastInterrupt) = (true, true) }
  }

  var complaint: KernelComplaint? {
    guard hasHeadline || hasTrace else { return nil }
    let known = isInterrupt && !isStall ? nil : task ?? saidTask
    return KernelComplaint(lines: lines, pid: known?.pid, comm: known?.comm, modules: modules)
  }

  /// `CPU: 0 UID: 0 PID: 12 Comm: x Not tainted …`; before 6.12 without the user.
  static func task(of line: String) -> (pid: Int32, comm: String?)? {
    guard line.hasPrefix("CPU: "), let pid = number(after: " PID: ", in: line),
      let start = line.firstRange(of: " Comm: ")?.upperBound
    else { return nil }
    let ends = [" Not tainted", " Tainted:", " Kdump:", " Hibernate"].compactMap {
      line[start...].firstRange(of: $0)?.lowerBound
    }
    return (pid, String(line[start..<(ends.min() ?? line.endIndex)]))
  }

  /// `task x:12 blocked for more than`, `CPU#0: x/12` (7.0), `by task x/12`, `stuck for 22s! [x:12]`, `x/12 is trying to acquire lock`.
  private static func saidTask(in line: String) -> (pid: Int32, comm: String?)? {
    func split(_ text: Substring, at separator: Character) -> (pid: Int32, comm: String?)? {
      guard let mark = text.lastIndex(of: separator) else { return nil }
      let digits = text[text.index(after: mark)...].prefix { $0.isNumber }
      return Int32(digits).map { ($0, String(text[..<mark])) }
    }
    if let start = line.firstRange(of: "INFO: task ")?.upperBound,
      let end = line.firstRange(of: " blocked for more than")
    {
      return start <= end.lowerBound ? split(line[start..<end.lowerBound], at: ":") : nil
    }
    if let end = line.firstRange(of: " is trying to acquire lock") { return split(line[..<end.lowerBound], at: "/") }
    if let start = line.firstRange(of: " by task ")?.upperBound { return split(line[start...], at: "/") }
    if line.contains("WARNING:"), let mark = line.firstRange(of: ", CPU#")?.upperBound,
      let start = line[mark...].firstRange(of: ": ")?.upperBound
    {
      return split(line[start...], at: "/")
    }
    if line.contains("soft lockup"), let start = line.lastIndex(of: "["), line.hasSuffix("]") {
      return split(line[line.index(after: start)...].dropLast(), at: ":")
    }
    // `WARNING: CPU: 0 PID: 12 at …` has no name.
    return line.contains("WARNING: CPU: ") ? number(after: " PID: ", in: line).map { ($0, nil) } : nil
  }

  private static func number(after mark: String, in line: String) -> Int32? {
    guard let start = line.firstRange(of: mark)?.upperBound else { return nil }
    return Int32(line[start...].prefix { $0.isNumber })
  }

  /// A function and the module that it is in, nil for one of the kernel's own: `vgem_open+0x1/0x2 [vgem]`, with a build id on some kernels.
  ///
  /// Those that a `?` precedes are left over on the stack and did not lead here.
  private static func symbol(in line: String) -> (function: String, module: String?)? {
    guard !line.hasPrefix(" ? "), let plus = line.firstRange(of: "+0x") else { return nil }
    let offsets = line[plus.upperBound...].prefix { $0.isHexDigit || $0 == "/" || $0 == "x" }
    guard offsets.contains("/0x") else { return nil }
    let name = line[..<plus.lowerBound].reversed().prefix { !$0.isWhitespace && $0 != ":" }
    let rest = line[offsets.endIndex...]
    guard rest.hasPrefix(" ["), let module = rest.dropFirst(2).split(whereSeparator: { $0 == " " || $0 == "]" }).first
    else { return (String(name.reversed()), nil) }
    return (String(name.reversed()), String(module))
  }

  /// The words of `drm_WARN`: driver and name of the device, `bochs-drm 0000:00:02.0: [drm] vblank wait timed out`.
  private static func drmDevice(in line: String) -> [String]? {
    guard let end = line.firstRange(of: ": [drm] ") else { return nil }
    let words = line[..<end.lowerBound].split(separator: " ").map(String.init)
    // A bus's name stands where the device has no driver.
    return words.count == 2 ? words.filter { !["platform", "faux", "pci", "virtio"].contains($0) } : nil
  }
}
