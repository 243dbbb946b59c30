import Glibc
import Prime
import Testing

/// What comes from another library and goes to one, by descriptor.
@Suite("A descriptor of another library's")
struct ForeignDescriptorTests {
  let kernel = FenceFixture.kernel()

  /// A number that names a dma-buf of nobody's, as EGL or a Wayland client hands one over.
  private func foreignBuffer() throws -> CInt {
    try Fixture.export(on: Device.open(Fixture.exporterNode, kernel: kernel)).relinquish()
  }

  private func foreignFence() throws -> CInt {
    try Fixture.export(on: Device.open(Fixture.exporterNode, kernel: kernel)).exportSyncFile(for: .read).relinquish()
  }

  private func isClosedByExec(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0 }

  @Test func `that is adopted as a dma-buf is closed with its owner, once, and by exec`() throws {
    let descriptor = try foreignBuffer()
    #expect(fcntl(descriptor, F_SETFD, 0) == 0)
    do {
      let buffer = try DMABuf(adopting: descriptor, kernel: kernel)
      #expect(buffer.byteCount == 4096)
      #expect(buffer.withDescriptor { $0 } == descriptor)
      #expect(isClosedByExec(descriptor))
    }
    kernel.expectNothingLeft()
  }

  @Test func `that is adopted as a sync_file is closed with its owner, once, and by exec`() throws {
    let descriptor = try foreignFence()
    #expect(fcntl(descriptor, F_SETFD, 0) == 0)
    do {
      let file = try SyncFile(adopting: descriptor, kernel: kernel)
      #expect(try file.isSignalled)
      #expect(file.withDescriptor { $0 } == descriptor)
      #expect(isClosedByExec(descriptor))
    }
    kernel.expectNothingLeft()
  }

  @Test func `that is no dma-buf is refused in a sentence and stays its owner's`() throws {
    let memory = try kernel.createSealedMemory("a picture of Wayland's shm", byteCount: 4096).get()
    let error = primeError { try DMABuf(adopting: memory, kernel: kernel) }
    expect(error, is: "fstatfs", found: .unsuitable, on: "descriptor \(memory)")
    #expect(error?.reason == "this file is not a dma-buf")
    kernel.close(memory)
    kernel.expectNothingLeft()
  }

  @Test func `that is no sync_file is refused in a sentence and stays its owner's`() throws {
    let buffer = try foreignBuffer()
    let error = primeError { try SyncFile(adopting: buffer, kernel: kernel) }
    expect(error, is: "fstatfs", found: .unsuitable, on: "descriptor \(buffer)")
    #expect(error?.reason == "this file is not a sync_file")
    // An ioctl is not tried on a file of another kind: a driver may have one of this number.
    #expect(kernel.count(of: .syncFileInfo) == 0)
    kernel.close(buffer)
    kernel.expectNothingLeft()
  }

  @Test func `of a syncobj is no sync_file, which the kernel says by ENOTTY`() throws {
    let descriptor = try Syncobj(on: Device.open(Fixture.importerNode, kernel: kernel)).export().relinquish()
    let error = primeError { try SyncFile(adopting: descriptor, kernel: kernel) }
    expect(error, is: "SYNC_IOC_FILE_INFO", .notATerminal, on: "descriptor \(descriptor)")
    #expect(error?.reason == "this file is not a sync_file")
    kernel.close(descriptor)
    kernel.expectNothingLeft()
  }

  @Test func `that is not open is refused in a sentence`() {
    let reason = "this process has no open descriptor of that number"
    let buffer = primeError { try DMABuf(adopting: -1) }
    expect(buffer, is: "fstatfs", .badDescriptor, on: "descriptor -1")
    #expect(buffer?.reason == reason)
    let fence = primeError { try SyncFile(adopting: -1) }
    expect(fence, is: "fstatfs", .badDescriptor, on: "descriptor -1")
    #expect(fence?.reason == reason)
    let any = primeError { try Descriptor(adopting: -1) }
    expect(any, is: "fcntl(F_SETFD)", .badDescriptor, on: "descriptor -1")
    #expect(any?.reason == reason)
    expect(primeError { try DMABuf(duplicating: -1) }, is: "fcntl(F_DUPFD_CLOEXEC)", .badDescriptor)
    expect(primeError { try SyncFile(duplicating: -1) }, is: "fstatfs", .badDescriptor)
  }

  @Test(arguments: [
    (KernelCall.fileSystemMagic, "fstatfs"), (.seekToEnd, "lseek"), (.statusFlags, "fcntl(F_GETFL)"),
    (.status, "fstat"), (.closeOnExec, "fcntl(F_SETFD)"),
  ])
  func `stays its owner's where the kernel cannot be asked`(call: KernelCall, operation: String) throws {
    let descriptor = try foreignBuffer()
    kernel.fail(call, with: .inputOutput, onCall: kernel.count(of: call) + 1)
    expect(primeError { try DMABuf(adopting: descriptor, kernel: kernel) }, is: operation, .inputOutput)
    kernel.close(descriptor)
    kernel.expectNothingLeft()
  }

  @Test func `is only looked at where it is duplicated`() throws {
    let (buffer, fence) = (try foreignBuffer(), try foreignFence())
    do {
      let ownBuffer = try DMABuf(duplicating: buffer, kernel: kernel)
      #expect(ownBuffer.rawDescriptor != buffer)
      #expect(isClosedByExec(ownBuffer.rawDescriptor))
      let ownFence = try SyncFile(duplicating: fence, kernel: kernel)
      #expect(ownFence.rawDescriptor != fence)
      #expect(isClosedByExec(ownFence.rawDescriptor))
    }
    kernel.close(buffer)
    kernel.close(fence)
    kernel.expectNothingLeft()
  }

  @Test func `that is given away is open, and its new owner's to close`() throws {
    let device = try Device.open(Fixture.exporterNode, kernel: kernel)
    let buffer = try Fixture.export(on: device)
    let copy = try buffer.duplicate().relinquish()
    #expect(try DMABuf(duplicating: copy, kernel: kernel).identity == buffer.identity)
    kernel.close(copy)
    let fence = try buffer.exportSyncFile(for: .write).relinquish()
    #expect(try SyncFile(duplicating: fence, kernel: kernel).isSignalled)
    kernel.close(fence)
    _ = consume buffer
    withExtendedLifetime(device) {}
  }

  @Test func `of a syncobj is imported and stays its owner's`() throws {
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      let object = try Syncobj(on: device)
      let descriptor = try object.export().relinquish()
      let same = try Syncobj(importing: descriptor, into: device.reopened())
      kernel.close(descriptor)
      try object.signal()
      try same.wait(deadline: Fixture.deadline)
      let memory = try kernel.createSealedMemory("not a syncobj", byteCount: 4096).get()
      let error = primeError { try Syncobj(importing: memory, into: device) }
      expect(error, is: "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", .invalidArgument)
      #expect(error?.reason == "descriptor \(memory) is not a syncobj")
      kernel.close(memory)
    }
    kernel.expectNothingLeft()
  }

  @Test func `passes on what its borrower throws, and stays open`() throws {
    do {
      let buffer = try Fixture.export(on: Device.open(Fixture.exporterNode, kernel: kernel))
      #expect(throws: BodyFailure(number: 7)) {
        try buffer.withDescriptor { (_) throws(BodyFailure) in throw BodyFailure(number: 7) }
      }
      #expect(try buffer.readiness().forReading)
    }
    kernel.expectNothingLeft()
  }
}
