import ArgumentParser
import Prime

/// Finds the devices that a person named.
enum DeviceSelection {
  /// The devices of this machine; what keeps one from being looked at ends the command, since a device left out would be
  /// told as absent.
  static func present(_ opening: DeviceDiscovery.Opening = .all) throws -> [DeviceDescription] {
    do throws(PrimeError) {
      return try DeviceDiscovery().devices(opening)
    } catch {
      StandardError.note("prime-tool: \(error)")
      throw ExitStatus.failed
    }
  }

  /// The devices of this machine, with those opened that these selectors name; exporters without a device need none.
  static func present(named selectors: [String]) throws -> [DeviceDescription] {
    let memory = [AllocatorKind.udmabuf, .heap]
    return try present(.named(selectors.filter { name in !memory.contains { $0.isTold(byName: name) } }))
  }

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
