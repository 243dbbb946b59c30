import Prime
import PrimeVerify
import Testing

extension RGBImage {
  /// The image with left and right exchanged.
  var mirrored: RGBImage { rearranged { x, y in (width - 1 - x, y) } }

  /// The image with top and bottom exchanged.
  var flipped: RGBImage { rearranged { x, y in (x, height - 1 - y) } }

  /// The image moved by some pixels; what leaves it comes in at the other side.
  func moved(_ dx: Int, _ dy: Int) -> RGBImage {
    rearranged { x, y in ((x - dx + width) % width, (y - dy + height) % height) }
  }

  private func rearranged(_ source: (Int, Int) -> (Int, Int)) -> RGBImage {
    var pixels: [UInt32] = []
    for y in 0..<height {
      for x in 0..<width {
        let (column, row) = source(x, y)
        pixels.append(self[column, row])
      }
    }
    return RGBImage(width: width, height: height, pixels: pixels)
  }

  /// The pixels of one row in hexadecimal, for tests that write them out.
  func row(_ y: Int) -> [String] {
    (0..<width).map { String(self[$0, y] | 0x100_0000, radix: 16).dropFirst().description }
  }
}

@Suite("Pictures for people")
struct TestPictureTests {
  static let named: [TestPicture] = [.smpte, .gradient, .checker]
  static let sizes = [
    (1, 1), (1, 2), (2, 1), (3, 5), (1, 64), (64, 1), (8, 8), (13, 17), (33, 9), (101, 37), (320, 240), (701, 333),
  ]

  @Test("have names", arguments: [("smpte", TestPicture.smpte), ("GRADIENT", .gradient), ("checker", .checker)])
  func names(name: String, picture: TestPicture) {
    #expect(TestPicture(named: name) == picture)
    #expect(picture.name == name.lowercased())
    #expect(TestPicture(named: "image") == nil)
  }

  @Test("are defined for every size, and never what cleared memory shows", arguments: named)
  func everySize(picture: TestPicture) {
    for (width, height) in Self.sizes {
      let image = picture.rendered(width: width, height: height)
      #expect(image.width == width && image.height == height && image.pixels.count == width * height)
      #expect(image.pixels.contains { $0 != 0 })
      #expect(image == picture.rendered(width: width, height: height))
    }
  }

  @Test("differ from their mirror images, and from themselves moved by a pixel", arguments: named)
  func asymmetry(picture: TestPicture) {
    // From this size on each bar, ramp and mark has a pixel of its own.
    for (width, height) in [(28, 24), (64, 48), (320, 240), (701, 333)] {
      let image = picture.rendered(width: width, height: height)
      #expect(image.mirrored != image)
      #expect(image.flipped != image)
      #expect(image.mirrored.flipped != image)
      for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1), (8, 8), (16, 0), (0, 16)] {
        #expect(image.moved(dx, dy) != image, "moved by \(dx),\(dy)")
      }
    }
  }

  @Test("differ from each other")
  func distinct() {
    for (width, height) in [(3, 3), (320, 240)] {
      let images = Set(Self.named.map { $0.rendered(width: width, height: height) })
      #expect(images.count == 3)
    }
  }

  @Test("The colour bars have the colours of modetest, row by row")
  func smpte() {
    let image = TestPicture.smpte.rendered(width: 21, height: 12)
    func bars(_ colours: [String]) -> [String] { colours.flatMap { [$0, $0, $0] } }
    let upper = bars(["c0c0c0", "c0c000", "00c0c0", "00c000", "c000c0", "c00000", "0000c0"])
    for y in 0..<8 { #expect(image.row(y) == upper) }
    #expect(image.row(8) == bars(["0000c0", "131313", "c000c0", "131313", "00c0c0", "131313", "c0c0c0"]))
    #expect(
      image.row(9) == [
        "000000", "0d0d0d", "1a1a1a", "262626", "333333", "404040", "4d4d4d", "595959", "666666", "737373", "808080",
        "8c8c8c", "999999", "a6a6a6", "b3b3b3", "bfbfbf", "cccccc", "d9d9d9", "e6e6e6", "f2f2f2", "ffffff",
      ])
    let lowest =
      [String](repeating: "00214c", count: 4) + [String](repeating: "ffffff", count: 4)
      + [String](repeating: "32006a", count: 4) + ["131313", "131313", "131313", "090909", "131313", "1d1d1d"]
      + ["131313", "131313", "131313"]
    #expect(image.row(10) == lowest)
    #expect(image.row(11) == lowest)
  }

  @Test("The gradient has the full range of each colour in its own direction")
  func gradient() {
    let image = TestPicture.gradient.rendered(width: 4, height: 3)
    #expect(image.row(0) == ["000000", "550033", "aa0066", "ff0099"])
    #expect(image.row(1) == ["008033", "558066", "aa8099", "ff80cc"])
    #expect(image.row(2) == ["00ff66", "55ff99", "aaffcc", "ffffff"])
    #expect(TestPicture.gradient.rendered(width: 1, height: 1).pixels == [0xffffff])
    let large = TestPicture.gradient.rendered(width: 256, height: 256)
    #expect(Set(large.pixels.map { $0 >> 16 }).count == 256)
    #expect(Set(large.pixels.map { $0 >> 8 & 0xff }).count == 256)
    #expect(Set(large.pixels.map { $0 & 0xff }).count == 256)
  }

  @Test("The checker has a border of its own at each side, and a mark in each corner")
  func checker() {
    let image = TestPicture.checker.rendered(width: 24, height: 16)
    let (dark, light) = ("303030", "d0d0d0")
    #expect(image.row(0) == ["ffffff"] + [String](repeating: "ff0000", count: 22) + ["ffffff"])
    #expect(image.row(15) == ["ffffff"] + [String](repeating: "0000ff", count: 22) + ["ffffff"])
    let squares = [String](repeating: dark, count: 5) + [String](repeating: light, count: 8)
    let upper = ["ffff00", "ff00ff", "ff00ff"] + squares + [String](repeating: dark, count: 5)
    #expect(image.row(1) == upper + ["00ffff", "00ffff", "00ff00"])
    #expect(image.row(2) == image.row(1))
    let plain = [String](repeating: dark, count: 7) + [String](repeating: light, count: 8)
    #expect(image.row(3) == ["ffff00"] + plain + [String](repeating: dark, count: 7) + ["00ff00"])
    #expect(image.row(7) == image.row(3))
    let lower = [String](repeating: light, count: 7) + [String](repeating: dark, count: 8)
    #expect(image.row(8) == ["ffff00"] + lower + [String](repeating: light, count: 7) + ["00ff00"])
    let last = [String](repeating: light, count: 5) + [String](repeating: dark, count: 8)
    let marked = ["ffff00", "ff8000", "ff8000"] + last + [String](repeating: light, count: 5)
    #expect(image.row(13) == marked + ["8000ff", "8000ff", "00ff00"])
    #expect(image.row(14) == image.row(13))
    #expect(TestPicture.checker.rendered(width: 1, height: 1).pixels == [0xffffff])
    #expect(TestPicture.checker.rendered(width: 2, height: 2).pixels == [0xffffff, 0xffffff, 0xffffff, 0xffffff])
    #expect(TestPicture.checker.rendered(width: 3, height: 3).row(1) == ["ffff00", "303030", "00ff00"])
  }

  @Test("A given image lies in the middle of black, or is cut to its middle")
  func image() {
    let image = RGBImage(width: 3, height: 2, pixels: [1, 2, 3, 4, 5, 0xff00_0006])
    #expect(TestPicture.image(image).rendered(width: 3, height: 2).pixels == [1, 2, 3, 4, 5, 6])
    #expect(TestPicture.image(image).rendered(width: 1, height: 1).pixels == [2])
    #expect(TestPicture.image(image).rendered(width: 2, height: 2).pixels == [1, 2, 4, 5])
    #expect(
      TestPicture.image(image).rendered(width: 6, height: 4).pixels == [
        0, 0, 0, 0, 0, 0,
        0, 1, 2, 3, 0, 0,
        0, 4, 5, 6, 0, 0,
        0, 0, 0, 0, 0, 0,
      ])
    #expect(TestPicture.image(image).rendered(width: 5, height: 1).pixels == [0, 1, 2, 3, 0])
    #expect(TestPicture.image(image).rendered(width: 1, height: 5).pixels == [0, 2, 5, 0, 0])
  }
}
