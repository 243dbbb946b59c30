/// Finds every DRM device of the machine through sysfs, which also shows devices whose nodes the caller may not open.
///
/// libdrm's own enumeration is not used: versions that do not know the faux bus leave out vgem and vkms.
public struct DeviceDiscovery: Sendable {
  private let systemRoot: String
  private let kernel: any KernelCalls

  /// Looks at this machine.
  public init() {
    self.init(systemRoot: "", kernel: LinuxKernel())
  }

  /// Looks at `systemRoot/sys` and `systemRoot/dev`, for tests.
  package init(systemRoot: String, kernel: any KernelCalls) {
    self.systemRoot = systemRoot
    self.kernel = kernel
  }

  /// Which devices are opened to ask what they are.
  ///
  /// To open a node wakes a GPU that sleeps, which takes seconds and power (amdgpu, nouveau, radeon). What sysfs tells is
  /// told of every device, opened or not.
  public enum Opening: Sendable {
    /// Every device.
    case all
    /// Every device that does not sleep.
    case awake
    /// Those that these selectors mean (`DeviceSelector`).
    ///
    /// Others are opened only where sysfs does not tell who has a driver's name, the sleeping ones last.
    case named([String])
  }

  /// Every device, sorted by its primary node's number.
  ///
  /// - Throws: What kept a device from being looked at, since a device that is left out would be told as absent. A node
  ///   that may not be opened is that device's `problem`.
  public func devices(_ opening: Opening = .all) throws(PrimeError) -> [DeviceDescription] {
    let links = try byPathLinks()
    var found: [(group: NodeGroup, device: DeviceDescription)] = []
    for group in try nodesByDevice() { found.append((group, try closedDevice(group, links: links))) }
    found.sort { Self.order($0.device) < Self.order($1.device) }
    var opened: Set<Int> = []
    func open(where isWanted: (Int) -> Bool) throws(PrimeError) {
      for index in found.indices where isWanted(index) && opened.insert(index).inserted {
        found[index].device = try openDevice(found[index].group, found[index].device)
      }
    }
    switch opening {
    case .all: try open { _ in true }
    case .awake: try open { !found[$0].device.isAsleep }
    case .named(let names):
      let selectors = names.map(DeviceSelector.init)
      try open { index in
        selectors.contains { $0.matches(in: found.map(\.device), by: kernel).contains(found[index].device) }
      }
      // The bus may call a driver by another name than DRM does.
      func isNotFound(_ matches: (DeviceSelector) -> [DeviceDescription]) -> Bool {
        selectors.contains { selector in
          selector.isDriverName
            && !matches(selector).contains { match in
              found.indices.contains { opened.contains($0) && found[$0].device == match }
            }
        }
      }
      // The first letters of one driver may be another one's whole name.
      if isNotFound({ $0.exactMatches(in: found.map(\.device), by: kernel) }) {
        try open { !found[$0].device.isAsleep }
      }
      if isNotFound({ $0.matches(in: found.map(\.device), by: kernel) }) { try open { _ in true } }
    }
    return found.map(\.device)
  }

  /// The DRM nodes, by the kernel's names, of which `/dev/dri` shows none, as in a container that was started without them.
  ///
  /// - Throws: What kept `/dev/dri` or sysfs from being read.
  public func unshownNodes() throws(PrimeError) -> [String] {
    let shown = try shownNodes()
    return try kernelNodes().filter { shown[$0.number] == nil }.map(\.name)
  }

  /// One DRM device: its folder of sysfs, nil where sysfs does not show it, and its nodes.
  private struct NodeGroup {
    var folder: String?
    var numbers: [DeviceNumber] = []
    var primary: DRMNode?
    var render: DRMNode?

    var nodes: [DRMNode] { [primary, render].compactMap { $0 } }

    mutating func add(_ path: String, _ number: DeviceNumber) {
      switch DRMNode.kind(of: number) {
      case .primary?: primary = DRMNode(path: path, kind: .primary)
      case .render?: render = DRMNode(path: path, kind: .render)
      case nil: return
      }
      numbers.append(number)
    }
  }

  /// What `/dev/dri` shows, put together with what sysfs tells by the numbers of the nodes.
  ///
  /// A name says nothing: a container may show `card1` as `card0`.
  private func nodesByDevice() throws(PrimeError) -> [NodeGroup] {
    var shown = try shownNodes()
    var groups: [String: NodeGroup] = [:]
    for node in try kernelNodes() {
      guard let path = shown.removeValue(forKey: node.number) else { continue }
      groups[node.folder, default: NodeGroup(folder: node.folder)].add(path, node.number)
    }
    // Without /sys nothing tells which nodes are one device's.
    let others = shown.map { number, path in
      var group = NodeGroup()
      group.add(path, number)
      return group
    }
    return groups.values + others
  }

  /// The paths in `/dev/dri` of DRM's nodes, whether they may be opened or not.
  private func shownNodes() throws(PrimeError) -> [DeviceNumber: String] {
    let folder = "\(systemRoot)/dev/dri"
    var nodes: [DeviceNumber: String] = [:]
    for name in try kernel.presentEntries(of: folder) {
      guard case .success(let number) = kernel.nodeNumber("\(folder)/\(name)"), let kind = DRMNode.kind(of: number)
      else { continue }
      // Of several names that of the kernel is the one to tell people.
      if nodes[number] == nil || name == kind.prefix + "\(number.minor)" { nodes[number] = "\(folder)/\(name)" }
    }
    return nodes
  }

  /// A DRM node as sysfs tells of it.
  private struct KernelNode {
    var name: String
    var number: DeviceNumber
    var folder: String
  }

  private func kernelNodes() throws(PrimeError) -> [KernelNode] {
    let classFolder = "\(systemRoot)/sys/class/drm"
    var nodes: [KernelNode] = []
    for name in try kernel.presentEntries(of: classFolder) {
      guard let folder = try kernel.presentTarget(of: "\(classFolder)/\(name)/device"),
        let number = try kernel.presentText(of: "\(classFolder)/\(name)/dev").flatMap(DeviceNumber.init(parsing:)),
        DRMNode.kind(of: number) != nil
      else { continue }
      nodes.append(KernelNode(name: name, number: number, folder: folder))
    }
    return nodes
  }

  private func byPathLinks() throws(PrimeError) -> [String: [String]] {
    let folder = "\(systemRoot)/dev/dri/by-path"
    var links: [String: [String]] = [:]
    for name in try kernel.presentEntries(of: folder) {
      guard let target = kernel.linkTarget(of: "\(folder)/\(name)") else { continue }
      links[target.lastComponent, default: []].append("\(folder)/\(name)")
    }
    return links
  }

  /// A device as sysfs tells of it, and no more than its number where sysfs does not.
  private func closedDevice(_ group: NodeGroup, links: [String: [String]]) throws(PrimeError) -> DeviceDescription {
    let identifier = group.numbers.first?.description ?? ""
    let unknown = DeviceDescription.Bus(name: "unknown", identifier: identifier, pciIdentity: nil)
    return DeviceDescription(
      driver: try driverName(of: group) ?? "unknown", driverVersion: nil,
      bus: try group.folder.map { folder throws(PrimeError) in try bus(of: folder) } ?? unknown, primary: group.primary,
      render: group.render, usableNode: nil,
      byPath: group.nodes.flatMap { links[$0.path.lastComponent] ?? [] }, capabilities: nil,
      problem: nil, isAsleep: try group.folder.map { folder throws(PrimeError) in try isAsleep(folder) } ?? false,
      numbers: group.numbers)
  }

  /// The same device with what its driver answers.
  private func openDevice(
    _ group: NodeGroup, _ device: DeviceDescription
  ) throws(PrimeError) -> DeviceDescription {
    var opened: Device?
    var usableNodes: [DRMNode] = []
    var problem: PrimeError?
    for node in group.nodes {
      do throws(PrimeError) {
        let device = try Device.open(node, kernel: kernel)
        usableNodes.append(node)
        opened = opened ?? device
      } catch {
        if error.isOfThisProcess { throw error }
        problem = problem ?? error
      }
    }
    var capabilities: DeviceCapabilities?
    if let opened {
      // Where one node may be opened and the other not, or is not there, the device is used by what there is.
      let absences: [Errno?] = [.permissionDenied, .notPermitted, .noSuchFile, .noSuchDevice, .noSuchAddress]
      if absences.contains(problem?.errno) { problem = nil }
      do throws(PrimeError) {
        capabilities = try opened.capabilities()
      } catch {
        if error.isOfThisProcess { throw error }
        problem = problem ?? error
      }
    }
    return DeviceDescription(
      driver: opened?.driver ?? device.driver, driverVersion: opened?.driverVersion, bus: device.bus,
      primary: group.primary, render: group.render, usableNode: opened?.node, usableNodes: usableNodes,
      byPath: device.byPath, capabilities: capabilities, problem: problem,
      isAsleep: device.isAsleep, numbers: device.numbers)
  }

  /// Whether the device is suspended at runtime, or has no power at all.
  private func isAsleep(_ folder: String) throws(PrimeError) -> Bool {
    if try kernel.presentText(of: "\(folder)/power_state") == "D3cold" { return true }
    return try kernel.presentText(of: "\(folder)/power/runtime_status") == "suspended"
  }

  /// The driver's name without a question to the driver: debugfs has it for root, the bus has one for everybody.
  private func driverName(of group: NodeGroup) throws(PrimeError) -> String? {
    for number in group.numbers {
      // For root alone, so that not to be allowed is no error.
      let line = kernel.text(of: "\(systemRoot)/sys/kernel/debug/dri/\(number.minor)/name")
      if let name = line?.split(separator: " ").first { return String(name) }
    }
    guard let folder = group.folder else { return nil }
    return try moduleName(of: folder) ?? folder.lastComponent
  }

  /// The kernel driver's name, which is the DRM driver's for most.
  ///
  /// A virtio device is driven by a child of the PCI function.
  private func moduleName(of folder: String) throws(PrimeError) -> String? {
    let child = try kernel.presentEntries(of: folder).first {
      $0.hasPrefix("virtio") && $0.dropFirst(6).allSatisfy(\.isNumber)
    }
    let driven = child.map { "\(folder)/\($0)" } ?? folder
    return kernel.linkTarget(of: "\(driven)/driver").map(\.lastComponent)
  }

  /// The bus of the closest PCI function above the device, since virtio devices sit on one, or else the device's own bus.
  private func bus(of folder: String) throws(PrimeError) -> DeviceDescription.Bus {
    var ancestor = folder
    while ancestor.contains("/") && !ancestor.hasSuffix("/devices") {
      let name = ancestor.lastComponent
      if Self.isPCIAddress(name) {
        return DeviceDescription.Bus(name: "pci", identifier: name, pciIdentity: try pciIdentity(of: ancestor))
      }
      guard let slash = ancestor.lastIndex(of: "/") else { break }
      ancestor = String(ancestor[..<slash])
    }
    let bus = kernel.linkTarget(of: "\(folder)/subsystem").map(\.lastComponent) ?? "unknown"
    return DeviceDescription.Bus(name: bus, identifier: folder.lastComponent, pciIdentity: nil)
  }

  private func pciIdentity(of folder: String) throws(PrimeError) -> DeviceDescription.PCIIdentity? {
    func number(_ name: String) throws(PrimeError) -> UInt16? {
      try kernel.presentText(of: "\(folder)/\(name)").flatMap { UInt16($0.dropFirst(2), radix: 16) }
    }
    guard let vendor = try number("vendor"), let device = try number("device") else { return nil }
    return DeviceDescription.PCIIdentity(vendor: vendor, device: device)
  }

  /// `dddd:bb:dd.f`.
  static func isPCIAddress(_ text: String) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].count >= 4, parts[1].count == 2, parts[2].count == 4 else { return false }
    let digits = parts[0] + parts[1] + parts[2].prefix(2) + parts[2].suffix(1)
    return parts[2].dropFirst(2).first == "." && digits.allSatisfy(\.isHexDigit)
  }

  private static func order(_ device: DeviceDescription) -> UInt32 {
    device.numbers.map(\.minor).min() ?? .max
  }
}
