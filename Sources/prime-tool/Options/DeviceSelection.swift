import ArgumentParser
import Prime
import PrimeVerify

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

  /// The V4L2 nodes of this machine; what keeps them from being looked at ends the command.
  static func presentVideo() throws -> [VideoDevice] {
    do throws(PrimeError) {
      return try VideoDevice.all()
    } catch {
      StandardError.note("prime-tool: \(error)")
      throw ExitStatus.failed
    }
  }

  /// The V4L2 nodes of this machine where one of these selectors may mean one: it names no DRM device and no memory.
  static func presentVideo(named selectors: [String], besides devices: [DeviceDescription]) throws -> [VideoDevice] {
    let memory = [AllocatorKind.udmabuf, .heap]
    let rest = selectors.filter { name in
      !memory.contains { $0.isTold(byName: name) } && DeviceSelector(name).matches(in: devices).isEmpty
    }
    return rest.isEmpty ? [] : try presentVideo()
  }

  /// The devices of this machine, with those opened that these selectors name; exporters without a device need none.
  static func present(named selectors: [String]) throws -> [DeviceDescription] {
    let memory = [AllocatorKind.udmabuf, .heap]
    let devices = selectors.filter { name in !memory.contains { $0.isTold(byName: name) } }
    return try present(.named(devices.map { gpu($0) ?? $0 }))
  }

  /// The device whose GPU `gpu:DEVICE` names; nil for everything else.
  static func gpu(_ text: String) -> String? {
    let prefix = "\(AllocatorKind.gpu.rawValue):"
    return text.lowercased().hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
  }

  /// The devices of one selector; an unknown one is a usage error that lists what is there.
  static func devices(
    named text: String, in devices: [DeviceDescription], besides videos: [VideoDevice] = []
  ) throws -> [DeviceDescription] {
    let matches = DeviceSelector(text).matches(in: devices)
    guard matches.isEmpty else { return matches }
    let present = devices.map { $0.label(among: devices) } + videos.map(\.name)
    let known = present.isEmpty ? "this machine has no DRM device" : "present are \(present.joined(separator: ", "))"
    guard text.hasPrefix("/") else {
      let meant = Suggestion.sentence(for: text, among: present, otherwise: ":")
      throw ExitStatus.usage("no device is called '\(text)'\(meant) \(known)")
    }
    // A path deserves to hear what it is: not there, no permission, or no DRM node.
    do throws(PrimeError) {
      _ = try Device.open(DRMNode(path: text, kind: .primary))
    } catch {
      throw ExitStatus.usage("\(text): \(error.explanation)")
    }
    throw ExitStatus.usage("\(text) is a DRM node that sysfs does not show: \(known)")
  }
}
