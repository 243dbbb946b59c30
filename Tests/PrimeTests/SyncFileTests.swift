import Prime
import Testing

@Suite("A sync_file")
struct SyncFileTests {
  let kernel = FenceFixture.kernel()

  @Test("of an idle buffer has signalled, for readers and for writers", arguments: [FenceAccess.read, .write])
  func idle(access: FenceAccess) throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let file = try buffer.exportSyncFile(for: access)
      #expect(try file.isSignalled)
      #expect(try file.info().status == .signalled)
      #expect(try file.wait(deadline: Fixture.deadline) == .signalled)
    }
  }

  @Test("tells its fences: driver, timeline, status and when they signalled")
  func info() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let file = try buffer.exportSyncFile(for: .read)
      let pending = try file.info()
      #expect(pending.status == .pending)
      #expect(pending.fences.map { "\($0.driver) \($0.timeline) \($0.status)" } == ["vgem unbound pending"])
      #expect(pending.fences.map(\.timestamp) == [nil])
      try fence.signal()
      let over = try file.info()
      #expect(over.status == .signalled)
      #expect(over.fences.map(\.status) == [.signalled])
      #expect(over.fences.map(\.timestamp) == [1_000_000])
    }
  }

  @Test("says that the work behind it failed, and with what, once nobody waits any more")
  func failed() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let file = try buffer.exportSyncFile(for: .read)
      kernel.failFences(with: .inputOutput)
      #expect(try file.isSignalled)
      #expect(try file.wait(deadline: Fixture.deadline) == .failed(.inputOutput))
      #expect(try "\(file.info().status)" == "failed with EIO (Input/output error)")
      _ = consume fence
    }
  }

  @Test("that does not signal in time names the drivers and timelines that are still at it")
  func timeout() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let first = try VGEMFence(attachingTo: handle, as: .read)
      let second = try VGEMFence(attachingTo: handle, as: .read)
      let file = try buffer.exportSyncFile(for: .write)
      let error = primeError { try file.wait(deadline: Deadline(in: .milliseconds(20), on: kernel)) }
      expect(error, is: "poll for the fences", found: .deadline, on: "sync_file \(file.rawDescriptor)")
      #expect(
        error?.reason == "it did not finish within 0.02 s; allow more time if the machine is only slow; "
          + "still pending: 2 of vgem/unbound")
      let fence = PrimeError.PendingFence(driver: "vgem", timeline: "unbound")
      #expect(error?.pendingFences == [fence, fence])
      // A layer that knows more keeps them.
      #expect(error?.explained("the writer hangs").pendingFences == [fence, fence])
      #expect(error?.during(.commit, on: "vkms", reason: "the writer hangs").pendingFences == [fence, fence])
      try first.signal()
      let late = primeError { try file.wait(deadline: Deadline(in: .milliseconds(20), on: kernel)) }
      #expect(late?.reason?.hasSuffix("still pending: vgem/unbound") == true)
      #expect(late?.pendingFences == [fence])
      try second.signal()
      #expect(try file.wait(deadline: Fixture.deadline) == .signalled)
    }
  }

  @Test("whose wait is stopped says so")
  func cancelled() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let file = try buffer.exportSyncFile(for: .read)
      let cancellation = Cancellation()
      cancellation.request()
      let error = primeError {
        try file.wait(deadline: Deadline(in: .seconds(20), on: kernel, cancellation: cancellation))
      }
      expect(error, is: "poll for the fences", found: .cancelled)
      try fence.signal()
    }
  }

  @Test("that cannot be waited for names poll", arguments: [Errno.noMemory, .inputOutput])
  func waitFails(errno: Errno) throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let file = try buffer.exportSyncFile(for: .read)
      kernel.fail(.poll, with: errno)
      expect(primeError { try file.wait(deadline: Fixture.deadline) }, is: "poll for the fences", errno)
      expect(primeError { try file.isSignalled }, is: "poll for the fences", errno)
    }
  }

  @Test("merged with another signals when both have, and holds the fences of both")
  func merge() throws {
    try FenceFixture.withTwoBuffers(kernel) { first, firstBuffer, second, secondBuffer in
      let firstFence = try VGEMFence(attachingTo: first, as: .write)
      let secondFence = try VGEMFence(attachingTo: second, as: .write)
      let both = try firstBuffer.exportSyncFile(for: .read)
        .merge(with: secondBuffer.exportSyncFile(for: .read), name: "both")
      #expect(try both.info().name == "both")
      #expect(try both.info().fences.count == 2)
      try firstFence.signal()
      #expect(try !both.isSignalled)
      #expect(try both.info().status == .pending)
      try secondFence.signal()
      #expect(try both.isSignalled)
      #expect(try both.info().status == .signalled)
    }
  }

  @Test("takes a name of 31 bytes and refuses a longer one before the kernel could cut it")
  func mergeName() throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let file = try buffer.exportSyncFile(for: .read)
      let longest = String(repeating: "n", count: 31)
      #expect(try file.merge(with: file, name: longest).info().name == longest)
      let error = primeError { try file.merge(with: file, name: longest + "n") }
      expect(error, is: "SYNC_IOC_MERGE", found: .unsuitable)
      #expect(error?.reason == "the name of a sync_file is at most 31 bytes without a zero: give a shorter one")
      #expect(kernel.count(of: .syncFileMerge) == 1)
    }
  }

  @Test("that a merge fails for names the call", arguments: [Errno.noMemory, .tooManyOpenFiles, .noSuchFile])
  func mergeFails(errno: Errno) throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let file = try buffer.exportSyncFile(for: .read)
      kernel.fail(.syncFileMerge, with: errno)
      let error = primeError { try file.merge(with: file, name: "twice") }
      expect(error, is: "SYNC_IOC_MERGE", errno, on: "sync_file \(file.rawDescriptor)")
      #expect(error?.reason?.isEmpty == false)
    }
  }

  @Test("is told from a file of another kind by its answer, ENOTTY")
  func otherFile() throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let memory = try kernel.createSealedMemory("not a sync_file", byteCount: 4096).get()
      let file = SyncFile(adopting: Descriptor(adopting: memory, kernel: kernel))
      let error = primeError { try file.info() }
      expect(error, is: "SYNC_IOC_FILE_INFO", .notATerminal)
      #expect(error?.reason == "this file is not a sync_file")
      let good = try buffer.exportSyncFile(for: .read)
      let merged = primeError { try good.merge(with: file, name: "no") }
      expect(merged, is: "SYNC_IOC_MERGE", .noSuchFile)
      #expect(merged?.reason == "descriptor \(file.rawDescriptor) is not a sync_file")
      let imported = primeError { try buffer.importSyncFile(file, as: .read) }
      expect(imported, is: "DMA_BUF_IOCTL_IMPORT_SYNC_FILE", .invalidArgument)
      #expect(imported?.reason == "descriptor \(file.rawDescriptor) is not a sync_file")
    }
  }

  @Test("that claims a senseless number of fences is not believed", arguments: [-1, 4097, Int(UInt32.max)])
  func claims(count: Int) throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let file = try buffer.exportSyncFile(for: .read)
      kernel.misbehave { $0.claimedFences = count }
      let error = primeError { try file.info() }
      expect(error, is: "SYNC_IOC_FILE_INFO", found: .tooLarge)
      #expect(error?.reason == "it claims \(count) fences, and more than 4096 are not believed")
      #expect(kernel.count(of: .syncFileInfo) == 1)
    }
  }

  @Test("duplicated is the same fences behind another descriptor")
  func duplicate() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let file = try buffer.exportSyncFile(for: .read)
      let copy = try file.duplicate()
      #expect(copy.rawDescriptor != file.rawDescriptor)
      #expect(try !copy.isSignalled)
      try fence.signal()
      #expect(try copy.isSignalled)
    }
  }
}

/// Buffers of a device that is called vgem, with the fences that only it has.
enum FenceFixture {
  static let vgem = FakeKernel.DeviceSetup(
    driver: "vgem", primary: "/dev/dri/card0", hasSyncobjs: false, hasTimelineSyncobjs: false)

  static func kernel() -> FakeKernel { Fixture.kernel(exporter: vgem) }

  /// Runs the body with a handle of a buffer and its dma-buf, and states that nothing is left of them.
  static func withBuffer(
    _ kernel: FakeKernel, _ body: (borrowing GEMHandle, borrowing DMABuf) throws -> Void
  ) throws {
    try withOpenBuffer(kernel, body)
    kernel.expectNothingLeft()
  }

  /// As `withBuffer`, inside of a test that has other things open.
  static func withOpenBuffer(
    _ kernel: FakeKernel, _ body: (borrowing GEMHandle, borrowing DMABuf) throws -> Void
  ) throws {
    let device = try Device.open(Fixture.exporterNode, kernel: kernel)
    let buffer = try Fixture.export(on: device)
    let handle = try GEMHandle(importing: buffer, into: device)
    try body(handle, buffer)
  }

  /// The error that a signal throws, nil where it throws none.
  static func signalError(_ fence: consuming VGEMFence) -> PrimeError? {
    do throws(PrimeError) {
      try fence.signal()
      return nil
    } catch {
      return error
    }
  }

  /// As `withBuffer`, with two buffers.
  static func withTwoBuffers(
    _ kernel: FakeKernel,
    _ body: (borrowing GEMHandle, borrowing DMABuf, borrowing GEMHandle, borrowing DMABuf) throws -> Void
  ) throws {
    try withBuffer(kernel) { handle, buffer in
      let other = try Fixture.export(on: handle.device)
      let otherHandle = try GEMHandle(importing: other, into: handle.device)
      try body(handle, buffer, otherHandle, other)
    }
  }
}
