/// The result of `verify`: the model that text and JSON are made from.
///
/// Its keys are stable within a schema version.
public struct VerifyReport: Hashable, Sendable, Codable {
  /// The name and version of the schema of `verify --json`.
  public static let currentSchema = "prime-tool/verify/2"

  /// A device as the report names it.
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

  /// Which schema this is.
  public var schema: String
  /// Where it was made.
  public var host: HostDescription
  /// The number that repeats the run's patterns.
  public var seed: UInt64
  /// The devices of the machine, used or not.
  public var devices: [DeviceEntry]
  /// The V4L2 nodes of the machine, used or not; nil where there are none, or nobody asked for one.
  public var videoDevices: [VideoDeviceEntry]?
  /// One entry for each pair, allocator, format and size.
  public var cells: [CellReport]
  /// How many cells have each verdict; every verdict is there.
  public var summary: [String: Int]
  /// How fences hold back the importers, of the pairs that share; nil where it was not asked for.
  public var fences: [RuleReport]?
  /// How long shared buffers live, of the pairs that share; nil where it was not asked for.
  public var lifetimes: [RuleReport]?
  /// What SYNC decides, of the pairs that share; nil where it was not asked for.
  public var coherency: [CoherencyReport]?
  /// What the run left behind.
  public var leaks: LeakReport
  /// Whether somebody stopped it before every cell had been tried.
  public var interrupted: Bool

  /// How many cells have a verdict.
  public func count(_ verdict: Verdict) -> Int {
    summary[verdict.rawValue] ?? 0
  }
}
