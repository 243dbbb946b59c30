import Glibc
import Prime
import PrimeProcesses
import Synchronization
import Testing

@Suite("A task that waits")
struct SuspendedWaitTests {
  let kernel = FenceFixture.kernel()

  /// A vgem buffer with a writer's fence, and a task beside the test that ends it.
  private func withFence(
    _ body: (borrowing DMABuf, consuming VGEMFence) async throws -> Void
  ) async throws {
    let device = try Device.open(Fixture.exporterNode, kernel: kernel)
    let buffer = try Fixture.export(on: device)
    let handle = try GEMHandle(importing: buffer, into: device)
    try await body(buffer, try VGEMFence(attachingTo: handle, as: .write))
  }

  @Test func `for a sync_file goes on when its fences have signalled`() async throws {
    try await withFence { buffer, fence in
      let file = try buffer.exportSyncFile(for: .read)
      // Ends all of the kernel's fences once the wait has polled. On a thread, since other tests may keep the pool's.
      let ending = BackgroundCall<Void>.start { [kernel] in
        while kernel.count(of: .poll) < 3 { sched_yield() }
        kernel.expireFences()
      }
      #expect(try await file.wait(deadline: Fixture.deadline) == .signalled)
      #expect(try ending.get().result(within: .seconds(20)) != nil)
      _ = FenceFixture.signalError(fence)
    }
  }

  @Test func `for a fence that has signalled needs no thread`() async throws {
    try await withFence { buffer, fence in
      let file = try buffer.exportSyncFile(for: .read)
      try fence.signal()
      #expect(try await file.wait(deadline: Fixture.deadline) == .signalled)
      try await buffer.awaitReadiness(for: .write, deadline: Fixture.deadline)
      // One look each, and no wait.
      #expect(kernel.count(of: .poll) == 2)
      #expect(kernel.state.withLock(\.waitingPolls) == 0)
    }
  }

  @Test func `has a deadline, whose error names what is still at it`() async throws {
    try await withFence { buffer, fence in
      let file = try buffer.exportSyncFile(for: .read)
      do throws(PrimeError) {
        _ = try await file.wait(deadline: Deadline(in: .milliseconds(20)))
        Issue.record("nothing was thrown")
      } catch {
        expect(error, is: "poll for the fences", found: .deadline, on: "sync_file \(file.rawDescriptor)")
        #expect(error.reason?.hasSuffix("still pending: vgem/unbound") == true)
      }
      do throws(PrimeError) {
        try await buffer.awaitReadiness(for: .read, deadline: Deadline(in: .milliseconds(20)))
        Issue.record("nothing was thrown")
      } catch {
        expect(error, is: "poll for the fences", found: .deadline)
        #expect(error.reason?.hasSuffix("still pending: vgem/unbound") == true)
      }
      try fence.signal()
    }
    kernel.expectNothingLeft()
  }

  @Test func `that is cancelled ends long before its deadline`() async throws {
    try await withFence { buffer, fence in
      let other = try buffer.duplicate()
      let waiting = Task { [kernel] () async -> PrimeError? in
        let file: SyncFile
        do throws(PrimeError) { file = try other.exportSyncFile(for: .read) } catch { return error }
        do throws(PrimeError) {
          _ = try await file.wait(deadline: Deadline(in: .seconds(600)))
          return nil
        } catch {
          withExtendedLifetime(kernel) {}
          return error
        }
      }
      while kernel.count(of: .poll) < 2 { await Task.yield() }
      waiting.cancel()
      expect(await waiting.value, is: "poll for the fences", found: .cancelled)
      try fence.signal()
    }
  }

  @Test func `obeys its deadline's own request to stop as well`() async throws {
    try await withFence { buffer, fence in
      let cancellation = Cancellation()
      cancellation.request()
      do throws(PrimeError) {
        try await buffer.awaitReadiness(
          for: .read, deadline: Deadline(in: .seconds(600), cancellation: cancellation))
        Issue.record("nothing was thrown")
      } catch {
        expect(error, is: "poll for the fences", found: .cancelled)
      }
      try fence.signal()
    }
  }

  @Test func `for a syncobj goes on when it is signalled, and has its errors`() async throws {
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      let object = try Syncobj(on: device)
      let same = try Syncobj(importing: object.export(), into: device)
      let signalling = BackgroundCall<PrimeError?>.start { [kernel] in
        while kernel.count(of: .syncobjWait) < 2 { sched_yield() }
        do throws(PrimeError) { try same.signal() } catch { return error }
        return nil
      }
      try await object.wait(deadline: Fixture.deadline, forSubmission: true)
      #expect(try signalling.get().result(within: .seconds(20)) == .some(nil))
      try await object.wait(point: 0, deadline: Fixture.deadline)
      do throws(PrimeError) {
        try await object.wait(point: 5, deadline: Fixture.deadline)
        Issue.record("nothing was thrown")
      } catch {
        expect(error, is: "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", .invalidArgument)
      }
      do throws(PrimeError) {
        try await object.wait(point: 5, deadline: Deadline(in: .milliseconds(20)), forSubmission: true)
        Issue.record("nothing was thrown")
      } catch {
        expect(error, is: "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", found: .deadline)
      }
    }
  }

  @Test func `keeps no thread of the pool: more tasks wait than there are processors`() async throws {
    try await withFence { buffer, fence in
      let signals = (0..<64).map { _ in buffer.exportedFence }
      let waits = signals.map { file in
        Task { try await file.held.wait(deadline: Deadline(in: .seconds(600))) }
      }
      // Were the pool's threads all blocked, this task would not come to the signal.
      while kernel.count(of: .poll) < 128 { await Task.yield() }
      try fence.signal()
      for wait in waits { #expect(try await wait.value == .signalled) }
    }
  }
}

/// Arrays hold no owners.
private final class HeldFence: Sendable {
  let held: SyncFile

  init(_ file: consuming SyncFile) { held = file }
}

extension DMABuf {
  fileprivate var exportedFence: HeldFence {
    do throws(PrimeError) { return HeldFence(try exportSyncFile(for: .read)) } catch { fatalError("\(error)") }
  }
}
