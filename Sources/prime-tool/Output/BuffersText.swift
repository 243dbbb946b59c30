import Prime

/// Dma-bufs and who holds them, as people read them.
///
/// Names and commands are anything that a process chose, so what a terminal obeys is taken out of them.
struct BuffersText {
  private let style = TextStyle()

  /// Everything that is there.
  func text(_ inventory: DMABufInventory) -> String {
    guard !inventory.buffers.isEmpty else { return "no dma-buf\n" }
    let count = Self.counted(inventory.buffers.count)
    return (table(inventory.buffers) + ["", "\(count), \(Self.bytes(inventory.byteCount))", ""]).joined(separator: "\n")
  }

  /// What a command left behind, and what it had while it ran.
  func text(_ leaks: DMABufLeaks, _ growth: DMABufGrowth, of command: String) -> String {
    var lines: [String] = []
    if leaks.left.isEmpty {
      lines.append("\(TerminalText.word(command)) left no dma-buf behind")
    } else {
      let total = Self.bytes(leaks.left.reduce(0) { $0 + ($1.byteCount ?? 0) })
      lines.append(
        style.paint("\(TerminalText.word(command)) left \(Self.counted(leaks.left.count)) behind, \(total)", .red))
      lines += table(leaks.left)
    }
    if !leaks.elsewhere.isEmpty {
      lines.append("made meanwhile and held by processes that ran before:")
      lines += table(leaks.elsewhere)
    }
    lines += course(growth)
    return lines.joined(separator: "\n") + "\n"
  }

  /// The most that there was, and what grew.
  private func course(_ growth: DMABufGrowth) -> [String] {
    let peak = growth.peak
    guard peak.buffers > 0 else { return [] }
    let descriptors = "\(peak.descriptors) \(peak.descriptors == 1 ? "descriptor" : "descriptors")"
    let most = "at most \(Self.counted(peak.buffers)), \(Self.bytes(peak.bytes)), \(descriptors) of them"
    return [most]
      + growth.growing.map { growth in
        let what =
          switch growth.what {
          case .buffers: "dma-bufs"
          case .bytes: "bytes"
          case .descriptors: "descriptors of dma-bufs"
          }
        let lows = growth.lows.map { growth.what == .bytes ? Self.bytes($0) : "\($0)" }.joined(separator: ", ")
        return style.paint("\(what) grew all the time: no fewer than \(lows) in the quarters of it", .yellow)
      }
  }

  /// One line of `--watch`.
  func line(_ change: DMABufChange, seconds: Double) -> String {
    let colour: TextStyle.Colour? =
      switch change.kind {
      case .present: nil
      case .appeared: .green
      case .changed: .yellow
      case .gone: .red
      }
    let time = Self.padded("\((seconds * 10).rounded() / 10) s", 8)
    let what = style.paint(Self.padded(change.kind.rawValue, 9), colour)
    guard change.kind != .changed else {
      return "\(time) \(what) \(change.buffer.inode): \(TerminalText.word(change.details.joined(separator: ", ")))"
    }
    let entry = change.buffer
    var facts = [Self.size(entry), entry.exporter.map(TerminalText.word) ?? "?"]
    if let name = entry.name { facts.append("'\(TerminalText.word(name))'") }
    if change.kind != .gone {
      facts.append("held by \(holders(entry))")
      if let devices = entry.attachedDevices, !devices.isEmpty { facts.append("attached \(Self.attached(devices))") }
    }
    return "\(time) \(what) \(entry.inode): \(facts.joined(separator: ", "))"
  }

  /// What of a machine could not be seen, and how it can be; nil where nothing was hidden.
  static func limits(of inventory: DMABufInventory) -> String? {
    let scope: String? =
      switch inventory.scope {
      case .machine: nil
      case .namespace:
        "processes outside of this PID namespace cannot be seen, nor what they hold: run it outside of the container"
      case .none: "no process can be seen, nor what it holds: mount /proc (`mount -t proc none /proc`)"
      }
    let sentences = [limitsOfRights(inventory), scope].compactMap(\.self)
    return sentences.isEmpty ? nil : sentences.joined(separator: "; ")
  }

  /// What another user, or a machine with debugfs mounted, would show.
  private static func limitsOfRights(_ inventory: DMABufInventory) -> String? {
    let list = "the kernel's list of dma-bufs cannot be read"
    let mounted = "(`mount -t debugfs none /sys/kernel/debug`)"
    let hidden = inventory.hiddenProcesses
    let processes = "\(hidden) \(hidden == 1 ? "process" : "processes") of others cannot be looked at"
    let limits: [String?] =
      switch (inventory.list, hidden) {
      // Where nothing is hidden this is root, or somebody alone.
      case (nil, 0): ["\(list): run it as root, with debugfs mounted \(mounted)", inventory.listRefusal]
      case (nil, _): ["\(list) and \(processes): run it as root", inventory.listRefusal]
      case (let source?, _):
        [hidden == 0 ? nil : "\(processes): run it as root", limits(of: source).map { "\($0) \(mounted)" }]
      }
    let sentences = limits.compactMap(\.self)
    return sentences.isEmpty ? nil : sentences.joined(separator: "; ")
  }

  /// What a list does not tell, and how it would be told; nil where it tells everything.
  private static func limits(of source: DMABufListSource) -> String? {
    let unknown = "attached devices, fences and what the kernel itself holds are unknown"
    return switch source {
    case .debugfs: nil
    case .sysfs: "\(unknown), which sysfs does not list: run it as root, with debugfs mounted"
    case .iterator: "\(unknown), which the kernel's BPF iterator does not list: mount debugfs"
    }
  }

  private func table(_ entries: [DMABufInventory.Entry]) -> [String] {
    var table = TextTable()
    // A column that nothing is in is left out.
    let hasNames = entries.contains { $0.name != nil }
    let hasDevices = entries.contains { $0.attachedDevices?.isEmpty == false }
    let hasFences = entries.contains { Self.pending($0) > 0 }
    table.add(
      (["INODE", "SIZE", "EXPORTER"] + (hasNames ? ["NAME"] : []) + ["HELD BY"] + (hasDevices ? ["ATTACHED"] : [])
        + (hasFences ? ["FENCES"] : [])).map { TextTable.Cell($0, .bold) })
    for entry in entries {
      var row = ["\(entry.inode)", Self.size(entry), entry.exporter.map(TerminalText.word) ?? "?"]
      if hasNames { row.append(entry.name.map(TerminalText.word) ?? "") }
      row.append(holders(entry))
      if hasDevices { row.append(entry.attachedDevices.map(Self.attached) ?? "") }
      if hasFences { row.append(Self.pending(entry) == 0 ? "" : "\(Self.pending(entry)) pending") }
      table.add(row.map { TextTable.Cell($0) })
    }
    return table.lines(style)
  }

  /// Who holds it: `weston(812) fd 31 32, 2 mappings; kernel ×3`.
  private func holders(_ entry: DMABufInventory.Entry) -> String {
    var parts = entry.holders.map { holder in
      var ways: [String] = []
      if !holder.descriptors.isEmpty {
        // A process that leaks them holds thousands.
        let shown = holder.descriptors.prefix(4).map(String.init).joined(separator: " ")
        let rest = holder.descriptors.count - 4
        ways.append("fd \(shown)" + (rest > 0 ? " and \(rest) more" : ""))
      }
      if !holder.mappings.isEmpty {
        ways.append("\(holder.mappings.count) \(holder.mappings.count == 1 ? "mapping" : "mappings")")
      }
      return "\(TerminalText.word(holder.label)) \(ways.joined(separator: ", "))"
    }
    if let count = entry.kernelReferences, count > 0 { parts.append("kernel ×\(count)\(Self.openers(entry))") }
    return parts.isEmpty ? "nobody that can be seen" : parts.joined(separator: "; ")
  }

  /// Who has the attached devices open, and may be the reason that the kernel holds the buffer.
  private static func openers(_ entry: DMABufInventory.Entry) -> String {
    let told = (entry.attachedDevices ?? []).compactMap { device in
      device.openIn.map { "\(device.label) is open in \($0.map(\.label).joined(separator: ", "))" }
    }
    return told.isEmpty ? "" : " (\(told.map(TerminalText.word).joined(separator: "; ")))"
  }

  private static func attached(_ devices: [DMABufInventory.AttachedDevice]) -> String {
    devices.map { TerminalText.word($0.label) }.joined(separator: ", ")
  }

  private static func pending(_ entry: DMABufInventory.Entry) -> Int {
    entry.fences?.count { !$0.isSignalled } ?? 0
  }

  private static func counted(_ count: Int) -> String { "\(count) \(count == 1 ? "dma-buf" : "dma-bufs")" }

  private static func size(_ entry: DMABufInventory.Entry) -> String { entry.byteCount.map(bytes) ?? "?" }

  /// `3.0 MiB`.
  private static func bytes(_ count: Int) -> String {
    var (value, unit) = (Double(count), "B")
    for next in ["KiB", "MiB", "GiB", "TiB"] where value >= 1024 { (value, unit) = (value / 1024, next) }
    return unit == "B" ? "\(count) B" : "\((value * 10).rounded() / 10) \(unit)"
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
