import Prime
import Testing

@Suite("A GEM handle")
struct GEMHandleTests {
  let kernel = Fixture.kernel()

  @Test("is closed once when one buffer was imported twice, after the last use")
  func importedTwice() throws {
    do {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      let buffer = try Fixture.export(on: exporter)
      #expect(kernel.count(of: .closeHandle) == 1)
      do {
        let first = try GEMHandle(importing: buffer, into: importer)
        do {
          let second = try GEMHandle(importing: buffer, into: importer)
          #expect(first.rawValue == second.rawValue)
          #expect(importer.openHandleCount == 1)
        }
        // The first use still holds the number.
        #expect(kernel.count(of: .closeHandle) == 1)
        let again = try first.export(.readWrite)
        #expect(again.identity == buffer.identity)
      }
      #expect(kernel.count(of: .closeHandle) == 2)
      #expect(importer.openHandleCount == 0)
    }
    kernel.expectNothingLeft()
  }

  @Test("is made where the import was interrupted a few times", arguments: [Errno.interrupted, .tryAgain])
  func interrupted(errno: Errno) throws {
    kernel.fail(.primeFDToHandle, with: errno, onCalls: 1...20)
    do {
      let buffer = try Fixture.export(on: Device.open(Fixture.exporterNode, kernel: kernel))
      let handle = try GEMHandle(importing: buffer, into: Device.open(Fixture.importerNode, kernel: kernel))
      #expect(handle.rawValue != 0)
    }
    #expect(kernel.count(of: .primeFDToHandle) == 21)
    kernel.expectNothingLeft()
  }

  @Test("is not waited for beyond the deadline where the import is interrupted for ever")
  func interruptedForEver() throws {
    kernel.fail(.primeFDToHandle, with: .interrupted)
    do {
      let buffer = try Fixture.export(on: Device.open(Fixture.exporterNode, kernel: kernel))
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      let error = primeError {
        _ = try GEMHandle(importing: buffer, into: importer, deadline: Deadline(in: .milliseconds(50), on: kernel))
      }
      expect(error, is: "drmPrimeFDToHandle", found: .deadline)
      let cancellation = Cancellation()
      cancellation.request()
      let stopped = primeError {
        _ = try GEMHandle(
          importing: buffer, into: importer,
          deadline: Deadline(in: .seconds(60), on: kernel, cancellation: cancellation))
      }
      expect(stopped, is: "drmPrimeFDToHandle", found: .cancelled)
    }
    kernel.expectNothingLeft()
  }

  @Test("of an exporter's own import is the exporter's own number")
  func selfImport() throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      let object = try DumbAllocator(device: device).allocate(Fixture.request)
      let buffer = try object.export(.readWrite).takeFirst()
      let imported = try GEMHandle(importing: buffer, into: device)
      #expect(device.openHandleCount == 1)
      _ = consume object
      #expect(kernel.count(of: .closeHandle) == 0)
      #expect(imported.rawValue == 0x101)
    }
    kernel.expectNothingLeft()
    #expect(kernel.count(of: .closeHandle) == 1)
  }

  @Test("of another open file of the same device is another number for the same buffer")
  func reopened() throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      let other = try device.reopened()
      let object = try DumbAllocator(device: device).allocate(Fixture.request)
      let buffer = try object.export(.readWrite).takeFirst()
      let imported = try GEMHandle(importing: buffer, into: other)
      #expect(imported.rawValue == 0x201)
      #expect(device.openHandleCount == 1)
      #expect(other.openHandleCount == 1)
      #expect(try imported.export(.readWrite).identity == buffer.identity)
    }
    kernel.expectNothingLeft()
  }

  @Test("keeps its device open, so that a handle that outlives the variable is still good")
  func keepsDeviceOpen() throws {
    func make(_ kernel: FakeKernel) throws -> GEMHandle {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      return try GEMHandle(importing: Fixture.export(on: exporter), into: importer)
    }
    do {
      let handle = try make(kernel)
      let exported = try handle.export(.read)
      #expect(exported.byteCount == 4096)
    }
    kernel.expectNothingLeft()
  }

  @Test(
    "that cannot be imported names the call, the errno and the importer",
    arguments: [
      Errno.invalidArgument, .noSuchFile, .noSuchDevice, .notImplemented, .noMemory, .permissionDenied, .inputOutput,
      .busy, .notSupported, .badDescriptor,
    ])
  func importFails(errno: Errno) throws {
    kernel.fail(.primeFDToHandle, with: errno, onCall: 1)
    do {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      let buffer = try Fixture.export(on: exporter)
      let error = primeError { try GEMHandle(importing: buffer, into: importer) }
      expect(error, is: "drmPrimeFDToHandle", errno, on: "taker (/dev/dri/card1)")
      #expect(importer.openHandleCount == 0)
      // A failed import counts for nothing: the next one is closed with its own use.
      do { _ = try GEMHandle(importing: buffer, into: importer) }
      #expect(importer.openHandleCount == 0)
    }
    kernel.expectNothingLeft()
  }

  @Test(
    "that cannot be exported names the call, the errno and the exporter",
    arguments: [
      Errno.invalidArgument, .noSuchFile, .noSuchDevice, .notImplemented, .noMemory, .permissionDenied, .inputOutput,
      .tooManyOpenFiles, .notSupported,
    ])
  func exportFails(errno: Errno) throws {
    kernel.fail(.primeHandleToFD, with: errno, onCall: 1)
    do {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      let error = primeError { try Fixture.export(on: exporter) }
      expect(error, is: "drmPrimeHandleToFD", errno, on: "maker (/dev/dri/card0)")
      #expect((error?.reason?.contains("ulimit -n") == true) == (errno == .tooManyOpenFiles))
    }
    kernel.expectNothingLeft()
  }

  @Test("that came from another device cannot be mapped through the importer: EINVAL, by the kernel's rule")
  func mapImported() throws {
    do {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      let handle = try GEMHandle(importing: Fixture.export(on: exporter), into: importer)
      let error = primeError { try handle.mapThroughDevice(byteCount: 4096, writable: false) }
      expect(error, is: "DRM_IOCTL_MODE_MAP_DUMB", .invalidArgument, on: "taker (/dev/dri/card1)")
    }
    kernel.expectNothingLeft()
  }

  @Test("that cannot be closed because the device is gone does no harm")
  func closeFails() throws {
    kernel.fail(.closeHandle, with: .noSuchDevice)
    do {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel)
      _ = try Fixture.export(on: exporter)
      #expect(exporter.openHandleCount == 0)
    }
    kernel.expectNothingLeft()
  }
}
