public import Prime

/// A V4L2 node as reports name it.
public struct VideoDeviceEntry: Hashable, Sendable, Codable {
  /// The name that cells use, `video:N`.
  public var name: String
  /// The path.
  public var node: String
  /// The driver.
  public var driver: String
  /// What the driver calls the device.
  public var card: String
  /// Where it sits; the nodes of one device have the same.
  public var bus: String
  /// `capture`, `output`, `mem2mem`, empty for a node without pictures; nil where it could not be opened.
  public var roles: [String]?
  /// Whether its queues are multi-planar; nil where it could not be opened.
  public var multiPlanar: Bool?
  /// Why it cannot be used.
  public var problem: String?

  /// Describes a node.
  public init(_ device: VideoDevice) {
    name = device.name
    node = device.path
    driver = device.driver
    card = device.card
    bus = device.bus
    roles = device.capabilities?.roles
    multiPlanar = device.capabilities?.isMultiPlanar
    problem = device.problem?.description
  }

  /// Those of a machine; nil where it has none.
  public static func all(_ devices: [VideoDevice]) -> [VideoDeviceEntry]? {
    devices.isEmpty ? nil : devices.map(VideoDeviceEntry.init)
  }
}
