import ArgumentParser
import Prime

/// The exporters and importers of a run, from what the machine has and what the person named.
struct VerifyPlan {
  let exporters: [Exporter]
  let importers: [Importer]

  private let devices: [DeviceDescription]

  init(
    devices: [DeviceDescription], exporters: [String], importers: [String], allocators: [AllocatorChoice]
  ) throws {
    self.devices = devices
    let wanted = Set(allocators.flatMap(\.kinds))
    let chosen = try exporters.flatMap { text in try Self.exporters(named: text, in: devices, wanted) }
    if exporters.isEmpty {
      let memory = try Self.systemMemory(wanted.isEmpty ? [.udmabuf, .heap] : wanted)
      self.exporters = Self.deviceExporters(devices, among: devices, wanted) + memory
    } else {
      self.exporters = Self.unique(chosen)
    }
    let importing =
      importers.isEmpty
      ? devices : try importers.flatMap { try DeviceSelection.devices(named: $0, in: devices) }
    self.importers = Self.unique(
      importing.map { Importer(name: $0.label(among: devices), node: $0.usableNode, problem: $0.problem) })
    guard !self.exporters.isEmpty else {
      throw ExitStatus.usage(
        "no exporter allocates through \(allocators.map(\.rawValue).joined(separator: ", ")): "
          + "udmabuf and the heaps are exporters of their own, gbm and dumb need a device")
    }
  }

  private static func exporters(
    named text: String, in devices: [DeviceDescription], _ wanted: Set<AllocatorKind>
  ) throws -> [Exporter] {
    if text == AllocatorKind.udmabuf.rawValue { return try systemMemory([.udmabuf]) }
    let heap = AllocatorKind.heap.rawValue
    if text == heap { return try systemMemory([.heap]) }
    if text.hasPrefix("\(heap):") {
      let heaps = try systemMemory([.heap])
      if let one = heaps.first(where: { $0.name == text }) { return [one] }
      let present = heaps.map(\.name).joined(separator: ", ")
      throw ExitStatus.usage("no exporter is called '\(text)': present are \(present)")
    }
    return deviceExporters(try DeviceSelection.devices(named: text, in: devices), among: devices, wanted)
  }

  private static func deviceExporters(
    _ devices: [DeviceDescription], among all: [DeviceDescription], _ wanted: Set<AllocatorKind>
  ) -> [Exporter] {
    devices.flatMap { Exporter.device($0, among: all, allocators: wanted) }
  }

  private static func systemMemory(_ kinds: Set<AllocatorKind>) throws -> [Exporter] {
    do throws(PrimeError) {
      return try Exporter.systemMemory(kinds)
    } catch {
      StandardError.note("prime-tool: \(error)")
      throw ExitStatus.failed
    }
  }

  /// The exporters of the plan that a selector means.
  func exporterNames(of selector: String) -> Set<String> { names(of: selector, exporters.map(\.name)) }

  /// The importers of the plan that a selector means.
  func importerNames(of selector: String) -> Set<String> { names(of: selector, importers.map(\.name)) }

  /// By name, by all of a name before a colon, or by whatever else `--exporter` and `--importer` take.
  private func names(of selector: String, _ names: [String]) -> Set<String> {
    let named = names.filter { $0 == selector || $0.hasPrefix("\(selector):") }
    let labels = DeviceSelector(selector).matches(in: devices).map { $0.label(among: devices) }
    return Set(named + names.filter(labels.contains))
  }

  private static func unique<Element: Hashable>(_ elements: [Element]) -> [Element] {
    var seen: Set<Element> = []
    return elements.filter { seen.insert($0).inserted }
  }
}

/// A pair that must pass.
struct Requirement {
  private let exporters: Set<String>
  private let importers: Set<String>
  let strength: Strength

  /// What it has to be at least.
  enum Strength: String {
    case held = "held, shared or proven"
    case shared = "proven or shared"
    case proven
  }

  /// Reads `EXPORTER:IMPORTER`.
  ///
  /// Names may hold colons themselves, so every split is tried against the plan's names.
  init(_ text: String, strength: Strength, plan: VerifyPlan) throws {
    let colons = text.indices.reversed().filter { text[$0] == ":" }
    let splits = colons.lazy.map { index in
      (
        exporters: plan.exporterNames(of: String(text[..<index])),
        importers: plan.importerNames(of: String(text[text.index(after: index)...]))
      )
    }
    // The longest exporter that is one: `heap:system:vkms` is about that heap and not about all.
    guard let split = splits.first(where: { !$0.exporters.isEmpty && !$0.importers.isEmpty }) else {
      let exporters = Set(plan.exporters.map(\.name)).sorted().joined(separator: ", ")
      let importers = Set(plan.importers.map(\.name)).sorted().joined(separator: ", ")
      throw ExitStatus.usage(
        "'\(text)' names no pair of this run as EXPORTER:IMPORTER: exporters are \(exporters); importers are \(importers)"
      )
    }
    exporters = split.exporters
    importers = split.importers
    self.strength = strength
  }

  /// What did not hold, nil when everything did.
  func complaint(about report: VerifyReport) -> String? {
    let cells = report.cells.filter { exporters.contains($0.exporter) && importers.contains($0.importer) }
    guard let bad = cells.first(where: { !isEnough($0.verdict) }) else { return nil }
    let wanted = strength.rawValue
    let reason = bad.reason.map { ": \($0)" } ?? ""
    return "\(bad.exporter):\(bad.importer) had to be \(wanted) and is \(bad.verdict.rawValue)\(reason)"
  }

  private func isEnough(_ verdict: Verdict) -> Bool {
    switch strength {
    case .held: verdict.arrives
    case .shared: verdict.passes
    case .proven: verdict == .proven
    }
  }
}
