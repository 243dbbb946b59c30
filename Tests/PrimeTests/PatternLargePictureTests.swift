import Glibc
import Prime
import PrimeVerify
import Testing

@Suite("A picture larger than the caches")
struct PatternLargePictureTests {
  @Test("is written like a small one, at any offset and pitch", arguments: [(0, 15_360), (3, 15_367), (4104, 15_361)])
  func fill(offset: Int, pitch: Int) throws {
    let pattern = Pattern(seed: 21, index: 0)
    let layout = try PictureLayout(
      format: xrgb8888, width: 3840, height: 2160, planes: [PlaneLayout(offset: offset, pitch: pitch)])
    let picture = try Picture(layout, pattern, memory: layout.byteCount + 64)
    #expect(try pattern.matches(picture.bytes.span, layout: layout, ignoringUnusedBits: false))
    #expect(picture.bytes[..<offset].allSatisfy { $0 == 0xee })
    #expect(picture.bytes[layout.byteCount...].allSatisfy { $0 == 0xee })
    for y in [0, 1, 1077, 2158] {
      let padding = picture.row(y).upperBound..<picture.row(y + 1).lowerBound
      #expect(picture.bytes[padding].allSatisfy { $0 == 0xee })
    }
    for (x, y) in [(0, 0), (3839, 0), (1919, 1080), (0, 2159), (3839, 2159)] {
      let start = picture.row(y).lowerBound + 4 * x
      let found = (0..<4).reduce(UInt64(0)) { $0 | UInt64(picture.bytes[start + $1]) << UInt64(8 * $1) }
      #expect(found == pattern.value(plane: 0, x: x, y: y, layout: layout))
    }
  }

  #if !DEBUG
    @Test(
      "is explained in less than a second when it is wholly wrong",
      arguments: ["noise", "zero", "stale", "pages", "sheared"])
    func bound(damage: String) throws {
      let (old, new) = (Pattern(seed: 21, index: 0), Pattern(seed: 21, index: 1))
      let layout = try PictureLayout.packed(format: xrgb8888, width: 3840, height: 2160)
      var picture = try Picture(layout, damage == "stale" ? old : new, memory: 33_554_432)
      let good = picture.bytes
      switch damage {
      case "noise":
        var state: UInt64 = 1
        for byte in picture.bytes.indices {
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          picture.bytes[byte] = UInt8(truncatingIfNeeded: state >> 56)
        }
      case "zero": picture.bytes = Array(repeating: 0, count: picture.bytes.count)
      case "pages":
        for start in stride(from: 2 << 20, to: picture.bytes.count, by: 2 << 20) {
          picture.bytes.replaceSubrange(start..<start + (2 << 20), with: good[..<(2 << 20)])
        }
      case "sheared":
        picture = try Picture(
          PictureLayout(
            format: xrgb8888, width: 3840, height: 2160, planes: [PlaneLayout(offset: 0, pitch: 15_424)]), new)
      default: break
      }
      // Processor time: the machine may be busy with other work.
      let start = processorNanoseconds()
      let name = try new.diagnose(picture.bytes.span, layout: layout, earlier: [old], ignoringUnusedBits: true)?
        .cause.name
      let time = processorNanoseconds() - start
      let names = ["noise": "other", "pages": "partialPage"]
      #expect(name == names[damage, default: damage])
      #expect(time < 1_000_000_000)
    }

    /// The processor time this thread has used.
    private func processorNanoseconds() -> Int {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
  #endif
}
