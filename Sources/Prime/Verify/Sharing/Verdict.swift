internal import Prime

/// What is known of one pair after its check.
public enum Verdict: String, Hashable, Sendable, Codable, CaseIterable {
  /// The importer's engine read the buffer, and saw what was written after the import.
  case proven
  /// The importer holds the very same dma-buf, and its mapping of it is known to have been made.
  case shared
  /// The importer holds the very same dma-buf and nothing more is known: it may map it at its first use only, and fail then.
  case held
  /// Another process says that the buffer arrived; this side did not look.
  case reported
  /// The kernel declined a step, with an errno that says so.
  case refused
  /// Something else arrived than what was written.
  case mismatch
  /// The tool cannot look here, or the machine lacks what it needs; nothing was refused.
  case untested
  /// A step failed that has nothing to decline, or the check itself does not hold.
  case error

  /// Whether the importer can reach the buffer's memory; a handle alone (`held`) is no pass.
  public var passes: Bool { self == .proven || self == .shared }

  /// Whether the importer has a handle of the buffer at least, or says so.
  public var arrives: Bool { passes || self == .held || self == .reported }

  /// The verdicts of a check that looks by itself.
  package static let ofCells = allCases.filter { $0 != .reported }
}

/// Who looked at the buffer on the importing side, the strongest first.
public enum ObserverName: String, Hashable, Sendable, Codable, CaseIterable {
  /// The importer's display engine fetched the picture and wrote it into another buffer.
  case writeback
  /// The checksum of the CRTC that shows it, equal to that of a picture drawn on the device itself.
  case crc
  /// The importer's GPU read it, in a program of its own.
  case gpu
  /// The importer's Mesa driver mapped or copied it (`gbm_bo_map`).
  case gbmMap = "gbm-map"
  /// The importer's own mapping of its handle (`MODE_MAP_DUMB`).
  case nativeMap = "native-map"
  /// The importing video device read the buffer and wrote what it read into another one.
  case v4l2
  /// The importing video device wrote into the buffer, and the exporter looked at it.
  case v4l2Capture = "v4l2-capture"
  /// The importer's handle, exported again, is the same dma-buf. This is not the importer looking.
  case identity

  /// Whether it shows what the importing device can read, not only what it holds.
  public var isProof: Bool { self != .identity }
}

/// Which side declined a step.
public enum Refuser: String, Hashable, Sendable, Codable {
  /// The device or memory that the buffer comes from.
  case exporter
  /// The device that the buffer is handed to.
  case importer
  /// The import failed, and nothing else that ran tells which side is the cause.
  case either
  /// Neither: this machine's way to map memory for a device, which no driver chose.
  case machine
}
