/// How a person names devices: by node path, `by-path` link, driver, `driver:N`, or PCI address.
public struct DeviceSelector: Hashable, Sendable, CustomStringConvertible {
  /// The text as given.
  public let description: String

  /// Takes any text; whether it names anything is for `matches(in:)` to find out.
  public init(_ text: String) {
    description = text
  }

  /// Whether it names a driver, which sysfs may know under another name.
  var isDriverName: Bool {
    !description.hasPrefix("/") && !description.hasPrefix("pci:") && !DeviceDiscovery.isPCIAddress(description)
  }

  /// The devices it names, in the order of `devices`; several where it is a driver's name, none where nothing fits.
  public func matches(in devices: [DeviceDescription]) -> [DeviceDescription] {
    if description.hasPrefix("/") {
      return devices.filter { device in
        device.byPath.contains(description) || device.primary?.path == description
          || device.render?.path == description || hasNode(device, at: FileSystem.resolved(description))
      }
    }
    let address = description.hasPrefix("pci:") ? String(description.dropFirst(4)) : description
    if DeviceDiscovery.isPCIAddress(address) {
      return devices.filter { $0.bus.name == "pci" && $0.bus.identifier == address }
    }
    let name = description.hasPrefix("driver:") ? String(description.dropFirst(7)) : description
    let sameDriver = devices.filter { $0.driver == name }
    guard sameDriver.isEmpty, let colon = name.lastIndex(of: ":") else { return sameDriver }
    guard let index = Int(name[name.index(after: colon)...]) else { return [] }
    let candidates = devices.filter { $0.driver == name[..<colon] }
    return candidates.indices.contains(index) ? [candidates[index]] : []
  }

  private func hasNode(_ device: DeviceDescription, at path: String?) -> Bool {
    guard let path else { return false }
    return device.primary?.path == path || device.render?.path == path
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
