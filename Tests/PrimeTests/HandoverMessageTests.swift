import Testing

@testable import Prime

@Suite("The messages of a hand-over")
struct HandoverMessageTests {
  static let offer = HandoverOffer(
    BufferDescription(
      layout: Fixture.layout(
        "NV12", width: 64, height: 48,
        planes: [PlaneLayout(offset: 0, pitch: 256), PlaneLayout(offset: 0x3000, pitch: 256)]),
      modifier: .linear),
    access: .readWrite, seed: 0x0102_0304_0506_0708, asksForWriteBack: true)

  /// Written out by hand from `docs/handover.md`.
  static let offerBytes: [UInt8] =
    [0x50, 0x52, 0x4d, 0x42, 1, 0, 1, 0, 128, 0, 0, 0, 0, 0, 0, 0]
    + [0x4e, 0x56, 0x31, 0x32, 64, 0, 0, 0, 48, 0, 0, 0, 3, 0, 0, 0]
    + [0, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]
    + [2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    + [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    + [0, 0, 0, 0, 0, 1, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0]
    + [UInt8](repeating: 0, count: 32)

  static let reply = HandoverReply(.answer, .refused, errno: 19, isProof: true, sentence: "no ✓")

  static let replyBytes: [UInt8] =
    [0x50, 0x52, 0x4d, 0x42, 1, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    + [3, 0, 0, 0, 19, 0, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0]
    + [0x6e, 0x6f, 0x20, 0xe2, 0x9c, 0x93] + [UInt8](repeating: 0, count: 218)

  @Test func `are the bytes that the documentation says`() throws {
    #expect(Self.offer.bytes == Self.offerBytes)
    #expect(try HandoverOffer(parsing: Self.offerBytes) == Self.offer)
    #expect(Self.reply.bytes == Self.replyBytes)
    #expect(try HandoverReply(parsing: Self.replyBytes, expecting: .answer) == Self.reply)
  }

  /// A field of the offer, what it is changed to, and what is said of it.
  static let damages: [(offset: Int, bytes: [UInt8], HandoverError)] = [
    (0, [0x51], .magic),
    (4, [2], .version(2)),
    (6, [2], .kind(2, expected: 1)),
    (8, [127], .length(expected: 128, stated: 127, given: 128)),
    (12, [1], .reserved("the last word of the header")),
    (20, [0], .field("the width", 0)),
    (24, [0], .field("the height", 0)),
    (28, [2], .field("the access", 2)),
    (28, [1], .field("with access 1 the write-back flag", 1)),
    (48, [0], .field("the number of planes", 0)),
    (48, [5], .field("the number of planes", 5)),
    (48, [1], .reserved("plane 1, which is not used,")),
    (52, [0], .field("the number of buffers", 0)),
    (52, [3], .field("the number of buffers", 3)),
    (52, [2], .unusedBuffer(1)),
    (56, [3], .field("the flags", 3)),
    (60, [1], .reserved("the word before the planes")),
    (64, [1], .field("the buffer of plane 0", 1)),
    (69, [0], .field("the pitch of plane 0", 0)),
    (127, [1], .reserved("plane 3, which is not used,")),
  ]

  @Test(arguments: damages)
  func `are refused with what is wrong`(offset: Int, bytes: [UInt8], error: HandoverError) {
    var message = Self.offerBytes
    message.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    #expect(throws: error) { try HandoverOffer(parsing: message) }
  }

  @Test func `are refused at every other length`() {
    for count in 0..<128 {
      #expect(throws: HandoverError.self) { try HandoverOffer(parsing: Array(Self.offerBytes.prefix(count))) }
    }
    #expect(throws: HandoverError.length(expected: 128, stated: 128, given: 129)) {
      try HandoverOffer(parsing: Self.offerBytes + [0])
    }
  }

  @Test func `never carry what a terminal would obey`() throws {
    var message = Self.replyBytes
    message[32] = 0x1b
    #expect(throws: HandoverError.sentence) { try HandoverReply(parsing: message, expecting: .answer) }
    message[32] = 0xff
    #expect(throws: HandoverError.sentence) { try HandoverReply(parsing: message, expecting: .answer) }
    let sent = HandoverReply(.verdict, .failed, sentence: "a\u{1b}[2J\nb\u{9b}c")
    #expect(try HandoverReply(parsing: sent.bytes, expecting: .verdict).sentence == "a [2J b c")
  }

  @Test func `cut a long sentence at a whole character`() throws {
    let sent = HandoverReply(.verdict, .failed, sentence: String(repeating: "✓", count: 100))
    #expect(sent.bytes.count == 256)
    #expect(try HandoverReply(parsing: sent.bytes, expecting: .verdict).sentence == String(repeating: "✓", count: 74))
  }

  @Test(
    arguments: [
      ("/run/x", HandoverAddress.path("/run/x")), ("x", .path("x")), ("abstract:x", .abstract("x")),
      ("fd:3", .descriptor(3)), ("fd:2", nil), ("fd:x", nil), ("fd:99999999999", nil), ("abstract:", nil), ("", nil),
      (String(repeating: "x", count: 107), .path(String(repeating: "x", count: 107))),
      (String(repeating: "x", count: 108), nil),
    ] as [(String, HandoverAddress?)])
  func `meet at an address`(text: String, address: HandoverAddress?) {
    #expect(HandoverAddress(parsing: text) == address)
  }

  @Test("No input stops the parsers, and what they take they would say the same way")
  func damaged() throws {
    let corpus = [Self.offerBytes, Self.replyBytes, HandoverReply(.verdict, .verified, wroteBack: true).bytes]
    var mutator = Mutator(seed: 0x5eed)
    var taken = 0
    for index in 0..<ParserFuzzTests.inputs {
      let bytes = mutator.input(from: corpus)
      if let offer = try? HandoverOffer(parsing: bytes) {
        taken += 1
        guard offer.bytes == bytes else {
          Issue.record("offer \(index) changes: \(bytes)")
          return
        }
        if let format = try? offer.format(),
          let layout = try? offer.layout(format, in: Array(0..<offer.bufferCount)),
          (try? BufferDescription(layout: layout, modifier: .linear)
            .check(fits: [Int](repeating: 4096, count: offer.bufferCount))) != nil,
          layout.byteCounts.contains(where: { $0 > 4096 })
        {
          Issue.record("offer \(index) fits and does not: \(bytes)")
          return
        }
      }
      for kind in HandoverReply.Kind.allCases {
        guard let reply = try? HandoverReply(parsing: bytes, expecting: kind) else { continue }
        taken += 1
        guard reply.bytes == bytes else {
          Issue.record("reply \(index) changes: \(bytes)")
          return
        }
      }
    }
    #expect(taken > ParserFuzzTests.inputs / 100)
    print("\(ParserFuzzTests.inputs) damaged messages of a hand-over; \(taken) were taken")
  }
}
