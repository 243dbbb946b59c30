/// Something that a display engine reports through `read` on its node: `struct drm_event` and what follows it.
public enum DisplayEvent: Sendable, Hashable {
  /// A vertical blank that was asked for (`DRM_EVENT_VBLANK`).
  ///
  /// `crtc` is 0 on kernels that do not say which CRTC it was.
  case vblank(userData: UInt64, crtc: UInt32, sequence: UInt32, time: Timestamp)

  /// A commit or page flip that is now shown (`DRM_EVENT_FLIP_COMPLETE`).
  ///
  /// `crtc` is 0 on kernels that do not say which CRTC it was.
  case flipComplete(userData: UInt64, crtc: UInt32, sequence: UInt32, time: Timestamp)

  /// A sequence number that was waited for (`DRM_EVENT_CRTC_SEQUENCE`).
  case crtcSequence(userData: UInt64, sequence: UInt64, nanoseconds: Int64)

  /// An event of a type that is not known here, with all of its bytes, the header included.
  case unknown(type: UInt32, bytes: [UInt8])

  /// A moment of the monotonic clock, as the kernel gives it.
  public struct Timestamp: Sendable, Hashable {
    /// The whole seconds.
    public let seconds: UInt32

    /// The rest, in microseconds; the kernel keeps it below a million.
    public let microseconds: UInt32

    /// Keeps the two numbers as they are.
    public init(seconds: UInt32, microseconds: UInt32) {
      self.seconds = seconds
      self.microseconds = microseconds
    }

    /// The time since the clock's start.
    public var duration: Duration {
      .seconds(Int64(seconds)) + .microseconds(Int64(microseconds))
    }
  }

  /// Reads the events that one `read` gave.
  ///
  /// An event that is longer than its type needs is taken, because the kernel may add fields; an event of an unknown type
  /// is kept with its bytes.
  ///
  /// - Throws: `BlobError` where the bytes end inside an event, or an event is too short for its type. The error says how
  ///   many bytes in front of it are complete events; those can be read by themselves.
  public static func parse(_ bytes: [UInt8]) throws(BlobError) -> [DisplayEvent] {
    var events: [DisplayEvent] = []
    var position = 0
    while position < bytes.count {
      let left = bytes.count - position
      guard left >= headerSize else {
        throw .eventCutOff(offset: position, complete: events.count, needed: headerSize, found: left)
      }
      let type = bytes.number(at: position, as: UInt32.self)
      let length = bytes.number(at: position + 4, as: UInt32.self)
      let needed = knownTypes.contains(type) ? knownSize : headerSize
      // A length of zero would never end.
      guard Int(length) >= needed else {
        throw .eventLength(offset: position, complete: events.count, type: type, length: length, needed: needed)
      }
      guard Int(length) <= left else {
        throw .eventCutOff(offset: position, complete: events.count, needed: Int(length), found: left)
      }
      events.append(Self(type: type, in: bytes, at: position, length: Int(length)))
      position += Int(length)
    }
    return events
  }

  private static let headerSize = 8
  /// The size of `drm_event_vblank` as well as of `drm_event_crtc_sequence`.
  private static let knownSize = 32
  private static let knownTypes: ClosedRange<UInt32> = 1...3

  private init(type: UInt32, in bytes: [UInt8], at start: Int, length: Int) {
    guard Self.knownTypes.contains(type) else {
      self = .unknown(type: type, bytes: Array(bytes[start..<start + length]))
      return
    }
    let userData = bytes.number(at: start + 8, as: UInt64.self)
    guard type != 3 else {
      self = .crtcSequence(
        userData: userData, sequence: bytes.number(at: start + 24, as: UInt64.self),
        nanoseconds: Int64(bitPattern: bytes.number(at: start + 16, as: UInt64.self)))
      return
    }
    let time = Timestamp(
      seconds: bytes.number(at: start + 16, as: UInt32.self),
      microseconds: bytes.number(at: start + 20, as: UInt32.self))
    let sequence = bytes.number(at: start + 24, as: UInt32.self)
    let crtc = bytes.number(at: start + 28, as: UInt32.self)
    self =
      type == 1
      ? .vblank(userData: userData, crtc: crtc, sequence: sequence, time: time)
      : .flipComplete(userData: userData, crtc: crtc, sequence: sequence, time: time)
  }
}
