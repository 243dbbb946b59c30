import Glibc
import Testing

@testable import Prime
@testable import PrimeVerify

extension OnARealKernel {
  @Suite("Every allocator")
  struct Exports {
    /// A way to allocate, and what the kernel 6.12 makes of a picture of 100x50 XRGB8888.
    struct Case: CustomTestStringConvertible, Sendable {
      let driver: String?
      let kind: AllocatorKind
      let pitch: Int
      let byteCount: Int
      let modifier: Modifier
      let exporterName: String

      var testDescription: String { "\(kind.rawValue) \(driver ?? "of no device")" }

      func allocator() throws -> any Allocator {
        try Lab.require(kind)
        if driver == "bochs-drm" { try Lab.skip(on: "6.1", because: "bochs-drm exports nothing") }
        switch (kind, driver) {
        case (.udmabuf, _): return UDMABufAllocator()
        case (.heap, _): return DMAHeapAllocator()
        case (.dumb, let driver?): return DumbAllocator(device: try Lab.open(driver))
        case (.gbm, let driver?): return GBMAllocator(device: try GBMDevice(on: try Lab.open(driver)))
        default: throw PrimeError(operation: "open", errno: .invalidArgument, subject: "\(kind)")
        }
      }
    }

    static let deviceCases =
      ["vgem", "vkms", "cirrus", "bochs-drm", "virtio_gpu", "qxl"].map {
        Case(
          driver: $0, kind: .dumb, pitch: 400, byteCount: 20480, modifier: .linear,
          exporterName: $0 == "virtio_gpu" ? "virtio_gpu" : "drm")
      } + [
        // Mesa's software drivers round to blocks of 64x64 pixels.
        Case(driver: "vkms", kind: .gbm, pitch: 512, byteCount: 32768, modifier: .invalid, exporterName: "drm"),
        Case(
          driver: "virtio_gpu", kind: .gbm, pitch: 512, byteCount: 32768, modifier: .invalid,
          exporterName: "virtio_gpu"),
      ]

    static let memoryCases = [
      Case(driver: nil, kind: .udmabuf, pitch: 512, byteCount: 28672, modifier: .linear, exporterName: "udmabuf"),
      Case(driver: nil, kind: .heap, pitch: 512, byteCount: 28672, modifier: .linear, exporterName: "system"),
    ]

    @Test(arguments: deviceCases + memoryCases)
    func `exports for writing, close-on-exec, of the size the kernel tells`(_ test: Case) throws {
      let object = try test.allocator().allocate(request(100, 50))
      #expect(object.description.layout.planes == [PlaneLayout(offset: 0, pitch: test.pitch)])
      #expect(object.description.modifier == test.modifier)
      let buffer = try object.export(.readWrite).takeFirst()
      #expect(fcntl(buffer.rawDescriptor, F_GETFD) == FD_CLOEXEC)
      #expect(fcntl(buffer.rawDescriptor, F_GETFL) & O_ACCMODE == O_RDWR)
      #expect(buffer.access == .readWrite)
      #expect(buffer.byteCount == test.byteCount)
      #expect(lseek(buffer.rawDescriptor, 0, SEEK_END) == off_t(test.byteCount))
      #expect(buffer.exporterName == test.exporterName)
      #expect(try Lab.dmaBufs().contains(buffer.identity.inode))
    }

    @Test(arguments: deviceCases + memoryCases)
    func `gives one identity for one buffer and another for another`(_ test: Case) throws {
      let allocator = try test.allocator()
      let object = try allocator.allocate(request(100, 50))
      let first = try object.export(.readWrite).takeFirst()
      let second = try object.export(.readWrite).takeFirst()
      let duplicate = try first.duplicate()
      let other = try allocator.allocate(request(100, 50)).export(.readWrite).takeFirst()
      #expect(first.identity == second.identity)
      #expect(first.identity == duplicate.identity)
      #expect(first.rawDescriptor != second.rawDescriptor)
      #expect(fcntl(duplicate.rawDescriptor, F_GETFD) == FD_CLOEXEC)
      #expect(first.identity.inode != other.identity.inode)
    }

    @Test(arguments: deviceCases)
    func `refuses to write what was exported for reading, and does not fault`(_ test: Case) throws {
      if test.driver == "qxl" { try Lab.skip(on: "6.1", because: "what qxl exports cannot be mapped at all") }
      let object = try test.allocator().allocate(request(100, 50))
      let buffer = try object.export(.read).takeFirst()
      #expect(fcntl(buffer.rawDescriptor, F_GETFL) & O_ACCMODE == O_RDONLY)
      #expect(buffer.access == .read)
      let sentence =
        "mmap on dma-buf \(buffer.identity.inode): it was exported without DRM_RDWR, and "
        + "the first export decides for the buffer's life: export for writing first, or allocate another buffer"
      let refused = try primeError { try buffer.write(deadline: Lab.deadline) { bytes in bytes[0] = 1 } }
      #expect(refused?.description == sentence)
      #expect(try buffer.read(deadline: Lab.deadline) { bytes in bytes.count } == test.byteCount)
      // The first export decides: asking again for writing gives the same file.
      let again = try object.export(.readWrite).takeFirst()
      #expect(again.access == .read)
      #expect(again.identity == buffer.identity)
      #expect(try primeError { try again.write(deadline: Lab.deadline) { bytes in bytes[0] = 1 } } == refused)
    }

    @Test(arguments: memoryCases)
    func `keeps memory of no device writable, since it is a dma-buf from the start`(_ test: Case) throws {
      #expect(try test.allocator().allocate(request(100, 50)).export(.read).access == .readWrite)
    }

    @Test func `leaves the memory of an export alone when its device and its handle are closed`() throws {
      func orphan() throws -> DMABuf {
        let object = try DumbAllocator(device: try Lab.open("vgem")).allocate(request(100, 50))
        let buffer = try object.export(.readWrite).takeFirst()
        try buffer.write(deadline: Lab.deadline) { bytes in bytes[19999] = 0x5a }
        return try buffer.duplicate()
      }
      let buffer = try orphan()
      #expect(try buffer.read(deadline: Lab.deadline) { bytes in bytes[19999] } == 0x5a)
    }

    /// Mesa has no driver for a GPU here: it makes dumb buffers, which render nodes do not have.
    @Test(arguments: ["vgem", "virtio_gpu"])
    func `of GBM goes from the render node to the primary one, and exports for writing`(driver: String) throws {
      let device = try Lab.device(driver)
      let primary = try #require(device.primary)
      let render = try #require(device.render)
      #expect(device.usableNodes == [primary, render])
      let exporter = try #require(Exporter.device(device, among: [device], allocators: [.gbm]).first)
      #expect(exporter.node == render)
      let allocator = try Allocators.make(exporter, kernel: LinuxKernel(silencesMesa: true))
      #expect(allocator.node == render)
      // libgbm alone would export for reading; what it makes for writing it does not export at all (Mesa 22.3).
      for usage in [GBMUsage.linear, [.scanout, .linear], [.scanout, .write]] {
        var wanted = try request(100, 50)
        wanted.usage = usage
        let buffer = try allocator.allocate(wanted).export(.readWrite).takeFirst()
        #expect(buffer.access == .readWrite)
        try buffer.write(deadline: Lab.deadline) { bytes in bytes[0] = 1 }
      }
      #expect(allocator.node == primary)
    }

    @Test func `of a device takes dumb buffers wherever its driver makes them, whatever it says`() throws {
      for driver in ["vgem", "vkms", "cirrus", "bochs-drm", "virtio_gpu", "qxl"] {
        let device = try Lab.device(driver)
        #expect(Exporter.device(device, among: [device]).map(\.allocator) == [.dumb], "\(driver)")
        // vgem makes them and does not answer.
        #expect(device.capabilities?.dumbBuffer == (driver == "vgem" ? nil : true), "\(driver)")
      }
    }

    /// 33 pixels are 132 bytes, which is what these drivers give their own buffers.
    @Test(arguments: [("vkms", 132), ("cirrus", 132), ("virtio_gpu", 132)])
    func `asks a display for its pitch, allocates with it, and the display takes that`(
      driver: String, pitch: Int
    ) throws {
      try Lab.require(.udmabuf)
      let importer = try Lab.open(driver)
      var wanted = try request(33, 17)
      wanted.pitch = try ImporterPitch(for: wanted, on: importer)
      #expect(wanted.pitch == ImporterPitch(own: pitch, multiple: 4))
      #expect(importer.openHandleCount == 0)
      let object = try UDMABufAllocator().allocate(wanted)
      #expect(object.description.layout.planes.map(\.pitch) == [pitch])
      // virtio_gpu imports what it exported itself and nothing else.
      guard driver != "virtio_gpu" else { return }
      _ = try Framebuffer(
        GEMHandle(importing: object.export(.readWrite).takeFirst(), into: importer), object.description)
    }
  }
}
