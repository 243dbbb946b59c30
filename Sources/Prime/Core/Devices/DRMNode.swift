/// A character device under `/dev/dri`.
public struct DRMNode: Hashable, Sendable {
  /// What a node lets its opener do.
  public enum Kind: String, Hashable, Sendable, Codable {
    /// `card*`: everything, mode setting included.
    case primary
    /// `renderD*`: rendering, import and export, no dumb buffers and no mode setting.
    case render

    /// What the kernel's names of such nodes begin with.
    var prefix: String {
      switch self {
      case .primary: "card"
      case .render: "renderD"
      }
    }
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

  /// Names a node by its path alone, as the kernel names them.
  package init(path: String) {
    self.init(path: path, kind: path.lastComponent.hasPrefix(Kind.render.prefix) ? .render : .primary)
  }

  /// DRM's major number (`DRM_MAJOR` in the kernel's `include/drm/drm.h`).
  static let majorNumber: UInt32 = 226

  /// Primary and render nodes have minors of their own ranges, 0 to 63 and 128 to 191; nil for what is no such node.
  static func kind(of number: DeviceNumber) -> Kind? {
    guard number.major == majorNumber else { return nil }
    return switch number.minor {
    case 0...63: .primary
    case 128...191: .render
    default: nil
    }
  }
}
