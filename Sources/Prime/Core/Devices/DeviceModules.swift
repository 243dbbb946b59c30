extension DeviceDescription {
  /// The kernel modules that are this device's driver, as traces of the kernel name them; the driver's own name where no module has it.
  package func modules(systemRoot: String = "", by kernel: any FileCalls) -> Set<String> {
    let folders = [primary, render].compactMap { $0 }.map {
      "\(systemRoot)/sys/class/drm/\($0.path.lastComponent)/device"
    }
    let linked = folders.flatMap { folder in
      // A virtio device is driven by a child of the PCI function.
      [folder] + kernel.entries(of: folder).filter { $0.hasPrefix("virtio") }.map { "\(folder)/\($0)" }
    }.compactMap { kernel.linkTarget(of: "\($0)/driver/module").map(\.lastComponent) }
    // vgem and vkms drive their devices without a driver of the bus. A module of many drivers is called like their beginning.
    var name = driver.replacing("-", with: "_")
    while !kernel.exists("\(systemRoot)/sys/module/\(name)"), let end = name.lastIndex(of: "_") {
      name = String(name[..<end])
    }
    let named = kernel.exists("\(systemRoot)/sys/module/\(name)") ? name : driver
    // virtio-pci and its like are the bus's.
    let own = linked.filter { $0 != "virtio_pci" }
    return own.isEmpty ? [named] : Set(own)
  }
}
