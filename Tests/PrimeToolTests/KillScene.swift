import Foundation
import Glibc
import Testing

@testable import Prime
@testable import PrimeContract
@testable import PrimeVerify

/// A run of `verify` that is killed at random moments, while another program's picture is on vkms.
struct KillScene {
  private let arguments: [String]
  private var generator: SplitMix
  private let name: String
  /// The run that nobody kills: what each cell comes to, and how long its workers are at work.
  private let undisturbed: VerifyReport
  private var duration: Duration

  private static let environment = ProcessInfo.processInfo.environment

  /// How many kills: few enough for every run of the tests, or what the environment asks for.
  static func count(_ few: Int, _ variable: String = "PRIME_WORKER_KILLS") -> Int {
    environment[variable].flatMap(Int.init) ?? few
  }

  /// Runs it once undisturbed.
  ///
  /// `PRIME_KILL_SEED` repeats the moments of an earlier run, as far as moments can be repeated.
  init(_ name: String, exporters: [String], importers: [String]) throws {
    self.name = name
    let seed = Self.environment["PRIME_KILL_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 1...UInt64(UInt32.max))
    generator = SplitMix(state: seed)
    arguments =
      ["verify", "--json", "--seed", "7", "--size", "320x240"] + exporters.flatMap { ["--exporter", $0] }
      + importers.flatMap { ["--importer", $0] }
    let tool = try RunningTool(arguments)
    try #require(tool.wait(.seconds(60)) { !tool.children.isEmpty })
    let start = ContinuousClock.now
    try #require(tool.wait(.seconds(300)) { tool.children.isEmpty })
    duration = ContinuousClock.now - start
    let ran = try tool.finish(within: .seconds(300))
    undisturbed = try Self.report(ran)
    #expect(ran.code == 0, "\(ran.standardError)")
    #expect(undisturbed.cells.count == exporters.count * importers.count)
    print("\(name): seed \(seed), undisturbed its worker takes \(duration) of \(ran.duration)")
  }

  private static func report(_ ran: Ran) throws -> VerifyReport {
    try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
  }

  /// A run that has come to a random moment of its work, and the worker that is at it; nil where it was done before.
  private mutating func runToSomeMoment() throws -> (tool: RunningTool, worker: pid_t?) {
    let tool = try RunningTool(arguments)
    try #require(tool.wait(.seconds(60)) { !tool.children.isEmpty })
    let start = ContinuousClock.now
    let moment = Deadline(in: duration * Double.random(in: 0..<1, using: &generator))
    while moment.remaining > .zero {
      usleep(UInt32(min(moment.remaining, .milliseconds(20)) / .microseconds(1)))
      guard tool.children.isEmpty else { continue }
      // The machine is faster by now, so the next moments lie closer together.
      duration = ContinuousClock.now - start
      return (tool, nil)
    }
    return (tool, tool.children.first)
  }

  /// Kills a worker of each of `count` runs.
  mutating func killWorkers(_ count: Int, _ client: DisplayClient) throws {
    var (cost, late) = (0, 0)
    for round in 0..<count {
      let before = try Traces(client)
      let (tool, victim) = try runToSomeMoment()
      if let victim { kill(victim, SIGKILL) }
      let ran = try tool.finish(within: .seconds(300))
      let report = try Self.report(ran)
      let errors = report.cells.filter { $0.verdict == .error }
      if errors.isEmpty {
        late += 1
      } else {
        cost += 1
        #expect(errors.count == 1, "round \(round)")
      }
      for error in errors {
        let sentence = "the process that ran this check (\(victim ?? 0)) died of SIGKILL; the kernel log may say why"
        #expect(error.reason?.hasSuffix(sentence) == true, "round \(round): \(error.reason ?? "")")
      }
      #expect(ran.code == (errors.isEmpty ? 0 : 1), "round \(round): \(ran.standardError)")
      #expect(ran.standardError == "", "round \(round)")
      // The other cells are what they are where nothing dies.
      try #require(report.cells.count == undisturbed.cells.count, "round \(round)")
      for (cell, expected) in zip(report.cells, undisturbed.cells) {
        #expect([cell.exporter, cell.importer] == [expected.exporter, expected.importer], "round \(round)")
        guard cell.verdict != .error else { continue }
        #expect(cell.verdict == expected.verdict, "round \(round): \(cell.exporter) → \(cell.importer)")
        #expect(cell.observers == expected.observers, "round \(round): \(cell.exporter) → \(cell.importer)")
      }
      #expect(!report.interrupted, "round \(round)")
      #expect(report.leaks.descriptors == [] && report.leaks.dmaBufs == [], "round \(round)")
      let changes = try before.changes(client)
      #expect(changes.isEmpty, "round \(round): \(changes)")
    }
    print("\(name): \(count) kills: \(cost) cost the cell of their moment, \(late) came when every cell was done")
    #expect(late <= 2 + count / 4)
  }

  /// Kills `count` runs themselves: their workers end by themselves, as a run does that is asked to.
  mutating func killRuns(_ count: Int, _ client: DisplayClient) throws {
    var longest = Duration.zero
    for round in 0..<count {
      let before = try Traces(client)
      let tool = try runToSomeMoment().tool
      tool.send(SIGKILL)
      _ = try tool.finish()
      let killed = ContinuousClock.now
      // What a worker may take, and what a slow machine may.
      let deadline = Deadline(in: .seconds(14))
      #expect(Pause.until(deadline) { Traces.workers().isEmpty }, "round \(round): \(Traces.workers())")
      longest = max(longest, ContinuousClock.now - killed)
      let changes = try before.changes(client)
      #expect(changes.isEmpty, "round \(round): \(changes)")
    }
    print("\(name): \(count) runs killed, the longest of their workers ended after \(longest)")
  }

  /// What a run leaves on the machine, beside what the machine has anyway.
  private struct Traces {
    private let display: DisplayClient.Shown
    private let objects: [String: [String]]

    init(_ client: DisplayClient) throws {
      display = try client.shown()
      objects = Self.objects()
    }

    /// What is other than it was, in words; empty where nothing is.
    ///
    /// The kernel frees behind the end of a process, for example what a writeback was written to, so it has two seconds.
    func changes(_ client: DisplayClient) throws -> [String] {
      var changes: [String] = []
      let deadline = Deadline(in: .seconds(2))
      repeat {
        if !changes.isEmpty { deadline.pause(milliseconds: 10) }
        let now = Self.objects()
        changes = try client.changes(since: display)
        for (kind, before) in objects where now[kind] != before {
          changes.append("\(kind): \((now[kind] ?? []).difference(from: before))")
        }
      } while !changes.isEmpty && deadline.remaining > .zero
      return changes
    }

    /// Processes by the name that workers and their threads have, with their states.
    ///
    /// One that has ended and that init did not hear of yet is none.
    static func workers() -> [String] {
      LinuxKernel().entries(of: "/proc").filter { $0.allSatisfy(\.isNumber) }
        .compactMap { LinuxKernel().text(of: "/proc/\($0)/stat") }.filter { $0.contains("(worker-") }
        .map { $0.split(separator: " ").prefix(3).joined(separator: " ") }.filter { !$0.hasSuffix(" Z") }
    }

    private static func objects() -> [String: [String]] {
      let devices = LinuxKernel().entries(of: "/sys/kernel/debug/dri")
      func lines(_ file: String, where counts: (Substring) -> Bool = { _ in true }) -> [String] {
        devices.flatMap { device -> [String] in
          let text = (try? String(contentsOfFile: "/sys/kernel/debug/dri/\(device)/\(file)", encoding: .utf8)) ?? ""
          return text.split(separator: "\n").filter(counts).map { "\(device) \($0)" }
        }.sorted()
      }
      let buffers = Tool.dmaBufs()
      return [
        "processes": workers(), "dma-bufs": ["\(buffers.count) of \(buffers.bytes) bytes"],
        "framebuffers": lines("framebuffer") { $0.hasPrefix("framebuffer[") }, "open files": lines("clients"),
        "traces": LinuxKernel().entries(of: "/sys/kernel/tracing/instances"),
      ]
    }
  }
}
