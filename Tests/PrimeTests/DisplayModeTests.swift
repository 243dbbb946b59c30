import Prime
import Testing

@Suite("Video modes")
struct DisplayModeTests {
  /// The modes of a recorded list.
  static func list(_ driver: String) throws -> [DisplayMode] {
    let bytes = try Recording.bytes("modes/\(driver)-list.bin")
    return try stride(from: 0, to: bytes.count, by: DisplayMode.byteCount).map {
      try DisplayMode(parsing: Array(bytes[$0..<$0 + DisplayMode.byteCount]))
    }
  }

  @Test("A recorded MODE_ID blob gives every field")
  func fields() throws {
    let mode = try DisplayMode(parsing: Recording.bytes("modes/vkms-mode-id.bin"))
    #expect(mode.clock == 65000)
    #expect([mode.hdisplay, mode.hsyncStart, mode.hsyncEnd, mode.htotal, mode.hskew] == [1024, 1048, 1184, 1344, 0])
    #expect([mode.vdisplay, mode.vsyncStart, mode.vsyncEnd, mode.vtotal, mode.vscan] == [768, 771, 777, 806, 0])
    #expect(mode.vrefresh == 60)
    #expect(mode.flags == 0xa)
    #expect(mode.type == 0x48)
    #expect(mode.name == "1024x768")
    #expect(mode.isPreferred)
    #expect(!mode.isInterlaced)
    #expect(!mode.isDoubleScan)
    #expect(mode.refreshMillihertz == 60004)
    #expect(mode.description == "1024x768@60.004")
  }

  static let drivers: [(name: String, count: Int, first: String, last: String)] = [
    ("vkms", 34, "1024x768@60.004", "640x480@59.940"), ("cirrus", 11, "1024x768@60.004", "640x480@59.940"),
    ("bochs", 15, "1280x800@74.994", "640x480@59.940"), ("virtio_gpu", 26, "1280x800@74.994", "640x480@59.940"),
    ("qxl", 35, "1024x768@60.004", "640x480@59.940"),
  ]

  @Test("Every recorded mode comes out with the bytes it came in with", arguments: drivers)
  func roundTrip(name: String, count: Int, first: String, last: String) throws {
    let modes = try Self.list(name)
    #expect(modes.count == count)
    #expect(modes.first?.description == first)
    #expect(modes.last?.description == last)
    #expect(try modes.flatMap(\.bytes) == Recording.bytes("modes/\(name)-list.bin"))
    #expect(try modes[0].bytes == Recording.bytes("modes/\(name)-mode-id.bin"))
    // The kernel's own rounding of every one of them.
    for mode in modes { #expect(mode.refreshMillihertz.map { ($0 + 500) / 1000 } == Int(mode.vrefresh)) }
  }

  @Test("Bytes behind the end of the name survive, and a name of 32 bytes has no end")
  func name() throws {
    var bytes = try Recording.bytes("modes/vkms-mode-id.bin")
    bytes[50] = 0x41
    #expect(try DisplayMode(parsing: bytes).bytes == bytes)
    #expect(try DisplayMode(parsing: bytes).name == "1024x768")
    #expect(try DisplayMode(parsing: bytes) != DisplayMode(parsing: Recording.bytes("modes/vkms-mode-id.bin")))
    for position in 36..<68 { bytes[position] = 0x78 }
    #expect(try DisplayMode(parsing: bytes).name == String(repeating: "x", count: 32))
    bytes.replaceSubrange(36..<40, with: [0x1b, 0x5b, 0xff, 0])
    #expect(try DisplayMode(parsing: bytes).name == "\u{fffd}[\u{fffd}")
  }

  @Test("A changed field is written where the kernel reads it")
  func writing() throws {
    var mode = try DisplayMode(parsing: [UInt8](repeating: 0, count: 68))
    mode.clock = 0x0403_0201
    mode.hdisplay = 0x0605
    mode.hsyncStart = 0x0807
    mode.hsyncEnd = 0x0a09
    mode.htotal = 0x0c0b
    mode.hskew = 0x0e0d
    mode.vdisplay = 0x100f
    mode.vsyncStart = 0x1211
    mode.vsyncEnd = 0x1413
    mode.vtotal = 0x1615
    mode.vscan = 0x1817
    mode.vrefresh = 0x1c1b_1a19
    mode.flags = 0x201f_1e1d
    mode.type = 0x2423_2221
    #expect(mode.bytes == Array(1...36) + [UInt8](repeating: 0, count: 32))
  }

  @Test("Anything but 68 bytes is refused", arguments: [0, 67, 69, 136])
  func size(count: Int) {
    let error = #expect(throws: BlobError.self) { try DisplayMode(parsing: [UInt8](repeating: 0, count: count)) }
    #expect(error?.description == "drm_mode_modeinfo has 68 bytes, but there are \(count)")
  }

  static let rates: [(flags: UInt32, vscan: UInt16, millihertz: Int)] = [
    (0, 0, 60004), (0, 1, 60004), (1 << 4, 0, 120_008), (1 << 5, 0, 30002), (0, 2, 30002), (1 << 5 | 1 << 4, 3, 20001),
  ]

  @Test("Interlaced modes show two fields, doubled lines take twice as long", arguments: rates)
  func rate(flags: UInt32, vscan: UInt16, millihertz: Int) throws {
    var mode = try DisplayMode(parsing: Recording.bytes("modes/vkms-mode-id.bin"))
    mode.flags = flags
    mode.vscan = vscan
    #expect(mode.refreshMillihertz == millihertz)
  }

  @Test("A mode without pixels has no refresh rate, and the largest numbers do not overflow")
  func extremes() throws {
    let empty = try DisplayMode(parsing: [UInt8](repeating: 0, count: 68))
    #expect(empty.refreshMillihertz == nil)
    #expect(empty.description == "0x0")
    var full = try DisplayMode(parsing: [UInt8](repeating: 0xff, count: 68))
    #expect(full.refreshMillihertz == 15)
    #expect(full.description == "65535x65535i@0.015")
    (full.htotal, full.vtotal, full.vscan, full.flags) = (1, 1, 0, 1 << 4)
    #expect(full.refreshMillihertz == 8_589_934_590_000_000)
  }
}

@Suite("A mode asked for in words")
struct ModeRequestTests {
  static let good: [(text: String, width: Int, height: Int, millihertz: Int?, again: String)] = [
    ("1024x768", 1024, 768, nil, "1024x768"), ("1024X768@60", 1024, 768, 60000, "1024x768@60"),
    ("1920x1080@59.94", 1920, 1080, 59940, "1920x1080@59.94"), ("1x1@0.001", 1, 1, 1, "1x1@0.001"),
    ("65535x65535@7.5", 65535, 65535, 7500, "65535x65535@7.5"), ("640x480@060.0", 640, 480, 60000, "640x480@60.0"),
  ]

  @Test("Size and refresh rate are read, and written back", arguments: good)
  func parsing(text: String, width: Int, height: Int, millihertz: Int?, again: String) throws {
    let request = try #require(ModeRequest(parsing: text))
    #expect(request.width == width)
    #expect(request.height == height)
    #expect(request.refreshMillihertz == millihertz)
    #expect(request.description == again)
    #expect(ModeRequest(parsing: again) == request)
  }

  @Test(
    "Everything else is nil",
    arguments: [
      "", "x", "@", "1024", "1024x", "x768", "1024x768@", "1024x768@0", "1024x768@.5", "1024x768@60.",
      "1024x768@60.0000", "1024x768@60@60", "-1x768", "+1024x768", "0x768", "1024x0", "65536x1", "1x65536",
      "1024x768x1", "1024 x768",
      "99999999999999999999x1", "1x1@99999999999999999999", "1024x768@65536", "1024x768@60Hz", "１x１", "1024x768i",
    ])
  func refused(text: String) {
    #expect(ModeRequest(parsing: text) == nil)
  }

  @Test("A rate means what rounds to it, and the nearest mode wins")
  func rates() throws {
    let modes = try DisplayModeTests.list("bochs")
    func best(_ text: String) throws -> String? {
      try #require(ModeRequest(parsing: text)).best(of: modes)?.description
    }
    #expect(try best("640x480@60") == "640x480@60.000")
    #expect(try best("640x480@59.94") == "640x480@59.940")
    #expect(try best("640x480@59.9") == "640x480@59.940")
    #expect(try best("640x480@59") == nil)
    #expect(try best("640x480@59.95") == nil)
    #expect(try best("640x480") == "640x480@60.000")
    #expect(try best("1920x1080@50") == "1920x1080@50.000")
    #expect(try best("1280x800") == "1280x800@74.994")
    #expect(try best("1280x801") == nil)
    #expect(ModeRequest(parsing: "640x480@60").map { request in modes.filter(request.matches).count } == 2)
  }

  @Test("Without a rate the preferred mode of the size wins over those before it")
  func preferred() throws {
    var (first, second) = (try DisplayModeTests.list("qxl")[0], try DisplayModeTests.list("qxl")[0])
    first.type = 1 << 6
    first.clock = 70000
    second.clock = 75000
    let request = try #require(ModeRequest(parsing: "1024x768"))
    #expect(request.best(of: [first, second]) == second)
    second.type = 1 << 6
    #expect(request.best(of: [first, second]) == first)
    second.clock = first.clock
    let rate = try #require(ModeRequest(parsing: "1024x768@65"))
    second.hsyncStart += 1
    #expect(rate.best(of: [first, second]) == first)
    #expect(rate.best(of: [second, first]) == second)
  }

  @Test("The refusal names the nearest modes, by size, then by rate, each once")
  func refusal() throws {
    let modes = try DisplayModeTests.list("cirrus")
    let request = try #require(ModeRequest(parsing: "1024x769"))
    #expect(
      request.refusal(among: modes)
        == "no mode 1024x769; the nearest are 1024x768@60.004, 1280x768@59.870, 1280x768@59.995")
    let rate = try #require(ModeRequest(parsing: "800x600@75"))
    #expect(rate.nearest(in: modes, limit: 2).map(\.description) == ["800x600@60.317", "800x600@56.250"])
    #expect(rate.nearest(in: modes, limit: 0).isEmpty)
    #expect(request.refusal(among: [modes[0], modes[0]]) == "no mode 1024x769; the nearest is 1024x768@60.004")
    #expect(request.refusal(among: []) == "no mode 1024x769: the display lists no modes at all")
  }
}
