import ArgumentParser
import Prime
import PrimeVerify

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Shows every DRM and video device: its driver, nodes, bus and what it says it can do.",
    discussion: """
      Since Linux 6.6 every driver claims PRIME import and export, so that column tells nothing of a pair of devices:
      `prime-tool verify` does.

      A device that sleeps is not opened, since that would wake it: what sysfs tells of it is shown.

      Video devices (V4L2) are named video:N. No camera is switched on: a node is opened and asked what it is.
      """)

  @Flag(help: "Print JSON (schema \(ListReport.currentSchema)).")
  var json = false

  @Flag(help: "Wake devices that sleep, to ask them too.")
  var wake = false

  func run() throws {
    let devices = try DeviceSelection.present(wake ? .all : .awake)
    let videos = try DeviceSelection.presentVideo()
    if json {
      try StandardOutput.write(JSONOutput.text(ListReport(devices, videos)) + "\n")
    } else {
      let tables = [
        devices.isEmpty ? nil : DeviceListText(devices).text, videos.isEmpty ? nil : VideoListText(videos).text,
      ]
      let text = tables.compactMap(\.self).joined(separator: "\n\n")
      if !text.isEmpty { try StandardOutput.write(text + "\n") }
    }
    guard !devices.isEmpty || !videos.isEmpty else {
      StandardError.note("prime-tool: \(Advice.noDevices)")
      throw ExitStatus.untested
    }
  }
}

/// The result of `list`.
struct ListReport: Codable {
  static let currentSchema = "prime-tool/list/1"
  var schema: String
  var host: HostDescription
  var devices: [DeviceEntry]
  var videoDevices: [VideoDeviceEntry]?

  init(_ devices: [DeviceDescription], _ videos: [VideoDevice]) {
    schema = Self.currentSchema
    host = .current()
    self.devices = devices.map { DeviceEntry($0, among: devices) }
    videoDevices = VideoDeviceEntry.all(videos)
  }
}

/// Sentences that more than one command says.
enum Advice {
  /// Why there may be no device, as far as the kernel tells.
  static var noDevices: String {
    if let nodes = try? DeviceDiscovery().unshownNodes(), !nodes.isEmpty {
      return
        "the kernel has DRM devices (\(nodes.joined(separator: ", "))), and /dev/dri shows none of their nodes: start the "
        + "container with `--device /dev/dri`, or have udev make them"
    }
    return "this machine shows no DRM device: load the virtual one with `sudo modprobe vgem`, "
      + "or run the command in the lab with `lab/run -- prime-tool verify`"
  }
}
