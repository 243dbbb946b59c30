/// Where a buffer comes from: a DRM device with an allocator of its own, or system memory that belongs to no device.
public struct Exporter: Hashable, Sendable {
  /// How reports name it: the driver, `driver:N` where several devices have it, `udmabuf` or `heap`.
  public let name: String
  /// The node it is opened through, nil for system memory.
  public let node: DRMNode?
  /// Which way it allocates.
  public let allocator: AllocatorKind
  /// Why it cannot be used here; nil when it can.
  public let problem: PrimeError?

  /// Names an exporter.
  public init(name: String, node: DRMNode?, allocator: AllocatorKind, problem: PrimeError? = nil) {
    self.name = name
    self.node = node
    self.allocator = allocator
    self.problem = problem
  }
}

/// The DRM device that a buffer is handed to.
public struct Importer: Hashable, Sendable {
  /// How reports name it: the driver, or `driver:N` where several devices have it.
  public let name: String
  /// The node it is opened through; nil where it has none that can be seen.
  public let node: DRMNode?
  /// Why it cannot be used here; nil when it can.
  public let problem: PrimeError?

  /// Names an importer.
  public init(name: String, node: DRMNode?, problem: PrimeError? = nil) {
    self.name = name
    self.node = node
    self.problem = problem
  }
}
