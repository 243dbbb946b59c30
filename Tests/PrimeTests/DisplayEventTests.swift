import Prime
import Testing

@Suite("Events of a display engine")
struct DisplayEventTests {
  @Test("One read of vkms gives a flip, a vblank and a CRTC sequence")
  func vkms() throws {
    let time = DisplayEvent.Timestamp(seconds: 6, microseconds: 314172)
    #expect(
      try DisplayEvent.parse(Recording.bytes("events/vkms.bin")) == [
        .flipComplete(userData: 0x1122_3344_5566_7788, crtc: 38, sequence: 3, time: time),
        .vblank(userData: 0xabcd_ef01, crtc: 38, sequence: 3, time: time),
        .crtcSequence(userData: 0xfeed_face_cafe_beef, sequence: 4, nanoseconds: 6_330_837_937),
      ])
    #expect(time.duration == .microseconds(6_314_172))
  }

  static let flips: [(file: String, crtc: UInt32, seconds: UInt32, microseconds: UInt32)] = [
    ("cirrus", 34, 6, 698034), ("bochs", 36, 7, 49539), ("virtio_gpu", 36, 7, 407830), ("qxl", 41, 7, 837910),
  ]

  @Test("One read of a driver without vblanks gives its flip", arguments: flips)
  func flip(file: String, crtc: UInt32, seconds: UInt32, microseconds: UInt32) throws {
    #expect(
      try DisplayEvent.parse(Recording.bytes("events/\(file).bin")) == [
        .flipComplete(
          userData: 0x1122_3344_5566_7788, crtc: crtc, sequence: 0,
          time: .init(seconds: seconds, microseconds: microseconds))
      ])
  }

  @Test("An unknown event is kept with its bytes, and what follows it is read")
  func unknown() throws {
    let strange = ByteWriter().adding(UInt32(0x8000_0001), 12).adding(UInt32(0xdead_beef)).bytes
    let bare = ByteWriter().adding(UInt32(0), 8).bytes
    let known = try Recording.bytes("events/qxl.bin")
    let events = try DisplayEvent.parse(strange + bare + known)
    #expect(events.count == 3)
    #expect(events[0] == .unknown(type: 0x8000_0001, bytes: strange))
    #expect(events[1] == .unknown(type: 0, bytes: bare))
    #expect(try events[2] == DisplayEvent.parse(known)[0])
  }

  @Test("An event that is longer than its type is read, and its length is believed")
  func longer() throws {
    let known = try Recording.bytes("events/vkms.bin")
    let extended = Array(known[..<32]).replacing(at: 4, with: 40) + [UInt8](repeating: 0xff, count: 8)
    #expect(try DisplayEvent.parse(extended + known[32...]) == DisplayEvent.parse(known))
  }

  @Test("Every truncation says how far it got, and what came before can be read")
  func truncated() throws {
    let bytes = try Recording.bytes("events/vkms.bin")
    let all = try DisplayEvent.parse(bytes)
    for count in 0...bytes.count {
      let cut = Array(bytes.prefix(count))
      guard count % 32 != 0 else {
        #expect(try DisplayEvent.parse(cut) == Array(all.prefix(count / 32)))
        continue
      }
      let offset = count / 32 * 32
      #expect(
        throws: BlobError.eventCutOff(
          offset: offset, complete: count / 32, needed: count - offset < 8 ? 8 : 32, found: count - offset)
      ) { try DisplayEvent.parse(cut) }
      #expect(try DisplayEvent.parse(Array(cut.prefix(offset))) == Array(all.prefix(count / 32)))
    }
    let error = #expect(throws: BlobError.self) { try DisplayEvent.parse(Array(bytes.prefix(63))) }
    #expect(
      error?.description == "the event at byte 32, behind 1 complete event, needs 32 bytes, but only 31 are left")
  }

  static let lengths: [(type: UInt32, length: UInt32, needed: Int)] = [
    (2, 0, 32), (1, 7, 32), (3, 31, 32), (99, 0, 8), (99, 7, 8),
  ]

  @Test("A length that its type cannot have is refused, zero above all", arguments: lengths)
  func length(type: UInt32, length: UInt32, needed: Int) throws {
    let good = try Recording.bytes("events/qxl.bin")
    let bad = good.replacing(at: 0, with: type).replacing(at: 4, with: length)
    let error = #expect(
      throws: BlobError.eventLength(offset: 32, complete: 1, type: type, length: length, needed: needed)
    ) { try DisplayEvent.parse(good + bad) }
    #expect(
      error?.description
        == "the event at byte 32, behind 1 complete event, says that its length is \(length), "
        + "but type \(type) needs \(needed) bytes")
  }

  @Test("A length far beyond the bytes is refused")
  func endless() throws {
    let bytes = try Recording.bytes("events/qxl.bin").replacing(at: 4, with: .max)
    #expect(throws: BlobError.eventCutOff(offset: 0, complete: 0, needed: 0xffff_ffff, found: 32)) {
      try DisplayEvent.parse(bytes)
    }
  }
}
