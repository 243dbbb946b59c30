internal import Glibc

/// A checksum of each frame that reaches a CRTC, from debugfs (`Documentation/gpu/drm-kms-helpers`, CRC ABI).
///
/// How a driver computes it is its own affair: equal pictures give equal checksums on one CRTC, and that is all. It needs
/// root and a driver that implements it.
package final class PipeCRC {
  private let data: Descriptor
  private let subject: String
  /// When the last entry came that counted.
  private var lastCame: SuspendingClock.Instant?

  /// One frame's checksum.
  package struct Entry: Hashable, Sendable {
    /// The frame counter; nil where the driver has none (`XXXXXXXXXX`).
    var frame: UInt64?
    /// The values, as many as the source gives.
    package var values: [UInt32]
  }

  /// What computes them when nobody asks for anything else.
  package static let defaultSource = "auto"

  /// The sources that a driver lists for a CRTC, the default one first.
  ///
  /// - Throws: `open` with `ENOENT` where the driver has no checksums or debugfs is not mounted, `EACCES` without root.
  package static func sources(of device: Device, crtcIndex: Int) throws(PrimeError) -> [String] {
    let path = "\(folder(of: device))/crtc-\(crtcIndex)/crc/control"
    let control = Descriptor(
      adopting: try answer(
        device.kernel.open(path, flags: O_RDONLY), "open", on: path, reason: absence(device.kernel)),
      kernel: device.kernel)
    var text: [UInt8] = []
    while true {
      let bytes = try answer(device.kernel.read(control.rawValue, limit: 4096), "read", on: path)
      guard !bytes.isEmpty else { break }
      text += bytes
    }
    // The one that is chosen is marked with an asterisk (`crc_control_show`); `none` switches the checksums off.
    let names = String(decoding: text, as: UTF8.self).split(separator: "\n").map { line in
      line.hasSuffix("*") ? String(line.dropLast()) : String(line)
    }
    return [defaultSource] + names.filter { ![defaultSource, "none", ""].contains($0) }
  }

  /// Starts a source on a CRTC.
  ///
  /// A full modeset ends it, so it is started after the mode was set.
  ///
  /// - Throws: as `sources`; `write` with `EINVAL` for a source that is none; `open` with `EBUSY` where somebody else has
  ///   started one.
  package init(of device: Device, crtcIndex: Int, source: String = PipeCRC.defaultSource) throws(PrimeError) {
    subject = device.subject
    let folder = "\(Self.folder(of: device))/crtc-\(crtcIndex)/crc"
    let control = Descriptor(
      adopting: try Self.answer(
        device.kernel.open("\(folder)/control", flags: O_WRONLY), "open", on: "\(folder)/control",
        reason: Self.absence(device.kernel)),
      kernel: device.kernel)
    _ = try Self.answer(
      device.kernel.write(control.rawValue, Array(source.utf8)), "write", on: "\(folder)/control")
    // Opening the data file is what starts the source.
    data = Descriptor(
      adopting: try Self.answer(
        device.kernel.open("\(folder)/data", flags: O_RDONLY | O_NONBLOCK), "open", on: "\(folder)/data"),
      kernel: device.kernel)
  }

  /// What a file of debugfs answered, or an error that says which it was.
  private static func answer<Value>(
    _ result: CallResult<Value>, _ call: PrimeError.Operation, on subject: String,
    reason: @autoclosure () -> String? = nil
  ) throws(PrimeError) -> Value {
    do throws(PrimeError) {
      return try result.orThrow(call, on: subject, reason: reason())
    } catch {
      throw error.ofDebugfs()
    }
  }

  private static func absence(_ kernel: any FileCalls) -> String {
    kernel.exists("/sys/kernel/debug/dri")
      ? "this driver gives no frame checksums" : "frame checksums are read from debugfs: mount it and run as root"
  }

  /// The debugfs folder of a device is named by the number of its primary node, whatever the node is called.
  static func folder(of device: Device) -> String {
    "/sys/kernel/debug/dri/\(device.identity.number.minor)"
  }

  /// The checksum that was computed next.
  ///
  /// A driver that is slower than its frames computes one for several of them and hands them out together (vkms does), so
  /// what comes at one moment counts as one, and the last of it is what counts.
  ///
  /// Nil where none comes until `end`; once `deadline` has passed it throws.
  private func next(until end: Deadline, deadline: Deadline) throws(PrimeError) -> Entry? {
    while true {
      do throws(PrimeError) {
        try data.kernel.awaitEvents(Int16(POLLIN), of: data.rawValue, "a frame checksum", deadline: end, on: subject)
      } catch {
        guard error.finding == .deadline, deadline.remaining > .zero else { throw error }
        return nil
      }
      try deadline.check("read a frame checksum", on: subject)
      let isSameMoment = lastCame.map { data.kernel.now - $0 < Self.moment } ?? false
      guard let entry = try drained(), !isSameMoment else { continue }
      lastCame = data.kernel.now
      return entry
    }
  }

  /// Entries that come within this time are one: frames are at least twice as long.
  private static let moment = Duration.milliseconds(3)

  /// The next `count` checksums, whichever frames they are of.
  package func following(_ count: Int, deadline: Deadline) throws(PrimeError) -> [Entry] {
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
      case let failed: text += try Self.answer(failed, "read", on: subject)
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
  ///
  /// - Throws: `crc`, untestable, where they do not agree within `patience`, or none come.
  package func settled(patience: Duration = .seconds(1), deadline: Deadline) throws(PrimeError) -> Entry {
    _ = try drained()
    let end = deadline.atMost(patience)
    var count = 0
    var last: Entry?
    while true {
      let entry = try next(until: deadline.atMost(Self.longestFrame), deadline: deadline)
      guard let entry else { break }
      count += 1
      if count > Self.passedOver, entry.values == last?.values { return entry }
      last = entry
      // A slow machine has few in that time, which says nothing of the display.
      if end.remaining == .zero && count >= Self.passedOver + 6 { break }
    }
    throw .untestable(
      .crc, on: subject,
      reason: count == 0
        ? "no frame checksum came within \(Self.longestFrame.wholeSeconds)"
        : "no two of \(count) frame checksums of one picture agree (dithering, PSR or DSC make them so)")
  }

  /// A checksum that is none of those known so far, for a caller who has just flipped to another picture; nil where none
  /// comes.
  ///
  /// Checksums that were on their way are known, so that a new one is the new picture's as soon as it came so many `times` in
  /// a row: once from a source that is steady, twice from another. When a source has just been started, two may be on their
  /// way of what the CRTC showed before.
  package func fresh(unlike known: Set<[UInt32]>, times: Int, deadline: Deadline) throws(PrimeError) -> Entry? {
    var last: Entry?
    var count = 0
    for _ in 0..<Self.passedOver + 4 {
      guard let entry = try next(until: deadline.atMost(Self.longestFrame), deadline: deadline) else { return nil }
      count = entry.values == last?.values ? count + 1 : 1
      if !known.contains(entry.values), count >= times { return entry }
      last = entry
    }
    return nil
  }

  /// How long one is waited for, on whatever machine.
  private static let longestFrame = Duration.seconds(3)

  /// How many checksums after two flips may be of something else.
  private static let passedOver = 4

  /// A line is a frame counter and values, all hexadecimal with a prefix (`crtc_crc_read`).
  static func parse(_ line: String) -> Entry? {
    let fields = line.split(whereSeparator: \.isWhitespace)
    guard fields.count >= 2 else { return nil }
    let values = fields.dropFirst().compactMap { UInt64(hexadecimal: String($0)).flatMap(UInt32.init(exactly:)) }
    guard values.count == fields.count - 1 else { return nil }
    return Entry(frame: UInt64(hexadecimal: String(fields[0])), values: values)
  }
}
