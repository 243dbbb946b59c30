import ArgumentParser
import Prime

struct BuffersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "buffers",
    abstract: "Shows every dma-buf of the machine and who holds it; tells what a command leaves behind.",
    discussion: """
      A process holds a dma-buf by descriptors and by mappings. What the kernel holds beside these, GEM handles,
      framebuffers and messages under way, and which devices are attached, is read from debugfs, for root. Without
      debugfs, sysfs or the kernel's BPF iterator (Linux 6.16; root) list sizes and exporters, the latter names as well.
      A user sees the processes that are theirs, and is told how many are not.

      With --leaks the command behind -- is run, and what was made meanwhile and is still there when it has ended is told
      on standard error: exit code 1. Its own exit code is passed on where it is not 0. What only processes hold that ran
      before is told and is no leak, but for --strict. The most that it had at once is told as well, and what grew all the
      time that it ran, which --strict takes for a leak.
      """)

  @Flag(help: "Print JSON (schema \(BuffersReport.currentSchema)); with --watch a line for each change.")
  var json = false

  @Flag(help: "Go on and tell what changes, until a signal or --timeout ends it.")
  var watch = false

  @Option(help: "Seconds from one look of --watch to the next.")
  var interval: Double = 0.5

  @Flag(help: "Run the command behind -- and tell which dma-bufs it left behind.")
  var leaks = false

  @Flag(help: "With --leaks, what other processes hold is a leak as well, and so is what grows.")
  var strict = false

  @Option(
    name: .long, parsing: .singleValue, help: "Only what this process holds, by number or command (repeatable).")
  var process: [String] = []

  @Option(help: "Seconds after which --watch ends, and the command of --leaks is ended (default there: 600).")
  var timeout: Double?

  @Argument(parsing: .postTerminator, help: "The command of --leaks.")
  var command: [String] = []

  func validate() throws {
    guard leaks != command.isEmpty else {
      throw ValidationError(
        leaks ? "--leaks runs a command: give it behind --" : "a command behind -- is for --leaks")
    }
    guard !(leaks && watch) else { throw ValidationError("--watch and --leaks exclude each other") }
    guard !(leaks && !process.isEmpty) else { throw ValidationError("--process is not for --leaks") }
    guard leaks || !strict else { throw ValidationError("--strict is for --leaks") }
    guard timeout == nil || watch || leaks else { throw ValidationError("--timeout is for --watch and --leaks") }
    guard timeout.map({ $0 > 0 && $0 < 1e9 }) ?? true else {
      throw ValidationError("--timeout takes seconds above 0")
    }
    guard (0.01...3600).contains(interval) else {
      throw ValidationError("--interval takes seconds from 0.01 to 3600, not \(interval)")
    }
  }

  func run() throws {
    if leaks { return try findLeaks() }
    if watch { return try follow() }
    let inventory = looked()
    if json {
      try StandardOutput.write(JSONOutput.text(BuffersReport(inventory)) + "\n")
    } else {
      try StandardOutput.write(BuffersText().text(inventory))
    }
    try noteLimits(of: inventory)
  }

  /// What is there now, of the processes that were asked for.
  private func looked() -> DMABufInventory {
    var inventory = DMABufInventory.current()
    guard !process.isEmpty else { return inventory }
    inventory.buffers.removeAll { entry in
      !entry.holders.contains { process.contains($0.command) || process.contains("\($0.process)") }
    }
    return inventory
  }

  /// Says on standard error what could not be seen; ends with 77 where that is everything.
  private func noteLimits(of inventory: DMABufInventory) throws {
    guard let sentence = BuffersText.limits(of: inventory) else { return }
    StandardError.note("prime-tool: \(sentence)")
    if inventory.buffers.isEmpty && !inventory.showsKernel { throw ExitStatus.untested }
  }

  /// Tells changes until the time is up, or a signal comes.
  private func follow() throws {
    let limit = Duration.seconds(timeout ?? 1e9)
    let interruption = Interruption(timeout: limit)
    let deadline = Deadline(in: limit, cancellation: interruption.cancellation)
    let start = ContinuousClock.now
    var last = looked()
    if let sentence = BuffersText.limits(of: last) { StandardError.note("prime-tool: \(sentence)") }
    var changes = last.changes(since: nil)
    let text = BuffersText()
    while true {
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      let lines = try changes.map { change in
        json ? try JSONOutput.line(WatchedChange(change, seconds: seconds)) : text.line(change, seconds: seconds)
      }
      if !lines.isEmpty { try StandardOutput.write(lines.joined(separator: "\n") + "\n") }
      let next = deadline.atMost(.seconds(interval))
      while next.remaining > .zero, interruption.exitCode == nil {
        try StandardOutput.requireReader()
        next.pause(milliseconds: 5)
      }
      if let code = interruption.exitCode { throw ExitCode(code) }
      if deadline.remaining == .zero { return }
      let now = looked()
      changes = now.changes(since: last)
      last = now
    }
  }

  /// How long the kernel may take to free what nobody holds any more.
  private static let settling = Duration.seconds(2)

  private func findLeaks() throws {
    let limit = Duration.seconds(timeout ?? 600)
    let interruption = Interruption(timeout: limit)
    let before = DMABufInventory.current()
    let program = try ChildProgram(command)
    var search = DMABufLeakSearch(before: before, command: program.process)
    let code = try program.wait(interruption, Deadline(in: limit)) { search.look() }
    let (leaks, after) = search.result(deadline: Deadline(in: Self.settling))
    let fails = !leaks.left.isEmpty || strict && !(leaks.elsewhere.isEmpty && search.growth.growing.isEmpty)
    if json {
      try StandardOutput.write(JSONOutput.text(LeaksReport(leaks, search.growth, after, exitCode: code)) + "\n")
    } else {
      StandardError.write(BuffersText().text(leaks, search.growth, of: command[0]))
    }
    if let sentence = BuffersText.limits(of: after) { StandardError.note("prime-tool: \(sentence)") }
    if let signal = interruption.exitCode { throw ExitCode(signal) }
    guard code == 0 else { throw ExitCode(code) }
    if fails { throw ExitStatus.failed }
    // Nothing was found by somebody who could not look.
    if !after.showsKernel { throw ExitStatus.untested }
  }
}

/// The result of `buffers`.
struct BuffersReport: Codable {
  static let currentSchema = "prime-tool/buffers/1"

  struct Summary: Codable {
    var buffers: Int
    var bytes: Int
  }

  var schema: String
  var host: HostDescription
  var showsKernel: Bool
  var list: DMABufListSource?
  var hiddenProcesses: Int
  var processes: DMABufInventory.ProcessScope
  var buffers: [DMABufInventory.Entry]
  var summary: Summary

  init(_ inventory: DMABufInventory) {
    schema = Self.currentSchema
    host = .current()
    showsKernel = inventory.showsKernel
    list = inventory.list
    hiddenProcesses = inventory.hiddenProcesses
    processes = inventory.scope
    buffers = inventory.buffers
    summary = Summary(buffers: inventory.buffers.count, bytes: inventory.byteCount)
  }
}

/// The result of `buffers --leaks`.
struct LeaksReport: Codable {
  var schema: String
  var host: HostDescription
  var showsKernel: Bool
  var list: DMABufListSource?
  var hiddenProcesses: Int
  var processes: DMABufInventory.ProcessScope
  /// The command's.
  var exitCode: Int32
  var left: [DMABufInventory.Entry]
  var elsewhere: [DMABufInventory.Entry]
  /// What the command had while it ran.
  var growth: DMABufGrowth
  var growing: [DMABufGrowth.Growth]

  init(_ leaks: DMABufLeaks, _ growth: DMABufGrowth, _ after: DMABufInventory, exitCode: Int32) {
    schema = BuffersReport.currentSchema
    host = .current()
    showsKernel = after.showsKernel
    list = after.list
    hiddenProcesses = after.hiddenProcesses
    processes = after.scope
    self.exitCode = exitCode
    left = leaks.left
    elsewhere = leaks.elsewhere
    self.growth = growth
    growing = growth.growing
  }
}

/// A line of `buffers --watch --json`.
struct WatchedChange: Codable {
  var schema: String
  var seconds: Double
  var change: DMABufChange.Kind
  var buffer: DMABufInventory.Entry
  var details: [String]

  init(_ change: DMABufChange, seconds: Double) {
    schema = BuffersReport.currentSchema
    self.seconds = (seconds * 1000).rounded() / 1000
    self.change = change.kind
    buffer = change.buffer
    details = change.details
  }
}
