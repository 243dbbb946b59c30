import ArgumentParser
import Prime

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Shows every DRM device: its driver, nodes, bus and what it says it can do.",
    discussion: """
      Since Linux 6.6 every driver claims PRIME import and export, so that column tells nothing of a pair of devices:
      `prime-tool verify` does.

      A device that sleeps is not opened, since that would wake it: what sysfs tells of it is shown.
      """)

  @Flag(help: "Print JSON (schema \(ListReport.currentSchema)).")
  var json = false

  @Flag(help: "Wake devices that sleep, to ask them too.")
  var wake = false

  func run() throws {
    let devices = try DeviceSelection.present(wake ? .all : .awake)
    if json {
      try StandardOutput.write(JSONOutput.text(ListReport(devices)) + "\n")
    } else if !devices.isEmpty {
      try StandardOutput.write(DeviceListText(devices).text + "\n")
    }
    guard !devices.isEmpty else {
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
  var devices: [VerifyReport.DeviceEntry]

  init(_ devices: [DeviceDescription]) {
    schema = Self.currentSchema
    host = .current()
    self.devices = devices.map { VerifyReport.DeviceEntry($0, among: devices) }
  }
}

/// Sentences that more than one command says.
enum Advice {
  static let noDevices =
    "this machine shows no DRM device: load the virtual one with `sudo modprobe vgem`, "
    + "or run the command in the lab with `lab/run -- prime-tool verify`"
}
