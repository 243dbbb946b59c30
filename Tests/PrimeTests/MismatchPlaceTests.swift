import Prime
import PrimeVerify
import Testing

private let patternA = Pattern(seed: 0x5eed, index: 0)
private let patternB = Pattern(seed: 0x5eed, index: 1)

@Suite("A mismatch of place")
struct MismatchPlaceTests {
  @Test(
    "is a shift by pixels and rows",
    arguments: [
      (8, 0, "8 pixels to the right"), (-3, 0, "3 pixels to the left"), (0, 1, "1 row down"), (0, -20, "20 rows up"),
      (1, 2, "1 pixel to the right and 2 rows down"),
    ])
  func shifted(dx: Int, dy: Int, words: String) throws {
    for (width, height) in [(1000, 600), (1024, 768)] {
      let layout = try PictureLayout.packed(format: xrgb8888, width: width, height: height, pitchAlignment: 64)
      let good = try Picture(layout, patternB)
      var picture = good
      for y in 0..<height {
        for x in 0..<width {
          let (fromX, fromY) = (x - dx, y - dy)
          let to = picture.row(y).lowerBound + x * 4
          let isInside = (0..<width).contains(fromX) && (0..<height).contains(fromY)
          let from = isInside ? good.row(fromY).lowerBound + fromX * 4 : to
          for byte in 0..<4 { picture.bytes[to + byte] = isInside ? good.bytes[from + byte] : 0x11 }
        }
      }
      let mismatch = try #require(try picture.diagnose(as: patternB, earlier: [patternA]))
      #expect(mismatch.cause == .shifted(dx: dx, dy: dy, bytes: 0))
      #expect(mismatch.sentence.hasSuffix("shifted: the content is moved " + words))
    }
  }

  @Test("is a shift by single bytes")
  func shiftedByBytes() throws {
    var picture = try Picture(try .packed(format: xrgb8888, width: 512, height: 300), patternB)
    picture.bytes = [0] + picture.bytes.dropLast()
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.cause == .shifted(dx: 0, dy: 0, bytes: 1))
  }

  @Test(
    "is a wrong pitch",
    arguments: [
      (Fourcc.xrgb8888, 1024, 4160, 4096), (.xrgb8888, 1000, 4000, 4096), (.rgb565, 640, 1280, 1344),
      (.xrgb16161616, 100, 832, 896), (.rgb888, 333, 1024, 1000), (.r8, 1000, 1024, 1000),
    ])
  func sheared(fourcc: Fourcc, width: Int, pitch: Int, declared: Int) throws {
    let written = try PictureLayout(
      format: format(fourcc), width: width, height: 400, planes: [PlaneLayout(offset: 0, pitch: pitch)])
    let read = try PictureLayout(
      format: format(fourcc), width: width, height: 400, planes: [PlaneLayout(offset: 0, pitch: declared)])
    let bytes = try Picture(written, patternB, memory: max(written.byteCount, read.byteCount)).bytes
    for ignoringUnusedBits in [true, false] {
      let mismatch = try #require(
        try patternB.diagnose(
          bytes.span, layout: read, earlier: [patternA], ignoringUnusedBits: ignoringUnusedBits))
      #expect(mismatch.cause == .sheared(pitch: pitch, declared: declared))
      #expect((mismatch.x, mismatch.y) == (0, 1))
      #expect(mismatch.sentence.hasSuffix("sheared: pitch \(pitch) instead of \(declared) fits"))
    }
  }

  @Test("is a picture upside down")
  func flipped() throws {
    let good = try Picture(try .packed(format: xrgb8888, width: 640, height: 480), patternB)
    var picture = good
    for y in 0..<480 { picture.bytes.replaceSubrange(picture.row(y), with: good.bytes[good.row(479 - y)]) }
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.cause == .flipped)
  }

  @Test("is an offset of another plane: NV12 with its planes exchanged")
  func exchangedPlanes() throws {
    let planes = [PlaneLayout(offset: 0, pitch: 640), PlaneLayout(offset: 307_200, pitch: 640)]
    let read = try PictureLayout(format: nv12, width: 640, height: 480, planes: planes)
    let written = try PictureLayout(format: nv12, width: 640, height: 480, planes: planes.reversed())
    let bytes = try Picture(written, patternB, memory: 614_400).bytes
    let mismatch = try #require(try patternB.diagnose(bytes.span, layout: read, ignoringUnusedBits: true))
    #expect(mismatch.cause == .planeOffset(showsPlane: 1))
    #expect(mismatch.damagedPlanes == [0, 1])
    #expect(mismatch.sentence.hasPrefix("plane 0: "))
    #expect(mismatch.sentence.contains("plane offset: it shows the content of plane 1 (1 other plane differs too)"))
  }

  @Test("is an offset that was ignored: the second plane shows the first")
  func ignoredOffset() throws {
    let layout = try PictureLayout.packed(format: nv12, width: 640, height: 480)
    var picture = try Picture(layout, patternB)
    picture.bytes.replaceSubrange(307_200..., with: picture.bytes[..<153_600])
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.plane == 1)
    #expect(mismatch.cause == .planeOffset(showsPlane: 0))
  }

  @Test("is small pieces at other places: a tiled picture read as linear")
  func tiled() throws {
    let good = try Picture(try .packed(format: xrgb8888, width: 512, height: 256), patternB)
    var picture = good
    // 4 KiB tiles of 512 bytes by 8 rows, one after the other.
    for y in 0..<256 {
      for x in stride(from: 0, to: 2048, by: 16) {
        let tile = (y / 8 * 4 + x / 512) * 4096 + y % 8 * 512 + x % 512
        picture.bytes.replaceSubrange(tile..<tile + 16, with: good.bytes[y * 2048 + x..<y * 2048 + x + 16])
      }
    }
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.cause == .rearranged)
  }
}

@Suite("A mismatch of pages")
struct MismatchPageTests {
  /// 1000x600 with rows of 4032 bytes, so that pages and rows do not fall together.
  private func picture() throws -> Picture {
    try Picture(try .packed(format: xrgb8888, width: 1000, height: 600, pitchAlignment: 64), patternB)
  }

  private func page(_ number: Int) -> Range<Int> { number * 4096..<(number + 1) * 4096 }

  @Test("names a page of zeros")
  func zeroPage() throws {
    var picture = try picture()
    picture.bytes.replaceSubrange(page(7), with: repeatElement(0, count: 4096))
    let mismatch = try #require(try picture.diagnose(as: patternB, earlier: [patternA]))
    #expect(mismatch.cause == .partialPage([PageRun(first: 7, count: 1, content: .zeros)]))
    // Page 7 begins at byte 28,672: row 7 begins at 28,224, and 448 bytes are 112 pixels.
    #expect((mismatch.x, mismatch.y) == (112, 7))
    #expect(mismatch.sentence.hasSuffix("whole pages of 4096 bytes are wrong: page 7 holds zeros"))
  }

  @Test("names pages that still show an earlier pattern")
  func stalePages() throws {
    var picture = try picture()
    let old = try Picture(picture.layout, patternA)
    picture.bytes.replaceSubrange(page(20), with: old.bytes[page(20)])
    picture.bytes.replaceSubrange(page(21), with: old.bytes[page(21)])
    picture.bytes.replaceSubrange(page(40), with: repeatElement(0, count: 4096))
    let mismatch = try #require(try picture.diagnose(as: patternB, earlier: [patternA]))
    #expect(
      mismatch.cause
        == .partialPage([
          PageRun(first: 20, count: 2, content: .stale(patternA)), PageRun(first: 40, count: 1, content: .zeros),
        ]))
    #expect(
      mismatch.sentence.hasSuffix("pages 20 to 21 hold pattern A, written earlier, page 40 holds zeros"))
  }

  @Test("names pages that repeat the beginning of the buffer")
  func repeatedPages() throws {
    var picture = try picture()
    let good = picture.bytes
    let last = picture.bytes.count
    picture.bytes.replaceSubrange(512 * 4096..<last, with: good[..<(last - 512 * 4096)])
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.cause == .partialPage([PageRun(first: 512, count: 79, content: .page(0))]))
    #expect(mismatch.sentence.hasSuffix("pages 512 to 590 hold what belongs to pages 0 to 78"))
  }

  @Test("counts pages of the size it is told")
  func largePages() throws {
    var picture = try picture()
    picture.bytes.replaceSubrange(3 * 16_384..<4 * 16_384, with: repeatElement(0x77, count: 16_384))
    let mismatch = try #require(try picture.diagnose(as: patternB, pageSize: 16_384))
    #expect(mismatch.cause == .partialPage([PageRun(first: 3, count: 1, content: .unknown)]))
  }

  @Test("is no matter of pages where the damage does not follow them")
  func noise() throws {
    var picture = try picture()
    var state: UInt32 = 1
    for byte in 30_000..<50_000 {
      state = state &* 1_664_525 &+ 1_013_904_223
      picture.bytes[byte] = UInt8(truncatingIfNeeded: state >> 24)
    }
    #expect(try picture.diagnose(as: patternB, earlier: [patternA])?.cause == .other)
  }
}
