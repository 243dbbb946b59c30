import Prime
import PrimeContract
import Testing

extension OnARealKernel {
  @Suite("A syncobj")
  struct Syncobjs {
    private func soon() -> Deadline { Deadline(in: .milliseconds(200)) }

    /// A new open file of the one device that has them.
    private func device() throws -> Device {
      try Lab.skip(on: "6.1", because: "virtio_gpu has no syncobjs there")
      return try Lab.open("virtio_gpu")
    }

    @Test func `of virtio_gpu is waited for until it is signalled`() throws {
      let object = try Syncobj(on: try device())
      let empty = try primeError { try object.wait(deadline: soon()) }
      #expect(empty?.operation == "DRM_IOCTL_SYNCOBJ_WAIT")
      #expect(empty?.errno == .invalidArgument)
      #expect(empty?.reason?.hasPrefix("no fence was submitted to it yet") == true)
      let start = ContinuousClock.now
      #expect(try primeError { try object.wait(deadline: soon(), forSubmission: true) }?.finding == .deadline)
      #expect(ContinuousClock.now - start >= .milliseconds(200))
      try object.signal()
      try object.wait(deadline: soon())
      try object.reset()
      #expect(try primeError { try object.wait(deadline: soon()) }?.errno == .invalidArgument)
      try Syncobj(on: try device(), isSignalled: true).wait(deadline: soon())
    }

    @Test func `carries vgem's fence from a sync_file and gives it again`() throws {
      let fenced = try FencedBuffer()
      let object = try Syncobj(on: try device(), isSignalled: true)
      let fence = try fenced.attach(.write)
      try object.importSyncFile(try fenced.buffer.exportSyncFile(for: .read))
      let again = try object.exportSyncFile()
      #expect(try again.info().fences.map { "\($0.driver)/\($0.timeline)" } == ["vgem/unbound"])
      #expect(try !again.isSignalled)
      let late = try primeError { try object.wait(deadline: soon()) }
      #expect(late?.finding == .deadline)
      try fence.signal()
      try object.wait(deadline: Lab.deadline)
      #expect(try again.wait(deadline: Lab.deadline) == .signalled)
    }

    @Test func `exported and imported is one object, on two open files`() throws {
      let device = try device()
      let object = try Syncobj(on: device)
      let same = try Syncobj(importing: object.export(), into: try device.reopened())
      #expect(try primeError { try same.wait(deadline: soon()) }?.errno == .invalidArgument)
      try object.signal()
      try same.wait(deadline: soon())
    }

    @Test func `has a timeline whose points signal in order`() throws {
      let device = try device()
      let fenced = try FencedBuffer()
      let line = try Syncobj(on: device)
      #expect(try line.signalledPoint() == 0)
      try line.signal(point: 3)
      #expect(try line.signalledPoint() == 3)
      try line.wait(point: 2, deadline: soon())
      let fence = try fenced.attach(.write)
      let binary = try Syncobj(on: device)
      try binary.importSyncFile(try fenced.buffer.exportSyncFile(for: .read))
      try binary.transfer(point: 0, to: line, point: 5)
      #expect(try line.signalledPoint() == 3)
      #expect(try line.submittedPoint() == 5)
      #expect(try primeError { try line.wait(point: 5, deadline: soon()) }?.finding == .deadline)
      #expect(try primeError { try line.wait(point: 6, deadline: soon()) }?.errno == .invalidArgument)
      let unborn = try primeError { try line.wait(point: 6, deadline: soon(), forSubmission: true) }
      #expect(unborn?.operation == "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT")
      #expect(unborn?.finding == .deadline)
      try fence.signal()
      try line.wait(point: 5, deadline: Lab.deadline)
      #expect(try line.signalledPoint() == 5)
    }

    @Test(arguments: ["vgem", "vkms"])
    func `is what some drivers lack, which is said in a sentence`(driver: String) throws {
      let device = try Lab.open(driver)
      let refused = try primeError { _ = try Syncobj(on: device) }
      #expect(
        refused?.description
          == "DRM_IOCTL_SYNCOBJ_CREATE on \(device.subject): EOPNOTSUPP (Operation not supported): \(driver) has no "
          + "syncobjs (DRM_CAP_SYNCOBJ): use sync_files")
    }
  }
}
