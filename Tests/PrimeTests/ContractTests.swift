import Glibc
import Testing

@testable import Prime
@testable import PrimeContract
@testable import PrimeProcesses
@testable import PrimeVerify

@Suite("The contract")
struct ContractTests {
  @Test func `has every statement once, in order, in fifteen groups`() {
    let counts = Contract.groups.map { group in Contract.statements.count { $0.group == group.letter } }
    #expect(counts == [15, 14, 15, 10, 21, 11, 19, 8, 11, 25, 32, 10, 17, 12, 6])
    let ids = Contract.statements.map(\.id)
    #expect(ids == ids.sorted())
    #expect(Set(ids).count == 226)
  }

  @Test func `numbers each group from 01 without a gap`() {
    for group in Contract.groups {
      let numbers = Contract.statements.filter { $0.group == group.letter }.map { String($0.id.dropFirst()) }
      let expected = numbers.indices.map { $0 < 9 ? "0\($0 + 1)" : "\($0 + 1)" }
      #expect(numbers == expected)
    }
  }

  @Test func `says what each statement promises and where the kernel does`() {
    for statement in Contract.statements {
      #expect(statement.title.count > 10, "\(statement.id)")
      #expect(!statement.title.hasSuffix("."), "\(statement.id)")
      #expect(!statement.source.isEmpty, "\(statement.id)")
      #expect((statement.body == nil) == (statement.kind == .advice), "\(statement.id)")
    }
  }

  @Test func `has two statements that are advice`() {
    #expect(Contract.statements.filter { $0.kind == .advice }.map(\.id) == ["G16", "M09"])
  }

  @Test func `knows deviations of statements that it has`() {
    let ids = Set(Contract.statements.map(\.id))
    for deviation in Contract.knownDeviations {
      #expect(deviation.ids.isSubset(of: ids))
      #expect(!deviation.explanation.isEmpty)
    }
  }
}

@Suite("A trial of a statement")
struct TrialTests {
  private let machine = Machine.standIn()
  private let vgem = Subject(name: "vgem", driver: "vgem")

  private func run(
    _ kind: Statement.Kind = .core, of rule: Statement.Rule? = nil, id: String = "A01", on subject: Subject? = nil,
    family: HelperFamily? = .shmem, kernel: KernelProbe = KernelProbe(), _ body: @escaping Statement.Body
  ) -> CheckResult {
    let statement = Statement(id, kind, of: rule, on: .machine, "a pipe has two ends", source: "pipe(7)", body)
    let family = DriverFamily(family, "its module says so")
    return Trial(statement: statement, subject: subject ?? vgem, machine: machine, seed: 1, family: family)
      .run(with: kernel, countsDescriptors: false).result
  }

  @Test func `passes where every expectation holds`() {
    let result = run { check in
      check.expect(check.kernel.seek(-1, 0, .set), fails: .badDescriptor)
      check.expect("the sum", 1 + 1, is: 2)
    }
    #expect(result.outcome == .pass)
    #expect(result.reason == nil)
    #expect(result.calls.isEmpty)
  }

  @Test func `fails with what was promised, what was seen, and the calls`() {
    let result = run { check in check.expect(check.kernel.seek(-1, 0, .set), fails: .invalidArgument) }
    #expect(result.outcome == .fail)
    #expect(result.expected == "EINVAL")
    #expect(result.got == "EBADF")
    #expect(result.reason == "lseek(-1, 0, SEEK_SET): expected EINVAL, got EBADF")
    #expect(result.calls == ["lseek(-1, 0, SEEK_SET) = EBADF"])
  }

  @Test func `goes on after what does not hold, and reports all of it`() {
    let result = run { check in
      check.expect("the first", 1, is: 2)
      check.expect("the second", 3, is: 4)
    }
    #expect(result.findings.map(\.call) == ["the first", "the second"])
    #expect(result.reason == "the first: expected 2, got 1 (and 1 more)")
  }

  @Test func `ends where the rest makes no sense without a success`() {
    let result = run { check in
      try check.expect(check.kernel.duplicate(-1))
      check.expect("never reached", false, "true", got: "false")
    }
    #expect(result.findings == [Finding(expected: "success", got: "EBADF", call: "dup(-1)")])
  }

  @Test func `is an error where its preparation fails`() {
    let result = run { check in _ = try check.prepare(check.kernel.duplicate(-1)) }
    #expect(result.outcome == .error)
    #expect(result.reason == "dup(-1) failed with EBADF (Bad file descriptor) while preparing")
  }

  @Test func `is an error where it looked at nothing`() {
    let result = run { _ in }
    #expect(result.outcome == .error)
    #expect(result.reason == "the statement looked at nothing")
  }

  @Test func `is skipped for the reason its body gives`() {
    let result = run { _ in throw Statement.Stop.skipped("there is no pipe here") }
    #expect(result.outcome == .skip)
    #expect(result.reason == "there is no pipe here")
  }

  @Test func `of a helper is a deviation where it fails`() {
    #expect(run(.helper) { $0.expect("the sum", 2, is: 3) }.outcome == .deviation)
    #expect(run(.exporterSpecific) { $0.expect("the sum", 2, is: 3) }.outcome == .deviation)
  }

  @Test func `that is known to fail on a driver is explained, and so is its passing`() throws {
    let failing = run(id: "B10") { $0.expect("the mapping", "page 0", is: "page 2") }
    #expect(failing.outcome == .knownDeviation)
    #expect(try #require(failing.reason).contains("shows the wrong page"))
    // What it does not explain is no part of it.
    let other = run(id: "B10") {
      $0.expect("the mapping", "page 0", is: "page 2")
      $0.expect("mmap", "EFAULT", is: "success")
    }
    #expect(other.outcome == .fail)
    let passing = run(id: "B10") { $0.expect("the page", 2, is: 2) }
    #expect(passing.outcome == .unexpectedPass)
    let elsewhere = run(id: "B10", on: Subject(name: "heap", driver: "heap"), family: .systemHeap) {
      $0.expect("the mapping", "page 0", is: "page 2")
    }
    #expect(elsewhere.outcome == .fail)
  }

  @Test func `is not excused by a driver's name, and says so where it is not known what the driver is built on`() throws
  {
    let ttm = run(id: "B10", family: .ttm) { $0.expect("the mapping", "page 0", is: "page 2") }
    #expect(ttm.outcome == .fail)
    let other = Subject(name: "persona-ttm", driver: "persona-ttm")
    let result = run(id: "B10", on: other, family: nil) { $0.expect("the mapping", "page 0", is: "page 2") }
    #expect(result.outcome == .deviation)
    let reason = try #require(result.reason)
    #expect(
      reason.hasPrefix(
        "it fails as it is known to with GEM-shmem, and whether persona-ttm is built on that is not known "
          + "(its module says so)"))
    #expect(run(id: "B10", on: other, family: nil) { $0.expect("the page", 2, is: 2) }.outcome == .pass)
  }

  @Test func `of one helper alone fails on that helper, and leaves the others free`() throws {
    func run(_ rule: Statement.Rule, _ family: HelperFamily?) -> CheckResult {
      self.run(.helper, of: rule, family: family) { $0.expect("MAP_DUMB", "success (4096)", is: "EINVAL") }
    }
    #expect(run(.only(.shmem, .dma), .shmem).outcome == .fail)
    let free = run(.only(.shmem, .dma), .ttm)
    #expect(free.outcome == .skip)
    #expect(
      free.reason == "MAP_DUMB: expected EINVAL, got success (4096); this is a rule of GEM-DMA, GEM-shmem alone, "
        + "and vgem is built on TTM (its module says so)")
    #expect(run(.only(.shmem), nil).outcome == .deviation)
    #expect(run(.surely(.shmem), .shmem).outcome == .fail)
    #expect(run(.surely(.shmem), .ttm).outcome == .deviation)
    #expect(run(.surely(.shmem), nil).outcome == .deviation)
    #expect(self.run(.helper, of: .only(.shmem), family: .ttm) { $0.expect("it", 1, is: 1) }.outcome == .pass)
  }

  @Test func `closes what it opened, whatever its end`() {
    // Which nobody else opens.
    let path = "/proc/\(getpid())/limits"
    let kernel = KernelProbe()
    let opened = CapturedDescriptor()
    _ = run(kernel: kernel) { check in
      opened.value = try check.expect(check.kernel.open(path, flags: 0))
      throw Statement.Stop.failed
    }
    #expect(opened.value > 2)
    // A test beside this one may have the number by now.
    let targets = LinuxKernel().entries(of: "/proc/self/fd").map { LinuxKernel().linkTarget(of: "/proc/self/fd/\($0)") }
    #expect(!targets.contains(path))
  }
}

@Suite("A control")
struct ControlTests {
  private func control(_ body: @escaping Statement.Body) -> CheckResult {
    let statement = Statement("A01", .core, on: .machine, "a pipe has two ends", source: "pipe(7)", body)
    let trial = Trial(
      statement: statement, subject: Subject(name: "vgem", driver: "vgem"), machine: .standIn(), seed: 1)
    return Control(trial: trial, countsDescriptors: false, announce: { _ in }).run().result
  }

  @Test func `shows that a statement notices an error that turned into a success`() {
    let result = control { check in check.expect(check.kernel.seek(-1, 0, .set), fails: .badDescriptor) }
    #expect(result.outcome == .pass)
    #expect(
      result.reason
        == "noticed that the answer of lseek(-1, 0, SEEK_SET) was altered: lseek(-1, 0, SEEK_SET): "
        + "expected EBADF, got success (0)")
  }

  @Test func `takes what a free driver would be skipped for as noticed`() {
    let statement = Statement(
      "A01", .helper, of: .only(.shmem), on: .machine, "a pipe has two ends", source: "pipe(7)"
    ) { check in check.expect(check.kernel.seek(-1, 0, .set), fails: .badDescriptor) }
    let trial = Trial(
      statement: statement, subject: Subject(name: "qxl", driver: "qxl"), machine: .standIn(), seed: 1,
      family: DriverFamily(.ttm, "its module says so"))
    #expect(Control(trial: trial, countsDescriptors: false, announce: { _ in }).run().result.outcome == .pass)
  }

  @Test func `shows that a statement notices another value`() {
    let result = control { check in
      check.expect("the answer", try check.expect(check.kernel.control(0, 1, 0, "F_GETFD")), is: 0)
    }
    #expect(result.outcome == .pass)
    #expect(result.reason?.hasSuffix("the answer: expected 0, got 1") == true)
  }

  @Test func `fails a statement that notices nothing`() {
    let result = control { check in
      _ = check.kernel.seek(-1, 0, .set)
      check.expect("nothing of the kernel's", 1, is: 1)
    }
    #expect(result.outcome == .fail)
    #expect(result.reason == "no altered answer of its 1 calls made it fail")
  }
}

@Suite("What a child tells its parent")
struct TrialMessageTests {
  private let trial = Trial(
    statement: Statement("A01", .core, on: .machine, "a pipe has two ends", source: "pipe(7)") { _ in },
    subject: Subject(name: "vgem", driver: "vgem"), machine: .standIn(), seed: 1)

  private var report: Trial.Report {
    var result = CheckResult(trial.statement, on: trial.subject, .fail, reason: "because")
    result.findings = [
      Finding(expected: "EINVAL", got: "", call: "lseek"), Finding(expected: "1", got: "2", call: "the sum"),
    ]
    (result.expected, result.got) = ("EINVAL", "")
    result.calls = ["lseek(3) = 0", "close(3) = 0"]
    result.nanoseconds = 1234
    return Trial.Report(result: result, dmaBufs: [7, 9], callCount: 2)
  }

  @Test func `arrives whole`() {
    let bytes = TrialMessage.call("lseek(3)") + TrialMessage.call("close(3)") + TrialMessage.report(report)
    let (lastCall, arrived) = TrialMessage.parse(bytes, trial)
    #expect(lastCall == "close(3)")
    #expect(arrived == report)
  }

  @Test func `names the last call where the child died`() {
    let bytes = TrialMessage.call("lseek(3)") + TrialMessage.call("mmap(3)") + TrialMessage.report(report).dropLast(20)
    let (lastCall, arrived) = TrialMessage.parse(Array(bytes), trial)
    #expect(lastCall == "mmap(3)")
    #expect(arrived == nil)
  }

  /// A kernel's text, or a driver's name, could hold anything.
  @Test(arguments: ["", "a\nb", "\u{0}\u{1}", "\u{3}\u{0}\u{0}\u{0}", "→"])
  func `keeps its parts apart whatever they hold`(text: String) {
    var report = self.report
    report.result.findings = [Finding(expected: text, got: text, call: text)]
    report.result.calls = [text, "close(3) = 0"]
    (report.result.expected, report.result.got) = (text, text)
    report.result.reason = "because: \(text)"
    let (lastCall, arrived) = TrialMessage.parse(TrialMessage.call(text) + TrialMessage.report(report), trial)
    #expect(lastCall == text)
    #expect(arrived == report)
  }

  @Test func `that is no message is ignored`() {
    #expect(TrialMessage.parse([0xff, 0x1e, 0x1f, 0x1e], trial).report == nil)
    // A list of more texts than there are bytes, and a text that is longer than what is left.
    for bytes: [UInt8] in [[], [0xff, 0xff, 0xff, 0xff], [4, 0, 0, 0, 9, 0, 0, 0, 1]] {
      #expect(TrialMessage.parse(WorkerMessage(.result, 0, bytes).encoded, trial).report == nil)
    }
  }
}

@Suite("The kernel's version")
struct KernelVersionTests {
  @Test(arguments: [("6.12.117+deb12-amd64", 6, 12), ("7.2.13-amd64", 7, 2), ("6.1.0-41-amd64", 6, 1)])
  func `is read from the release`(release: String, major: Int, minor: Int) throws {
    let version = try #require(Machine.KernelVersion(release: release))
    #expect(version.major == major)
    #expect(version.minor == minor)
  }

  @Test func `is compared as numbers`() throws {
    let version = try #require(Machine.KernelVersion(release: "6.12.1"))
    #expect(version.isAtLeast(6, 8))
    #expect(!version.isAtLeast(7, 0))
    #expect(Machine.KernelVersion(release: "next") == nil)
  }
}

/// Where a statement's body leaves a descriptor for the test to look at.
private final class CapturedDescriptor: @unchecked Sendable {
  var value: CInt = -1
}

extension Result where Failure == Errno {
  fileprivate var failure: Errno? {
    if case .failure(let errno) = self { return errno }
    return nil
  }
}

extension Machine {
  /// A machine without a device.
  static func standIn() -> Machine {
    do {
      return try Machine(selected: [])
    } catch {
      fatalError("\(error)")
    }
  }
}
