import Prime
import PrimeVerify
import Testing

private let patternA = Pattern(seed: 0x5eed, index: 0)
private let patternB = Pattern(seed: 0x5eed, index: 1)

/// 1024x768 XRGB8888: a row is exactly one page.
private func wholePages() throws -> Picture {
  try Picture(.packed(format: xrgb8888, width: 1024, height: 768), patternB)
}

/// 1000x600 XRGB8888: rows and pages do not fall together.
private func oddRows() throws -> Picture {
  try Picture(.packed(format: xrgb8888, width: 1000, height: 600, pitchAlignment: 64), patternB)
}

@Suite("A mismatch of content")
struct MismatchContentTests {
  @Test("is zero where nothing arrived")
  func allZero() throws {
    var picture = try wholePages()
    picture.bytes = Array(repeating: 0, count: picture.bytes.count)
    let mismatch = try #require(try picture.diagnose(as: patternB, earlier: [patternA]))
    #expect(mismatch.cause == .zero)
    #expect((mismatch.plane, mismatch.x, mismatch.y) == (0, 0, 0))
    #expect(mismatch.rectangle == DamagedRectangle(x: 0, y: 0, width: 1024, height: 768))
    #expect(
      mismatch.sentence
        == "plane 0: 786,432 of 786,432 pixels differ, first at (0,0): expected 0xd4a9a231, found 0x00000000; "
        + "all zero: nothing of what was written arrived")
  }

  @Test("is zero in part where part of it did not arrive")
  func partlyZero() throws {
    var picture = try oddRows()
    for y in 250..<350 {
      for byte in picture.row(y).dropFirst(400).prefix(800) { picture.bytes[byte] = 0 }
    }
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.cause == .zero)
    #expect(mismatch.rectangle == DamagedRectangle(x: 100, y: 250, width: 200, height: 100))
    #expect(mismatch.differing == 20_000)
    #expect(
      mismatch.sentence.contains("20,000 of 600,000 pixels differ within 200x100 at (100,250), first at (100,250)"))
    #expect(mismatch.sentence.hasSuffix("every differing pixel is zero: a part did not arrive"))
  }

  @Test("is uniform where memory does not answer")
  func allOnes() throws {
    var picture = try oddRows()
    for y in 0..<600 { for byte in picture.row(y) { picture.bytes[byte] = 0xff } }
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.cause == .uniform(ElementValue(0xffff_ffff, byteCount: 4)))
    #expect(mismatch.sentence.hasSuffix("every pixel is 0xffffffff: this is how memory reads that does not answer"))
  }

  @Test("is stale where an earlier pattern is still seen")
  func stale() throws {
    let old = try Picture(.packed(format: xrgb8888, width: 1024, height: 768), patternA)
    let mismatch = try #require(try old.diagnose(as: patternB, earlier: [Pattern(seed: 1, index: 0), patternA]))
    #expect(mismatch.cause == .stale(Pattern(seed: 0x5eed, index: 0)))
    #expect(
      mismatch.sentence
        == "plane 0: 786,432 of 786,432 pixels differ, first at (0,0): expected 0xd4a9a231, found 0x1342ab62; "
        + "stale: it still shows pattern A, written earlier")
  }

  @Test("is stale in part where single cache lines were not written back")
  func staleLines() throws {
    var picture = try oddRows()
    let old = try Picture(picture.layout, patternA)
    for line in [4096 * 3 + 64, 4096 * 9 + 128] {
      picture.bytes.replaceSubrange(line..<line + 64, with: old.bytes[line..<line + 64])
    }
    let mismatch = try #require(try picture.diagnose(as: patternB, earlier: [patternA]))
    #expect(mismatch.cause == .stale(patternA))
    #expect(mismatch.differing == 32)
    #expect(mismatch.sentence.hasSuffix("stale: every differing pixel still shows pattern A, written earlier"))
  }

  @Test(
    "names bytes and components that are exchanged",
    arguments: [
      (Fourcc.xrgb8888, [3, 2, 1, 0], ByteOrderChange.reversed, "the bytes of each pixel are in reverse order"),
      (.xrgb8888, [2, 1, 0, 3], .redBlue, "red and blue are exchanged"),
      (.xrgb8888, [1, 0, 3, 2], .bytePairs, "the two bytes of each 16-bit unit are exchanged"),
      (.xrgb8888, [2, 3, 0, 1], .halves, "the two halves of each pixel are exchanged"),
      (.rgb565, [1, 0], .reversed, "the bytes of each pixel are in reverse order"),
      (.rgb888, [2, 1, 0], .redBlue, "red and blue are exchanged"),
      (.xrgb16161616, [4, 5, 2, 3, 0, 1, 6, 7], .redBlue, "red and blue are exchanged"),
      (.xrgb16161616, [7, 6, 5, 4, 3, 2, 1, 0], .reversed, "the bytes of each pixel are in reverse order"),
      (.yuyv, [0, 3, 2, 1], .chroma, "Cb and Cr are exchanged"),
    ] as [(Fourcc, [Int], ByteOrderChange, String)])
  func byteOrder(fourcc: Fourcc, order: [Int], change: ByteOrderChange, words: String) throws {
    var picture = try Picture(try .packed(format: format(fourcc), width: 320, height: 240), patternB)
    let good = picture.bytes
    for element in stride(from: 0, to: good.count, by: order.count) {
      for (to, from) in order.enumerated() { picture.bytes[element + to] = good[element + from] }
    }
    let mismatch = try #require(try picture.diagnose(as: patternB, earlier: [patternA]))
    #expect(mismatch.cause == .byteOrder(change))
    #expect(mismatch.sentence.hasSuffix("byte order: " + words))
  }

  @Test("names exchanged chroma of the second plane")
  func chroma() throws {
    var picture = try Picture(.packed(format: nv12, width: 64, height: 64), patternB)
    let plane = 64 * 64
    for pair in stride(from: plane, to: picture.bytes.count, by: 2) { picture.bytes.swapAt(pair, pair + 1) }
    let mismatch = try #require(try picture.diagnose(as: patternB))
    #expect(mismatch.plane == 1)
    #expect(mismatch.damagedPlanes == [1])
    #expect(mismatch.cause == .byteOrder(.chroma))
  }

  @Test("of one pixel is placed exactly and explained by nothing")
  func onePixel() throws {
    var picture = try Picture(.packed(format: xrgb8888, width: 1024, height: 768), patternA)
    picture.bytes.replaceSubrange(4096 * 2 + 12..<4096 * 2 + 16, with: [0x78, 0x56, 0x34, 0x12])
    let mismatch = try #require(try picture.diagnose(as: patternA, earlier: [patternB]))
    #expect(mismatch.cause == .other)
    #expect(
      mismatch.sentence
        == "plane 0: 1 of 786,432 pixels differs, at (3,2): expected 0x7fdf0df1, found 0x12345678; "
        + "no known cause explains it")
  }
}
