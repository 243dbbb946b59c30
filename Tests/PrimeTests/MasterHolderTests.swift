import Testing

@testable import Prime

@Suite("The master of a display, as debugfs lists it")
struct MasterHolderTests {
  @Test("is the process whose line has a y, whatever it is called")
  func named() {
    let list = """
                   command  tgid dev master a   uid      magic
            systemd-logind   311   1   n    y     0          0
             my compositor   265   1   y    y  1000          0
                worker-265   999 128   n    n     0          0

      """
    #expect(MasterHolder.masterProcess(inClients: list) == "265")
  }

  /// Linux 6.16 and later.
  @Test("is found where the kernel lists names and numbers of clients as well")
  func newerColumns() {
    let list = """
                   command  tgid dev master a   uid      magic                                                             name                   id
                    Xwayland  1201 128   n    n  1000          0                                                          <unset>                   12
                 gnome-shell   900   1   y    y  1000          0                                                        y 1 y y 1                    7

      """
    #expect(MasterHolder.masterProcess(inClients: list) == "900")
  }

  @Test(
    "is nobody where no line has one",
    arguments: [
      "", "             command  tgid dev master a   uid      magic\n",
      "             command  tgid dev master a   uid      magic\n   worker-265   265   0   n    y     0          0\n",
      "command\n 1 2 y\n y y y y\n",
    ])
  func nobody(list: String) {
    #expect(MasterHolder.masterProcess(inClients: list) == nil)
  }
}

@Suite("Who has a display that cannot be had")
struct DisplayHolderTests {
  private let kernel = FakeKernel([])

  init() {
    kernel.addLink("/proc/self", to: "77")
    addProcess(77, "prime-tool", holding: "/dev/dri/card1")
    addProcess(265, "weston", holding: "/dev/dri/card1")
    addProcess(311, "sshd", holding: "/dev/null")
  }

  private func addProcess(_ number: Int, _ name: String, holding path: String, parent: Int = 1) {
    kernel.addFile("/proc/\(number)/comm", "\(name)\n")
    kernel.addFile("/proc/\(number)/status", "Name:\t\(name)\nPPid:\t\(parent)\n")
    kernel.addLink("/proc/\(number)/fd/9", to: path)
  }

  private func addMaster(_ process: Int) {
    kernel.addFile(
      "/sys/kernel/debug/dri/1/clients",
      "command  tgid dev master a   uid      magic\nany  \(process)   1   y    y  1000          0\n")
  }

  private func reason(_ errno: Errno) -> String {
    MasterHolder.reason(for: errno, path: "/dev/dri/card1", number: DeviceNumber(major: 226, minor: 1), kernel)
  }

  @Test func `is the master that debugfs names`() {
    addMaster(265)
    #expect(
      reason(.busy)
        == "weston (pid 265) is master of this display: stop it, or switch to a free virtual terminal")
  }

  @Test func `is this process itself, with another open file`() {
    addMaster(77)
    #expect(reason(.busy).hasPrefix("another open file of this process is master of this display: close that one"))
  }

  /// A process that the reader's namespace does not show is told as 0.
  @Test(arguments: [nil, 0])
  func `is whoever else has the node open, where debugfs names nobody`(master: Int?) {
    if let master { addMaster(master) }
    #expect(
      reason(.busy) == "another program is master of this display; weston (pid 265) has it open: "
        + "stop it, or switch to a free virtual terminal")
    #expect(
      reason(.permissionDenied)
        == "only root or the first program to open a display may set modes; weston (pid 265) has it open")
  }

  @Test func `is the tool, in place of its worker`() {
    kernel.removeFiles(below: "/proc/265")
    addProcess(265, "worker-265", holding: "/dev/dri/card1", parent: 300)
    addProcess(300, "prime-tool", holding: "/dev/null")
    addMaster(265)
    #expect(reason(.busy).hasPrefix("prime-tool (pid 300) is master of this display"))
    #expect(MasterHolder.processes(holding: "/dev/dri/card1", by: kernel).map(\.pid) == ["300"])
  }

  @Test func `is nobody that can be seen`() {
    kernel.removeFiles(below: "/proc/265")
    #expect(
      reason(.busy)
        == "another program is master of this display: stop the compositor, or switch to a free virtual terminal")
    #expect(
      reason(.permissionDenied) == "only root or the first program to open a display may set modes: "
        + "run as root or from a free virtual terminal")
  }
}
