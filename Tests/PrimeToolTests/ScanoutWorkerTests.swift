import Foundation
import Glibc
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  /// What is left of a run of `scanout` that others end.
  @Suite("Scanout ended by others")
  struct ScanoutEndedByOthers {
    private static let base = ["scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48"]

    @Test func `puts the display back and tells a whole report under GNU timeout`() throws {
      let before = try Tool.displayState()
      let tool = try RunningTool(
        command: ["timeout", "4", Tool.path] + Self.base + ["--frames", "1000000", "--json"])
      #expect(try tool.wait { try Tool.displayState() != before }, "nothing was shown")
      let ran = try tool.finish(within: .seconds(40))
      #expect(ran.code == 124)
      #expect(try Tool.displayState() == before)
      let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
      #expect(report.finding == .cancelled)
      #expect(report.restored == true)
      #expect(!report.frames.isEmpty)
      #expect(report.frames.allSatisfy { $0.content == .proven })
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `stops where nobody reads what it says any more`() throws {
      let before = try Tool.displayState()
      let ran = try Tool.shell(
        "\(Tool.path) \(Self.base.joined(separator: " ")) --frames 1000000 -v | head -3", limit: .seconds(60))
      #expect(ran.standardOutput.split(separator: "\n").count == 3)
      #expect(ran.standardError == "")
      #expect(ran.duration < .seconds(40))
      #expect(try Tool.displayState() == before)
      #expect(Tool.hasNoDMABufs())
    }

    /// A pipe is full after 64 KiB, which is about a thousand frames.
    @Test func `obeys a signal also where nobody takes what it says`() throws {
      let before = try Tool.displayState()
      let tool = try RunningTool(
        command: ["sh", "-c", "\(Tool.path) \(Self.base.joined(separator: " ")) --frames 1000000 -v | sleep 50"])
      #expect(try tool.wait { try Tool.displayState() != before }, "nothing was shown")
      usleep(25_000_000)
      let found = try Tool.shell("pidof prime-tool | tr ' ' '\\n' | sort -n | head -1")
      kill(try #require(pid_t(found.standardOutput.trimmingCharacters(in: .newlines))), SIGTERM)
      #expect(try tool.wait(.seconds(45)) { try Tool.displayState() == before }, "it goes on")
      tool.send(SIGKILL)
      _ = try? tool.finish()
      #expect(Tool.hasNoDMABufs())
    }
  }

  /// Drivers that hang, crash and lie in the middle of a scanout.
  @Suite("Scanout of drivers that lie", .enabled(if: Tool.hasLiars, "this needs `lab/run --liars`"))
  struct ScanoutOfLiars {
    private static let parameter = "/sys/module/drm/parameters/debug"

    private func scanout(_ liar: String, _ more: [String] = []) throws -> (ScanoutReport, Ran) {
      let ran = try RunningTool(["scanout", "--from", "vgem", "--on", "liar-\(liar)", "--json"] + more)
        .finish(within: .seconds(60))
      return (try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8)), ran)
    }

    @Test(.enabled(if: Tool.has(liar: "import-hang")))
    func `that hang in an import costs the result, and nothing else`() throws {
      let (report, ran) = try scanout("import-hang", ["--timeout", "5"])
      #expect(report.verdict == .error)
      #expect(report.reason?.hasPrefix("in the step 'import': a call of the kernel did not return within ") == true)
      #expect(report.reason?.hasSuffix("and the process was killed") == true, "\(report.reason ?? "")")
      #expect(report.restored == nil)
      #expect(ran.code == 1)
      #expect(ran.standardError == "")
      #expect(ran.duration < .seconds(25))
    }

    @Test(.enabled(if: Tool.has(liar: "import-hang-uninterruptible")))
    func `that hang and cannot be interrupted leave a process behind, which is named`() throws {
      let (report, ran) = try scanout("import-hang-uninterruptible", ["--timeout", "5"])
      #expect(report.verdict == .error)
      #expect(report.reason?.contains("cannot be interrupted: process ") == true, "\(report.reason ?? "")")
      #expect(ran.standardError.contains(/prime-tool: process \d+ is left behind: a call of the kernel holds it/))
      #expect(ran.code == 1)
    }

    @Test(.enabled(if: Tool.has(liar: "modeset-hang")))
    func `that hang in a modeset leave the kernel's log as it was, also where the tool is killed`() throws {
      func parameter() throws -> String { try String(contentsOfFile: Self.parameter, encoding: .utf8) }
      let before = try parameter()
      let killed = try RunningTool(["scanout", "--from", "vgem", "--on", "liar-modeset-hang", "-v"])
      #expect(try killed.wait { try parameter() != before }, "it was not asked to say more")
      // The first calls that are explained are over in a moment, and the one that hangs is not.
      usleep(3_000_000)
      let worker = try #require(killed.children.first)
      #expect(try parameter() != before)
      killed.send(SIGKILL)
      #expect(try killed.finish().code == 128 + SIGKILL)
      #expect(
        killed.wait(.seconds(100)) {
          (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(worker)/exe")) == nil
        }, "its worker lives on")
      #expect(try parameter() == before)
      let (report, ran) = try scanout("modeset-hang", ["--timeout", "5", "-v"])
      #expect(report.verdict == .error)
      #expect(report.reason?.hasPrefix("in the step 'show': a call of the kernel did not return") == true)
      #expect(ran.code == 1)
      #expect(try parameter() == before)
    }

    @Test(.enabled(if: Tool.has(liar: "import-warn")))
    func `that make the kernel warn prove nothing, and its words are told`() throws {
      let (report, ran) = try scanout("import-warn")
      #expect(report.verdict == .error)
      #expect(report.reason?.hasPrefix("it would be proven, but the kernel complained meanwhile: WARNING: ") == true)
      #expect(report.kernelLog?.contains { $0.contains("vkms_import_warn") } == true)
      #expect(report.restored == true)
      #expect(ran.code == 1)
    }

    @Test(.enabled(if: Tool.has(liar: "import-copy-blind")), arguments: ["import-copy-blind", "import-other-blind"])
    func `that map nothing are not said to share`(_ liar: String) throws {
      let (report, ran) = try scanout(liar)
      #expect(report.verdict == .held)
      #expect(report.reason?.contains("the kernel accepted every frame") == true)
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
      let asked = try scanout(liar, ["--test-only"]).0
      #expect(asked.verdict == .held)
    }

    @Test(.enabled(if: Tool.has(liar: "import-oops")))
    func `that crash the kernel cost the result, and its words are told`() throws {
      let (report, ran) = try scanout("import-oops", ["--timeout", "20"])
      #expect(report.verdict == .error)
      #expect(report.reason?.hasPrefix("in the step 'import': the kernel ended the thread that ran this check") == true)
      #expect(report.kernelLog?.contains { $0.contains("NULL pointer dereference") } == true)
      #expect(ran.standardError == "")
      #expect(ran.duration < .seconds(15))
      #expect(ran.code == 1)
    }
  }
}

extension Tool {
  /// Whether the lab has drivers that lie, which `lab/run --liars` adds.
  static var hasLiars: Bool { ProcessInfo.processInfo.environment["PRIME_LAB_OWN"]?.contains("liar-") == true }

  static func has(liar: String) -> Bool {
    let own = ProcessInfo.processInfo.environment["PRIME_LAB_OWN"] ?? ""
    return own.split(separator: " ").contains { $0 == "liar-\(liar)" }
  }
}
