/// One DRM device of the machine: what it is and which nodes it has, as far as the caller may see.
public struct DeviceDescription: Hashable, Sendable {
  /// The bus a device sits on and what identifies it there.
  public struct Bus: Hashable, Sendable {
    /// The kernel's bus name: `pci`, `platform`, `faux`, `virtio`, `usb`.
    public let name: String
    /// The device's name on that bus, for PCI the address `0000:00:02.0`.
    public let identifier: String
    /// PCI vendor and device number, nil elsewhere.
    public let pciIdentity: PCIIdentity?

    /// Describes a place on a bus.
    public init(name: String, identifier: String, pciIdentity: PCIIdentity?) {
      self.name = name
      self.identifier = identifier
      self.pciIdentity = pciIdentity
    }
  }

  /// Vendor and device numbers of a PCI function.
  public struct PCIIdentity: Hashable, Sendable, CustomStringConvertible {
    /// For example 0x1af4.
    public let vendor: UInt16
    /// For example 0x1050.
    public let device: UInt16

    /// Makes the pair.
    public init(vendor: UInt16, device: UInt16) {
      self.vendor = vendor
      self.device = device
    }

    /// `1af4:1050`, as `lspci -nn` prints it.
    public var description: String {
      "\(hexadecimal(UInt64(vendor), digits: 4)):\(hexadecimal(UInt64(device), digits: 4))"
    }
  }

  /// The DRM driver's name; what debugfs or the bus calls it where no node was opened.
  public let driver: String
  /// `major.minor.patch` of the driver, nil where no node was opened.
  public let driverVersion: String?
  /// Where the device sits.
  public let bus: Bus
  /// `card*`, nil where the device has none or `/dev` does not show it.
  public let primary: DRMNode?
  /// `renderD*`, nil where the device has none.
  public let render: DRMNode?
  /// The node that could be opened, the primary one where both can: buffers are shared through it.
  public let usableNode: DRMNode?
  /// The nodes that could be opened.
  public let usableNodes: [DRMNode]
  /// The numbers of its nodes, which tell it whatever those are called.
  package let numbers: [DeviceNumber]
  /// Links under `/dev/dri/by-path` to its nodes.
  public let byPath: [String]
  /// What the driver says it can do; nil where no node was opened.
  public let capabilities: DeviceCapabilities?
  /// Why the device cannot be used, with what to do about it; nil when it can.
  public let problem: PrimeError?
  /// Whether it was asleep when it was found (runtime power management); to open a node wakes it up.
  public let isAsleep: Bool

  /// Its render node, where that could be opened.
  public var usableRender: DRMNode? { render.flatMap { usableNodes.contains($0) ? $0 : nil } }

  /// Describes a device; without `usableNodes` it is `usableNode` alone that could be opened.
  public init(
    driver: String, driverVersion: String?, bus: Bus, primary: DRMNode?, render: DRMNode?, usableNode: DRMNode?,
    usableNodes: [DRMNode]? = nil, byPath: [String], capabilities: DeviceCapabilities?, problem: PrimeError?,
    isAsleep: Bool = false, numbers: [DeviceNumber] = []
  ) {
    self.numbers = numbers
    self.isAsleep = isAsleep
    self.usableNodes = usableNodes ?? [usableNode].compactMap { $0 }
    self.driver = driver
    self.driverVersion = driverVersion
    self.bus = bus
    self.primary = primary
    self.render = render
    self.usableNode = usableNode
    self.byPath = byPath
    self.capabilities = capabilities
    self.problem = problem
  }
}

extension DeviceDescription {
  /// Opens the device, on the node through which buffers are shared: the primary one where both can be opened.
  ///
  /// Each call gives another open file, with GEM handles and mastership of its own; it closes itself.
  ///
  /// - Throws: `open` with the errno that kept the device from being opened when it was found, and what to do; `ENODEV` where
  ///   it has no node; else as `Device.open`.
  public func open() throws(PrimeError) -> Device {
    try open(kernel: LinuxKernel())
  }

  /// As `open()`, of any kernel.
  package func open(kernel: some KernelCalls) throws(PrimeError) -> Device {
    if let usableNode { return try Device.open(usableNode, kernel: kernel) }
    if let problem { throw problem }
    // Discovery left it alone, so that nothing is known of its nodes.
    var first: PrimeError?
    for node in [primary, render].compactMap({ $0 }) {
      do throws(PrimeError) {
        return try Device.open(node, kernel: kernel)
      } catch {
        first = first ?? error
      }
    }
    throw first
      ?? PrimeError(operation: "open", finding: .absent, subject: driver, reason: "`/dev/dri` shows no node of it")
  }
}
