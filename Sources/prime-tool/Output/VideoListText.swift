import Prime

/// The video devices of a machine, as people read them.
struct VideoListText {
  let text: String

  init(_ devices: [VideoDevice]) {
    let style = TextStyle()
    var table = TextTable()
    table.add(["VIDEO", "DRIVER", "NODE", "BUS", "PICTURES"].map { TextTable.Cell($0, .bold) })
    for device in devices {
      table.add(
        [
          device.name, device.driver, device.path, device.bus, device.capabilities?.description ?? "?",
        ].map { TextTable.Cell($0) })
    }
    let problems = devices.compactMap { device in
      device.problem.map { style.paint("\(device.name): \($0)", .yellow) }
    }
    text = (table.lines(style) + problems).joined(separator: "\n")
  }
}
