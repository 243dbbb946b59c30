import Prime
import PrimeVerify
import Testing

/// A format the tests name; the fallback is never met, because the table is tested by itself.
func format(_ fourcc: Fourcc) -> PixelFormat {
  PixelFormat(fourcc) ?? PixelFormat.known[0]
}

let xrgb8888 = format(.xrgb8888)
let nv12 = format(.nv12)

/// Memory with a pattern in it, and what the tests do to it.
struct Picture {
  let layout: PictureLayout
  var bytes: [UInt8]

  /// Fills fresh memory; what is outside of the picture stays 0xee.
  init(_ layout: PictureLayout, _ pattern: Pattern, memory: Int? = nil) throws {
    self.layout = layout
    bytes = Array(repeating: 0xee, count: memory ?? layout.byteCount)
    var span = bytes.mutableSpan
    try pattern.fill(&span, layout: layout)
  }

  /// The bytes of one row of a plane in the buffer.
  func row(_ y: Int, plane: Int = 0) -> Range<Int> {
    let start = layout.planes[plane].offset + y * layout.planes[plane].pitch
    return start..<start + layout.rowBytes(ofPlane: plane)
  }

  func compare(with pattern: Pattern, ignoringUnusedBits: Bool = false) throws -> PatternComparison {
    try pattern.compare(bytes.span, layout: layout, ignoringUnusedBits: ignoringUnusedBits)
  }

  func diagnose(
    as pattern: Pattern, earlier: [Pattern] = [], ignoringUnusedBits: Bool = false, pageSize: Int = 4096
  ) throws -> Mismatch? {
    try pattern.diagnose(
      bytes.span, layout: layout, earlier: earlier, ignoringUnusedBits: ignoringUnusedBits, pageSize: pageSize)
  }
}

@Suite("A picture filled with a pattern")
struct PatternPictureTests {
  static let layouts: [PictureLayout] = {
    let sizes = [(1, 1), (2, 3), (5, 4), (17, 3), (64, 9), (1023, 769)]
    let fourccs: [Fourcc] = [.xrgb8888, .rgb565, .r8, .rgb888, .xrgb16161616, .nv12, .yuv420, .p010, .yuyv]
    var all: [PictureLayout] = []
    for fourcc in fourccs {
      for (width, height) in sizes {
        for (padding, offset) in [(0, 0), (7, 3), (64, 4096)] {
          let packed = try? PictureLayout.packed(format: format(fourcc), width: width, height: height)
          guard let packed else { continue }
          var next = offset
          let planes = packed.planes.indices.map { plane in
            let place = PlaneLayout(offset: next, pitch: packed.planes[plane].pitch + padding)
            next += place.pitch * packed.rows(ofPlane: plane) + offset
            return place
          }
          let layout = try? PictureLayout(format: format(fourcc), width: width, height: height, planes: planes)
          if let layout { all.append(layout) }
        }
      }
    }
    return all
  }()

  @Test("holds the reference value in every element, and nothing outside")
  func fillAgreesWithReference() throws {
    let pattern = Pattern(seed: 0x5eed, index: 2)
    #expect(Self.layouts.count == 162)
    for layout in Self.layouts {
      let picture = try Picture(layout, pattern, memory: layout.byteCount + 5)
      var expected = [UInt8](repeating: 0xee, count: layout.byteCount + 5)
      // Large pictures are looked at in every 97th row: the reference computes each element from nothing.
      let step = layout.width > 1000 ? 97 : 1
      var inspected = Set<Int>()
      for plane in layout.planes.indices {
        let size = layout.format.planes[plane].bytesPerElement
        for y in stride(from: 0, to: layout.rows(ofPlane: plane), by: step) {
          for x in 0..<layout.columns(ofPlane: plane) {
            let value = pattern.value(plane: plane, x: x, y: y, layout: layout)
            let start = picture.row(y, plane: plane).lowerBound + x * size
            for byte in 0..<size { expected[start + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
          }
          let row = picture.row(y, plane: plane)
          if step > 1 { #expect(picture.bytes[row] == expected[row]) }
          inspected.insert(row.lowerBound)
        }
      }
      if step == 1 { #expect(picture.bytes == expected, "\(layout)") }
      #expect(try picture.compare(with: pattern).isEqual)
      #expect(try picture.diagnose(as: pattern) == nil)
    }
  }

  @Test("shows every single wrong bit, wherever it is")
  func singleBits() throws {
    let pattern = Pattern(seed: 77, index: 0)
    var random = SystemRandomNumberGenerator()
    for layout in Self.layouts where layout.width < 1000 {
      var picture = try Picture(layout, pattern)
      for plane in layout.planes.indices {
        let size = layout.format.planes[plane].bytesPerElement
        let last = layout.rows(ofPlane: plane) - 1
        let rowBytes = layout.rowBytes(ofPlane: plane)
        // The last byte, the first, the end of the first row, and the first byte behind the last whole word.
        var places = [(last, rowBytes - 1), (0, 0), (0, rowBytes - 1), (last, min(rowBytes & ~7, rowBytes - 1))]
        for _ in 0..<12 {
          places.append((.random(in: 0...last, using: &random), .random(in: 0..<rowBytes, using: &random)))
        }
        for (y, position) in places {
          let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &random)
          let place = picture.row(y, plane: plane).lowerBound + position
          picture.bytes[place] ^= bit
          let damages = try picture.compare(with: pattern).damages
          #expect(damages.count == 1)
          let damage = try #require(damages.first, "\(layout.format.fourcc) byte \(place) bit \(bit)")
          #expect((damage.plane, damage.x, damage.y, damage.differing) == (plane, position / size, y, 1))
          #expect(damage.expected.bits == pattern.value(plane: plane, x: position / size, y: y, layout: layout))
          #expect(damage.expected.bits ^ damage.found.bits == UInt64(bit) << UInt64(position % size * 8))
          #expect(try !pattern.matches(picture.bytes.span, layout: layout, ignoringUnusedBits: false))
          picture.bytes[place] ^= bit
        }
      }
    }
  }

  @Test(
    "may differ in unused bits only where that is asked for",
    arguments: [
      (Fourcc.xrgb8888, 3, 0x80), (.rgbx8888, 0, 0x01), (.xrgb2101010, 3, 0x40), (.xrgb1555, 1, 0x80),
      (.xrgb16161616, 6, 0x01), (.p010, 0, 0x20),
    ] as [(Fourcc, Int, UInt8)])
  func unusedBits(fourcc: Fourcc, byte: Int, bit: UInt8) throws {
    let pattern = Pattern(seed: 3, index: 1)
    var picture = try Picture(try .packed(format: format(fourcc), width: 21, height: 5), pattern)
    picture.bytes[byte] ^= bit
    #expect(try picture.compare(with: pattern, ignoringUnusedBits: true).isEqual)
    #expect(try picture.compare(with: pattern, ignoringUnusedBits: false).damages.first?.differing == 1)
    picture.bytes[byte] ^= bit
    let significant: (Int, UInt8) = fourcc == .rgbx8888 ? (1, 1) : fourcc == .p010 ? (0, 0x40) : (0, 1)
    picture.bytes[significant.0] ^= significant.1
    #expect(try !picture.compare(with: pattern, ignoringUnusedBits: true).isEqual)
  }

  @Test("needs enough memory, and says how much")
  func tooSmall() throws {
    let layout = try PictureLayout.packed(format: xrgb8888, width: 100, height: 10)
    var bytes = [UInt8](repeating: 0, count: 3999)
    let needed = PatternError.memoryTooSmall(needed: 4000, given: 3999)
    #expect(throws: needed) {
      var span = bytes.mutableSpan
      try Pattern(seed: 1, index: 0).fill(&span, layout: layout)
    }
    #expect(throws: needed) {
      try Pattern(seed: 1, index: 0).compare(bytes.span, layout: layout, ignoringUnusedBits: false)
    }
    #expect(throws: needed) {
      try Pattern(seed: 1, index: 0).diagnose(bytes.span, layout: layout, ignoringUnusedBits: false)
    }
    #expect(needed.description == "the picture needs 4,000 bytes, but the memory holds 3,999")
    #expect(bytes.allSatisfy { $0 == 0 })
  }
}
