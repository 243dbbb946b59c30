import Foundation
import Prime
import PrimeVerify
import Testing

@Suite("A mismatch in a report")
struct MismatchReportTests {
  @Test(
    "survives encoding, whatever its cause",
    arguments: [
      MismatchCause.zero, .uniform(ElementValue(0xffff, byteCount: 2)), .stale(Pattern(seed: .max, index: 1)),
      .shifted(dx: -1, dy: 2, bytes: 3), .sheared(pitch: 4160, declared: 4096), .byteOrder(.redBlue),
      .planeOffset(showsPlane: 1), .flipped, .rearranged, .other,
      .partialPage([
        PageRun(first: 1, count: 2, content: .page(9)), PageRun(first: 4, count: 1, content: .zeros),
        PageRun(first: 6, count: 1, content: .stale(Pattern(seed: 1, index: 0))),
        PageRun(first: 8, count: 1, content: .unknown),
      ]),
    ])
  func roundTrip(cause: MismatchCause) throws {
    let data = try JSONEncoder().encode(cause)
    #expect(try JSONDecoder().decode(MismatchCause.self, from: data) == cause)
  }

  @Test("is a flat object with a kind")
  func flat() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let sheared = try encoder.encode(MismatchCause.sheared(pitch: 4160, declared: 4096))
    #expect(String(decoding: sheared, as: UTF8.self) == #"{"declared":4096,"kind":"sheared","pitch":4160}"#)
    let value = try encoder.encode(ElementValue(0xa1_b2c3, byteCount: 4))
    #expect(String(decoding: value, as: UTF8.self) == #""0x00a1b2c3""#)
  }

  @Test("survives encoding as a whole")
  func whole() throws {
    let pattern = Pattern(seed: 1, index: 0)
    var picture = try Picture(try .packed(format: xrgb8888, width: 16, height: 16), pattern)
    picture.bytes[1023] ^= 1
    let mismatch = try #require(try picture.diagnose(as: pattern))
    #expect((mismatch.x, mismatch.y, mismatch.differing, mismatch.total) == (15, 15, 1, 256))
    let data = try JSONEncoder().encode(mismatch)
    #expect(try JSONDecoder().decode(Mismatch.self, from: data) == mismatch)
  }
}
