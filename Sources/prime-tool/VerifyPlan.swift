import ArgumentParser
import Prime

/// The exporters and importers of a run, from what the machine has and what the person named.
struct VerifyPlan {
  let exporters: [Exporter]
  let importers: [Importer]

  init(
    devices: [DeviceDescription], exporters: [String], importers: [String], allocators: [AllocatorChoice]
  ) throws {
    let wanted = Set(allocators.flatMap(\.kinds))
    let chosen = try exporters.flatMap { text in try Self.exporters(named: text, in: devices, wanted) }
    let all = Self.deviceExporters(devices, among: devices, wanted) + Self.memoryExporters(wanted)
    self.exporters = exporters.isEmpty ? all : Self.unique(chosen)
    let importing =
      importers.isEmpty
      ? devices : try importers.flatMap { try DeviceSelection.devices(named: $0, in: devices) }
    self.importers = Self.unique(
      importing.map { Importer(name: $0.label(among: devices), node: $0.usableNode, problem: $0.problem) })
    guard !self.exporters.isEmpty else {
      throw ExitStatus.usage(
        "no exporter allocates through \(allocators.map(\.rawValue).joined(separator: ", ")): "
          + "udmabuf and heap are exporters of their own, gbm and dumb need a device")
    }
  }

  private static func exporters(
    named text: String, in devices: [DeviceDescription], _ wanted: Set<AllocatorKind>
  ) throws -> [Exporter] {
    if let kind = AllocatorKind(rawValue: text), kind == .udmabuf || kind == .heap { return memoryExporters([kind]) }
    return deviceExporters(try DeviceSelection.devices(named: text, in: devices), among: devices, wanted)
  }

  private static func deviceExporters(
    _ devices: [DeviceDescription], among all: [DeviceDescription], _ wanted: Set<AllocatorKind>
  ) -> [Exporter] {
    devices.flatMap { device in
      // Dumb buffers exist on primary nodes only.
      let usual: Set<AllocatorKind> = [device.usableNode?.kind == .render ? .gbm : .dumb]
      let kinds = wanted.isEmpty ? usual : wanted
      return [AllocatorKind.dumb, .gbm].filter(kinds.contains).map {
        Exporter(
          name: device.label(among: all), node: device.usableNode, allocator: $0, problem: device.problem)
      }
    }
  }

  private static func memoryExporters(_ wanted: Set<AllocatorKind>) -> [Exporter] {
    [AllocatorKind.udmabuf, .heap].filter { wanted.isEmpty || wanted.contains($0) }.map { kind in
      Exporter(name: kind.rawValue, node: nil, allocator: kind, problem: SystemMemoryAvailability.problem(of: kind))
    }
  }

  private static func unique<Element: Hashable>(_ elements: [Element]) -> [Element] {
    var seen: Set<Element> = []
    return elements.filter { seen.insert($0).inserted }
  }
}

/// A pair that must pass.
struct Requirement {
  let exporter: String
  let importer: String
  let needsProof: Bool

  /// Reads `EXPORTER:IMPORTER`.
  ///
  /// Names may hold colons themselves, so every split is tried against the plan's names.
  init(_ text: String, needsProof: Bool, plan: VerifyPlan) throws {
    var splits: [(exporter: String, importer: String)] = []
    for index in text.indices where text[index] == ":" {
      let left = String(text[..<index])
      let right = String(text[text.index(after: index)...])
      let exporters = plan.exporters.map(\.name).filter { $0 == left || $0.hasPrefix("\(left):") }
      let importers = plan.importers.map(\.name).filter { $0 == right || $0.hasPrefix("\(right):") }
      if !exporters.isEmpty && !importers.isEmpty { splits.append((left, right)) }
    }
    guard let split = splits.first else {
      let exporters = Set(plan.exporters.map(\.name)).sorted().joined(separator: ", ")
      let importers = Set(plan.importers.map(\.name)).sorted().joined(separator: ", ")
      throw ExitStatus.usage(
        "'\(text)' names no pair of this run as EXPORTER:IMPORTER: exporters are \(exporters); importers are \(importers)"
      )
    }
    exporter = split.exporter
    importer = split.importer
    self.needsProof = needsProof
  }

  /// What did not hold, nil when everything did.
  func complaint(about report: VerifyReport) -> String? {
    let cells = report.cells.filter { names(exporter, $0.exporter) && names(importer, $0.importer) }
    guard let bad = cells.first(where: { needsProof ? $0.verdict != .proven : !$0.verdict.passes }) else { return nil }
    let wanted = needsProof ? "proven" : "proven or shared"
    let reason = bad.reason.map { ": \($0)" } ?? ""
    return "\(bad.exporter):\(bad.importer) had to be \(wanted) and is \(bad.verdict.rawValue)\(reason)"
  }

  private func names(_ wanted: String, _ name: String) -> Bool {
    name == wanted || name.hasPrefix("\(wanted):")
  }
}
