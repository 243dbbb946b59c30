internal import Glibc

/// A checksum of each frame that reaches a CRTC, from debugfs (`Documentation/gpu/drm-kms-helpers`, CRC ABI).
///
/// How a driver computes it is its own affair: equal pictures give equal checksums on one CRTC, and that is all. It needs
/// root and a driver that implements it.
final class PipeCRC {
  private let data: Descriptor
  private let subject: String

  /// One frame's checksum.
  struct Entry: Hashable, Sendable {
    /// The frame counter; nil where the driver has none (`XXXXXXXXXX`).
    var frame: UInt64?
    /// The values, as many as the source gives.
    var values: [UInt32]
  }

  /// Whether a driver has checksums for any of its CRTCs, as far as the caller may see.
  static func isOffered(by device: Device) -> Bool {
    guard let folder = try? folder(of: device) else { return false }
    return FileSystem.entries(of: folder).contains { FileSystem.exists("\(folder)/\($0)/crc/control") }
  }

  /// Starts the driver's default source on a CRTC.
  ///
  /// A full modeset ends it, so it is started after the mode was set.
  ///
  /// - Throws: `open` with `ENOENT` where the driver has no checksums or debugfs is not mounted, `EACCES` without root.
  init(of device: Device, crtcIndex: Int) throws(PrimeError) {
    subject = device.subject
    let folder = try Self.folder(of: device) + "/crtc-\(crtcIndex)/crc"
    let control = Descriptor(
      adopting: try device.kernel.open("\(folder)/control", flags: O_WRONLY).orThrow(
        "open", on: "\(folder)/control", reason: "this driver gives no frame checksums"),
      kernel: device.kernel)
    _ = try device.kernel.write(control.rawValue, Array("auto".utf8)).orThrow("write", on: "\(folder)/control")
    // Opening the data file is what starts the source.
    data = Descriptor(
      adopting: try device.kernel.open("\(folder)/data", flags: O_RDONLY | O_NONBLOCK)
        .orThrow("open", on: "\(folder)/data"),
      kernel: device.kernel)
  }

  /// The debugfs folder of a device is named by the number of its primary node.
  static func folder(of device: Device) throws(PrimeError) -> String {
    let number = device.node.path.reversed().prefix { $0.isNumber }.reversed()
    let root = "/sys/kernel/debug/dri"
    guard FileSystem.exists(root) else {
      throw PrimeError(
        operation: "open", errno: .noSuchFile, subject: root,
        reason: "frame checksums are read from debugfs: mount it and run as root")
    }
    return "\(root)/\(String(number))"
  }

  /// The checksum that was computed next.
  ///
  /// A driver that is slower than its frames computes one for several of them and hands them out together (vkms does), so
  /// what comes at one moment counts as one.
  private func nextComputed(deadline: Deadline) throws(PrimeError) -> Entry {
    while true {
      try data.kernel.awaitEvents(
        Int16(POLLIN), of: data.rawValue, "a frame checksum", deadline: deadline, on: subject)
      Pause.milliseconds(5)
      if let entry = try drained() { return entry }
      try deadline.check("read a frame checksum", on: subject)
    }
  }

  /// The next `count` checksums, whichever frames they are of.
  func following(_ count: Int, deadline: Deadline) throws(PrimeError) -> [Entry] {
    var entries: [Entry] = []
    while entries.count < count {
      try data.kernel.awaitEvents(
        Int16(POLLIN), of: data.rawValue, "a frame checksum", deadline: deadline, on: subject)
      entries += try drainedEntries()
      try deadline.check("read frame checksums", on: subject)
    }
    return Array(entries.prefix(count))
  }

  /// Takes everything that is there and gives the last of it.
  private func drained() throws(PrimeError) -> Entry? { try drainedEntries().last }

  private func drainedEntries() throws(PrimeError) -> [Entry] {
    var text: [UInt8] = []
    while true {
      switch data.kernel.read(data.rawValue, limit: 4096) {
      case .success(let bytes) where bytes.isEmpty: return Self.entries(of: text)
      case .success(let bytes): text += bytes
      case .failure(.tryAgain): return Self.entries(of: text)
      case .failure(.interrupted): continue
      case .failure(let errno): throw PrimeError(operation: "read", errno: errno, subject: subject)
      }
    }
  }

  private static func entries(of text: [UInt8]) -> [Entry] {
    String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { parse(String($0)) }
  }

  /// The checksum of what is on the CRTC, for a caller who has just flipped twice to the same picture.
  ///
  /// When the second flip has happened, checksums of the picture before it and of the two flips may still be on their way;
  /// their frame counters are no help, since vkms computes them late. So those three are passed over, and one more for
  /// hardware that takes a frame from the plane to the checksum. Two in a row must then agree.
  func settled(deadline: Deadline) throws(PrimeError) -> Entry {
    _ = try drained()
    for _ in 0..<4 { _ = try nextComputed(deadline: deadline) }
    var last = try nextComputed(deadline: deadline)
    while true {
      let entry = try nextComputed(deadline: deadline)
      if entry.values == last.values { return entry }
      last = entry
      try deadline.check("wait for a steady frame checksum", on: subject)
    }
  }

  /// A line is a frame counter and values, all hexadecimal with a prefix (`crtc_crc_read`).
  static func parse(_ line: String) -> Entry? {
    let fields = line.split(whereSeparator: \.isWhitespace)
    guard fields.count >= 2 else { return nil }
    let values = fields.dropFirst().compactMap { UInt64(hexadecimal: String($0)).flatMap(UInt32.init(exactly:)) }
    guard values.count == fields.count - 1 else { return nil }
    return Entry(frame: UInt64(hexadecimal: String(fields[0])), values: values)
  }
}
