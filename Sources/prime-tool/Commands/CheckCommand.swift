import ArgumentParser
import Prime
import PrimeContract

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks on this kernel and these devices what dma-buf, PRIME and KMS promise, statement by statement.",
    discussion: """
      Each statement runs in a process of its own, on everything here that it can be looked at on, and says exactly what
      differs. What cannot be looked at is skipped with its reason, and is never a pass.
      A core failure is a bug of the kernel, and so is that of a helper's rule on a driver that is built on the helper. A
      deviation is a driver's own behaviour: it is reported under the driver's name and fails the run with --strict.
      Failures that are known of a driver or a helper are explained.
      What the kernel's log complains of meanwhile fails the statements whose process or driver it names. What names
      others is told; where nobody knows whose it is, the statement is suspect.
      Statements that need to be master take a display for a moment, and put it back. A display that another process has
      open while something is connected to it is left alone without --modeset.
      """)

  @Option(name: .long, parsing: .singleValue, help: "Only these groups, by letter: A,B (repeatable).")
  var group: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "Only these statements, by id: A01,K21 (repeatable).")
  var only: [String] = []

  @Option(name: .long, parsing: .singleValue, help: "Only this device; udmabuf and the heap stay (repeatable).")
  var device: [String] = []

  @Flag(help: "List the statements with what they promise and where that is written, and run none.")
  var list = false

  @Flag(help: "With --list: print them as the Markdown page docs/contract.md.")
  var markdown = false

  @Flag(help: "Print JSON (schema \(CheckReport.currentSchema)).")
  var json = false

  @Flag(help: "Print TAP.")
  var tap = false

  @Option(help: "The version of TAP: 14, or 13 for a `prove` older than Test::Harness 3.48.")
  var tapVersion: Int = 14

  @Flag(help: "Print KTAP, as the kernel's own tests do.")
  var ktap = false

  @Flag(help: "Print LAVA's test case lines.")
  var lava = false

  @Option(help: ArgumentHelp("Write JUnit XML to this file as well.", valueName: "file"))
  var junit: String?

  @Option(help: ArgumentHelp("Compare with this report of `check --json`; fail where it got worse.", valueName: "file"))
  var baseline: String?

  @Option(help: "Seconds that one statement may take on one subject.")
  var statementTimeout: Double = 30

  @Option(help: "Seconds after which the run ends, however far it got.")
  var timeout: Double = 600

  @Option(help: "Repeats the patterns of an earlier run, and its order with --shuffle.")
  var seed: UInt64?

  @Flag(help: "Run in an order that the seed gives.")
  var shuffle = false

  @Option(help: "How many statements run at a time; those that would meet on a display wait for each other.")
  var jobs: Int = 1

  @Flag(help: "A helper's or driver's deviation fails the run as well.")
  var strict = false

  @Flag(help: "Run every statement with altered answers of the kernel as well: one that does not notice fails.")
  var control = false

  @Option(
    name: .long, parsing: .singleValue,
    help: "Allow this PCI display to be pulled out and brought back, for the statements about that (repeatable).")
  var unplug: [String] = []

  @Option(
    help: ArgumentHelp(
      "Pull them out with this command, which is told the driver's name, instead of the kernel's PCI core; for good.",
      valueName: "command"))
  var unplugCommand: String?

  @Flag(help: "Take displays also where another process has them open and something is connected to them.")
  var modeset = false

  @Flag(name: .shortAndLong, help: "Show every result, with the calls that led to it.")
  var verbose = false

  func validate() throws {
    guard timeout > 0, timeout < 1e6, statementTimeout > 0, statementTimeout < 1e6 else {
      throw ValidationError("--timeout and --statement-timeout take seconds above 0")
    }
    guard [json, tap, ktap, lava, markdown].count(where: { $0 }) <= 1 else {
      throw ValidationError("only one of --json, --tap, --ktap, --lava and --markdown can go to standard output")
    }
    guard list || !markdown else { throw ValidationError("--markdown is for --list") }
    guard [13, 14].contains(tapVersion) else { throw ValidationError("--tap-version is 13 or 14, not \(tapVersion)") }
    guard (1...64).contains(jobs) else { throw ValidationError("--jobs takes a number from 1 to 64, not \(jobs)") }
  }

  func run() throws {
    let statements = try selectedStatements()
    // Read and opened before the run: a mistake in the name is better known now than after it.
    let stored = try baseline.map { try StoredReport(baseline: $0, schema: CheckReport.currentSchema) }
    let junitFile = try junit.map { path in try ExitStatus.opening { () throws(OutputError) in try OutputFile(path) } }
    if list {
      let text =
        try json
        ? JSONOutput.text(StatementList(statements)) + "\n"
        : markdown ? ContractPage(statements).markdown : StatementList(statements).text
      return try StandardOutput.write(text)
    }
    let present = try device.isEmpty ? DeviceSelection.present() : DeviceSelection.present(named: device + unplug)
    var selected: [DeviceDescription] = []
    for name in device { selected += try DeviceSelection.devices(named: name, in: present) }
    var removable: [DeviceDescription] = []
    for name in unplug {
      for device in try DeviceSelection.devices(named: name, in: present) {
        guard device.bus.name == "pci" else {
          throw ExitStatus.usage(
            "--unplug \(name): it is on the \(device.bus.name) bus, and only PCI devices come back")
        }
        guard device.capabilities?.atomic != nil else {
          throw ExitStatus.usage("--unplug \(name): it sets no modes, and the statements are about displays")
        }
        removable.append(device)
      }
    }
    let machine: Machine
    do throws(PrimeError) {
      machine = try Machine(
        selected: device.isEmpty ? present : selected, isNarrowed: !device.isEmpty, removable: removable,
        unplugging: unplug.isEmpty ? nil : unplugCommand.map(Unplugging.command) ?? .sysfs, takesHeldDisplays: modeset)
    } catch {
      StandardError.note("prime-tool: \(error)")
      throw ExitStatus.failed
    }
    let seed = seed ?? .random(in: 1...UInt64(UInt32.max))
    let runner = Runner(
      machine: machine,
      options: Runner.Options(
        limit: .seconds(statementTimeout), total: .seconds(timeout), jobs: jobs, seed: seed, shuffled: shuffle,
        controls: control))
    let progress = Progress(total: statements.count)
    let outcomes = runner.run(statements) { done, total, what in
      progress.show(done, of: total, what)
    }
    progress.clear()
    let report = CheckReport(outcomes, of: statements, machine: machine, allDevices: present, seed: seed)
    try StandardOutput.write(rendered(report))
    try ExitStatus.keeping { () throws(OutputError) in
      try junitFile?.write(JUnitOutput(report: report, strict: strict).text)
    }
    if let signal = outcomes.stoppedBy {
      StandardError.note("prime-tool: interrupted after \(report.statements.count) results")
      throw ExitCode(128 + signal)
    }
    if outcomes.ranOutOfTime {
      StandardError.note(
        "prime-tool: the time ran out after \(report.statements.count) results: raise --timeout")
      throw ExitStatus.failed
    }
    let regressed = stored.map { Baseline.showsRegression(of: report.entries, since: $0) } ?? false
    if report.fails(strict: strict) || regressed { throw ExitStatus.failed }
    if let reason = untestedReason(report, machine, present) {
      StandardError.note("prime-tool: \(reason)")
      throw ExitStatus.untested
    }
  }

  /// Why nothing was tested; nil where something was.
  private func untestedReason(_ report: CheckReport, _ machine: Machine, _ present: [DeviceDescription]) -> String? {
    if let emptiness = machine.emptiness { return present.isEmpty ? Advice.noDevices : emptiness }
    guard report.statements.allSatisfy({ $0.outcome == .skip }) else { return nil }
    return report.statements.compactMap(\.reason).first ?? "nothing could be tested"
  }

  private func rendered(_ report: CheckReport) throws -> String {
    let lines = LineProtocols(report: report, strict: strict)
    if json { return try JSONOutput.text(report) + "\n" }
    if tap { return lines.tap(version: tapVersion) }
    if ktap { return lines.ktap }
    if lava { return lines.lava }
    return CheckText(report, verbose: verbose).text
  }

  private func selectedStatements() throws -> [Statement] {
    let groups = Set(group.flatMap { $0.split(separator: ",") }.map { $0.uppercased() })
    let ids = Set(only.flatMap { $0.split(separator: ",") }.map { $0.uppercased() })
    if let unknown = groups.sorted().first(where: { name in !Contract.groups.contains { String($0.letter) == name } }) {
      let letters = Contract.groups.map { String($0.letter) }
      throw ExitStatus.usage("no group is called '\(unknown)': they are \(letters[0]) to \(letters[letters.count - 1])")
    }
    if let unknown = ids.sorted().first(where: { id in !Contract.statements.contains { $0.id == id } }) {
      throw ExitStatus.usage("no statement is called '\(unknown)': `prime-tool check --list` shows them")
    }
    guard !(groups.isEmpty && ids.isEmpty) else { return Contract.statements }
    return Contract.statements.filter { groups.contains(String($0.group)) || ids.contains($0.id) }
  }
}

/// What `check --list` shows.
struct StatementList: Codable {
  struct Entry: Codable {
    var id: String
    var group: String
    var title: String
    var kind: String
    var subject: String
    var source: String
  }
  var statements: [Entry]

  init(_ statements: [Statement]) {
    self.statements = statements.map {
      Entry(
        id: $0.id, group: String($0.group), title: $0.title, kind: $0.kind.rawValue, subject: $0.subject.rawValue,
        source: $0.source)
    }
  }

  var text: String {
    var table = TextTable()
    for entry in statements {
      table.add([.init(entry.id, .bold), .init(entry.kind), .init(entry.title)])
      table.add([.init(""), .init(""), .init(entry.source, .grey)])
    }
    return table.lines(TextStyle()).joined(separator: "\n") + "\n"
  }
}
