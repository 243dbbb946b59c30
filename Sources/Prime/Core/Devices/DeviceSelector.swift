/// How a person names devices.
///
/// By the path of a node, wherever it is, `by-path` link, the kernel's name of a node (`card0`), driver, `driver:N`, the first
/// letters of a driver that no other one begins with, or PCI address. All but paths may be in capitals.
public struct DeviceSelector: Hashable, Sendable, CustomStringConvertible {
  /// The text as given.
  public let description: String

  /// Takes any text; whether it names anything is for `matches(in:)` to find out.
  public init(_ text: String) {
    description = text
  }

  private enum Meaning {
    case path
    case pci(String)
    case node(DRMNode.Kind, minor: UInt32)
    case driver(String)
  }

  private var meaning: Meaning {
    if description.hasPrefix("/") { return .path }
    let text = description.lowercased()
    let address = text.hasPrefix("pci:") ? String(text.dropFirst(4)) : text
    // lspci leaves out the first domain.
    for whole in [address, "0000:\(address)"] where DeviceDiscovery.isPCIAddress(whole) { return .pci(whole) }
    for kind in [DRMNode.Kind.primary, .render] {
      let prefix = kind.prefix.lowercased()
      if text.hasPrefix(prefix), let minor = UInt32(text.dropFirst(prefix.count)) { return .node(kind, minor: minor) }
    }
    return .driver(text.hasPrefix("driver:") ? String(text.dropFirst(7)) : text)
  }

  /// Whether it names a driver, which sysfs may know under another name.
  var isDriverName: Bool {
    if case .driver = meaning { true } else { false }
  }

  /// The devices it names, in the order of `devices`; several where it is a driver's name, none where nothing fits.
  public func matches(in devices: [DeviceDescription]) -> [DeviceDescription] {
    matches(in: devices, by: LinuxKernel())
  }

  /// As above; a kernel tells where a path leads.
  package func matches(in devices: [DeviceDescription], by kernel: any KernelCalls) -> [DeviceDescription] {
    let exact = exactMatches(in: devices, by: kernel)
    guard exact.isEmpty, case .driver(let name) = meaning else { return exact }
    let (start, index) = Self.parts(name)
    let found = Self.ofDriver(beginning: start, in: devices)
    return index.map { found.indices.contains($0) ? [found[$0]] : [] } ?? found
  }

  /// The devices whose names it spells out.
  func exactMatches(in devices: [DeviceDescription], by kernel: any KernelCalls) -> [DeviceDescription] {
    switch meaning {
    case .path:
      return devices.filter { device in
        device.byPath.contains(description) || device.primary?.path == description
          || device.render?.path == description || Self.hasNode(device, at: kernel.resolved(description), kernel)
      }
    case .pci(let address):
      return devices.filter { $0.bus.name == "pci" && $0.bus.identifier.lowercased() == address }
    case .node(let kind, let minor):
      return devices.filter { device in
        device.numbers.contains { $0.minor == minor && DRMNode.kind(of: $0) == kind }
      }
    case .driver(let name):
      let sameDriver = devices.filter { Self.spelling($0.driver) == Self.spelling(name) }
      guard sameDriver.isEmpty, case let (start, index?) = Self.parts(name) else { return sameDriver }
      let candidates = devices.filter { Self.spelling($0.driver) == Self.spelling(start) }
      return candidates.indices.contains(index) ? [candidates[index]] : []
    }
  }

  /// `driver` and the number of `driver:N`.
  private static func parts(_ name: String) -> (driver: String, index: Int?) {
    guard let colon = name.lastIndex(of: ":"), let index = Int(name[name.index(after: colon)...]) else {
      return (name, nil)
    }
    return (String(name[..<colon]), index)
  }

  /// Drivers write their names with either (`bochs-drm`, `virtio_gpu`), and nobody remembers which.
  private static func spelling(_ name: String) -> String {
    name.lowercased().replacing("-", with: "_")
  }

  /// The devices of the one driver that begins so; none where several drivers do.
  private static func ofDriver(beginning start: String, in devices: [DeviceDescription]) -> [DeviceDescription] {
    guard !start.isEmpty else { return [] }
    let found = devices.filter { spelling($0.driver).hasPrefix(spelling(start)) }
    return Set(found.map(\.driver)).count == 1 ? found : []
  }

  /// Whether a path leads to a node of the device, or is another node of the same number.
  private static func hasNode(_ device: DeviceDescription, at path: String?, _ kernel: any KernelCalls) -> Bool {
    guard let path else { return false }
    if device.primary?.path == path || device.render?.path == path { return true }
    guard !device.numbers.isEmpty, case .success(let number) = kernel.nodeNumber(path) else { return false }
    return device.numbers.contains(number)
  }
}

extension DeviceDescription {
  /// The short name that tells this device from the others: the driver, with `:N` where several have it.
  public func label(among devices: [DeviceDescription]) -> String {
    let sameDriver = devices.filter { $0.driver == driver }
    guard sameDriver.count > 1, let index = sameDriver.firstIndex(of: self) else { return driver }
    return "\(driver):\(index)"
  }
}

extension DeviceSelector {
  /// Opens the first device that it names, on the node through which buffers are shared; the caller's is a new open file.
  ///
  /// - Parameter devices: What `DeviceDiscovery` found.
  /// - Throws: `open` with `ENODEV` where nothing has that name, with the names that there are; else as
  ///   `DeviceDescription.open()`.
  public func open(among devices: [DeviceDescription]) throws(PrimeError) -> Device {
    guard let device = matches(in: devices).first else {
      let present = devices.map { $0.label(among: devices) }
      throw PrimeError(
        operation: "open", finding: .absent, subject: description,
        reason: present.isEmpty
          ? "this machine has no DRM device" : "no device has this name: present are \(present.joined(separator: ", "))"
      )
    }
    return try device.open()
  }
}
