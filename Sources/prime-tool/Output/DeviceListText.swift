import Prime

/// The devices of a machine, as people read them.
struct DeviceListText {
  let text: String

  init(_ devices: [DeviceDescription]) {
    let style = TextStyle()
    var table = TextTable()
    table.add(
      ["DEVICE", "NODES", "BUS", "PRIME", "DUMB", "MODIFIERS", "SYNCOBJ", "ATOMIC", "WRITEBACK"].map {
        TextTable.Cell($0, .bold)
      })
    for device in devices {
      let capabilities = device.capabilities
      table.add([
        TextTable.Cell(
          "\(device.label(among: devices)) \(device.driverVersion ?? (device.isAsleep ? "asleep" : ""))"),
        TextTable.Cell([device.primary, device.render].compactMap { $0?.path }.joined(separator: " ")),
        TextTable.Cell(Self.bus(device.bus)),
        TextTable.Cell(Self.prime(capabilities)),
        TextTable.Cell(Self.answer(capabilities?.dumbBuffer)),
        TextTable.Cell(Self.answer(capabilities?.framebufferModifiers)),
        TextTable.Cell(Self.answer(capabilities?.syncobj)),
        TextTable.Cell(Self.answer(capabilities?.atomic)),
        TextTable.Cell(Self.answer(capabilities?.writeback)),
      ])
    }
    var lines = table.lines(style)
    for device in devices {
      for link in device.byPath { lines.append("\(device.label(among: devices)): \(link)") }
    }
    for device in devices where device.isAsleep && device.usableNode == nil && device.problem == nil {
      lines.append(
        style.paint(
          "\(device.label(among: devices)): it sleeps and was not opened, which would wake it: "
            + "`prime-tool list --wake` asks it", .grey))
    }
    for device in devices {
      guard let problem = device.problem else { continue }
      lines.append(style.paint("\(device.label(among: devices)): \(problem)", .yellow))
    }
    text = lines.joined(separator: "\n")
  }

  private static func bus(_ bus: DeviceDescription.Bus) -> String {
    let identity = bus.pciIdentity.map { " [\($0)]" } ?? ""
    return "\(bus.name) \(bus.identifier)\(identity)"
  }

  private static func prime(_ capabilities: DeviceCapabilities?) -> String {
    switch (capabilities?.primeImport, capabilities?.primeExport) {
    case (true?, true?): "both"
    case (true?, _): "import"
    case (_, true?): "export"
    case (nil, nil): "?"
    default: "no"
    }
  }

  /// A question that the driver did not answer is not a no.
  private static func answer(_ value: Bool?) -> String {
    switch value {
    case true?: "yes"
    case false?: "no"
    case nil: "-"
    }
  }
}
