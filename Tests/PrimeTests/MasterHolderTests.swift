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
