import Foundation
import Testing

extension ToolOnARealKernel {
  @Suite("Output")
  struct Output {
    private let small = ["verify", "--exporter", "vgem", "--importer", "vkms", "--size", "64x64", "--seed", "7"]

    private func onTerminal(_ environment: [String: String] = [:]) throws -> String {
      let ran = try RunningTool(command: [Tool.path] + small, environment: environment, onTerminal: true).finish()
      #expect(ran.code == 0)
      return ran.standardOutput
    }

    @Test func `has colour and progress on a terminal`() throws {
      let text = try onTerminal()
      #expect(text.contains("\u{1b}[32mproven W\u{1b}[0m"))
      #expect(text.hasPrefix("\r\u{1b}[K[1/1] vgem → vkms\r\u{1b}[K64x64 XRGB8888\r\n"))
    }

    @Test(arguments: [["NO_COLOR": "1"], ["TERM": "dumb"]])
    func `has no colour where it is not wanted`(environment: [String: String]) throws {
      let text = try onTerminal(environment)
      #expect(text.contains("vgem dumb            proven W\r\n"))
      #expect(!text.contains("\u{1b}[3"))
      #expect(!text.contains("\u{1b}[1m"))
    }

    @Test func `has no escape code in a file or a pipe`() throws {
      let ran = try Tool.shell("prime-tool list | cat; prime-tool \(small.joined(separator: " ")) 2>&1 | cat")
      #expect(ran.standardOutput.contains("proven W"))
      #expect(ran.standardOutput.contains("DEVICE"))
      #expect(!ran.standardOutput.contains("\u{1b}"))
    }

    @Test func `into a pipe that nobody reads does not hang`() throws {
      for command in ["list", small.joined(separator: " ")] {
        let ran = try Tool.shell("prime-tool \(command) | true", limit: .seconds(30))
        #expect(ran.code == 0)
        #expect(ran.standardError == "")
      }
    }

    @Test func `that cannot be written is an error and not a success`() throws {
      let ran = try Tool.shell("prime-tool list >/dev/full")
      #expect(ran.standardError == "prime-tool: the result could not be written: No space left on device\n")
      #expect(ran.code == 1)
    }

    @Test func `of the version is one line`() throws {
      let ran = try Tool.run("--version")
      #expect(ran.standardOutput.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
    }
  }
}
