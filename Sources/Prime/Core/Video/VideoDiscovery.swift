/// Finds the V4L2 nodes of the machine: sysfs tells which there are, and the device number which path of `/dev` is which.
package struct VideoDiscovery: Sendable {
  private let systemRoot: String
  private let kernel: any KernelCalls

  /// Looks at this machine.
  package init() {
    self.init(systemRoot: "", kernel: LinuxKernel())
  }

  /// Looks at `systemRoot/sys` and `systemRoot/dev`, for tests.
  package init(systemRoot: String, kernel: any KernelCalls) {
    self.systemRoot = systemRoot
    self.kernel = kernel
  }

  /// Every node, sorted by number; one that `/dev` does not show is left out, as nobody could open it.
  package func devices() throws(PrimeError) -> [VideoDevice] {
    let folder = "\(systemRoot)/sys/class/video4linux"
    let names = try kernel.presentEntries(of: folder)
    // Without V4L2 nobody has to be able to read `/dev`.
    guard !names.isEmpty else { return [] }
    let paths = try pathsByNumber()
    var found: [VideoDevice] = []
    for name in names {
      guard name.hasPrefix("video"), let number = Int(name.dropFirst("video".count)),
        let identity = try kernel.presentText(of: "\(folder)/\(name)/dev").flatMap(DeviceNumber.init(parsing:)),
        let path = paths[identity]
      else { continue }
      found.append(try device(number: number, path: path, entry: "\(folder)/\(name)"))
    }
    return found.sorted { $0.number < $1.number }
  }

  private func pathsByNumber() throws(PrimeError) -> [DeviceNumber: String] {
    var paths: [DeviceNumber: String] = [:]
    for name in try kernel.presentEntries(of: "\(systemRoot)/dev") where name.hasPrefix("video") {
      let path = "\(systemRoot)/dev/\(name)"
      guard case .success(let number) = kernel.nodeNumber(path) else { continue }
      // A link beside the node has the same number, and a longer name.
      if let other = paths[number], other.count <= path.count { continue }
      paths[number] = path
    }
    return paths
  }

  private func device(number: Int, path: String, entry: String) throws(PrimeError) -> VideoDevice {
    do throws(PrimeError) {
      let file = try VideoFile.open(path, kernel: kernel)
      return VideoDevice(
        number: number, path: path, driver: file.driver, card: file.card, bus: file.bus,
        capabilities: file.capabilities, problem: nil)
    } catch {
      guard !error.isOfThisProcess else { throw error }
      // A device without a driver of the bus, as vivid's, is called like its driver, with a number.
      let folder = try kernel.presentTarget(of: "\(entry)/device").map(\.lastComponent)
      let driver = kernel.linkTarget(of: "\(entry)/device/driver").map(\.lastComponent)
      return VideoDevice(
        number: number, path: path, driver: driver ?? folder ?? "unknown",
        card: try kernel.presentText(of: "\(entry)/name") ?? "unknown", bus: folder ?? "unknown",
        capabilities: nil, problem: error)
    }
  }
}
