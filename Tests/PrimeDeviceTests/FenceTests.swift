import Dispatch
import Prime
import Synchronization
import Testing

extension OnARealKernel {
  @Suite("A fence")
  struct Fences {
    @Test func `of a reader keeps writers of the buffer out, and no reader`() throws {
      let fenced = try FencedBuffer()
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
      let fence = try fenced.attach(.read)
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: false))
      try fence.signal()
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }

    @Test func `of a writer keeps everybody out`() throws {
      let fenced = try FencedBuffer()
      let fence = try fenced.attach(.write)
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: false, forWriting: false))
      let inode = fenced.buffer.identity.inode
      let late = try primeError {
        try fenced.buffer.awaitReadiness(for: .read, deadline: Deadline(in: .milliseconds(200)))
      }
      #expect(
        late?.description
          == "poll for the fences on dma-buf \(inode): it did not finish within 0.2 s; "
          + "allow more time if the machine is only slow; still pending: vgem/unbound")
      try fence.signal()
      try fenced.buffer.awaitReadiness(for: .write, deadline: Lab.deadline)
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }

    @Test func `belongs to the buffer: the importer's descriptor of it shows the same`() throws {
      let fenced = try FencedBuffer()
      let importer = try Lab.open("vkms")
      let imported = try GEMHandle(importing: fenced.buffer, into: importer)
      let through = try imported.export(.readWrite)
      let fence = try fenced.attach(.write)
      #expect(try through.readiness() == DMABuf.Readiness(forReading: false, forWriting: false))
      try fence.signal()
      #expect(try through.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }

    @Test(arguments: ["vkms", "virtio_gpu", "cirrus"])
    func `is put by vgem on the buffer of another device`(exporter: String) throws {
      let fenced = try FencedBuffer(of: exporter)
      let fence = try fenced.attach(.write)
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: false, forWriting: false))
      try fence.signal()
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }

    @Test func `that its owner drops is signalled, and nobody hangs`() throws {
      let fenced = try FencedBuffer()
      try attachAndDrop(fenced)
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }

    private func attachAndDrop(_ fenced: FencedBuffer) throws {
      let fence = try fenced.attach(.write)
      #expect(try !fenced.buffer.readiness().forReading)
      _ = consume fence
    }

    @Test func `that stands in the way of another is EBUSY, and one that does not is taken`() throws {
      let fenced = try FencedBuffer()
      let reader = try fenced.attach(.read)
      let second = try fenced.attach(.read)
      let refused = try primeError { _ = try fenced.attach(.write) }
      #expect(refused?.operation == "DRM_IOCTL_VGEM_FENCE_ATTACH")
      #expect(refused?.errno == .busy)
      #expect(refused?.reason == "the buffer has a fence that stands in the way: signal that first")
      try reader.signal()
      #expect(try !fenced.buffer.readiness().forWriting)
      try second.signal()
      #expect(try fenced.buffer.readiness().forWriting)
    }

    @Test func `that nobody signals is signalled by vgem after ten seconds, and only its owner is told`() throws {
      let fenced = try FencedBuffer()
      let start = ContinuousClock.now
      let fence = try fenced.attach(.write)
      let file = try fenced.buffer.exportSyncFile(for: .read)
      // The file cannot tell it from a signal: vgem ends the fence without an error.
      #expect(try file.wait(deadline: Lab.deadline) == .signalled)
      let waited = ContinuousClock.now - start
      #expect(waited >= .seconds(9))
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
      let late = signalError(fence)
      #expect(late?.operation == "DRM_IOCTL_VGEM_FENCE_SIGNAL")
      #expect(late?.errno == .timedOut)
      #expect(
        late?.reason == "vgem ended the fence by itself, as it does 10 s after it was attached: signal earlier")
    }

    @Test func `of a writer holds SYNC START for reading until it signals`() throws {
      let fenced = try FencedBuffer()
      let fence = LaterSignal(try fenced.attach(.write))
      let start = ContinuousClock.now
      fence.signal(after: .milliseconds(300))
      // The ioctl itself, which the library calls only once `poll` has waited. vgem ends the fence after 10 s at the latest.
      try startReading(fenced.buffer)
      let waited = ContinuousClock.now - start
      #expect(fence.wasSignalled)
      #expect(waited >= .milliseconds(250))
      #expect(waited < .seconds(9), "this is vgem's own limit, and no signal")
      #expect(try fenced.buffer.readiness().forReading)
      try fence.finish()
    }

    @Test func `of a reader does not hold SYNC START for reading`() throws {
      let fenced = try FencedBuffer()
      let fence = try fenced.attach(.read)
      try startReading(fenced.buffer)
      // It is still there: START did not wait for its end.
      #expect(try fenced.buffer.readiness() == DMABuf.Readiness(forReading: true, forWriting: false))
      try fence.signal()
    }

    /// START and END for reading, without the library's own wait before it.
    private func startReading(_ buffer: borrowing DMABuf) throws {
      let descriptor = buffer.rawDescriptor
      try #require(buffer.kernel.dmaBufSync(descriptor, flags: 1).errno == nil, "START")
      try #require(buffer.kernel.dmaBufSync(descriptor, flags: 5).errno == nil, "END")
    }
  }

  @Suite("A sync_file")
  struct SyncFiles {
    @Test func `of an idle buffer has signalled`() throws {
      let fenced = try FencedBuffer()
      for access in [FenceAccess.read, .write] {
        let file = try fenced.buffer.exportSyncFile(for: access)
        #expect(try file.isSignalled)
        #expect(try file.info().status == .signalled)
        #expect(try file.info().fences.count == 1)
      }
    }

    @Test func `for a reader holds the writers' fences, and for a writer the readers' too`() throws {
      let fenced = try FencedBuffer()
      let fence = try fenced.attach(.read)
      #expect(try fenced.buffer.exportSyncFile(for: .read).isSignalled)
      let file = try fenced.buffer.exportSyncFile(for: .write)
      #expect(try !file.isSignalled)
      let pending = try file.info()
      #expect(pending.status == .pending)
      #expect(pending.fences.map { "\($0.driver)/\($0.timeline) \($0.status)" } == ["vgem/unbound pending"])
      #expect(pending.fences.map(\.timestamp) == [nil])
      try fence.signal()
      #expect(try file.wait(deadline: Lab.deadline) == .signalled)
      #expect(try file.info().fences.map(\.status) == [.signalled])
      #expect(try file.info().fences.allSatisfy { $0.timestamp ?? 0 > 0 })
    }

    @Test func `is a snapshot: a later fence does not enter it`() throws {
      let fenced = try FencedBuffer()
      let before = try fenced.buffer.exportSyncFile(for: .write)
      let fence = try fenced.attach(.write)
      let after = try fenced.buffer.exportSyncFile(for: .write)
      #expect(try before.isSignalled)
      #expect(try !after.isSignalled)
      try fence.signal()
      #expect(try after.isSignalled)
    }

    @Test func `that does not signal in time names who is at it, and goes on after the signal`() throws {
      let fenced = try FencedBuffer()
      let fence = LaterSignal(try fenced.attach(.write))
      let file = try fenced.buffer.exportSyncFile(for: .read)
      let start = ContinuousClock.now
      let late = try primeError { _ = try file.wait(deadline: Deadline(in: .milliseconds(200))) }
      let waited = ContinuousClock.now - start
      #expect(late?.operation == "poll for the fences")
      #expect(late?.finding == .deadline)
      #expect(late?.reason?.hasSuffix("still pending: vgem/unbound") == true)
      #expect(waited >= .milliseconds(200))
      fence.signal(after: .milliseconds(200))
      #expect(try file.wait(deadline: Lab.deadline) == .signalled)
      #expect(ContinuousClock.now - start < .seconds(9), "this is vgem's own limit, and no signal")
      try fence.finish()
    }

    @Test func `merged with another needs both`() throws {
      let first = try FencedBuffer()
      let second = try FencedBuffer()
      let firstFence = try first.attach(.write)
      let secondFence = try second.attach(.write)
      let both = try first.buffer.exportSyncFile(for: .read)
        .merge(with: second.buffer.exportSyncFile(for: .read), name: "both of them")
      #expect(try both.info().name == "both of them")
      #expect(try both.info().fences.count == 2)
      try firstFence.signal()
      #expect(try !both.isSignalled)
      #expect(try both.info().status == .pending)
      let late = try primeError { _ = try both.wait(deadline: Deadline(in: .milliseconds(100))) }
      // One of the two is over, and only the other is named.
      #expect(late?.reason?.hasSuffix("still pending: vgem/unbound") == true)
      try secondFence.signal()
      #expect(try both.isSignalled)
      #expect(try both.wait(deadline: Lab.deadline) == .signalled)
    }

    @Test(arguments: ["vkms", "virtio_gpu", "cirrus"])
    func `carries a fence into the buffer of another device`(driver: String) throws {
      let fenced = try FencedBuffer()
      let other = try DumbAllocator(device: try Lab.open(driver)).allocate(request(64, 16)).export(.readWrite)
        .takeFirst()
      let fence = try fenced.attach(.write)
      let file = try fenced.buffer.exportSyncFile(for: .read)
      try other.importSyncFile(file, as: .read)
      #expect(try other.readiness() == DMABuf.Readiness(forReading: true, forWriting: false))
      try other.importSyncFile(file, as: .write)
      #expect(try other.readiness() == DMABuf.Readiness(forReading: false, forWriting: false))
      try fence.signal()
      #expect(try other.readiness() == DMABuf.Readiness(forReading: true, forWriting: true))
    }

    @Test func `is told from files of other kinds`() throws {
      let fenced = try FencedBuffer()
      let kernel = fenced.device.kernel
      let nothing = SyncFile(
        adopting: Descriptor(adopting: try kernel.open("/dev/null", flags: 2).get(), kernel: kernel))
      let asked = try primeError { _ = try nothing.info() }
      #expect(asked?.errno == .notATerminal)
      #expect(asked?.reason == "this file is not a sync_file")
      let imported = try primeError { try fenced.buffer.importSyncFile(nothing, as: .read) }
      #expect(imported?.errno == .invalidArgument)
      #expect(imported?.reason == "descriptor \(nothing.rawDescriptor) is not a sync_file")
      let file = try fenced.buffer.exportSyncFile(for: .read)
      let merged = try primeError { _ = try file.merge(with: nothing, name: "no") }
      #expect(merged?.errno == .noSuchFile)
      #expect(merged?.reason == "descriptor \(nothing.rawDescriptor) is not a sync_file")
    }
  }
}

/// A buffer on which vgem puts fences, its own or one that it imported.
final class FencedBuffer {
  let device: Device
  let buffer: DMABuf
  private let handle: GEMHandle

  init(of exporter: String = "vgem") throws {
    device = try Lab.open("vgem")
    let owner = exporter == "vgem" ? device : try Lab.open(exporter)
    let exported = try DumbAllocator(device: owner).allocate(request(64, 16)).export(.readWrite).takeFirst()
    handle = try GEMHandle(importing: exported, into: device)
    buffer = exported
  }

  func attach(_ access: FenceAccess) throws -> VGEMFence {
    try VGEMFence(attachingTo: handle, as: access)
  }
}

/// The error that a signal throws, nil where it throws none.
private func signalError(_ fence: consuming VGEMFence) -> PrimeError? {
  do throws(PrimeError) {
    try fence.signal()
    return nil
  } catch {
    return error
  }
}

/// A fence that another thread signals.
final class LaterSignal: Sendable {
  private let fence: Mutex<VGEMFence?>
  private let failure = Mutex<PrimeError?>(nil)

  init(_ fence: consuming VGEMFence) { self.fence = Mutex(fence) }

  /// Whether somebody has begun to signal it.
  var wasSignalled: Bool { fence.withLock { $0 == nil } }

  func signal(after delay: DispatchTimeInterval) {
    DispatchQueue.global().asyncAfter(deadline: .now() + delay) { self.signalNow() }
  }

  private func signalNow() {
    // All of it under the lock: who finds it signalled finds that its device was let go of, too.
    fence.withLock { fence in
      do throws(PrimeError) {
        try fence.take()?.signal()
      } catch {
        failure.withLock { $0 = error }
      }
    }
  }

  /// Signals if nobody has, and throws what a signal failed with.
  func finish() throws {
    signalNow()
    if let failure = failure.withLock({ $0 }) { throw failure }
  }
}
