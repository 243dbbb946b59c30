import Glibc
import Prime
import Testing

extension OnARealKernel {
  @Suite("An import")
  struct Imports {
    private func buffer(of driver: String = "vgem") throws -> DMABuf {
      try DumbAllocator(device: try Lab.open(driver)).allocate(request(64, 16)).export(.readWrite).takeFirst()
    }

    @Test func `of one buffer twice gives one handle, which is closed once`() throws {
      let buffer = try buffer()
      let importer = try Lab.open("vkms")
      let number = try twice(buffer, importer)
      #expect(importer.openHandleCount == 0)
      // The kernel agrees that nobody holds the number any more.
      #expect(
        importer.kernel.primeHandleToFD(importer.rawDescriptor, handle: number, writable: true).errno == .noSuchFile)
    }

    /// The number of both handles.
    private func twice(_ buffer: borrowing DMABuf, _ importer: Device) throws -> UInt32 {
      let first = try GEMHandle(importing: buffer, into: importer)
      let number = try once(buffer, importer)
      #expect(number == first.rawValue)
      // The second is gone, and the first one works on.
      #expect(importer.openHandleCount == 1)
      #expect(try first.export(.readWrite).identity == buffer.identity)
      return number
    }

    private func once(_ buffer: borrowing DMABuf, _ importer: Device) throws -> UInt32 {
      let second = try GEMHandle(importing: buffer, into: importer)
      #expect(importer.openHandleCount == 1)
      return second.rawValue
    }

    @Test func `belongs to one open file, and another one of the same node knows nothing of it`() throws {
      let buffer = try buffer()
      let importer = try Lab.open("vkms")
      let other = try importer.reopened()
      let handle = try GEMHandle(importing: buffer, into: importer)
      #expect(importer.openHandleCount == 1)
      #expect(other.openHandleCount == 0)
      #expect(other.kernel.closeHandle(other.rawDescriptor, handle: handle.rawValue).errno == .invalidArgument)
      #expect(try handle.export(.readWrite).identity == buffer.identity)
    }

    @Test func `onto the same device gives the very same object`() throws {
      let device = try Lab.open("vgem")
      let object = try DumbAllocator(device: device).allocate(request(64, 16))
      let buffer = try object.export(.readWrite).takeFirst()
      let handle = try GEMHandle(importing: buffer, into: device)
      // One object, one number on this open file, although two owners use it.
      #expect(device.openHandleCount == 1)
      #expect(try handle.export(.readWrite).identity == buffer.identity)
    }

    @Test(arguments: [
      ("bochs-drm", "EINVAL"), ("virtio_gpu", "ENODEV"), ("qxl", "ENOSYS"),
    ])
    func `is refused with the driver's errno and leaves no handle`(driver: String, errno: String) throws {
      if driver == "bochs-drm" {
        try Lab.skip(on: "6.1", because: "bochs-drm answers ENOSYS, having no imports at all")
        try Lab.skip(on: "7.2", because: "bochs-drm takes buffers of other devices")
      }
      let buffer = try buffer()
      let importer = try Lab.open(driver)
      let refused = try primeError { _ = try GEMHandle(importing: buffer, into: importer).rawValue }
      #expect(refused?.operation == "drmPrimeFDToHandle")
      #expect(refused?.errno?.name == errno)
      #expect(refused?.subject == importer.subject)
      #expect(importer.openHandleCount == 0)
    }

    @Test func `of a file that is not a dma-buf is refused`() throws {
      let kernel = LinuxKernel()
      let memory = try kernel.createSealedMemory("prime-tool test", byteCount: 4096).get()
      let importer = try Lab.open("vkms")
      #expect(importer.kernel.primeFDToHandle(importer.rawDescriptor, dmaBuf: memory).errno == .invalidArgument)
      let ofMemory = try primeError { _ = try DMABuf(adopting: Descriptor(adopting: memory, kernel: kernel)).byteCount }
      #expect(
        ofMemory?.description
          == "fstatfs on descriptor \(memory): this file is not a dma-buf")
      let nothing = try kernel.open("/dev/null", flags: O_RDWR).get()
      let ofNothing = try primeError {
        _ = try DMABuf(adopting: Descriptor(adopting: nothing, kernel: kernel)).byteCount
      }
      #expect(
        ofNothing?.description
          == "fstatfs on descriptor \(nothing): this file is not a dma-buf")
    }

    @Test func `needs a DRM node to open`() throws {
      let refused = try primeError { _ = try Device.open(DRMNode(path: "/dev/null", kind: .primary)) }
      #expect(
        refused?.description
          == "open on /dev/null: this is not a DRM node: name one of "
          + "/dev/dri/card* or /dev/dri/renderD*")
    }
  }
}

extension Result where Failure == Errno {
  /// The errno of a call that failed.
  var errno: Errno? {
    guard case .failure(let errno) = self else { return nil }
    return errno
  }
}
