internal import Glibc

/// A checksum of each frame that reaches a CRTC, from debugfs (`Documentation/gpu/drm-kms-helpers`, CRC ABI).
///
/// How a driver computes it is its own affair: equal pictures give equal checksums on one CRTC, and that is all. It needs
/// root and a driver that implements it.
final class PipeCRC {
  private let data: Descriptor
  private let subject: String
  private var pending: [UInt8] = []

  /// One frame's checksum.
  struct Entry: Hashable, Sendable {
    /// The frame counter; nil where the driver has none (`XXXXXXXXXX`).
    var frame: UInt64?
    /// The values, as many as the source gives.
    var values: [UInt32]
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
  private static func folder(of device: Device) throws(PrimeError) -> String {
    let number = device.node.path.reversed().prefix { $0.isNumber }.reversed()
    let root = "/sys/kernel/debug/dri"
    guard FileSystem.exists(root) else {
      throw PrimeError(
        operation: "open", errno: .noSuchFile, subject: root,
        reason: "frame checksums are read from debugfs: mount it and run as root")
    }
    return "\(root)/\(String(number))"
  }

  /// The next frame's checksum.
  func next(deadline: Deadline) throws(PrimeError) -> Entry {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[..<end], as: UTF8.self)
        pending.removeFirst(end + 1)
        if let entry = Self.parse(line) { return entry }
        continue
      }
      switch data.kernel.poll(data.rawValue, events: Int16(POLLIN), milliseconds: deadline.pollSlice) {
      case .success(0), .failure(.interrupted), .failure(.tryAgain):
        try deadline.check("poll for a frame checksum", on: subject)
        continue
      case .success: break
      case .failure(let errno): throw PrimeError(operation: "poll", errno: errno, subject: subject)
      }
      switch data.kernel.read(data.rawValue, limit: 4096) {
      case .success(let bytes): pending += bytes
      case .failure(.tryAgain), .failure(.interrupted): try deadline.check("read a frame checksum", on: subject)
      case .failure(let errno): throw PrimeError(operation: "read", errno: errno, subject: subject)
      }
    }
  }

  /// The checksum of what is on the CRTC: the first that two frames in a row agree on.
  ///
  /// Drivers compute checksums some frames late, so those up to the frame `sequence`, at which the picture appeared, and the
  /// one behind it, which may have been composed before, are passed over.
  func settled(after sequence: UInt32?, deadline: Deadline) throws(PrimeError) -> Entry {
    pending = []
    while case .success(let bytes) = data.kernel.read(data.rawValue, limit: 4096), !bytes.isEmpty {}
    var last = try next(deadline: deadline)
    while let sequence, let frame = last.frame, frame <= UInt64(sequence) + 1 { last = try next(deadline: deadline) }
    last = try next(deadline: deadline)
    while true {
      let entry = try next(deadline: deadline)
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
