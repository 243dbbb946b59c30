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

    @Test(arguments: ["list", "--help", "verify --help", "--version"])
    func `that cannot be written is an error and not a success`(command: String) throws {
      let full = try Tool.shell("prime-tool \(command) >/dev/full")
      #expect(full.standardError == "prime-tool: the result could not be written: No space left on device\n")
      #expect(full.code == 74)
      let closed = try Tool.shell("prime-tool \(command) >&-")
      #expect(closed.standardError == "prime-tool: the result could not be written: Bad file descriptor\n")
      #expect(closed.code == 74)
    }

    @Test func `that nobody reads any more is noticed while there is none`() throws {
      let ran = try Tool.shell("prime-tool buffers --watch --timeout 30 | head -n 0")
      #expect(ran.code == 0)
      #expect(ran.duration < .seconds(20))
    }

    @Test func `into a file that may not grow is an error and no signal`() throws {
      // The limit is not for the file that the test reads.
      let ran = try Tool.shell(
        "file=$(mktemp); (ulimit -f 0; prime-tool list 2>&1 >$file; echo $?) | cat; rm $file")
      #expect(ran.standardOutput == "prime-tool: the result could not be written: File too large\n74\n")
    }

    @Test(arguments: ["check --group A --junit", "scanout --from vgem --on vkms --capture"])
    func `to a file that cannot be is refused before any work is done`(command: String) throws {
      let homeless = try Tool.shell("prime-tool \(command) /nonexistent/file")
      #expect(
        homeless.standardError
          == "prime-tool: /nonexistent/file cannot be written: its folder is not there; make it first\n")
      #expect(homeless.standardOutput == "")
      #expect(homeless.code == 64)
    }

    @Test func `does not follow a symbolic link`() throws {
      let ran = try Tool.shell(
        """
        cd $(mktemp -d); echo kept >victim; ln -s victim link; prime-tool check --only A01 --junit link; code=$?
        cat victim; ls -A; exit $code
        """)
      #expect(
        ran.standardError
          == "prime-tool: link is a symbolic link, which is not followed: give the name of the file itself\n")
      #expect(ran.standardOutput == "kept\nlink\nvictim\n")
      #expect(ran.code == 64)
    }

    @Test func `replaces a file whole, and leaves nothing beside it`() throws {
      let ran = try Tool.shell(
        """
        cd $(mktemp -d); echo old >j.xml; ln j.xml other
        prime-tool check --only A01 --junit j.xml >list; grep -c '<testsuite ' j.xml; cat other; ls -A
        """)
      #expect(ran.standardError == "")
      #expect(ran.standardOutput == "1\nold\nj.xml\nlist\nother\n")
    }

    @Test func `of the version is one line`() throws {
      let ran = try Tool.run("--version")
      #expect(ran.standardOutput.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
      #expect(ran.standardError == "")
      #expect(ran.code == 0)
    }
  }
}
