import Prime
import Testing

@Suite("A syncobj")
struct SyncobjTests {
  let kernel = FenceFixture.kernel()

  /// Runs the body with a device that has syncobjs, and states that nothing is left.
  private func withDevice(_ body: (Device) throws -> Void) throws {
    do { try body(try Device.open(Fixture.importerNode, kernel: kernel)) }
    kernel.expectNothingLeft()
  }

  @Test("has no fence at first, and none to export or to wait for")
  func empty() throws {
    try withDevice { device in
      let object = try Syncobj(on: device)
      let reason = "no fence was submitted to it yet: signal it, import one, or wait for the submission too"
      let exported = primeError { try object.exportSyncFile() }
      expect(exported, is: "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", .invalidArgument, on: "taker (/dev/dri/card1)")
      #expect(exported?.reason == reason)
      let waited = primeError { try object.wait(deadline: Fixture.deadline) }
      expect(waited, is: "DRM_IOCTL_SYNCOBJ_WAIT", .invalidArgument)
      #expect(waited?.reason == reason)
    }
  }

  @Test("is waited for until it is signalled, and after a reset waited for again")
  func signal() throws {
    try withDevice { device in
      let object = try Syncobj(on: device)
      let soon = { Deadline(in: .milliseconds(20), on: kernel) }
      expect(
        primeError { try object.wait(deadline: soon(), forSubmission: true) }, is: "DRM_IOCTL_SYNCOBJ_WAIT",
        found: .deadline)
      try object.signal()
      try object.wait(deadline: soon())
      try object.reset()
      expect(
        primeError { try object.wait(deadline: soon(), forSubmission: true) }, is: "DRM_IOCTL_SYNCOBJ_WAIT",
        found: .deadline)
      try Syncobj(on: device, isSignalled: true).wait(deadline: soon())
    }
  }

  @Test("takes the fence of a sync_file and gives it again")
  func syncFile() throws {
    try withDevice { device in
      try FenceFixture.withOpenBuffer(kernel) { handle, buffer in
        let object = try Syncobj(on: device, isSignalled: true)
        let fence = try VGEMFence(attachingTo: handle, as: .write)
        try object.importSyncFile(buffer.exportSyncFile(for: .read))
        let again = try object.exportSyncFile()
        #expect(try !again.isSignalled)
        expect(
          primeError { try object.wait(deadline: Deadline(in: .milliseconds(20), on: kernel)) },
          is: "DRM_IOCTL_SYNCOBJ_WAIT",
          found: .deadline)
        try fence.signal()
        #expect(try again.isSignalled)
        try object.wait(deadline: Fixture.deadline)
      }
    }
  }

  @Test("exported and imported is one object with two handles, and refuses what is none")
  func share() throws {
    try withDevice { device in
      let object = try Syncobj(on: device)
      let descriptor = try object.export()
      let same = try Syncobj(importing: descriptor, into: device.reopened())
      try object.signal()
      try same.wait(deadline: Fixture.deadline)
      let memory = Descriptor(
        adopting: try kernel.createSealedMemory("not a syncobj", byteCount: 4096).get(), kernel: kernel)
      let error = primeError { try Syncobj(importing: memory, into: device) }
      expect(error, is: "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", .invalidArgument)
      #expect(error?.reason == "descriptor \(memory.rawValue) is not a syncobj")
    }
  }

  @Test("is EOPNOTSUPP with a sentence where the driver has none")
  func unsupported() throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      let error = primeError { try Syncobj(on: device) }
      expect(error, is: "DRM_IOCTL_SYNCOBJ_CREATE", .notSupported, on: "vgem (/dev/dri/card0)")
      #expect(error?.reason == "vgem has no syncobjs (DRM_CAP_SYNCOBJ): use sync_files")
    }
    kernel.expectNothingLeft()
  }

  @Test("has no points where the driver knows binary ones only, which is said in a sentence")
  func noTimeline() throws {
    var setup = Fixture.importer
    setup.hasTimelineSyncobjs = false
    let kernel = Fixture.kernel(exporter: FenceFixture.vgem, importer: setup)
    do {
      let object = try Syncobj(on: Device.open(Fixture.importerNode, kernel: kernel))
      try object.signal()
      let reason = "taker has no timeline syncobjs (DRM_CAP_SYNCOBJ_TIMELINE): use binary ones, or sync_files"
      let deadline = Fixture.deadline
      #expect(primeError { try object.signal(point: 1) }?.reason == reason)
      #expect(primeError { try object.signalledPoint() }?.reason == reason)
      #expect(primeError { try object.wait(point: 1, deadline: deadline) }?.reason == reason)
      #expect(primeError { try object.transfer(point: 0, to: object, point: 1) }?.reason == reason)
    }
    kernel.expectNothingLeft()
  }

  @Test("waits on through interruptions and stops when it is asked to", arguments: [Errno.interrupted, .tryAgain])
  func restarts(errno: Errno) throws {
    kernel.fail(.syncobjWait, with: errno, onCalls: 1...3)
    try withDevice { device in
      let object = try Syncobj(on: device, isSignalled: true)
      try object.wait(deadline: Fixture.deadline)
      #expect(kernel.count(of: .syncobjWait) == 4)
      let cancellation = Cancellation()
      cancellation.request()
      try object.reset()
      let deadline = Deadline(in: .seconds(20), on: kernel, cancellation: cancellation)
      expect(
        primeError { try object.wait(deadline: deadline, forSubmission: true) }, is: "DRM_IOCTL_SYNCOBJ_WAIT",
        found: .cancelled)
    }
  }

  @Test("names each call that fails", arguments: [Errno.noSuchDevice, .noMemory])
  func fails(errno: Errno) throws {
    try withDevice { device in
      let object = try Syncobj(on: device, isSignalled: true)
      let file = try object.exportSyncFile()
      let deadline = Fixture.deadline
      for call in KernelCall.aboutFences.subtracting([.syncobjDestroy]) { kernel.fail(call, with: errno) }
      expect(primeError { try Syncobj(on: device) }, is: "DRM_IOCTL_SYNCOBJ_CREATE", errno)
      expect(primeError { try object.export() }, is: "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", errno)
      expect(primeError { try object.exportSyncFile() }, is: "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", errno)
      expect(primeError { try object.importSyncFile(file) }, is: "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", errno)
      expect(primeError { try object.signal() }, is: "DRM_IOCTL_SYNCOBJ_SIGNAL", errno)
      expect(primeError { try object.reset() }, is: "DRM_IOCTL_SYNCOBJ_RESET", errno)
      expect(primeError { try object.wait(deadline: deadline) }, is: "DRM_IOCTL_SYNCOBJ_WAIT", errno)
      expect(primeError { try object.wait(point: 1, deadline: deadline) }, is: "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", errno)
      expect(primeError { try object.signal(point: 1) }, is: "DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL", errno)
      expect(primeError { try object.signalledPoint() }, is: "DRM_IOCTL_SYNCOBJ_QUERY", errno)
      expect(
        primeError { try object.transfer(point: 0, to: object, point: 1) }, is: "DRM_IOCTL_SYNCOBJ_TRANSFER", errno)
    }
  }

  @Test("as a timeline has signalled up to a point when that and all before it have")
  func timeline() throws {
    try withDevice { device in
      try FenceFixture.withOpenBuffer(kernel) { handle, buffer in
        let line = try Syncobj(on: device)
        #expect(try line.signalledPoint() == 0)
        try line.signal(point: 3)
        #expect(try line.signalledPoint() == 3)
        try line.wait(point: 2, deadline: Fixture.deadline)
        let fence = try VGEMFence(attachingTo: handle, as: .write)
        let binary = try Syncobj(on: device)
        try binary.importSyncFile(buffer.exportSyncFile(for: .read))
        try binary.transfer(point: 0, to: line, point: 5)
        #expect(try line.signalledPoint() == 3)
        #expect(try line.submittedPoint() == 5)
        let soon = Deadline(in: .milliseconds(20), on: kernel)
        expect(
          primeError { try line.wait(point: 5, deadline: soon) }, is: "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT",
          found: .deadline)
        let unborn = primeError { try line.wait(point: 6, deadline: Fixture.deadline) }
        expect(unborn, is: "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", .invalidArgument)
        try fence.signal()
        try line.wait(point: 5, deadline: Fixture.deadline)
        #expect(try line.signalledPoint() == 5)
      }
    }
  }

  @Test("transfers to one of another open file no fence, and says what to do")
  func foreignTransfer() throws {
    try withDevice { device in
      let object = try Syncobj(on: device, isSignalled: true)
      let other = try Syncobj(on: device.reopened())
      let error = primeError { try object.transfer(point: 0, to: other, point: 1) }
      expect(error, is: "DRM_IOCTL_SYNCOBJ_TRANSFER", found: .unsuitable)
      #expect(error?.reason == "the other syncobj belongs to another open file: export it and import it here first")
      #expect(kernel.count(of: .syncobjTransfer) == 0)
    }
  }
}
