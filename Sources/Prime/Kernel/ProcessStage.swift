internal import CDrm
internal import Glibc

/// A process without threads that starts others on request.
///
/// A fork is sound only while the process has one thread, and work that obeys signals and deadlines has more. So the stage
/// is forked before the first thread starts; each request runs in a fork of the stage. It ends with its owner.
package final class ProcessStage: Sendable {
  private let child: ChildProcess
  private let socket: CInt

  /// What a request and its answer may measure, in bytes: one packet each.
  private static let mostBytes = 65536

  /// Starts the stage; `body` runs in a process of its own for each request, and what it gives is the answer.
  ///
  /// - Throws: `socketpair` or `fork` with their errno.
  package init(_ body: @escaping (_ request: UInt32) -> [UInt8]) throws(PrimeError) {
    var ends: [CInt] = [-1, -1]
    // Safe: the shim fills the two numbers it is given.
    _ = try unsafe LinuxKernel.shimmed(cdrm_socket_pair(&ends)).orThrow("socketpair", on: "AF_UNIX")
    let (mine, theirs) = (ends[0], ends[1])
    let started = ChildProcess.start { _ in
      _ = Glibc.close(mine)
      Self.serve(theirs, body)
    }
    _ = Glibc.close(theirs)
    switch started {
    case .success(let child): self.child = child
    case .failure(let errno):
      _ = Glibc.close(mine)
      throw PrimeError(operation: "fork", errno: errno, subject: "a helper process")
    }
    socket = mine
  }

  deinit {
    child.kill()
    _ = child.reap(within: .seconds(1))
    _ = Glibc.close(socket)
  }

  /// Asks for one piece of work and waits for its answer.
  ///
  /// - Throws: `poll for a process` with `ETIMEDOUT` or `ECANCELED`, after which the stage is of no use any more; `recv` with
  ///   `EPIPE` where the stage itself ended. Work that crashed answers with a single zero.
  package func ask(_ request: UInt32, deadline: Deadline) throws(PrimeError) -> [UInt8] {
    let subject = "process \(child.identifier)"
    var number = request
    // Safe: send reads the four bytes it is given.
    guard unsafe Glibc.send(socket, &number, 4, CInt(MSG_NOSIGNAL)) == 4 else {
      throw PrimeError(operation: "send", errno: Errno(rawValue: Glibc.errno), subject: subject)
    }
    let kernel = LinuxKernel()
    do throws(PrimeError) {
      try kernel.awaitEvents(Int16(POLLIN), of: socket, "a process", deadline: deadline, on: subject)
    } catch {
      let place = child.waitingPlace().map { "; it waits in \($0)" } ?? ""
      child.kill()
      throw error.explained("\(error.reason ?? error.errno.meaning)\(place)")
    }
    var answer = [UInt8](repeating: 0, count: Self.mostBytes)
    // Safe: recv fills at most the array it is given.
    let count = unsafe Glibc.recv(socket, &answer, answer.count, 0)
    guard count > 0 else {
      throw PrimeError(
        operation: "recv", errno: Errno(rawValue: EPIPE), subject: subject, reason: "it ended without an answer")
    }
    return Array(answer.prefix(count))
  }

  private static func serve(_ socket: CInt, _ body: @escaping (UInt32) -> [UInt8]) {
    while true {
      var request: UInt32 = 0
      // Safe: recv fills the four bytes it is given.
      let count = unsafe Glibc.recv(socket, &request, 4, 0)
      if count < 0 && Glibc.errno == EINTR { continue }
      // The owner is gone.
      guard count == 4 else { return }
      let answer = Array(answered(request, body).prefix(mostBytes))
      // Safe: send reads at most the bytes it is given. An answer of no bytes would be no packet.
      let words = answer.isEmpty ? [0] : answer
      _ = unsafe words.withUnsafeBytes {
        unsafe Glibc.send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
      }
    }
  }

  /// Runs one request in a fork, and gives all that it told until its end.
  private static func answered(_ request: UInt32, _ body: @escaping (UInt32) -> [UInt8]) -> [UInt8] {
    guard case .success(let worker) = ChildProcess.start({ send in send(body(request)) }) else { return [] }
    var words: [UInt8] = []
    while true {
      guard !Readiness.wait(for: [worker.output], within: .seconds(60)).isEmpty else { continue }
      let more = Readiness.read(worker.output)
      if more.isEmpty { break }
      words += more
    }
    _ = worker.reap(within: .seconds(10))
    return words
  }
}
