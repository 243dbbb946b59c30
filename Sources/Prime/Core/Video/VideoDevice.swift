/// One V4L2 node of the machine, `/dev/video*`: what it is, as far as the caller may see.
public struct VideoDevice: Hashable, Sendable {
  /// The kernel's number of the node, N of `videoN`.
  public let number: Int
  /// The path to open; a container may show it under another name than the kernel's.
  public let path: String
  /// The driver's name; what the bus calls it where the node was not opened.
  public let driver: String
  /// What the driver calls the device, for people.
  public let card: String
  /// Where the device sits, as its driver tells (`platform:vivid-000`); what sysfs calls it where the node was not opened.
  ///
  /// The nodes of one device have the same.
  public let bus: String
  /// What the node can do; nil where it was not opened.
  public let capabilities: VideoCapabilities?
  /// Why the node cannot be used, with what to do about it; nil when it can.
  public let problem: PrimeError?

  /// Describes a node.
  public init(
    number: Int, path: String, driver: String, card: String, bus: String, capabilities: VideoCapabilities?,
    problem: PrimeError?
  ) {
    self.number = number
    self.path = path
    self.driver = driver
    self.card = card
    self.bus = bus
    self.capabilities = capabilities
    self.problem = problem
  }

  /// `video:N`, which tells it from every other node.
  public var name: String { "video:\(number)" }

  /// How messages name it: `vivid (/dev/video0)`.
  public var subject: String { "\(driver) (\(path))" }

  /// Every V4L2 node of this machine, sorted by its number; those that may not be opened have a `problem`.
  ///
  /// - Throws: what kept the nodes from being looked at (`opendir`, `EMFILE`).
  public static func all() throws(PrimeError) -> [VideoDevice] {
    try VideoDiscovery().devices()
  }

  /// Whether it writes pictures that come from elsewhere than a buffer.
  public var isCamera: Bool {
    capabilities.map { $0.captures && $0.streams && !$0.isMemoryToMemory } == true
  }

  /// Opens the node; every role has an open file of its own.
  ///
  /// - Throws: `open` or `VIDIOC_QUERYCAP` with their errno.
  public func open() throws(PrimeError) -> VideoFile {
    try VideoFile.open(path)
  }
}

extension [VideoDevice] {
  /// The nodes that a person names: by path, `video:N`, `videoN`, driver, or bus, in capitals or not; none where nothing fits.
  public func named(_ name: String) -> [VideoDevice] { named(name, by: LinuxKernel()) }

  /// As above; a kernel tells where a path leads.
  package func named(_ name: String, by kernel: any FileCalls) -> [VideoDevice] {
    if name.hasPrefix("/") {
      let resolved = kernel.resolved(name)
      return filter { $0.path == name || $0.path == resolved }
    }
    let name = name.lowercased()
    let numbered = filter { $0.name == name || "video\($0.number)" == name }
    return numbered.isEmpty ? filter { $0.driver.lowercased() == name || $0.bus.lowercased() == name } : numbered
  }
}
