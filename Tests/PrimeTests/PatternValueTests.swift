import Prime
import PrimeVerify
import Testing

@Suite("A pattern")
struct PatternValueTests {
  /// Computed by a second implementation, in another language.
  @Test(
    "has the same values in every release",
    arguments: [
      (seed: 0, index: 0, x: 0, y: 0, Fourcc.xrgb8888, 0xa695_c4ee),
      (0, 0, 1, 0, .xrgb8888, 0x9034_1b5c),
      (0, 0, 0, 1, .xrgb8888, 0x4a4b_d71f),
      (1, 0, 0, 0, .xrgb8888, 0x6be4_b2af),
      (1, 1, 0, 0, .xrgb8888, 0x20a9_857a),
      (1, 2, 0, 0, .xrgb8888, 0xdd6a_9405),
      (0x5eed, 0, 3839, 2159, .xrgb8888, 0x4719_e647),
      (0x5eed, 3, 5, 7, .rgb888, 0xbb_dc72),
      (0x5eed, 0, 2, 1, .xrgb16161616, 0xbca7_04e6_7c2c_1e8c),
      (0x5eed, 0, 5, 7, .r8, 0x1f),
      (1, 256, 0, 0, .xrgb16161616, 0x35c9_47a8_e343_61bf),
    ] as [(seed: UInt64, index: Int, x: Int, y: Int, Fourcc, UInt64)])
  func pinned(seed: UInt64, index: Int, x: Int, y: Int, fourcc: Fourcc, value: UInt64) throws {
    let layout = try PictureLayout.packed(format: format(fourcc), width: 3840, height: 2160)
    #expect(Pattern(seed: seed, index: index).value(plane: 0, x: x, y: y, layout: layout) == value)
  }

  @Test("has other values in the second plane")
  func pinnedSecondPlane() throws {
    let layout = try PictureLayout.packed(format: nv12, width: 64, height: 64)
    #expect(Pattern(seed: 0x5eed, index: 0).value(plane: 1, x: 5, y: 7, layout: layout) == 0x87c2)
  }

  @Test(
    "differs from the other patterns of its run in every pixel",
    arguments: [
      Fourcc.xrgb8888, .rgb565, .r8, .xrgb1555, .p010, .nv12, .rgb888, .xbgr16161616,
    ])
  func generations(fourcc: Fourcc) throws {
    let layout = try PictureLayout.packed(format: format(fourcc), width: 130, height: 70)
    for (old, new) in [(0, 1), (1, 2), (0, 2), (3, 250)] {
      let picture = try Picture(layout, Pattern(seed: 9, index: old))
      let comparison = try picture.compare(with: Pattern(seed: 9, index: new), ignoringUnusedBits: true)
      #expect(comparison.damages.map(\.plane) == Array(layout.planes.indices))
      #expect(comparison.damages.allSatisfy { $0.differing == $0.total })
    }
  }

  @Test(
    "of another seed differs in nearly every pixel",
    arguments: [(Fourcc.xrgb8888, 9100), (.rgb565, 9090), (.r8, 9020)])
  func seeds(fourcc: Fourcc, atLeast: Int) throws {
    let layout = try PictureLayout.packed(format: format(fourcc), width: 130, height: 70)
    for seed: UInt64 in [1, 2, 0x8000_0000_0000_0000, .max] {
      let picture = try Picture(layout, Pattern(seed: 0, index: 0))
      let damage = try picture.compare(with: Pattern(seed: seed, index: 0)).damages.first
      #expect((damage?.differing ?? 0) >= atLeast)
    }
  }

  @Test("repeats no row, no page and nearly no pixel in a large picture")
  func identity() throws {
    let layout = try PictureLayout.packed(format: format(.r8), width: 4096, height: 600)
    let picture = try Picture(layout, Pattern(seed: 4, index: 0))
    let pages = Set((0..<600).map { Array(picture.bytes[picture.row($0)].prefix(16)) })
    #expect(pages.count == 600)
    let wide = try PictureLayout.packed(format: xrgb8888, width: 512, height: 128)
    let pattern = Pattern(seed: 4, index: 0)
    var values: Set<UInt64> = []
    var symmetric = 0
    for y in 0..<128 {
      for x in 0..<512 {
        let value = pattern.value(plane: 0, x: x, y: y, layout: wide)
        values.insert(value)
        if UInt32(value).byteSwapped == UInt32(value) || value == 0 { symmetric += 1 }
      }
    }
    #expect(values.count > 65_500)
    #expect(symmetric < 10)
  }

  @Test("is named by a letter")
  func names() {
    #expect([0, 1, 2, 25, 26, -1].map { Pattern(seed: 0, index: $0).name } == ["A", "B", "C", "Z", "26", "-1"])
  }
}
