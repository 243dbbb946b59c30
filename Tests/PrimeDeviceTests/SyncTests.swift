import Dispatch
import Glibc
import Prime
import Testing

extension OnARealKernel {
  @Suite("A SYNC bracket")
  struct SyncBrackets {
    /// The buffer whose fences vgem attaches and signals when it is told to.
    private struct Fenced {
      let device: Device
      let handle: GEMHandleBox
      let buffer: DMABufBox

      init() throws {
        device = try Lab.open("vgem")
        let object = try DumbAllocator(device: device).allocate(request(64, 16))
        let exported = try object.export(.readWrite)
        handle = GEMHandleBox(try GEMHandle(importing: exported, into: device))
        buffer = DMABufBox(exported)
      }

      /// Attaches a fence as a writer (`VGEM_FENCE_WRITE`) or a reader and gives its number.
      func attach(asWriter: Bool) throws -> UInt32 {
        // struct drm_vgem_fence_attach: handle, flags, out_fence, pad.
        var argument: [UInt32] = [handle.value.rawValue, asWriter ? 1 : 0, 0, 0]
        let result = ioctl(device.rawDescriptor, 0xc010_6441, &argument)
        try #require(result == 0, "DRM_IOCTL_VGEM_FENCE_ATTACH: errno \(errno)")
        return argument[2]
      }

      func signal(_ fence: UInt32) throws {
        // struct drm_vgem_fence_signal: fence, flags.
        var argument: [UInt32] = [fence, 0]
        let result = ioctl(device.rawDescriptor, 0x4008_6442, &argument)
        try #require(result == 0, "DRM_IOCTL_VGEM_FENCE_SIGNAL: errno \(errno)")
      }
    }

    @Test(arguments: ["vgem", "vkms", "cirrus", "virtio_gpu"])
    func `shows what was written through every descriptor of the buffer`(exporter: String) throws {
      let object = try DumbAllocator(device: try Lab.open(exporter)).allocate(request(64, 16))
      let buffer = try object.export(.readWrite)
      let other = try buffer.duplicate()
      let importer = try Lab.open("vkms")
      let through = try GEMHandle(importing: buffer, into: importer).export(.readWrite)
      for value: UInt8 in [0xa5, 0x3c] {
        try buffer.write(deadline: Lab.deadline) { bytes in bytes[4095] = value }
        #expect(try other.read(deadline: Lab.deadline) { bytes in bytes[4095] } == value)
        #expect(try through.read(deadline: Lab.deadline) { bytes in bytes[4095] } == value)
      }
      // And the other way.
      try through.write(deadline: Lab.deadline) { bytes in bytes[0] = 0x77 }
      #expect(try buffer.read(deadline: Lab.deadline) { bytes in bytes[0] } == 0x77)
    }

    @Test func `for writing waits for a fence, ends at its deadline, and goes through after the signal`() throws {
      let fenced = try Fenced()
      let fence = try fenced.attach(asWriter: true)
      let start = ContinuousClock.now
      var entered = false
      let late = try primeError {
        try fenced.buffer.value.write(deadline: Deadline(in: .milliseconds(300))) { _ in entered = true }
      }
      let waited = ContinuousClock.now - start
      #expect(
        late?.description
          == "poll for the fences on dma-buf \(fenced.buffer.value.identity.inode): ETIMEDOUT (Connection timed out): "
          + "it did not finish within 0.3 s; raise --timeout if the machine is only slow")
      #expect(!entered)
      #expect(waited >= .milliseconds(300))
      #expect(waited < .seconds(5))
      try fenced.signal(fence)
      try fenced.buffer.value.write(deadline: Deadline(in: .seconds(5))) { _ in entered = true }
      #expect(entered)
    }

    @Test func `for reading waits for writers and not for readers`() throws {
      let fenced = try Fenced()
      let reader = try fenced.attach(asWriter: false)
      let soon = { Deadline(in: .milliseconds(200)) }
      #expect(try primeError { try fenced.buffer.value.read(deadline: soon()) { _ in } } == nil)
      #expect(try primeError { try fenced.buffer.value.write(deadline: soon()) { _ in } }?.errno == .timedOut)
      try fenced.signal(reader)
      let writer = try fenced.attach(asWriter: true)
      #expect(try primeError { try fenced.buffer.value.read(deadline: soon()) { _ in } }?.errno == .timedOut)
      try fenced.signal(writer)
      #expect(try primeError { try fenced.buffer.value.read(deadline: soon()) { _ in } } == nil)
    }

    @Test func `goes on when the fence signals while it waits`() throws {
      let fenced = try Fenced()
      let fence = try fenced.attach(asWriter: true)
      let descriptor = fenced.device.rawDescriptor
      let start = ContinuousClock.now
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(200)) {
        var argument: [UInt32] = [fence, 0]
        _ = ioctl(descriptor, 0x4008_6442, &argument)
      }
      // vgem signals a forgotten fence by itself after ten seconds: an earlier end is due to the signal.
      try fenced.buffer.value.write(deadline: Lab.deadline) { bytes in bytes[0] = 1 }
      let waited = ContinuousClock.now - start
      #expect(waited >= .milliseconds(150))
      #expect(waited < .seconds(8))
    }

    @Test func `gives up at once when somebody asks to stop`() throws {
      let fenced = try Fenced()
      let fence = try fenced.attach(asWriter: true)
      let cancellation = Cancellation()
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(100)) { cancellation.request() }
      let start = ContinuousClock.now
      let stopped = try primeError {
        try fenced.buffer.value.write(deadline: Deadline(in: .seconds(9), cancellation: cancellation)) { _ in }
      }
      #expect(stopped?.errno == .cancelled)
      #expect(ContinuousClock.now - start < .seconds(5))
      try fenced.signal(fence)
    }
  }
}

/// Owners in a class, for structs that tests copy.
final class GEMHandleBox {
  let value: GEMHandle

  init(_ value: consuming GEMHandle) { self.value = value }
}

final class DMABufBox {
  let value: DMABuf

  init(_ value: consuming DMABuf) { self.value = value }
}
