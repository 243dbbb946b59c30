import Glibc
import Prime
import Testing

@Suite("The fences of a dma-buf")
struct BufferFenceTests {
  let kernel = FenceFixture.kernel()

  @Test("leave an idle buffer to readers and writers")
  func idle() throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      #expect(try buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
      try buffer.awaitReadiness(for: .write, deadline: Fixture.deadline)
    }
  }

  @Test("of a reader keep writers out, and no reader")
  func reader() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .read)
      #expect(try buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: false))
      #expect(try buffer.exportSyncFile(for: .read).isSignalled)
      #expect(try !buffer.exportSyncFile(for: .write).isSignalled)
      try buffer.awaitReadiness(for: .read, deadline: Fixture.deadline)
      #expect(try buffer.read(deadline: Fixture.deadline) { bytes in bytes[0] } == 0)
      try fence.signal()
      #expect(try buffer.readiness().forWriting)
    }
  }

  @Test("of a writer keep everybody out")
  func writer() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      #expect(try buffer.readiness() == DMABuf.Readiness(forReading: false, forWriting: false))
      #expect(try !buffer.exportSyncFile(for: .read).isSignalled)
      #expect(try !buffer.exportSyncFile(for: .write).isSignalled)
      expect(
        primeError { try buffer.read(deadline: Deadline(in: .milliseconds(20), on: kernel)) { _ in } },
        is: "poll for the fences",
        found: .deadline)
      try fence.signal()
      #expect(try buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }
  }

  @Test(
    "that do not signal in time are named, with the buffer", arguments: [FenceAccess.read, .write])
  func timeout(access: FenceAccess) throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let error = primeError {
        try buffer.awaitReadiness(for: access, deadline: Deadline(in: .milliseconds(20), on: kernel))
      }
      expect(error, is: "poll for the fences", found: .deadline, on: "dma-buf \(buffer.identity.inode)")
      #expect(error?.reason?.hasSuffix("is only slow; still pending: vgem/unbound") == true)
      #expect(error?.pendingFences == [.init(driver: "vgem", timeline: "unbound")])
      // An older kernel cannot tell them.
      kernel.fail(.dmaBufExportSyncFile, with: .notATerminal)
      let nameless = primeError {
        try buffer.awaitReadiness(for: access, deadline: Deadline(in: .milliseconds(20), on: kernel))
      }
      #expect(nameless?.reason?.hasSuffix("is only slow") == true)
      #expect(nameless?.pendingFences == [])
      try fence.signal()
    }
  }

  @Test("exported are those of that moment")
  func snapshot() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let before = try buffer.exportSyncFile(for: .write)
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      #expect(try before.isSignalled)
      #expect(try !buffer.readiness().forReading)
      try fence.signal()
    }
  }

  @Test("imported count as a reader's or a writer's, as they are said to be", arguments: [FenceAccess.read, .write])
  func imported(access: FenceAccess) throws {
    try FenceFixture.withTwoBuffers(kernel) { handle, buffer, _, other in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let file = try buffer.exportSyncFile(for: .read)
      try other.importSyncFile(file, as: access)
      #expect(try other.readiness() == DMABuf.Readiness(forReading: access == .read, forWriting: false))
      try fence.signal()
      #expect(try other.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }
  }

  @Test("are out of reach on a kernel before 6.0, which is said in a sentence")
  func olderKernel() throws {
    kernel.fail(.dmaBufExportSyncFile, with: .notATerminal, onCall: 1)
    kernel.fail(.dmaBufImportSyncFile, with: .notATerminal)
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let reason =
        "this kernel has no sync_files for dma-bufs: they need Linux 6.0 or later, built with CONFIG_SYNC_FILE"
      let exported = primeError { try buffer.exportSyncFile(for: .read) }
      expect(exported, is: "DMA_BUF_IOCTL_EXPORT_SYNC_FILE", .notATerminal)
      #expect(exported?.reason == reason)
      let file = try buffer.exportSyncFile(for: .read)
      let imported = primeError { try buffer.importSyncFile(file, as: .write) }
      expect(imported, is: "DMA_BUF_IOCTL_IMPORT_SYNC_FILE", .notATerminal)
      #expect(imported?.reason == reason)
    }
  }

  @Test("that cannot be exported or imported name the call", arguments: [Errno.noMemory, .tooManyOpenFiles])
  func fails(errno: Errno) throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let file = try buffer.exportSyncFile(for: .read)
      kernel.fail(.dmaBufExportSyncFile, with: errno)
      kernel.fail(.dmaBufImportSyncFile, with: errno)
      expect(primeError { try buffer.exportSyncFile(for: .read) }, is: "DMA_BUF_IOCTL_EXPORT_SYNC_FILE", errno)
      expect(primeError { try buffer.importSyncFile(file, as: .read) }, is: "DMA_BUF_IOCTL_IMPORT_SYNC_FILE", errno)
    }
  }

  @Test("are not asked for without end by a poll that is interrupted for ever")
  func interrupted() throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      kernel.fail(.poll, with: .interrupted)
      expect(primeError { try buffer.readiness() }, is: "poll for the fences", found: .deadline)
    }
  }

  @Test("of a descriptor that is not open are neither ready nor an errno that no call answered")
  func closedDescriptor() {
    let kernel = LinuxKernel()
    let now = primeError {
      try kernel.currentEvents(Int16(POLLIN), of: 1_000_000, "the fences", on: "nothing")
    }
    expect(now, is: "poll for the fences", found: .broken, on: "nothing")
    let waiting = primeError {
      try kernel.awaitEvents(Int16(POLLIN), of: 1_000_000, "the fences", deadline: Fixture.deadline, on: "nothing")
    }
    expect(waiting, is: "poll for the fences", found: .broken, on: "nothing")
    #expect(waiting?.reason == "poll says that the descriptor is not open (POLLNVAL)")
  }
}

@Suite("A fence of vgem")
struct VGEMFenceTests {
  let kernel = FenceFixture.kernel()

  @Test("that nobody signals is signalled when its owner goes, so that nobody hangs")
  func dropped() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      do {
        let fence = try VGEMFence(attachingTo: handle, as: .write)
        #expect(try !buffer.readiness().forReading)
        _ = fence
      }
      #expect(try buffer.readiness().forReading)
      #expect(kernel.count(of: .vgemFenceSignal) == 1)
    }
  }

  @Test("is signalled once")
  func once() throws {
    try FenceFixture.withBuffer(kernel) { handle, _ in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      try fence.signal()
      #expect(kernel.count(of: .vgemFenceSignal) == 1)
    }
    #expect(kernel.count(of: .vgemFenceSignal) == 1)
  }

  @Test("that vgem ended by itself has signalled for everybody but its owner, who is told ETIMEDOUT")
  func expired() throws {
    try FenceFixture.withBuffer(kernel) { handle, buffer in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let file = try buffer.exportSyncFile(for: .read)
      kernel.expireFences()
      #expect(try file.wait(deadline: Fixture.deadline) == .signalled)
      let error = FenceFixture.signalError(fence)
      #expect(error != nil)
      expect(error, is: "DRM_IOCTL_VGEM_FENCE_SIGNAL", .timedOut, on: "vgem (/dev/dri/card0)")
      #expect(
        error?.reason == "vgem ended the fence by itself, as it does 10 s after it was attached: signal earlier")
    }
  }

  @Test("that stands in the way of another is EBUSY")
  func conflict() throws {
    try FenceFixture.withBuffer(kernel) { handle, _ in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let error = primeError { try VGEMFence(attachingTo: handle, as: .read) }
      expect(error, is: "DRM_IOCTL_VGEM_FENCE_ATTACH", .busy, on: "vgem (/dev/dri/card0)")
      #expect(error?.reason == "the buffer has a fence that stands in the way: signal that first")
      try fence.signal()
    }
  }

  @Test("is asked of no other driver, for which the call means something else")
  func otherDriver() throws {
    try FenceFixture.withBuffer(kernel) { _, buffer in
      let handle = try GEMHandle(importing: buffer, into: Device.open(Fixture.importerNode, kernel: kernel))
      let error = primeError { try VGEMFence(attachingTo: handle, as: .read) }
      expect(error, is: "DRM_IOCTL_VGEM_FENCE_ATTACH", found: .unsupported, on: "taker (/dev/dri/card1)")
      #expect(error?.reason == "only vgem has fences on demand: import the buffer into vgem and attach there")
    }
    #expect(kernel.count(of: .vgemFenceAttach) == 0)
  }

  @Test("that cannot be signalled says so and leaves no number", arguments: [Errno.noSuchDevice, .noSuchFile])
  func signalFails(errno: Errno) throws {
    kernel.fail(.vgemFenceSignal, with: errno)
    try FenceFixture.withBuffer(kernel) { handle, _ in
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      let error = FenceFixture.signalError(fence)
      #expect(error != nil)
      expect(error, is: "DRM_IOCTL_VGEM_FENCE_SIGNAL", errno)
    }
    #expect(kernel.count(of: .vgemFenceSignal) == 1)
  }
}
