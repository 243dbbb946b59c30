import Foundation
import Prime
import PrimeContract
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// What a client left behind that is no longer master: a gamma table and a mirrored plane, as a compositor on another
  /// virtual terminal does.
  @Suite("A display that another program set up")
  struct LeftBehind {
    private func beside(
      _ arguments: [String], meanwhile: (RunningTool) throws -> Void = { _ in }, _ body: (Ran) throws -> Void
    ) throws {
      try beside(command: [Tool.path] + arguments, meanwhile: meanwhile, body)
    }

    /// Runs a command while the client's picture is shown, and looks that it is shown afterwards.
    private func beside(
      command: [String], meanwhile: (RunningTool) throws -> Void = { _ in }, _ body: (Ran) throws -> Void
    ) throws {
      let client = try DisplayClient()
      let before = try client.shown()
      let tool = try RunningTool(command: command)
      try meanwhile(tool)
      let ran = try tool.finish(within: .seconds(300))
      let changes = try client.changes(since: before)
      #expect(changes.isEmpty, "\(changes)")
      try client.end()
      try body(ran)
    }

    @Test(arguments: [["--format", "XRGB8888"], ["--size", "64x64"]])
    func `is proven by verify, and left as it was found`(_ more: [String]) throws {
      try beside(["verify", "--exporter", "vgem", "--importer", "vkms", "--seed", "7", "--json"] + more) { ran in
        let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.cells.map(\.verdict) == [.proven])
        #expect(report.cells.first?.observers.contains(.writeback) == true)
      }
    }

    private func outcomes(_ ran: Ran) throws -> [String: (outcome: CheckOutcome, reason: String?)] {
      let report = try JSONDecoder().decode(CheckReport.self, from: Data(ran.standardOutput.utf8))
      // A statement on several subjects is worth the last of them here; those about displays have one.
      return Dictionary(report.statements.map { ($0.id, ($0.outcome, $0.reason)) }, uniquingKeysWith: { $1 })
    }

    /// K13 lights the display by atomic calls, J17 and K23 by older ones, M03 flips.
    private static let check = ["check", "--json", "--device", "vkms", "--only", "A01,K13,J17,J18,K23,M03"]

    @Test func `is left alone by check, which names the process that has it open`() throws {
      try beside(Self.check) { ran in
        let outcomes = try outcomes(ran)
        #expect(outcomes["A01"]?.outcome == .pass)
        for id in ["K13", "J17", "J18"] {
          #expect(outcomes[id]?.outcome == .skip)
          let reason = try #require(outcomes[id]?.reason)
          let expected = /\(pid \d+\) has \/dev\/dri\/cardN open, and Virtual-1 is connected: --modeset takes/
          #expect(steady(reason).contains(expected), "\(reason)")
        }
      }
    }

    @Test func `is taken by check where that is asked for, and left as it was found`() throws {
      try beside(Self.check + ["--modeset"]) { ran in
        for (id, result) in try outcomes(ran) {
          #expect([CheckOutcome.pass, .knownDeviation].contains(result.outcome), "\(id): \(result.reason ?? "")")
        }
      }
    }

    @Test(
      arguments: [
        ([], ObserverName.writeback), (["--connector", "Virtual-1"], .crc), (["--overlay", "udmabuf"], .writeback),
        (["--connector", "Virtual-1", "--legacy"], .crc),
      ] as [([String], ObserverName)])
    func `is proven by scanout, and left as it was found`(_ more: [String], witness: ObserverName) throws {
      try beside(
        ["scanout", "--from", "vgem", "--on", "vkms", "--frames", "3", "--seed", "7", "--mode", "640x480", "--json"]
          + more
      ) { ran in
        let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.verdict == .proven, "\(report.reason ?? "")")
        #expect(report.witnesses == [witness])
        #expect(report.restored == true)
      }
    }

    /// `SIGTERM` twice in a moment is what `timeout` sends, to its child and to the group.
    @Test(arguments: [[SIGHUP], [SIGQUIT], [SIGTERM, SIGTERM]] as [[CInt]])
    func `is left by scanout as it was found at whatever signal`(_ signals: [CInt]) throws {
      try beside(
        Self.holding,
        meanwhile: { tool in
          try Self.awaitPicture(of: tool)
          for signal in signals { tool.send(signal) }
        }
      ) { ran in
        #expect(ran.code == 128 + signals[0])
        #expect(ran.standardError == "prime-tool: interrupted after 1 of 1 frames\n")
        let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.restored == true)
      }
    }

    @Test func `is put back where the process dies that showed something`() throws {
      try beside(
        Self.holding,
        meanwhile: { tool in
          try Self.awaitPicture(of: tool)
          kill(try #require(tool.children.first), SIGKILL)
        }
      ) { ran in
        #expect(ran.code == 1)
        #expect(ran.standardError == "")
        let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.verdict == .error)
        let sentence = /in the step 'hold': the process that ran this check \(\d+\) died of SIGKILL; .*/
        #expect(report.reason?.wholeMatch(of: sentence) != nil, "\(report.reason ?? "")")
        #expect(report.frames.map(\.content) == [.proven])
        #expect(report.connector == "Writeback-1")
        #expect(report.restored == true)
      }
    }

    @Test func `is put back where the whole tool is killed`() throws {
      try beside(
        Self.holding,
        meanwhile: { tool in
          try Self.awaitPicture(of: tool)
          let worker = try #require(tool.children.first)
          tool.send(SIGKILL)
          // One that has ended may wait for the lab's first process to take note of it.
          let path = "/proc/\(worker)/exe"
          #expect(
            tool.wait { (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) == nil },
            "the worker lives on")
        }
      ) { ran in
        #expect(ran.code == 128 + SIGKILL)
      }
    }

    @Test func `is left by scanout as it was found where nobody reads what it says any more`() throws {
      let line = "\(Tool.path) scanout --from vgem --on vkms --mode 64x48 --frames 1000000 -v | head -3"
      try beside(command: ["sh", "-c", line]) { ran in
        #expect(ran.standardOutput.split(separator: "\n").count == 3)
        #expect(ran.standardError == "")
      }
    }

    private static let holding = [
      "scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48", "--seed", "7", "--hold", "60", "--json",
    ]

    /// Waits until the tool's own picture is on the screen, and its witness has seen it.
    private static func awaitPicture(of tool: RunningTool) throws {
      #expect(try tool.wait { try Tool.displayState().contains("crtc-pos=64x48+0+0") }, "nothing was shown")
      usleep(1_000_000)
    }
  }
}
