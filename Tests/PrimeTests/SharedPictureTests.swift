import Synchronization
import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("A picture in dma-bufs")
struct SharedPictureTests {
  /// 32x16 NV12 with a buffer for each plane: rows of 32 bytes, 16 of luma and 8 of chroma.
  static let request: AllocationRequest = {
    var request = AllocationRequest(format: .nv12, width: 32, height: 16)
    request.isDisjoint = true
    return request
  }()

  /// A page of luma and a page of chroma, at the pitch that system memory has where no importer asked for one.
  static let layout = Fixture.layout(
    "NV12", width: 32, height: 16,
    planes: [PlaneLayout(buffer: 0, offset: 0, pitch: 256), PlaneLayout(buffer: 1, offset: 0, pitch: 256)])

  private func made(_ kernel: FakeKernel) throws -> SharedPicture {
    try SeparatePlanesAllocator(UDMABufAllocator(kernel: kernel)).allocate(Self.request).export(.readWrite)
  }

  @Test func `says where each plane lies and how large each buffer has to be`() {
    #expect(Self.layout.bufferCount == 2)
    #expect(Self.layout.byteCounts == [15 * 256 + 32, 7 * 256 + 32])
    #expect(Self.layout.byteCount == 15 * 256 + 32 + 7 * 256 + 32)
    #expect(Self.layout.end(ofPlane: 1) == 7 * 256 + 32)
  }

  @Test(arguments: [
    ([(1, 0), (1, 0)], LayoutError.unusedBuffer(0)), ([(0, 0), (2, 0)], .buffer(plane: 1, buffer: 2)),
    ([(-1, 0), (0, 0)], .buffer(plane: 0, buffer: -1)),
  ])
  func `has buffers numbered from 0, each with a plane in it`(places: [(Int, Int)], error: LayoutError) {
    #expect(throws: error) {
      try PictureLayout(
        format: .nv12, width: 32, height: 16,
        planes: places.map { PlaneLayout(buffer: $0.0, offset: $0.1, pitch: 256) })
    }
  }

  @Test func `is made of one buffer for each plane`() throws {
    let kernel = Fixture.kernel()
    do {
      let picture = try made(kernel)
      #expect(picture.layout == Self.layout)
      #expect(picture.bufferCount == 2)
      #expect(Set(picture.identities).count == 2)
      #expect(picture.byteCount == 2 * 4096)
      #expect(picture.access == .readWrite)
    }
    kernel.expectNothingLeft()
  }

  @Test func `keeps the sizes of its buffers to itself where the driver arranges the pixels`() throws {
    let tiled = BufferDescription(layout: Self.layout, modifier: Modifier(rawValue: 0x0600_0000_0000_0001))
    try tiled.check(fits: [16, 16])
    let linear = BufferDescription(layout: Self.layout, modifier: .linear)
    #expect(throws: LayoutError.beyondBuffer(plane: 0, needed: 3872, size: 16)) { try linear.check(fits: [16, 16]) }
    #expect(throws: LayoutError.beyondBuffer(plane: 1, needed: 1824, size: 16)) {
      try linear.check(fits: [4096, 16])
    }
    #expect(throws: LayoutError.bufferCount(needed: 2, given: 1)) { try linear.check(fits: [4096]) }
    #expect(throws: LayoutError.bufferCount(needed: 2, given: 3)) { try linear.check(fits: [4096, 4096, 4096]) }
  }

  @Test func `is written and read as one piece, and each plane lies in its own buffer`() throws {
    let kernel = Fixture.kernel()
    do {
      let picture = try made(kernel)
      let (pattern, other) = (Pattern(seed: 7, index: 0), Pattern(seed: 7, index: 1))
      try picture.fill(pattern, deadline: kernel.deadline)
      #expect(try picture.examine(Examination(expected: pattern, wrong: other), deadline: kernel.deadline) == nil)
      // The second buffer begins with the first sample of the chroma plane.
      var starts: [UInt8] = []
      try picture.forEachBuffer { (_, buffer) throws in
        starts.append(try buffer.read(deadline: kernel.deadline) { bytes in bytes[0] })
      }
      #expect(
        starts == [
          UInt8(truncatingIfNeeded: pattern.value(plane: 0, x: 0, y: 0, layout: Self.layout)),
          UInt8(truncatingIfNeeded: pattern.value(plane: 1, x: 0, y: 0, layout: Self.layout)),
        ])
    }
    kernel.expectNothingLeft()
  }

  @Test func `whose second buffer is damaged is named by its plane`() throws {
    let kernel = Fixture.kernel()
    do {
      let picture = try made(kernel)
      let (pattern, other) = (Pattern(seed: 7, index: 0), Pattern(seed: 7, index: 1))
      try picture.fill(pattern, deadline: kernel.deadline)
      try picture.forEachBuffer { (index, buffer) throws in
        guard index == 1 else { return }
        try buffer.write(deadline: kernel.deadline) { bytes in bytes[256 * 3 + 4] ^= 1 }
      }
      let mismatch = try picture.examine(Examination(expected: pattern, wrong: other), deadline: kernel.deadline)
      #expect(mismatch?.plane == 1)
      #expect(mismatch?.x == 2)
      #expect(mismatch?.y == 3)
    }
    kernel.expectNothingLeft()
  }

  @Test func `is imported buffer by buffer, and framed with a handle for each plane`() throws {
    let kernel = Fixture.kernel()
    do {
      let picture = try made(kernel)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      let imported = try picture.imported(into: importer)
      let handles = imported.rawHandles
      #expect(handles.count == 2 && handles[0] != handles[1])
      #expect(try imported.export(.readWrite).identities == picture.identities)
      let framebuffer = try imported.framebuffer()
      let planes = kernel.state.withLock {
        $0.devices[1].framebuffers[framebuffer.id.rawValue]?.request.planes ?? []
      }
      #expect(planes.map(\.handle) == handles)
      // One buffer alone does not hold it.
      let error = primeError { try Framebuffer(imported.first, picture.description) }
      #expect(error?.finding == .unsuitable)
      #expect(error?.reason == "the planes lie in 2 buffers, but 1 was given")
    }
    kernel.expectNothingLeft()
  }

  @Test func `takes descriptors that others made, one for each buffer`() throws {
    let kernel = Fixture.kernel()
    do {
      let picture = try made(kernel)
      let again = try SharedPicture(picture.description, duplicating: picture.rawDescriptors, kernel: kernel)
      #expect(again.identities == picture.identities)
      for descriptors in [[], [picture.rawDescriptors[0]], picture.rawDescriptors + [picture.rawDescriptors[0]]] {
        let error = primeError {
          try SharedPicture(picture.description, duplicating: descriptors, kernel: kernel)
        }
        #expect(error?.finding == .unsuitable)
      }
    }
    kernel.expectNothingLeft()
  }

  @Test func `leaves nothing open where an import fails half way`() throws {
    let kernel = Fixture.kernel()
    do {
      let picture = try made(kernel)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel)
      kernel.fail(.primeFDToHandle, with: .noMemory, onCall: 2)
      let error = primeError { try picture.imported(into: importer) }
      expect(error, is: "drmPrimeFDToHandle", .noMemory)
      #expect(importer.openHandleCount == 0)
    }
    kernel.expectNothingLeft()
  }
}
