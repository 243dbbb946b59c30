/// The number of a KMS object on its device (`drm_mode_object`), typed so that a plane's is not taken for a CRTC's.
public protocol DisplayObjectID: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible
where RawValue == UInt32 {
  /// Wraps the number that the kernel gave.
  init(rawValue: UInt32)
}

extension DisplayObjectID {
  /// The number.
  public var description: String { "\(rawValue)" }
}

/// The object id of a CRTC.
public struct CRTCID: DisplayObjectID {
  /// The number that the kernel gave.
  public let rawValue: UInt32

  /// Wraps the number that the kernel gave.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// The object id of a plane.
public struct PlaneID: DisplayObjectID {
  /// The number that the kernel gave.
  public let rawValue: UInt32

  /// Wraps the number that the kernel gave.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// The object id of a connector.
public struct ConnectorID: DisplayObjectID {
  /// The number that the kernel gave.
  public let rawValue: UInt32

  /// Wraps the number that the kernel gave.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// The object id of a framebuffer.
public struct FramebufferID: DisplayObjectID {
  /// The number that the kernel gave.
  public let rawValue: UInt32

  /// Wraps the number that the kernel gave.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// The id of a property blob.
package struct BlobID: DisplayObjectID {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }
}
