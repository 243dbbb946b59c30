import Prime
import Testing

@Suite("A part of a picture")
struct GeometryTests {
  private let picture = Size(width: 64, height: 48)

  private func part(_ x: Int, _ y: Int, _ width: Int, _ height: Int) -> Rectangle {
    Rectangle(origin: Point(x: x, y: y), size: Size(width: width, height: height))
  }

  @Test func `lies within it up to its last row and column`() {
    #expect(part(0, 0, 64, 48).isWithin(picture))
    #expect(part(63, 47, 1, 1).isWithin(picture))
    #expect(!part(1, 0, 64, 48).isWithin(picture))
    #expect(!part(0, 1, 64, 48).isWithin(picture))
    #expect(!part(64, 0, 1, 1).isWithin(picture))
  }

  @Test func `has pixels, and none left of the picture or above it`() {
    #expect(!part(0, 0, 0, 48).isWithin(picture))
    #expect(!part(0, 0, 64, 0).isWithin(picture))
    #expect(!part(-1, 0, 1, 1).isWithin(picture))
    #expect(!part(0, -1, 1, 1).isWithin(picture))
    #expect(!part(0, 0, -1, 1).isWithin(picture))
  }

  @Test func `may be named by any number and overflows none`() {
    #expect(!part(.max, .max, .max, .max).isWithin(picture))
    #expect(!part(.min, .min, .min, .min).isWithin(picture))
    #expect(!part(1, 1, .max, .max).isWithin(Size(width: .max, height: .max)))
  }

  @Test func `is said as X does`() {
    #expect(part(40, -3, 16, 12).description == "16x12+40-3")
    #expect(Rectangle(size: picture).description == "64x48+0+0")
  }

  @Test(arguments: [Int.min, -1, 0, 65_535, 65_536, Int.max])
  func `is no size of a mode where a mode cannot say it`(number: Int) {
    for size in [Size(width: number, height: 64), Size(width: 64, height: number)] {
      let error = primeError { try DisplayMode.withoutWire(size) }
      expect(error, is: "drmModeCreatePropertyBlob", found: .tooLarge)
      #expect(error?.reason == "\(size) is beyond what a mode can say")
    }
  }

  @Test func `of a format has the same description as the format's code finds`() {
    for format in PixelFormat.known { #expect(PixelFormat(format.fourcc) == format) }
    #expect(PixelFormat.xrgb8888.fourcc == .xrgb8888)
    #expect(PixelFormat.nv12.planes.count == 2)
    #expect(PixelFormat.known.count == 37)
  }
}
