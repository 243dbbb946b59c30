import Prime
import Testing

@Suite("The SYNC bracket")
struct SyncBracketTests {
  let kernel = Fixture.kernel()

  /// Runs the body with a writable buffer of one page.
  private func withBuffer(_ access: DMABuf.Access = .readWrite, _ body: (borrowing DMABuf) throws -> Void) throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      let buffer = try Fixture.export(on: device, access)
      try body(buffer)
    }
    kernel.expectNothingLeft()
  }

  @Test("surrounds a look with START and END of the same access, after a wait for the fences")
  func order() throws {
    try withBuffer { buffer in
      try buffer.write(deadline: Fixture.deadline) { bytes in bytes[0] = 42 }
      let first = try buffer.read(deadline: Fixture.deadline) { bytes in bytes[0] }
      #expect(first == 42)
    }
    #expect(kernel.syncLog == ["START write", "END write", "START read", "END read"])
    #expect(kernel.count(of: .poll) == 2)
  }

  @Test("gives the whole buffer, page by page, whatever the picture's size")
  func wholeBuffer() throws {
    try withBuffer { buffer in
      #expect(buffer.byteCount == 4096)
      let bytes = try buffer.read(deadline: Fixture.deadline) { bytes in bytes.count }
      let words = try buffer.read(as: UInt32.self, deadline: Fixture.deadline) { words in words.count }
      #expect(bytes == 4096)
      #expect(words == 1024)
    }
  }

  @Test("is closed when the body throws, and the body's error is the one that comes out")
  func bodyThrows() throws {
    try withBuffer { buffer in
      let thrown = #expect(throws: BodyFailure.self) {
        try buffer.write(deadline: Fixture.deadline) { _ in throw BodyFailure(number: 7) }
      }
      #expect(thrown == BodyFailure(number: 7))
    }
    #expect(kernel.syncLog == ["START write", "END write"])
  }

  @Test("lets the body's error win over an END that fails too")
  func bodyErrorWins() throws {
    kernel.fail(.dmaBufSync, with: .inputOutput, onCall: 2)
    try withBuffer { buffer in
      let thrown = #expect(throws: BodyFailure.self) {
        try buffer.read(deadline: Fixture.deadline) { _ in throw BodyFailure(number: 8) }
      }
      #expect(thrown == BodyFailure(number: 8))
    }
    #expect(kernel.syncLog == ["START read", "END read: EIO"])
  }

  @Test("makes a failing END an error of its own, since the devices may not see what was written")
  func endFails() throws {
    kernel.fail(.dmaBufSync, with: .inputOutput, onCall: 2)
    try withBuffer { buffer in
      let error = primeError { try buffer.write(deadline: Fixture.deadline) { bytes in bytes[0] = 1 } }
      expect(error, is: "DMA_BUF_IOCTL_SYNC(END)", .inputOutput)
    }
  }

  @Test("does not run the body when START fails", arguments: [Errno.inputOutput, .invalidArgument, .noSuchDevice])
  func startFails(errno: Errno) throws {
    kernel.fail(.dmaBufSync, with: errno, onCall: 1)
    try withBuffer { buffer in
      var ran = false
      let error = primeError { try buffer.read(deadline: Fixture.deadline) { _ in ran = true } }
      expect(error, is: "DMA_BUF_IOCTL_SYNC(START)", errno)
      #expect(!ran)
    }
    #expect(kernel.syncLog == ["START read: \(errno.name)"])
  }

  @Test("restarts an interrupted START and END", arguments: [Errno.interrupted, .tryAgain])
  func restarts(errno: Errno) throws {
    kernel.fail(.dmaBufSync, with: errno, onCalls: 1...3)
    kernel.fail(.dmaBufSync, with: errno, onCalls: 5...6)
    try withBuffer { buffer in
      try buffer.write(deadline: Fixture.deadline) { bytes in bytes[0] = 1 }
    }
    let start = "START write: \(errno.name)"
    let end = "END write: \(errno.name)"
    #expect(kernel.syncLog == [start, start, start, "START write", end, end, "END write"])
  }

  @Test("ends a START that is interrupted for ever at the deadline")
  func interruptedForEver() throws {
    kernel.fail(.dmaBufSync, with: .interrupted)
    try withBuffer { buffer in
      let error = primeError { try buffer.read(deadline: Deadline(in: .milliseconds(20), on: kernel)) { _ in } }
      expect(error, is: "DMA_BUF_IOCTL_SYNC(START)", found: .deadline)
    }
  }

  @Test("ends a wait for fences that never signal at the deadline, and asks for no START")
  func fenceNeverSignals() throws {
    kernel.misbehave { $0.neverReady = true }
    try withBuffer { buffer in
      let error = primeError { try buffer.read(deadline: Deadline(in: .milliseconds(20), on: kernel)) { _ in } }
      expect(error, is: "poll for the fences", found: .deadline)
      #expect(error?.reason == "it did not finish within 0.02 s; allow more time if the machine is only slow")
    }
    #expect(kernel.syncLog == [])
  }

  @Test("ends a wait when its owner asks to stop")
  func cancelled() throws {
    kernel.misbehave { $0.neverReady = true }
    let cancellation = Cancellation()
    cancellation.request()
    try withBuffer { buffer in
      let error = primeError {
        try buffer.read(deadline: Deadline(in: .seconds(20), on: kernel, cancellation: cancellation)) { _ in }
      }
      #expect(error?.finding == .cancelled)
    }
  }

  @Test("restarts an interrupted wait", arguments: [Errno.interrupted, .tryAgain])
  func waitRestarts(errno: Errno) throws {
    kernel.fail(.poll, with: errno, onCalls: 1...4)
    try withBuffer { buffer in try buffer.read(deadline: Fixture.deadline) { _ in } }
    #expect(kernel.count(of: .poll) == 5)
  }

  @Test("names a wait that fails", arguments: [Errno.noMemory, .inputOutput])
  func waitFails(errno: Errno) throws {
    kernel.fail(.poll, with: errno, onCall: 1)
    try withBuffer { buffer in
      expect(primeError { try buffer.read(deadline: Fixture.deadline) { _ in } }, is: "poll for the fences", errno)
    }
    #expect(kernel.syncLog == [])
  }

  @Test("names a mapping that fails", arguments: [Errno.noMemory, .noSuchDevice, .permissionDenied])
  func mapFails(errno: Errno) throws {
    kernel.fail(.map, with: errno, onCall: 1)
    try withBuffer { buffer in
      expect(primeError { try buffer.write(deadline: Fixture.deadline) { _ in } }, is: "mmap", errno)
    }
    #expect(kernel.syncLog == [])
  }

  @Test("refuses to write to a buffer that was exported for reading, before the kernel could fault")
  func readOnlyExport() throws {
    try withBuffer(.read) { buffer in
      #expect(buffer.access == .read)
      let error = primeError { try buffer.write(deadline: Fixture.deadline) { _ in } }
      expect(error, is: "mmap", found: .unsuitable)
      #expect(error?.reason?.contains("DRM_RDWR") == true)
      #expect(throws: Never.self) { try buffer.read(deadline: Fixture.deadline) { _ in } }
    }
    #expect(kernel.count(of: .map) == 1)
  }

  @Test("around somebody else's view has the same order and the same care for errors")
  func foreignView() throws {
    try withBuffer { buffer in
      try buffer.bracket(writing: true, deadline: Fixture.deadline) {}
      #expect(throws: BodyFailure.self) {
        try buffer.bracket(writing: false, deadline: Fixture.deadline) { throw BodyFailure(number: 1) }
      }
    }
    #expect(kernel.syncLog == ["START write", "END write", "START read", "END read"])
    #expect(kernel.count(of: .map) == 0)
  }
}
