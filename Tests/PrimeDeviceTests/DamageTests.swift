import Prime
import PrimeVerify
import Testing

extension OnARealKernel {
  /// What the tool is for, with real buffers: each test damages one on purpose and expects the damage to be named.
  @Suite("Damage to a shared buffer")
  struct Damage {
    static let a = Pattern(seed: 7, index: 0)
    static let b = Pattern(seed: 7, index: 1)

    /// A picture in an exporter's buffer, and the same buffer as vgem holds it after importing it.
    final class Shared {
      let written: DMABuf
      let seen: DMABuf
      let layout: PictureLayout
      let importer: Device

      init(_ allocator: any Allocator, _ request: AllocationRequest, into importer: String = "vgem") throws {
        let object = try allocator.allocate(request)
        let buffer = try object.export(.readWrite).takeFirst()
        self.importer = try Lab.open(importer)
        seen = try GEMHandle(importing: buffer, into: self.importer).export(.readWrite)
        layout = object.description.layout
        written = try buffer.duplicate()
      }

      func fill(_ pattern: Pattern) throws {
        try written.write(deadline: Lab.deadline) { bytes in try pattern.fill(&bytes, layout: layout) }
      }

      /// What the importer's side makes of the buffer.
      func diagnosis(
        of pattern: Pattern, _ declared: PictureLayout? = nil, earlier: [Pattern] = []
      ) throws -> Mismatch? {
        try seen.read(deadline: Lab.deadline) { bytes in
          try pattern.diagnose(bytes, layout: declared ?? layout, earlier: earlier, ignoringUnusedBits: false)
        }
      }
    }

    /// 64x64 XRGB8888 on vkms: 256 bytes a row, four whole pages.
    private func onVKMS() throws -> Shared {
      try Shared(DumbAllocator(device: try Lab.open("vkms")), request(64, 64))
    }

    @Test(arguments: [AllocatorKind.dumb, .udmabuf, .heap])
    func `is not seen where there is none`(kind: AllocatorKind) throws {
      try Lab.require(kind)
      let allocator: any Allocator =
        switch kind {
        case .udmabuf: UDMABufAllocator()
        case .heap: DMAHeapAllocator()
        default: DumbAllocator(device: try Lab.open("vgem"))
        }
      let shared = try Shared(allocator, request(64, 64), into: "vkms")
      try shared.fill(Self.a)
      #expect(try shared.diagnosis(of: Self.a) == nil)
      // The same look finds every pixel wrong when something else is expected.
      #expect(try shared.diagnosis(of: Self.b)?.differing == 4096)
    }

    @Test func `is found where a byte changes after the buffer was looked at`() throws {
      let shared = try onVKMS()
      try shared.fill(Self.a)
      #expect(try shared.diagnosis(of: Self.a) == nil)
      // The red byte of pixel (5,9).
      let position = 9 * 256 + 5 * 4 + 2
      try shared.written.write(deadline: Lab.deadline) { bytes in bytes[position] ^= 0xff }
      let mismatch = try #require(try shared.diagnosis(of: Self.a))
      #expect(mismatch.plane == 0)
      #expect(mismatch.x == 5)
      #expect(mismatch.y == 9)
      #expect(mismatch.differing == 1)
      #expect(mismatch.total == 4096)
      #expect(mismatch.expected.bits ^ mismatch.found.bits == 0x00ff_0000)
      #expect(mismatch.rectangle == DamagedRectangle(x: 5, y: 9, width: 1, height: 1))
    }

    @Test func `is called sheared where the pitch is 64 bytes off`() throws {
      try Lab.require(.udmabuf)
      let shared = try Shared(UDMABufAllocator(), request(48, 64))
      try shared.fill(Self.a)
      // Rows of 192 bytes lie 256 bytes apart; an importer that packs them to 64 bytes looks 192 bytes on.
      let wrong = try layout(.xrgb8888, 48, 64, [PlaneLayout(offset: 0, pitch: 192)])
      #expect(try shared.diagnosis(of: Self.a, wrong)?.cause == .sheared(pitch: 256, declared: 192))
      let wider = try layout(.xrgb8888, 48, 48, [PlaneLayout(offset: 0, pitch: 320)])
      #expect(try shared.diagnosis(of: Self.a, wider)?.cause == .sheared(pitch: 256, declared: 320))
    }

    @Test func `is called a page of zeros where one page did not arrive`() throws {
      let shared = try onVKMS()
      try shared.fill(Self.a)
      try shared.written.write(deadline: Lab.deadline) { bytes in
        for position in 2 * 4096..<3 * 4096 { bytes[position] = 0 }
      }
      let mismatch = try #require(try shared.diagnosis(of: Self.a))
      #expect(mismatch.cause == .partialPage([PageRun(first: 2, count: 1, content: .zeros)]))
      // A page is 16 rows of 256 bytes.
      #expect(mismatch.rectangle == DamagedRectangle(x: 0, y: 32, width: 64, height: 16))
      #expect(mismatch.sentence.hasSuffix("whole pages of 4096 bytes are wrong: page 2 holds zeros"))
    }

    @Test func `is called zero where nothing arrived`() throws {
      try Lab.require(.heap)
      let shared = try Shared(DMAHeapAllocator(), request(64, 64))
      #expect(try shared.diagnosis(of: Self.a)?.cause == .zero)
    }

    @Test func `is called stale where the importer still shows a copy made before`() throws {
      let exporter = try onVKMS()
      try exporter.fill(Self.a)
      // An importer that copies at the import: its memory is another buffer.
      let copy = try onVKMS()
      try exporter.seen.read(deadline: Lab.deadline) { from in
        try copy.written.write(deadline: Lab.deadline) { to in
          for position in 0..<from.count { to[position] = from[position] }
        }
      }
      #expect(try copy.diagnosis(of: Self.a) == nil)
      try exporter.fill(Self.b)
      #expect(try exporter.diagnosis(of: Self.b, earlier: [Self.a]) == nil)
      #expect(try copy.diagnosis(of: Self.b, earlier: [Self.a])?.cause == .stale(Self.a))
    }

    @Test func `is called a matter of byte order where the format is another`() throws {
      let shared = try onVKMS()
      try shared.fill(Self.a)
      try swap(shared) { word in word.byteSwapped }
      #expect(try shared.diagnosis(of: Self.a)?.cause == .byteOrder(.reversed))
      try shared.fill(Self.a)
      // XBGR8888 read as XRGB8888.
      try swap(shared) { word in word & 0xff00_ff00 | word << 16 & 0xff_0000 | word >> 16 & 0xff }
      #expect(try shared.diagnosis(of: Self.a)?.cause == .byteOrder(.redBlue))
    }

    private func swap(_ shared: Shared, _ change: (UInt32) -> UInt32) throws {
      try shared.written.write(as: UInt32.self, deadline: Lab.deadline) { words in
        for index in 0..<words.count { words[index] = change(words[index]) }
      }
    }

    @Test func `is called a plane offset where NV12's chroma is looked for at the place of its luma`() throws {
      let shared = try Shared(DumbAllocator(device: try Lab.open("vkms")), request(64, 64, .nv12))
      #expect(shared.layout.planes == [PlaneLayout(offset: 0, pitch: 64), PlaneLayout(offset: 4096, pitch: 64)])
      try shared.fill(Self.a)
      #expect(try shared.diagnosis(of: Self.a) == nil)
      let wrong = try layout(
        .nv12, 64, 64, [PlaneLayout(offset: 0, pitch: 64), PlaneLayout(offset: 0, pitch: 64)])
      let mismatch = try #require(try shared.diagnosis(of: Self.a, wrong))
      #expect(mismatch.damagedPlanes == [1])
      #expect(mismatch.cause == .planeOffset(showsPlane: 0))
    }
  }
}
