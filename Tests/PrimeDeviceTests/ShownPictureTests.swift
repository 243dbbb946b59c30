import Prime
import Testing

extension OnARealKernel {
  @Suite("A display that shows a picture")
  struct ShownPicture {
    /// A program that shows a picture on vkms's virtual connector, as a compositor does, and then steps aside.
    private final class Compositor {
      let device: Device
      // Destroyed in this order: the framebuffer is removed, which switches the display off, and then the memory.
      private let framebuffer: Framebuffer
      private let buffer: DMABuf

      init() throws {
        device = try Lab.open("vkms")
        let object = try DumbAllocator(device: try device.reopened()).allocate(request(640, 480))
        buffer = try object.export(.readWrite).takeFirst()
        framebuffer = try Framebuffer(GEMHandle(importing: buffer, into: device), object.description)
        try show(framebuffer.id.rawValue)
      }

      deinit {
        // Removing the framebuffer would switch the plane off and leave the rest on.
        try? show(nil)
      }

      /// Shows a framebuffer on the first connector, or switches everything off.
      private func show(_ picture: UInt32?) throws {
        let kernel = device.kernel
        let descriptor = device.rawDescriptor
        // Universal planes and atomic mode setting.
        for capability: UInt64 in [2, 3] { try kernel.setClientCapability(descriptor, capability, 1).get() }
        let resources = try kernel.kmsResources(descriptor).get()
        let mode = try DisplayMode.withoutWire(width: 640, height: 480).bytes
        let blob = try kernel.kmsCreateBlob(descriptor, bytes: mode).get()
        defer { _ = kernel.kmsDestroyBlob(descriptor, id: blob) }
        let crtc = try #require(resources.crtcs.first)
        let connector = try #require(resources.connectors.first)
        let plane = try #require(
          try kernel.kmsPlanes(descriptor).get().first { id in
            try kernel.kmsProperties(descriptor, object: id, kind: .plane).get().contains {
              $0.name == "type" && $0.value == 1
            }
          })
        var assignments: [KMSAssignment] = []
        func set(_ object: UInt32, _ kind: KMSObjectKind, _ values: [(String, UInt64)]) throws {
          let properties = try kernel.kmsProperties(descriptor, object: object, kind: kind).get()
          for (name, value) in values {
            let property = try #require(properties.first { $0.name == name })
            assignments.append(KMSAssignment(object: object, property: property.id, value: value))
          }
        }
        let isShown = picture != nil
        try set(connector, .connector, [("CRTC_ID", isShown ? UInt64(crtc) : 0)])
        try set(crtc, .crtc, [("MODE_ID", isShown ? UInt64(blob) : 0), ("ACTIVE", isShown ? 1 : 0)])
        try set(
          plane, .plane,
          [
            ("FB_ID", UInt64(picture ?? 0)), ("CRTC_ID", isShown ? UInt64(crtc) : 0), ("SRC_X", 0), ("SRC_Y", 0),
            ("SRC_W", 640 << 16),
            ("SRC_H", 480 << 16), ("CRTC_X", 0), ("CRTC_Y", 0), ("CRTC_W", 640), ("CRTC_H", 480),
          ])
        try device.becomeMaster()
        defer { device.dropMaster() }
        // DRM_MODE_ATOMIC_ALLOW_MODESET.
        _ = try kernel.kmsCommit(descriptor, assignments: assignments, outFences: [], flags: 0x400, userData: 0).get()
      }
    }

    @Test func `shows it again after a capture took the display`() throws {
      let dark = try Lab.displayState("vkms")
      try withCompositor { shown in
        #expect(shown != dark)
        #expect(shown.contains("640 656 688 720 480 483 488 500"))
        let stage = try Writeback.Stage()
        #expect(try stage.mismatch() == nil)
        try Lab.expectDisplay("vkms", shows: shown)
      }
      #expect(!(try Lab.displayState("vkms")).contains("\tactive=1"))
    }

    @Test func `shows it again after an error while the capture had the display`() throws {
      try withCompositor { shown in
        let stage = try Writeback.Stage()
        let pipeline = try WritebackPipeline(on: stage.importer)
        let picture = try Framebuffer(stage.handle, stage.description)
        let target = try Framebuffer(stage.targetHandle, stage.description)
        try pipeline.capture(
          picture, shown: Size(width: 128, height: 64), into: target,
          mode: try DisplayMode.withoutWire(width: 128, height: 64),
          deadline: Lab.deadline)
        #expect(try Lab.displayState("vkms") != shown)
        let refused = try primeError {
          try pipeline.capture(
            picture, shown: Size(width: 128, height: 64), into: target,
            mode: try DisplayMode.withoutWire(width: 64, height: 64),
            deadline: Lab.deadline)
        }
        #expect(refused?.errno == .invalidArgument)
        try pipeline.close()
        try Lab.expectDisplay("vkms", shows: shown)
      }
    }

    /// Runs a test while a picture is shown, with the state of that moment.
    private func withCompositor(_ body: (String) throws -> Void) throws {
      let compositor = try Compositor()
      try withExtendedLifetime(compositor) { try body(try Lab.displayState("vkms")) }
    }
  }
}
