import Testing

extension ToolOnARealKernel {
  @Suite("What the tool is started with")
  struct Inheritance {
    @Test func `words are obeyed where there is no /proc`() throws {
      let ran = try Tool.shell("unshare -m sh -c 'umount -l /proc; prime-tool --version; prime-tool verify --bad'")
      #expect(ran.standardOutput.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
      #expect(ran.standardError.hasPrefix("Error: Unknown option '--bad'"))
      #expect(ran.code == 64)
    }

    @Test func `pairs are proven where there is no /proc`() throws {
      let ran = try Tool.shell(
        "unshare -m sh -c 'umount -l /proc; prime-tool verify --exporter vgem --importer vkms --size 64x64'")
      #expect(ran.standardOutput.contains("vgem dumb            proven W\n"))
      #expect(ran.code == 0)
    }

    /// A supervisor that ignores SIGCHLD has the kernel take its children, and its children's, away.
    @Test(arguments: ["export --from vgem", "buffers --leaks"])
    func `a program's code is told where SIGCHLD was ignored`(command: String) throws {
      let words = (["prime-tool"] + command.split(separator: " ").map(String.init) + ["--", "sh", "-c", "exit 7"])
        .map { "\"\($0)\"" }.joined(separator: ", ")
      let ran = try Tool.shell(
        "python3 -c 'import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(\"prime-tool\", [\(words)])'"
      )
      #expect(ran.code == 7, "\(ran.standardError)")
    }

    @Test func `a program gets the standard streams and the buffer, and nothing else that was open`() throws {
      let ran = try Tool.shell(
        "prime-tool export --from vgem -- sh -c 'for n in /proc/$$/fd/*; do readlink $n; done; true' 7</etc/passwd")
      #expect(ran.code == 0, "\(ran.standardError)")
      let files = ran.standardOutput.split(separator: "\n").map(String.init)
      #expect(files.contains("/dmabuf:"))
      #expect(!files.contains("/etc/passwd"), "\(files)")
    }

    /// A cgroup of one process: nobody gets a second one, nor a thread.
    @Test(arguments: [
      "export --from vgem -- true", "buffers --leaks -- true", "verify --exporter vgem --importer vkms",
    ])
    func `a full table of processes is told, and no reason to hang`(command: String) throws {
      let ran = try Tool.shell(
        """
        mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
        echo +pids >/sys/fs/cgroup/cgroup.subtree_control; mkdir -p /sys/fs/cgroup/alone
        echo 1 >/sys/fs/cgroup/alone/pids.max
        sh -c 'echo $$ >/sys/fs/cgroup/alone/cgroup.procs; exec prime-tool \(command)'
        """)
      #expect(
        (ran.standardError + ran.standardOutput).contains("Resource temporarily unavailable"),
        "\(ran.standardError)\(ran.standardOutput)")
      #expect(ran.code != 0)
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `nohup keeps it from ending with its terminal`() throws {
      let line =
        "nohup prime-tool scanout --from vgem --on vkms --mode 64x64 --hold 2 2>&1 & sleep 1; kill -HUP $!; wait $!"
      let ran = try Tool.shell(line)
      #expect(ran.standardOutput.hasSuffix("\nproven by writeback\n"), "\(ran.standardOutput)")
      #expect(ran.code == 0)
    }
  }
}
