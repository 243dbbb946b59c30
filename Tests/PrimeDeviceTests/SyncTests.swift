import Dispatch
import Glibc
import Prime
import PrimeContract
import Testing

extension OnARealKernel {
  @Suite("A SYNC bracket")
  struct SyncBrackets {
    @Test(arguments: ["vgem", "vkms", "cirrus", "virtio_gpu"])
    func `shows what was written through every descriptor of the buffer`(exporter: String) throws {
      let object = try DumbAllocator(device: try Lab.open(exporter)).allocate(request(64, 16))
      let buffer = try object.export(.readWrite).takeFirst()
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
      let fenced = try FencedBuffer()
      let fence = try fenced.attach(.write)
      let start = ContinuousClock.now
      var entered = false
      let late = try primeError {
        try fenced.buffer.write(deadline: Deadline(in: .milliseconds(300))) { _ in entered = true }
      }
      let waited = ContinuousClock.now - start
      #expect(
        late?.description
          == "poll for the fences on dma-buf \(fenced.buffer.identity.inode): "
          + "it did not finish within 0.3 s; allow more time if the machine is only slow")
      #expect(!entered)
      #expect(waited >= .milliseconds(300))
      #expect(waited < .seconds(5))
      try fence.signal()
      try fenced.buffer.write(deadline: Deadline(in: .seconds(5))) { _ in entered = true }
      #expect(entered)
    }

    @Test func `for reading waits for writers and not for readers`() throws {
      let fenced = try FencedBuffer()
      let reader = try fenced.attach(.read)
      let soon = { Deadline(in: .milliseconds(200)) }
      #expect(try primeError { try fenced.buffer.read(deadline: soon()) { _ in } } == nil)
      #expect(try primeError { try fenced.buffer.write(deadline: soon()) { _ in } }?.finding == .deadline)
      try reader.signal()
      let writer = try fenced.attach(.write)
      #expect(try primeError { try fenced.buffer.read(deadline: soon()) { _ in } }?.finding == .deadline)
      try writer.signal()
      #expect(try primeError { try fenced.buffer.read(deadline: soon()) { _ in } } == nil)
    }

    @Test func `goes on when the fence signals while it waits`() throws {
      let fenced = try FencedBuffer()
      let fence = LaterSignal(try fenced.attach(.write))
      #expect(try !fenced.buffer.readiness().forWriting)
      let start = ContinuousClock.now
      fence.signal(after: .milliseconds(200))
      // vgem signals a forgotten fence by itself after ten seconds: an earlier end is due to the signal.
      try fenced.buffer.write(deadline: Lab.deadline) { bytes in bytes[0] = 1 }
      let waited = ContinuousClock.now - start
      #expect(fence.wasSignalled)
      #expect(waited >= .milliseconds(150))
      #expect(waited < .seconds(8))
      try fence.finish()
    }

    @Test func `gives up at once when somebody asks to stop`() throws {
      let fenced = try FencedBuffer()
      let fence = try fenced.attach(.write)
      let cancellation = Cancellation()
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(100)) { cancellation.request() }
      let start = ContinuousClock.now
      let stopped = try primeError {
        try fenced.buffer.write(deadline: Deadline(in: .seconds(9), cancellation: cancellation)) { _ in }
      }
      #expect(stopped?.finding == .cancelled)
      #expect(ContinuousClock.now - start < .seconds(5))
      try fence.signal()
    }
  }
}
