/// A device as reports name it.
public struct DeviceEntry: Hashable, Sendable, Codable {
  /// The name that cells use.
  public var name: String
  /// The DRM driver.
  public var driver: String
  /// The driver's version.
  public var driverVersion: String?
  /// The bus.
  public var bus: String
  /// The place on the bus.
  public var busID: String
  /// PCI vendor and device.
  public var pciID: String?
  /// The primary node.
  public var primary: String?
  /// The render node.
  public var render: String?
  /// Links to the nodes.
  public var byPath: [String]
  /// What the driver says it can do.
  public var capabilities: DeviceCapabilities?
  /// Why it cannot be used.
  public var problem: String?
  /// True where it slept when it was found; nil where it did not.
  public var asleep: Bool?

  /// Describes a device under the name that tells it from the others.
  public init(_ device: DeviceDescription, among devices: [DeviceDescription]) {
    name = device.label(among: devices)
    driver = device.driver
    driverVersion = device.driverVersion
    bus = device.bus.name
    busID = device.bus.identifier
    pciID = device.bus.pciIdentity?.description
    primary = device.primary?.path
    render = device.render?.path
    byPath = device.byPath
    capabilities = device.capabilities
    problem = device.problem?.description
    asleep = device.isAsleep ? true : nil
  }
}
