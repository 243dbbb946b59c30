import Glibc
import Synchronization

@testable import Prime

/// What a CRTC's checksum is computed of.
enum ChecksumLie: Hashable, Sendable {
  case none
  case constant
  case firstRowOnly
  case withoutOddRows
  case withoutEvenRows
  case withoutLastRow
  case upperHalf
  case withoutLastColumn
  case withoutUpperLeftPixel
  /// Only blue counts, or only red and green do.
  case blueOnly
  case withoutBlue
  /// A sum of pixels, which has no order.
  case sum
  /// A sum of the checksums of rows.
  case sumOfRows
  /// Another one for every frame.
  case neverSettles
  /// Starting the source fails.
  case cannotStart
  /// No frame has one.
  case never

  func covers(_ row: Int, of rows: Int) -> Bool {
    switch self {
    case .firstRowOnly: row == 0
    case .withoutOddRows: row.isMultiple(of: 2)
    case .withoutEvenRows: !row.isMultiple(of: 2)
    case .withoutLastRow: row < rows - 1
    case .upperHalf: row < rows / 2
    default: true
    }
  }
}

/// The checksums of one CRTC.
struct FakeChecksums {
  /// How long the display takes for a frame.
  static let frameTime = Duration.milliseconds(16)

  var source = "auto"
  var isStarted = false
  var frame = 0
  var pending: [UInt8] = []
  /// Checksums are two frames late.
  var inFlight: [UInt32] = []
  /// What the data file gives in place of checksums of what is shown, one piece each time that it becomes ready.
  var script: [Piece]?
  var failure: Errno?

  /// What the next read answers.
  struct Piece: Sendable {
    var answer: CallResult<String>
    /// How long it takes to come.
    var after = FakeChecksums.frameTime
  }

  /// Takes the next piece of the script; false where there is none left.
  mutating func playNext(_ clock: inout FakeClock) -> Bool {
    guard let piece = script?.first else { return false }
    script?.removeFirst()
    clock.wait(piece.after)
    switch piece.answer {
    case .success(let text): pending += Array(text.utf8)
    case .failure(let errno): failure = errno
    }
    return true
  }

  mutating func taken() -> CallResult<[UInt8]> {
    if let errno = failure.take() { return .failure(errno) }
    guard !pending.isEmpty else { return .failure(.tryAgain) }
    defer { pending = [] }
    return .success(pending)
  }
}

extension FakeKernel {
  /// Has the checksums of a device's CRTC be these, and no more after them.
  func giveChecksums(_ pieces: [FakeChecksums.Piece], onDevice device: Int = 1) {
    state.withLock { $0.devices[device].checksums.script = pieces }
  }

  /// A `drm_event_vblank` of a flip.
  static func flipEvent(_ userData: UInt64) -> [UInt8] {
    func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    return bytes(2, 4) + bytes(32, 4) + bytes(userData, 8) + bytes(1, 4) + bytes(0, 4) + bytes(userData, 4)
      + bytes(UInt64(FakeDevice.crtc), 4)
  }
}

extension FakeKernel.State {
  /// Whether nothing composes the frame that a writeback waits for.
  var hasLostWriteback: Bool {
    faults.losesWritebacks
      && !descriptors.values.contains { if case .checksumData = $0 { true } else { false } }
  }

  func checksumFile(_ path: String) -> FakeKernel.FileKind? {
    for index in devices.indices where devices[index].setup.checksumSources != nil {
      let folder = "/sys/kernel/debug/dri/\(index)/crtc-0/crc"
      if path == "\(folder)/control" { return .checksumControl(device: index) }
      if path == "\(folder)/data" { return .checksumData(device: index) }
    }
    return nil
  }

  /// The sources, one a line, the chosen one with an asterisk (`crc_control_show`).
  mutating func listing(ofDevice device: Int, to descriptor: CInt) -> [UInt8] {
    guard reads[descriptor] == false else { return [] }
    reads[descriptor] = true
    let chosen = devices[device].checksums.source
    let lines = (devices[device].setup.checksumSources ?? []).map { $0 == chosen ? "\($0)*\n" : "\($0)\n" }
    return Array(lines.joined().utf8)
  }

  mutating func choose(_ source: String, onDevice device: Int) -> CallResult<Void> {
    guard devices[device].setup.checksumSources?.contains(source) == true else { return .failure(.invalidArgument) }
    guard faults.checksum != .cannotStart || !faults.badSources.contains(source) else {
      return .failure(.invalidArgument)
    }
    devices[device].checksums.source = source
    return .success(())
  }

  /// Composes a frame and computes its checksum.
  mutating func nextChecksum(ofDevice device: Int) -> Int16 {
    var checksums = devices[device].checksums
    defer { devices[device].checksums = checksums }
    if checksums.script != nil { return checksums.playNext(&clock) ? Int16(POLLIN) : 0 }
    let lie = faults.badSources.contains(checksums.source) ? faults.checksum : .none
    guard lie != .never else { return 0 }
    checksums.frame += 1
    clock.wait(FakeChecksums.frameTime)
    checksums.inFlight.append(value(lie, checksums.frame, device: device))
    guard checksums.inFlight.count > 2 else { return 0 }
    let value = checksums.inFlight.removeFirst()
    checksums.pending += Array("0x\(String(checksums.frame, radix: 16)) 0x\(String(value, radix: 16))\n".utf8)
    return Int16(POLLIN)
  }

  private func value(_ lie: ChecksumLie, _ frame: Int, device: Int) -> UInt32 {
    let objects = devices[device].objects
    guard let mode = devices[device].blobs[UInt32(objects[FakeDevice.crtc]?["MODE_ID"] ?? 0)], mode.count == 68,
      let format = PixelFormat(.xrgb8888)
    else { return 0 }
    let (width, height) = (Int(mode[4]), Int(mode[14]))
    let request = KMSFramebufferRequest(
      width: UInt32(width), height: UInt32(height), fourcc: Fourcc.xrgb8888.rawValue, modifier: nil,
      planes: [GBMPlane(handle: 0, offset: 0, pitch: UInt32(width * 4))])
    let black = [UInt8](repeating: 0, count: width * height * 4)
    guard let bytes = try? composed(objects, onto: black, request, format, device: device) else { return 0 }
    var hash: UInt32 = lie == .neverSettles ? UInt32(frame) : 0x811c_9dc5
    guard lie != .constant else { return hash }
    var sum: UInt32 = 0
    for y in 0..<height where lie.covers(y, of: height) {
      if lie == .sumOfRows {
        sum &+= hash
        hash = 0x811c_9dc5
      }
      for x in 0..<width {
        if lie == .withoutLastColumn && x == width - 1 { continue }
        if lie == .withoutUpperLeftPixel && x == 0 && y == 0 { continue }
        if lie == .sum {
          hash = 0x811c_9dc5
          defer { sum &+= hash }
          for byte in 0..<3 { hash = (hash ^ UInt32(bytes[(y * width + x) * 4 + byte])) &* 0x0100_0193 }
          continue
        }
        let counted = lie == .blueOnly ? 0..<1 : lie == .withoutBlue ? 1..<3 : 0..<3
        for byte in counted { hash = (hash ^ UInt32(bytes[(y * width + x) * 4 + byte])) &* 0x0100_0193 }
      }
    }
    return lie == .sum || lie == .sumOfRows ? sum &+ hash : hash
  }
}
