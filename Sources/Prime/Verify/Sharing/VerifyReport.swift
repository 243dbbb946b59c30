public import Prime

/// The result of `verify`: the model that text and JSON are made from.
///
/// Its keys are stable within a schema version.
public struct VerifyReport: Hashable, Sendable, Codable {
  /// The name and version of the schema of `verify --json`.
  public static let currentSchema = "prime-tool/verify/2"

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
