import Dispatch
import Glibc
import Prime
import PrimeContract
import Testing

extension OnARealKernel {
  /// What a user of the library does with the descriptors of other libraries, and in tasks.
  @Suite("The library, for its user,")
  struct PublicInterface {
    @Test func `adopts a dma-buf, has exec close it, and closes it once`() throws {
      let fenced = try FencedBuffer()
      let descriptor = fenced.buffer.withDescriptor { dup($0) }
      do {
        let same = try DMABuf(adopting: descriptor)
        #expect(same.identity == fenced.buffer.identity)
        #expect(fcntl(descriptor, F_GETFD) == FD_CLOEXEC)
      }
      #expect(fcntl(descriptor, F_GETFD) == -1)
    }

    @Test func `adopts a sync_file with its fences`() throws {
      let fenced = try FencedBuffer()
      let fence = try fenced.attach(.write)
      let file = try SyncFile(adopting: try fenced.buffer.exportSyncFile(for: .read).relinquish())
      #expect(try file.info().fences.map { "\($0.driver)/\($0.timeline)" } == ["vgem/unbound"])
      try fence.signal()
      #expect(try file.wait(deadline: Lab.deadline) == .signalled)
    }

    @Test(arguments: ["/dev/null", "/dev/dri/card0", "/proc/self/status", "/tmp"])
    func `refuses another file for a dma-buf or a sync_file, and leaves it open`(path: String) throws {
      let descriptor = open(path, O_RDONLY)
      #expect(descriptor >= 0)
      #expect(try primeError { _ = try DMABuf(adopting: descriptor) }?.reason == "this file is not a dma-buf")
      #expect(try primeError { _ = try SyncFile(adopting: descriptor) }?.reason == "this file is not a sync_file")
      #expect(close(descriptor) == 0)
    }

    @Test func `tells a dma-buf and a sync_file from each other, and both from another anonymous inode`() throws {
      let fenced = try FencedBuffer()
      let buffer = try DMABuf(duplicating: fenced.buffer.withDescriptor { $0 }).relinquish()
      #expect(try primeError { _ = try SyncFile(adopting: buffer) }?.finding == .unsuitable)
      let fence = try fenced.buffer.exportSyncFile(for: .read).relinquish()
      #expect(try primeError { _ = try DMABuf(adopting: fence) }?.finding == .unsuitable)
      let watch = inotify_init()
      #expect(try primeError { _ = try SyncFile(adopting: watch) }?.errno == .notATerminal)
      for descriptor in [buffer, fence, watch] { #expect(close(descriptor) == 0) }
    }

    @Test func `lets a task wait for a fence, and ends the wait of a cancelled one`() async throws {
      let fenced = try FencedBuffer()
      let fence = try fenced.attach(.write)
      let file = try fenced.buffer.exportSyncFile(for: .read)
      do throws(PrimeError) {
        _ = try await file.wait(deadline: Deadline(in: .milliseconds(200)))
        Issue.record("nothing was thrown")
      } catch {
        #expect(error.finding == .deadline)
        #expect(error.reason?.hasSuffix("still pending: vgem/unbound") == true)
      }
      let other = try file.duplicate()
      let waiting = Task { () async -> PrimeError.Finding? in
        do throws(PrimeError) {
          _ = try await other.wait(deadline: Deadline(in: .seconds(600)))
          return nil
        } catch {
          return error.finding
        }
      }
      waiting.cancel()
      #expect(await waiting.value == .cancelled)
      let later = LaterSignal(fence)
      later.signal(after: .milliseconds(100))
      #expect(try await file.wait(deadline: Lab.deadline) == .signalled)
      try await fenced.buffer.awaitReadiness(for: .write, deadline: Lab.deadline)
    }

    @Test(arguments: ["vkms", "cirrus", "bochs-drm", "virtio_gpu", "qxl"])
    func `tests, shows and flips on a display, and puts it back`(driver: String) async throws {
      let device = try Lab.open(driver)
      try device.becomeMaster()
      let before = try SavedDisplayState(of: device)
      do {
        let display = try DisplayPipe(DisplayRoute(on: device, to: .connected))
        let mode = try #require(display.route.modes.first { $0.size == Size(width: 640, height: 480) })
        let request = AllocationRequest(format: .xrgb8888, size: mode.size)
        func framebuffer() throws -> Framebuffer {
          let object = try DumbAllocator(device: device).allocate(request)
          return try object.export(.read).imported(into: device).framebuffer()
        }
        let (first, second) = (Held(try framebuffer()), Held(try framebuffer()))
        try display.test(first.framebuffer, mode: mode, deadline: Lab.deadline)
        try display.show(first.framebuffer, mode: mode, deadline: Lab.deadline)
        let seen = try await display.flip(to: second.framebuffer, deadline: Lab.deadline)
        let fenced = try FencedBuffer()
        let fence = try fenced.attach(.write)
        let flip = try display.start(
          flipTo: first.framebuffer, after: fenced.buffer.exportSyncFile(for: .read), deadline: Lab.deadline)
        do throws(PrimeError) {
          try await display.finish(flip, deadline: Deadline(in: .milliseconds(200)))
          Issue.record("it was shown before its fence had signalled")
        } catch {
          #expect(error.finding == .deadline)
        }
        #expect(try !flip.outFence.isSignalled)
        try fence.signal()
        let last = try await display.finish(flip, deadline: Lab.deadline)
        #expect(try await flip.outFence.wait(deadline: Lab.deadline) == .signalled)
        #expect(last.time.duration > seen.time.duration)
        try display.close()
      }
      try device.becomeMaster()
      #expect(try before.pictureChanges(to: SavedDisplayState(of: device)) == [])
      device.dropMaster()
    }

    @Test(arguments: ["vkms", "bochs-drm", "virtio_gpu"])
    func `shows a first picture once a fence has signalled, and puts the display back`(driver: String) throws {
      let device = try Lab.open(driver)
      try device.becomeMaster()
      let before = try SavedDisplayState(of: device)
      do {
        let display = try DisplayPipe(DisplayRoute(on: device, to: .connected))
        let mode = try #require(display.route.modes.first { $0.size == Size(width: 640, height: 480) })
        let object = try DumbAllocator(device: device).allocate(AllocationRequest(format: .xrgb8888, size: mode.size))
        let picture = try object.export(.read).imported(into: device).framebuffer()
        let fenced = try FencedBuffer()
        let fence = try fenced.attach(.write)
        let fences = try fenced.buffer.exportSyncFile(for: .read)
        let started = try display.start(showing: picture, mode: mode, after: fences, deadline: Lab.deadline)
        let early = try primeError { try display.finish(started, deadline: Deadline(in: .milliseconds(200))) }
        #expect(early?.finding == .deadline)
        #expect(try !started.outFence.isSignalled)
        try fence.signal()
        try display.finish(started, deadline: Lab.deadline)
        #expect(try started.outFence.wait(deadline: Lab.deadline) == .signalled)
        try display.show(picture, mode: mode, after: fences, deadline: Lab.deadline)
        let shown = try SavedDisplayState(of: device)
        #expect(!before.pictureChanges(to: shown).isEmpty)
        try display.close()
      }
      try device.becomeMaster()
      #expect(try before.pictureChanges(to: SavedDisplayState(of: device)) == [])
      device.dropMaster()
    }
  }
}

/// A framebuffer where only copies may go.
private final class Held {
  let framebuffer: Framebuffer

  init(_ framebuffer: consuming Framebuffer) { self.framebuffer = framebuffer }
}
