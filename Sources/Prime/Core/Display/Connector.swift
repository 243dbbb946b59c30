/// Where a picture leaves a device: a socket with or without a display, or a writeback connector, which has no wire.
public struct Connector: Hashable, Sendable {
  /// Whether a display answers on the wire.
  public enum Connection: String, Hashable, Sendable, Codable {
    /// A display answers.
    case connected
    /// None does.
    case disconnected
    /// The driver cannot tell; writeback connectors always say so.
    case unknown
  }

  /// The object id on its device.
  public let id: ConnectorID
  /// The kernel's name, as sysfs and compositors print it: `HDMI-A-1`, `Virtual-1`, `Writeback-1`.
  public let name: String
  /// Whether it writes into a buffer instead of onto a wire.
  public let isWriteback: Bool
  /// Whether a display answers.
  public let connection: Connection

  package init(_ answer: KMSConnector) {
    id = ConnectorID(rawValue: answer.id)
    name = "\(Self.typeName(answer.type))-\(answer.typeIndex)"
    isWriteback = answer.type == ConnectorType.writeback
    connection =
      switch answer.connection {
      case 1: .connected
      case 2: .disconnected
      default: .unknown
      }
  }

  /// The names of `drm_connector_enum_list` in the kernel's `drm_connector.c`; an unknown type keeps its number.
  static func typeName(_ type: UInt32) -> String {
    let names = [
      "Unknown", "VGA", "DVI-I", "DVI-D", "DVI-A", "Composite", "SVIDEO", "LVDS", "Component", "DIN", "DP", "HDMI-A",
      "HDMI-B", "TV", "eDP", "Virtual", "DSI", "DPI", "Writeback", "SPI", "USB",
    ]
    return names.indices.contains(Int(type)) ? names[Int(type)] : "Type\(type)"
  }
}
