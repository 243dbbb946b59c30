import ArgumentParser
import Prime

/// Finds the devices that a person named.
enum DeviceSelection {
  /// The devices of one selector; an unknown one is a usage error that lists what is there.
  static func devices(
    named text: String, in devices: [DeviceDescription]
  ) throws -> [DeviceDescription] {
    let matches = DeviceSelector(text).matches(in: devices)
    guard matches.isEmpty else { return matches }
    let present = devices.map { $0.label(among: devices) }
    let known = present.isEmpty ? "this machine has no DRM device" : "present are \(present.joined(separator: ", "))"
    guard text.hasPrefix("/") else { throw ExitStatus.usage("no device is called '\(text)': \(known)") }
    // A path deserves to hear what it is: not there, no permission, or no DRM node.
    do throws(PrimeError) {
      _ = try Device.open(DRMNode(path: text, kind: .primary))
    } catch {
      throw ExitStatus.usage("\(text): \(error.reason ?? error.errno.meaning)")
    }
    throw ExitStatus.usage("\(text) is a DRM node that sysfs does not show: \(known)")
  }
}
