import Prime
import Testing

@Suite("A dma-buf")
struct DMABufTests {
  let kernel = Fixture.kernel()

  @Test("outlives the handle and the device that it came from")
  func outlives() throws {
    do {
      let buffer = try Fixture.export(on: Device.open(Fixture.exporterNode, kernel: kernel))
      #expect(kernel.count(of: .closeHandle) == 1)
      try buffer.write(deadline: Fixture.deadline) { bytes in bytes[4095] = 9 }
      #expect(try buffer.read(deadline: Fixture.deadline) { bytes in bytes[4095] } == 9)
    }
    kernel.expectNothingLeft()
  }

  @Test("exported twice is one buffer with two descriptors")
  func identity() throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      let allocator = DumbAllocator(device: device)
      let object = try allocator.allocate(Fixture.request)
      let first = try object.export(.readWrite).takeFirst()
      let second = try object.export(.readWrite).takeFirst()
      let copy = try first.duplicate()
      let other = try allocator.allocate(Fixture.request).export(.readWrite).takeFirst()
      #expect(first.identity == second.identity)
      #expect(first.identity == copy.identity)
      #expect(first.rawDescriptor != second.rawDescriptor)
      #expect(first.identity != other.identity)
      try first.write(deadline: Fixture.deadline) { bytes in bytes[7] = 70 }
      #expect(try second.read(deadline: Fixture.deadline) { bytes in bytes[7] } == 70)
      #expect(try other.read(deadline: Fixture.deadline) { bytes in bytes[7] } == 0)
    }
    kernel.expectNothingLeft()
  }

  @Test("that was exported for reading first stays so: the access is asked of the kernel, not assumed")
  func firstExportDecides() throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      let object = try DumbAllocator(device: device).allocate(Fixture.request)
      let first = try object.export(.read).takeFirst()
      let second = try object.export(.readWrite).takeFirst()
      #expect(first.access == .read)
      #expect(second.access == .read)
      let error = primeError { try second.write(deadline: Fixture.deadline) { _ in } }
      expect(error, is: "mmap", found: .unsuitable)
    }
    kernel.expectNothingLeft()
  }

  @Test("is told from any other file, which is refused with EINVAL and closed")
  func otherFile() throws {
    do {
      let memory = try kernel.createSealedMemory("not a dma-buf", byteCount: 4096).get()
      let error = primeError { try DMABuf(adopting: Descriptor(adopting: memory, kernel: kernel)) }
      expect(error, is: "fstatfs", found: .unsuitable)
      #expect(error?.reason == "this file is not a dma-buf")
    }
    kernel.expectNothingLeft()
  }

  @Test("that is nobody's descriptor is EBADF")
  func noFile() {
    let error = primeError { try DMABuf(adopting: Descriptor(adopting: -1, kernel: LinuxKernel())) }
    expect(error, is: "fstatfs", .badDescriptor)
  }

  @Test(
    "that cannot be asked for one of its properties is an error that names the call, and is closed",
    arguments: [
      (KernelCall.fileSystemMagic, "fstatfs"), (.seekToEnd, "lseek"), (.statusFlags, "fcntl(F_GETFL)"),
      (.status, "fstat"),
    ])
  func propertyFails(call: KernelCall, operation: String) throws {
    for errno in [Errno.badDescriptor, .inputOutput, .noMemory] {
      let kernel = Fixture.kernel()
      do {
        let device = try Device.open(Fixture.exporterNode, kernel: kernel)
        // The device's own fstat came first.
        kernel.fail(call, with: errno, onCall: kernel.count(of: call) + 1)
        expect(primeError { try Fixture.export(on: device) }, is: operation, errno)
      }
      kernel.expectNothingLeft("\(call) \(errno)")
    }
  }

  @Test("that cannot be duplicated names fcntl", arguments: [Errno.tooManyOpenFiles, .badDescriptor])
  func duplicateFails(errno: Errno) throws {
    do {
      let buffer = try Fixture.export(on: Device.open(Fixture.exporterNode, kernel: kernel))
      kernel.fail(.duplicate, with: errno)
      expect(primeError { try buffer.duplicate() }, is: "fcntl(F_DUPFD_CLOEXEC)", errno)
    }
    kernel.expectNothingLeft()
  }
}
