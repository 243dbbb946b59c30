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

  /// Every device, sorted by its primary node's number, and opened once to ask what it is.
  public func devices() -> [DeviceDescription] {
    let links = byPathLinks()
    return nodesByDevice().map { group in describe(group, links: links) }
      .sorted { Self.order($0) < Self.order($1) }
  }

  /// What a sysfs device folder holds: the folder and the nodes beneath it.
  private struct NodeGroup {
    var folder: String
    var primary: DRMNode?
    var render: DRMNode?
  }

  private func nodesByDevice() -> [NodeGroup] {
    var groups: [String: NodeGroup] = [:]
    let classFolder = "\(systemRoot)/sys/class/drm"
    for name in FileSystem.entries(of: classFolder) {
      guard let folder = FileSystem.resolved("\(classFolder)/\(name)/device"),
        let number = FileSystem.text(of: "\(classFolder)/\(name)/dev"),
        let minor = number.split(separator: ":").last.flatMap({ UInt32($0) }),
        let kind = DRMNode.kind(ofMinor: minor)
      else { continue }
      let node = DRMNode(path: "\(systemRoot)/dev/dri/\(name)", kind: kind)
      guard FileSystem.exists(node.path) else { continue }
      var group = groups[folder] ?? NodeGroup(folder: folder)
      switch kind {
      case .primary: group.primary = node
      case .render: group.render = node
      }
      groups[folder] = group
    }
    return Array(groups.values)
  }

  private func byPathLinks() -> [String: [String]] {
    let folder = "\(systemRoot)/dev/dri/by-path"
    var links: [String: [String]] = [:]
    for name in FileSystem.entries(of: folder) {
      guard let target = FileSystem.linkTarget(of: "\(folder)/\(name)") else { continue }
      links[FileSystem.lastComponent(of: target), default: []].append("\(folder)/\(name)")
    }
    return links
  }

  private func describe(_ group: NodeGroup, links: [String: [String]]) -> DeviceDescription {
    let nodes = [group.primary, group.render].compactMap { $0 }
    var opened: Device?
    var usableNodes: [DRMNode] = []
    var problem: PrimeError?
    for node in nodes {
      do throws(PrimeError) {
        let device = try Device.open(node, kernel: kernel)
        usableNodes.append(node)
        opened = opened ?? device
      } catch {
        problem = problem ?? error
      }
    }
    if opened != nil { problem = nil }
    return DeviceDescription(
      driver: opened?.driver ?? moduleName(of: group.folder) ?? FileSystem.lastComponent(of: group.folder),
      driverVersion: opened?.driverVersion,
      bus: bus(of: group.folder),
      primary: group.primary, render: group.render, usableNode: opened?.node,
      usableNodes: usableNodes,
      byPath: nodes.flatMap { links[FileSystem.lastComponent(of: $0.path)] ?? [] },
      capabilities: opened?.capabilities(),
      problem: problem)
  }

  /// The kernel driver's name, which is the DRM driver's for most.
  ///
  /// A virtio device is driven by a child of the PCI function.
  private func moduleName(of folder: String) -> String? {
    let child = FileSystem.entries(of: folder).first {
      $0.hasPrefix("virtio") && $0.dropFirst(6).allSatisfy(\.isNumber)
    }
    let driven = child.map { "\(folder)/\($0)" } ?? folder
    return FileSystem.linkTarget(of: "\(driven)/driver").map(FileSystem.lastComponent)
  }

  /// The bus of the closest PCI function above the device, since virtio devices sit on one, or else the device's own bus.
  private func bus(of folder: String) -> DeviceDescription.Bus {
    var ancestor = folder
    while ancestor.contains("/") && !ancestor.hasSuffix("/devices") {
      let name = FileSystem.lastComponent(of: ancestor)
      if Self.isPCIAddress(name) {
        return DeviceDescription.Bus(name: "pci", identifier: name, pciIdentity: pciIdentity(of: ancestor))
      }
      guard let slash = ancestor.lastIndex(of: "/") else { break }
      ancestor = String(ancestor[..<slash])
    }
    let bus = FileSystem.linkTarget(of: "\(folder)/subsystem").map(FileSystem.lastComponent) ?? "unknown"
    return DeviceDescription.Bus(name: bus, identifier: FileSystem.lastComponent(of: folder), pciIdentity: nil)
  }

  private func pciIdentity(of folder: String) -> DeviceDescription.PCIIdentity? {
    func number(_ name: String) -> UInt16? {
      FileSystem.text(of: "\(folder)/\(name)").flatMap { UInt16($0.dropFirst(2), radix: 16) }
    }
    guard let vendor = number("vendor"), let device = number("device") else { return nil }
    return DeviceDescription.PCIIdentity(vendor: vendor, device: device)
  }

  /// `dddd:bb:dd.f`.
  static func isPCIAddress(_ text: String) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].count >= 4, parts[1].count == 2, parts[2].count == 4 else { return false }
    let digits = parts[0] + parts[1] + parts[2].prefix(2) + parts[2].suffix(1)
    return parts[2].dropFirst(2).first == "." && digits.allSatisfy(\.isHexDigit)
  }

  private static func order(_ device: DeviceDescription) -> Int {
    let name = (device.primary ?? device.render).map { FileSystem.lastComponent(of: $0.path) } ?? ""
    return Int(name.drop { !$0.isNumber }) ?? .max
  }
}
