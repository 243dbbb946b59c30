internal import Glibc
package import Prime
internal import Synchronization

/// One look at one statement on one subject: what its body calls, and what did not hold.
///
/// Expectations record and go on, so that a report names everything that differs. Those marked `try` end the body where
/// the rest makes no sense without them.
package final class Check: Sendable {
  /// What it looks at.
  package let subject: Subject
  /// What the machine has.
  package let machine: Machine
  /// The system calls.
  package let kernel: KernelProbe
  /// Makes patterns and sizes that another run can repeat.
  package let seed: UInt64
  private let found = Mutex<[Finding]>([])
  private let expectations = Mutex(0)
  private let noted = Mutex<String?>(nil)

  package init(subject: Subject, machine: Machine, kernel: KernelProbe, seed: UInt64) {
    self.subject = subject
    self.machine = machine
    self.kernel = kernel
    self.seed = seed
  }

  /// What did not hold, in the order it was seen.
  package var findings: [Finding] { found.withLock { $0 } }

  /// How many expectations were made: a statement without one proves nothing.
  package var expectationCount: Int { expectations.withLock { $0 } }

  /// What a report tells of it also where everything held; nil for nothing.
  package var note: String? { noted.withLock { $0 } }

  /// Leaves a phrase for the report.
  package func note(_ phrase: String) { noted.withLock { $0 = phrase } }

  /// Whether a statement is known to fail on the subject's driver and this kernel.
  package func isKnownToDeviate(in id: String) -> Bool {
    let family = machine.family(of: subject).family
    return Contract.knownDeviations.contains {
      $0.match(id, subject, family: family, kernel: machine.kernelVersion) == .yes
    }
  }

  // MARK: - Expectations

  /// The call must fail with one of these errnos.
  package func expect<Value: ProbeValue>(_ answer: CallResult<Value>, fails errnos: Errno...) {
    let expected = errnos.map(\.name).joined(separator: " or ")
    switch answer {
    case .success(let value): judge(false, expected: expected, got: "success (\(value.shown))", lastCall)
    case .failure(let errno): judge(errnos.contains(errno), expected: expected, got: errno.name, lastCall)
    }
  }

  /// The call must fail, whatever the errno.
  package func expectFailure<Value: ProbeValue>(_ answer: CallResult<Value>) {
    if case .success(let value) = answer {
      judge(false, expected: "an error", got: "success (\(value.shown))", lastCall)
    } else {
      judge(true, expected: "an error", got: "", "")
    }
  }

  /// The call must succeed; its value is what the statement goes on with.
  @discardableResult
  package func expect<Value: ProbeValue>(_ answer: CallResult<Value>) throws(Statement.Stop) -> Value {
    switch answer {
    case .success(let value):
      judge(true, expected: "success", got: "", "")
      return value
    case .failure(let errno):
      judge(false, expected: "success", got: errno.name, lastCall)
      throw .failed
    }
  }

  /// The call must succeed; the statement goes on without its value.
  package func expectSuccess<Value: ProbeValue>(_ answer: CallResult<Value>) {
    guard case .failure(let errno) = answer else { return judge(true, expected: "success", got: "", "") }
    judge(false, expected: "success", got: errno.name, lastCall)
  }

  /// What was seen must be this; `what` names it, for example `the size from fstat`.
  package func expect<Value: Equatable>(_ what: String, _ seen: Value, is expected: Value) {
    judge(seen == expected, expected: "\(expected)", got: "\(seen)", what)
  }

  /// A condition must hold; `expected` says it in words and `got` what was seen.
  package func expect(_ what: String, _ condition: Bool, _ expected: String, got: @autoclosure () -> String) {
    judge(condition, expected: expected, got: condition ? "" : got(), what)
  }

  // MARK: - Preparation

  /// The value of a call that the statement is not about: where it fails, the check itself is broken.
  package func prepare<Value: ProbeValue>(_ answer: CallResult<Value>) throws(Statement.Stop) -> Value {
    switch answer {
    case .success(let value): return value
    case .failure(let errno): throw .broken("\(lastCall) failed with \(errno) while preparing")
    }
  }

  /// A fresh buffer on the subject's exporter.
  package func buffer(
    width: UInt32 = 64, height: UInt32 = 64, flags: UInt32 = PrimeFlags.closeOnExec | PrimeFlags.readWrite
  ) throws(Statement.Stop) -> ProbeBuffer {
    guard let exporter = subject.exporter else { throw .broken("this subject has no exporter") }
    switch ProbeBuffer.make(exporter, with: kernel, width: width, height: height, flags: flags) {
    case .success(let buffer): return buffer
    case .failure(let errno): throw .broken("\(lastCall) failed with \(errno) while preparing")
    }
  }

  /// Another open file of the subject's device, through its primary node, not its master.
  package func openDevice() throws(Statement.Stop) -> CInt {
    guard let path = subject.device?.primary?.path else { throw .broken("this subject has no primary node") }
    return try prepare(kernel.openDevice(path))
  }

  /// What exporters answer that cannot be mapped at all: those without mmap, qxl's own mmap up to 6.1, i915 for memory that is
  /// no file's (i915_gem_dmabuf_mmap), amdgpu for memory that the processor may not see (amdgpu_gem_object_mmap).
  static let unmappable: [Errno] = [.invalidArgument, .notImplemented, .noSuchDevice, .notPermitted]

  /// A buffer's whole mapping for reading and writing; an exporter without mmap skips the statement.
  package func mapping(of buffer: ProbeBuffer) throws(Statement.Stop) -> ProbeMapping {
    let answer = kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount)
    if case .failure(let errno) = answer, Self.unmappable.contains(errno), kernel.alteredCall == nil {
      throw .skipped("\(subject.name) makes dma-bufs that cannot be mapped")
    }
    return try prepare(answer)
  }

  /// The call that was made last, for what is found about it.
  private var lastCall: String { kernel.calls.last?.text ?? "no call" }

  private func judge(_ holds: Bool, expected: String, got: String, _ call: String) {
    expectations.withLock { $0 += 1 }
    guard !holds else { return }
    found.withLock { $0.append(Finding(expected: expected, got: got, call: call)) }
  }
}
