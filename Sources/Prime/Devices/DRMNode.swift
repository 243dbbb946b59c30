/// A character device under `/dev/dri`.
public struct DRMNode: Hashable, Sendable {
  /// What a node lets its opener do.
  public enum Kind: String, Hashable, Sendable, Codable {
    /// `card*`: everything, mode setting included.
    case primary
    /// `renderD*`: rendering, import and export, no dumb buffers and no mode setting.
    case render
  }

  /// The path to open, for example `/dev/dri/card0`.
  public let path: String
  /// Primary or render.
  public let kind: Kind

  /// Names a node.
  public init(path: String, kind: Kind) {
    self.path = path
    self.kind = kind
  }

  /// DRM's major number (`DRM_MAJOR` in the kernel's `include/drm/drm.h`).
  static let majorNumber: UInt32 = 226

  /// Primary and render nodes have minors of their own ranges: 0 to 63, and 128 to 191.
  static func kind(ofMinor minor: UInt32) -> Kind? {
    switch minor {
    case 0...63: .primary
    case 128...191: .render
    default: nil
    }
  }
}
