/// What tells one DRM device from another, whatever its nodes are called.
///
/// A node's name says nothing: a container may show `/dev/dri/card1` as `card0`. Its number is the kernel's.
package struct DeviceIdentity: Hashable, Sendable {
  /// Major and minor of the node that was opened.
  package let number: DeviceNumber
  /// The sysfs folder of the hardware behind the node; nil where sysfs does not tell.
  let folder: String?

  /// Looks the node up in `systemRoot/sys`.
  package init(_ number: DeviceNumber, systemRoot: String = "", kernel: any FileCalls) {
    self.number = number
    folder = Self.folder(of: number.description, in: "\(systemRoot)/sys", kernel)
  }

  /// Where the node's `device` link leads.
  ///
  /// The node's own link says it already, `../../devices/…/drm/card0`, in one call where following every part of the path is a
  /// dozen.
  private static func folder(of number: String, in sysfs: String, _ kernel: any FileCalls) -> String? {
    let up = "../../"
    if let target = kernel.linkTarget(of: "\(sysfs)/dev/char/\(number)"), target.hasPrefix(up) {
      let parts = target.dropFirst(up.count).split(separator: "/")
      if parts.count > 2, parts[parts.count - 2] == "drm", !parts.contains("..") {
        return sysfs + "/" + parts.dropLast(2).joined(separator: "/")
      }
    }
    return kernel.resolved("\(sysfs)/dev/char/\(number)/device")
  }

  /// Whether the DRM device has a render node, which every driver with an engine of its own for rendering makes
  /// (`DRIVER_RENDER`); nil where sysfs does not tell.
  package func hasRenderNode(by kernel: any FileCalls) -> Bool? {
    guard let folder, let nodes = kernel.readableEntries(of: "\(folder)/drm") else { return nil }
    return nodes.contains { $0.hasPrefix("renderD") }
  }

  /// Whether one of the kernel's names of devices is of the hardware behind the node, or of what carries that.
  ///
  /// The memory of a virtio device is mapped for the PCI device that carries it, a folder above.
  package func isNamed(in names: some Collection<String>) -> Bool {
    let folders = folder?.split(separator: "/").map(String.init) ?? []
    return folders.contains(where: names.contains)
  }

  /// Whether both nodes belong to one DRM device: they are one node, or the primary and the render node of one.
  ///
  /// Two primary nodes are two DRM devices, even above one piece of hardware.
  package func isSameDevice(as other: DeviceIdentity) -> Bool {
    if number == other.number { return true }
    guard number.major == other.number.major, let folder, folder == other.folder else { return false }
    return DRMNode.kind(of: number) != DRMNode.kind(of: other.number)
  }
}
