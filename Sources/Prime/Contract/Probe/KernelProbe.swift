internal import CProbe
internal import Glibc
public import Prime
internal import Synchronization

/// System calls as they are, with arguments that no library would pass, each one recorded.
///
/// The conformance statements look at the kernel through it. Whatever it opened, mapped or allocated is given back by
/// `cleanUp`, so that a statement can end anywhere. Any thread may use it.
package final class KernelProbe: Sendable {
  /// One call and what the kernel answered.
  package struct Call: Hashable, Sendable {
    package let text: String
    package let answer: String
  }

  /// Which call's answer is changed on its way to the statement, and how: a statement that does not notice proves nothing.
  package struct Alteration: Hashable, Sendable {
    /// What becomes of the answer.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
      /// A success carries another value.
      case distort
      /// A success becomes `EPROTO`, which no statement expects, and a failure becomes a success.
      case contradict
    }
    /// The call, counted from 0.
    package var index: Int
    package var kind: Kind

    package init(index: Int, kind: Kind) {
      self.index = index
      self.kind = kind
    }
  }

  struct State {
    var calls: [Call] = []
    var count = 0
    var altered: String?
    var open: [CInt] = []
    var endings: [@Sendable () -> Void] = []
    var mappings: [UInt64: Int] = [:]
    var memory: [UInt64: Int] = [:]
    var dmaBufs: Set<UInt64> = []
  }

  /// The same kernel for what is not a part of what a statement looks at: nothing of it is recorded or altered.
  package let unrecorded: any KernelCalls = LinuxKernel()

  let state = Mutex(State())
  private let alteration: Alteration?
  private let announce: (@Sendable (String) -> Void)?

  /// Records calls; `announce` hears of each one before it is made, for the case that it never returns.
  package init(alteration: Alteration? = nil, announce: (@Sendable (String) -> Void)? = nil) {
    self.alteration = alteration
    self.announce = announce
  }

  /// The calls made so far, the latest last; no more than the latest 64.
  package var calls: [Call] { state.withLock { $0.calls } }

  /// How many calls have been made.
  package var callCount: Int { state.withLock { $0.count } }

  /// The call whose answer was changed, nil while none was.
  package var alteredCall: String? { state.withLock { $0.altered } }

  /// The inodes of the dma-bufs that were made or seen, for the look at what the kernel still lists afterwards.
  package var dmaBufs: Set<UInt64> { state.withLock { $0.dmaBufs } }

  /// Makes one call and records it with its answer.
  package func call<Value: ProbeValue>(
    _ name: String, _ arguments: String, _ body: () -> CallResult<Value>
  ) -> CallResult<Value> {
    let text = "\(name)(\(arguments))"
    announce?(text)
    let answer = body()
    let seen = record(answer, text)
    // What the statement does not learn of is closed all the same: only what is found shall differ.
    if seen.isAltered, case .success(let value) = answer, let descriptor = value as? CInt, descriptor > STDERR_FILENO {
      adopt(descriptor)
    }
    return seen.answer
  }

  private func record<Value: ProbeValue>(
    _ answer: CallResult<Value>, _ text: String
  ) -> (answer: CallResult<Value>, isAltered: Bool) {
    state.withLock { state in
      let seen = alter(answer, of: state.count)
      if seen.isAltered { state.altered = text }
      state.count += 1
      if state.calls.count == 64 { state.calls.removeFirst() }
      state.calls.append(Call(text: text, answer: Self.text(of: seen.answer)))
      return seen
    }
  }

  /// What a call answered, as a report shows it: the errno's name, or the value.
  package static func text<Value: ProbeValue>(of answer: CallResult<Value>) -> String {
    switch answer {
    case .success(let value): value.shown
    case .failure(let errno): errno.name
    }
  }

  private func alter<Value: ProbeValue>(
    _ answer: CallResult<Value>, of index: Int
  ) -> (answer: CallResult<Value>, isAltered: Bool) {
    guard let alteration, alteration.index == index else { return (answer, false) }
    switch (alteration.kind, answer) {
    case (.contradict, .success): return (.failure(Errno(rawValue: EPROTO)), true)
    case (.contradict, .failure): return (.success(Value.neutral), true)
    case (.distort, .success(let value)): return (.success(value.distorted), true)
    case (.distort, .failure): return (answer, false)
    }
  }

  /// Closes, unmaps and frees everything that is still open.
  package func cleanUp() {
    let left = state.withLock { state in
      defer { state.open = []; state.endings = []; state.mappings = [:]; state.memory = [:] }
      return (open: state.open, endings: state.endings, mappings: state.mappings, memory: state.memory)
    }
    for (address, byteCount) in left.mappings {
      _ = Self.system(SYS_munmap, Int64(bitPattern: address), Int64(byteCount))
    }
    for descriptor in left.open.reversed() {
      _ = Self.system(SYS_close, Int64(descriptor))
    }
    for (address, byteCount) in left.memory {
      _ = Self.system(SYS_munmap, Int64(bitPattern: address), Int64(byteCount))
    }
    for ending in left.endings { ending() }
  }

  /// Has `cleanUp` do something when everything is closed, for example put a display back.
  func afterClosing(_ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.endings.append(body) }
  }

  /// The value of a system call, or its errno.
  static func system(
    _ number: Int32, _ a: Int64 = 0, _ b: Int64 = 0, _ c: Int64 = 0, _ d: Int64 = 0, _ e: Int64 = 0, _ f: Int64 = 0
  ) -> CallResult<Int64> {
    LinuxKernel.shimmed(cprobe_syscall(Int64(number), a, b, c, d, e, f))
  }
}

/// A value that a recorded call can answer.
package protocol ProbeValue: Sendable {
  /// What an altered call answers instead of an errno; it must be harmless to use.
  static var neutral: Self { get }
  /// Another value than this one.
  var distorted: Self { get }
  /// How a report shows it.
  var shown: String { get }
}

extension ProbeValue where Self: FixedWidthInteger {
  package static var neutral: Self { 0 }
  package var distorted: Self { self ^ 1 }
  package var shown: String { String(self) }
}

extension Int: ProbeValue {}
extension Int16: ProbeValue {}
extension Int64: ProbeValue {}
extension UInt8: ProbeValue {}
extension UInt32: ProbeValue {}
extension UInt64: ProbeValue {}

/// A descriptor: -1 is nobody's, and no other number may stand in for one.
extension CInt: ProbeValue {
  package static var neutral: CInt { -1 }
  package var distorted: CInt { -1 }
  package var shown: String { String(self) }
}

extension String: ProbeValue {
  package static var neutral: String { "" }
  package var distorted: String { self + "?" }
  package var shown: String { self.debugDescription }
}

extension Array: ProbeValue where Element: ProbeValue & FixedWidthInteger {
  package static var neutral: [Element] { [] }
  package var distorted: [Element] { map { $0 ^ 1 } }
  package var shown: String { count <= 8 ? description : "\(count) values" }
}

extension FileStatus: ProbeValue {
  package static var neutral: FileStatus { FileStatus(device: 0, inode: 0, byteCount: 0, characterDevice: nil) }
  package var distorted: FileStatus {
    FileStatus(device: device, inode: inode ^ 1, byteCount: byteCount ^ 1, characterDevice: characterDevice)
  }
  package var shown: String { "inode \(inode), \(byteCount) bytes" }
}
