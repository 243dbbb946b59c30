import Glibc
import Prime
import PrimeVerify
import Testing

extension OnARealKernel {
  @Suite("The display engine of vkms")
  struct Writeback {
    static let pattern = Pattern(seed: 7, index: 0)

    /// A picture of vgem's on vkms, and a target for what its engine fetches.
    final class Stage {
      let importer: Device
      let picture: DMABuf
      let target: DMABuf
      let description: BufferDescription
      let handle: GEMHandle
      let targetHandle: GEMHandle

      init(width: Int = 128, height: Int = 64) throws {
        importer = try Lab.open("vkms")
        let allocator = DumbAllocator(device: try Lab.open("vgem"))
        let object = try allocator.allocate(request(width, height))
        description = object.description
        picture = try object.export(.readWrite).takeFirst()
        target = try allocator.allocate(request(width, height)).export(.readWrite).takeFirst()
        handle = try GEMHandle(importing: picture, into: importer)
        targetHandle = try GEMHandle(importing: target, into: importer)
        let layout = description.layout
        try picture.write(deadline: Lab.deadline) { bytes in try Writeback.pattern.fill(&bytes, layout: layout) }
      }

      /// Shows the picture and gives what is wrong with what the engine wrote.
      func mismatch() throws -> Mismatch? {
        try capture(on: WritebackPipeline(on: importer), deadline: Lab.deadline)
        let layout = description.layout
        return try target.read(deadline: Lab.deadline) { bytes in
          try Writeback.pattern.diagnose(bytes, layout: layout, ignoringUnusedBits: true)
        }
      }

      func capture(on pipeline: WritebackPipeline, deadline: Deadline) throws {
        let framebuffer = try Framebuffer(handle, description)
        let targetFramebuffer = try Framebuffer(targetHandle, description)
        let size = description.size
        defer { try? pipeline.close() }
        try pipeline.capture(
          framebuffer, shown: size, into: targetFramebuffer,
          mode: try DisplayMode.withoutWire(size),
          deadline: deadline)
      }
    }

    @Test func `fetches what was written, and puts the display back`() throws {
      let before = try Lab.displayState("vkms")
      #expect(before.contains("crtc-0"))
      let stage = try Stage()
      #expect(try stage.mismatch() == nil)
      try Lab.expectDisplay("vkms", shows: before)
    }

    @Test func `fetches sheared rows where the framebuffer has a wrong pitch, and the pitch is named`() throws {
      // Rows of 128 pixels lie 512 bytes apart. The importer takes them for rows of 144, 576 bytes apart.
      let stage = try Stage()
      let wrong = try layout(.xrgb8888, 144, 56, [PlaneLayout(offset: 0, pitch: 576)])
      let wide = try Stage(width: 144, height: 56)
      #expect(wide.description.layout.planes == [PlaneLayout(offset: 0, pitch: 576)])
      let picture = try Framebuffer(stage.handle, BufferDescription(layout: wrong, modifier: .linear))
      let target = try Framebuffer(GEMHandle(importing: wide.target, into: stage.importer), wide.description)
      let pipeline = try WritebackPipeline(on: stage.importer)
      try pipeline.capture(
        picture, shown: Size(width: 144, height: 56), into: target,
        mode: try DisplayMode.withoutWire(width: 144, height: 56),
        deadline: Lab.deadline)
      try pipeline.close()
      // What was expected to arrive: the picture's rows, at the pitch that the importer believes in.
      let believed = try layout(.xrgb8888, 128, 56, [PlaneLayout(offset: 0, pitch: 576)])
      let mismatch = try wide.target.read(deadline: Lab.deadline) { bytes in
        try Self.pattern.diagnose(bytes, layout: believed, ignoringUnusedBits: true)
      }
      #expect(mismatch?.cause == .sheared(pitch: 512, declared: 576))
      #expect(mismatch?.sentence.hasSuffix("sheared: pitch 512 instead of 576 fits") == true)
    }

    @Test func `sees a change made after the import`() throws {
      let stage = try Stage()
      #expect(try stage.mismatch() == nil)
      try stage.picture.write(deadline: Lab.deadline) { bytes in bytes[512 * 3 + 4 * 7] ^= 0x80 }
      let mismatch = try #require(try stage.mismatch())
      #expect(mismatch.rectangle == DamagedRectangle(x: 7, y: 3, width: 1, height: 1))
      // The fourth byte, X, does not come back.
      #expect((mismatch.expected.bits ^ mismatch.found.bits) & 0xff_ffff == 0x80)
    }

    @Test func `is put back after an error in the middle`() throws {
      let before = try Lab.displayState("vkms")
      let stage = try Stage()
      let small = try Stage(width: 64, height: 32)
      let pipeline = try WritebackPipeline(on: stage.importer)
      // The target is smaller than the mode: the kernel refuses the commit.
      let refused = try primeError {
        let picture = try Framebuffer(stage.handle, stage.description)
        let target = try Framebuffer(
          try GEMHandle(importing: small.target, into: stage.importer), small.description)
        try pipeline.capture(
          picture, shown: Size(width: 128, height: 64), into: target,
          mode: try DisplayMode.withoutWire(width: 128, height: 64),
          deadline: Lab.deadline)
      }
      #expect(refused?.operation == "DRM_IOCTL_MODE_ATOMIC")
      #expect(refused?.errno == .invalidArgument)
      try pipeline.close()
      try Lab.expectDisplay("vkms", shows: before)
      // A capture that worked, and then one that did not.
      let second = try WritebackPipeline(on: stage.importer)
      let again = try primeError {
        let picture = try Framebuffer(stage.handle, stage.description)
        let target = try Framebuffer(stage.targetHandle, stage.description)
        try second.capture(
          picture, shown: Size(width: 128, height: 64), into: target,
          mode: try DisplayMode.withoutWire(width: 128, height: 64),
          deadline: Lab.deadline)
        try second.capture(
          picture, shown: Size(width: 128, height: 64), into: target,
          mode: try DisplayMode.withoutWire(width: 65535, height: 64),
          deadline: Lab.deadline)
      }
      #expect(again?.operation == "drmModeCreatePropertyBlob")
      try second.close()
      try Lab.expectDisplay("vkms", shows: before)
    }

    @Test func `works again after a capture that ran out of time`() throws {
      let before = try Lab.displayState("vkms")
      let stage = try Stage()
      for _ in 0..<3 {
        let late = try primeError {
          try stage.capture(on: WritebackPipeline(on: stage.importer), deadline: Deadline(in: .zero))
        }
        // A quick machine is done within the first look at the fence.
        #expect(late == nil || late?.finding == .deadline)
      }
      try Lab.expectDisplay("vkms", shows: before)
      let after = try primeError {
        try stage.capture(on: WritebackPipeline(on: stage.importer), deadline: Deadline(in: .seconds(20)))
      }
      #expect(after == nil, "the engine was left in the middle of a picture, and is of no use to anybody now")
    }

    @Test func `is given back to the next master`() throws {
      let device = try Lab.open("vkms")
      let other = try Lab.open("vkms")
      let pipeline = try WritebackPipeline(on: device)
      #expect(device.kernel.isMaster(device.rawDescriptor))
      let refused = try primeError { try other.becomeMaster() }
      #expect(
        refused?.description
          == "drmSetMaster on vkms (\(other.node.path)): EBUSY (Device or resource busy): another open file of this "
          + "process is master of this display: close that one, or drop the master there")
      #expect(try primeError { _ = try WritebackPipeline(on: other) }?.operation == "drmSetMaster")
      try pipeline.close()
      #expect(!device.kernel.isMaster(device.rawDescriptor))
      try other.becomeMaster()
      #expect(other.kernel.isMaster(other.rawDescriptor))
      other.dropMaster()
    }

    @Test(arguments: [
      ("vgem", "drmSetClientCap", "it has no atomic mode setting with writeback connectors"),
      ("cirrus", "drmModeGetConnector", "it has no writeback connector: it has VGA-"),
      ("bochs-drm", "drmModeGetConnector", "it has no writeback connector: it has Virtual-"),
      ("virtio_gpu", "drmModeGetConnector", "it has no writeback connector: it has Virtual-"),
      ("qxl", "drmModeGetConnector", "it has no writeback connector: it has Virtual-"),
    ])
    func `is the only one that writes back`(driver: String, operation: String, reason: String) throws {
      let device = try Lab.open(driver)
      let refused = try primeError { _ = try WritebackPipeline(on: device) }
      #expect(refused?.operation.description == operation)
      #expect(refused?.errno == (driver == "vgem" ? .notSupported : nil))
      #expect(refused?.subject == device.subject)
      // What cirrus has at its end is called VGA up to 6.12 and Virtual in 7.2.
      let reason = driver == "cirrus" && Lab.isKernel("7.2") ? reason.replacing("VGA-", with: "Virtual-") : reason
      // The numbers of the connectors depend on which driver came first.
      #expect(refused?.reason?.hasPrefix(reason) == true)
      // Looking for one took nothing from anybody.
      #expect(!device.kernel.isMaster(device.rawDescriptor))
    }
  }
}
