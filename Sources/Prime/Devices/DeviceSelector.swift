/// How a person names devices: by the path of a node, wherever it is, `by-path` link, driver, `driver:N`, or PCI address.
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

  /// Whether a path leads to a node of the device, or is another node of the same number.
  private func hasNode(_ device: DeviceDescription, at path: String?) -> Bool {
    guard let path else { return false }
    if device.primary?.path == path || device.render?.path == path { return true }
    guard !device.numbers.isEmpty, case .success(let number) = LinuxKernel().nodeNumber(path) else { return false }
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
  /// - Parameter devices: What `DeviceDiscovery` found, with this selector among those that are opened.
  /// - Throws: `open` with `ENODEV` where nothing has that name, with the names that there are; with the errno that kept
  ///   the device from being opened before, and what to do.
  public func open(among devices: [DeviceDescription]) throws(PrimeError) -> Device {
    guard let device = matches(in: devices).first else {
      let present = devices.map { $0.label(among: devices) }
      throw PrimeError(
        operation: "open", errno: .noSuchDevice, subject: description,
        reason: present.isEmpty
          ? "this machine has no DRM device" : "no device has this name: present are \(present.joined(separator: ", "))"
      )
    }
    if let node = device.usableNode { return try Device.open(node) }
    throw device.problem
      ?? PrimeError(
        operation: "open", errno: .noSuchDevice, subject: description, reason: "the device was not among those to open")
  }
}
