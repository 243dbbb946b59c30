import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("The messages of a witness")
struct WitnessMessageTests {
  static let picture = Fixture.layout(
    "XRGB8888", width: 64, height: 48, planes: [PlaneLayout(offset: 0x1000, pitch: 256)])

  static let request = WitnessRequest(
    .look, picture, modifier: .linear, isAgain: false, memory: PlaneLayout(offset: 4096, pitch: 320))

  /// Written out by hand from `docs/handover.md`.
  static let requestBytes: [UInt8] =
    [0x50, 0x52, 0x4d, 0x42, 1, 0, 4, 0, 128, 0, 0, 0, 0, 0, 0, 0]
    + [0x58, 0x52, 0x32, 0x34, 64, 0, 0, 0, 48, 0, 0, 0, 1, 0, 0, 0]
    + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    + [0, 0x10, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 0, 0, 0, 0]
    + [0, 0, 0, 0, 0, 1, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]
    + [UInt8](repeating: 0, count: 48)

  static let answer = WitnessAnswer(rows: 48, byteCount: 15296, .device, name: "iris ✓")

  static let answerBytes: [UInt8] =
    [0x50, 0x52, 0x4d, 0x42, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    + [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 48, 0, 0, 0]
    + [0xc0, 0x3b, 0, 0, 0, 0, 0, 0]
    + [0x69, 0x72, 0x69, 0x73, 0x20, 0xe2, 0x9c, 0x93] + [UInt8](repeating: 0, count: 208)

  @Test func `are the bytes that the documentation says`() throws {
    #expect(Self.request.bytes == Self.requestBytes)
    #expect(try WitnessRequest(parsing: Self.requestBytes) == Self.request)
    #expect(Self.answer.bytes == Self.answerBytes)
    #expect(try WitnessAnswer(parsing: Self.answerBytes) == Self.answer)
  }

  @Test func `say with how many descriptors a request comes`() {
    #expect(Self.request.descriptorCount == 2)
    var again = Self.request
    again.isAgain = true
    #expect(again.descriptorCount == 0)
    let draw = WitnessRequest(
      .draw, Self.picture, modifier: .linear, isAgain: false, memory: PlaneLayout(offset: 4096, pitch: 320))
    #expect(draw.descriptorCount == 1)
    #expect(draw.plane == nil)
    #expect(draw.bytes[44] == 0)
  }

  /// A field, what it is changed to, and what is said of it.
  static let damagedRequests: [(offset: Int, bytes: [UInt8], HandoverError)] = [
    (6, [5], .kind(5, expected: 4)),
    (20, [0], .field("the width", 0)),
    (24, [0], .field("the height", 0)),
    (28, [3], .field("the task", 3)),
    (28, [2], .field("the number of planes", 1)),
    (40, [2], .field("the flags", 2)),
    (44, [2], .field("the number of planes", 2)),
    (56, [0, 0], .field("the pitch of the memory", 0)),
    (60, [1], .reserved("the word before the plane")),
    (64, [1], .field("the buffer of plane 0", 1)),
    (69, [0], .field("the pitch of plane 0", 0)),
    (127, [1], .reserved("what follows the planes")),
  ]

  @Test(arguments: damagedRequests)
  func `are refused where a request says what it cannot`(
    _ damage: (offset: Int, bytes: [UInt8], error: HandoverError)
  ) {
    var bytes = Self.requestBytes
    bytes.replaceSubrange(damage.offset..<damage.offset + damage.bytes.count, with: damage.bytes)
    #expect(throws: damage.error) { try WitnessRequest(parsing: bytes) }
  }

  static let damagedAnswers: [(offset: Int, bytes: [UInt8], HandoverError)] = [
    (0, [0], .magic),
    (6, [4], .kind(4, expected: 5)),
    (16, [2], .field("the outcome", 2)),
    (21, [16], .field("the errno", 4096)),
    (24, [3], .field("the renderer", 3)),
    (40, [0x1b], .sentence),
    (40, [0], .reserved("what follows a text")),
    (41, [0xff], .sentence),
    (255, [1], .reserved("what follows a text")),
  ]

  @Test(arguments: damagedAnswers)
  func `are refused where an answer says what it cannot`(
    _ damage: (offset: Int, bytes: [UInt8], error: HandoverError)
  ) {
    var bytes = Self.answerBytes
    bytes.replaceSubrange(damage.offset..<damage.offset + damage.bytes.count, with: damage.bytes)
    #expect(throws: damage.error) { try WitnessAnswer(parsing: bytes) }
  }

  @Test func `are cut at a whole character, and have no control characters`() throws {
    let answer = WitnessAnswer(
      .refused, errno: 19, operation: "a\u{1b}b", sentence: String(repeating: "é", count: 61))
    let parsed = try WitnessAnswer(parsing: answer.bytes)
    #expect(parsed.operation == "a b")
    #expect(parsed.sentence == String(repeating: "é", count: 60))
  }
}
