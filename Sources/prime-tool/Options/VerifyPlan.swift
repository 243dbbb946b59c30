import ArgumentParser
import Prime
import PrimeVerify

/// The exporters and importers of a run, from what the machine has and what the person named.
struct VerifyPlan {
  let exporters: [Exporter]
  let importers: [Importer]

  /// The V4L2 nodes of the machine, as far as somebody asked for them.
  let videos: [VideoDevice]
  private let devices: [DeviceDescription]

  init(
    devices: [DeviceDescription], videos: [VideoDevice] = [], exporters: [String], importers: [String],
    allocators: [AllocatorChoice], formats: [PixelFormat] = [], witness: String? = nil
  ) throws {
    self.devices = devices
    self.videos = videos
    let wanted = Set(allocators.flatMap(\.kinds))
    let chosen = try exporters.flatMap { text in try Self.exporters(named: text, in: devices, videos, wanted, witness) }
    if exporters.isEmpty {
      let memory = try Self.systemMemory(wanted.isEmpty ? [.udmabuf, .heap] : wanted)
      let video = wanted.isEmpty || wanted.contains(.v4l2) ? Exporter.readingVideo(among: videos, formats: formats) : []
      self.exporters = Self.deviceExporters(devices, among: devices, wanted) + memory + video
    } else {
      self.exporters = Self.unique(chosen)
    }
    let importing =
      importers.isEmpty
      ? devices.map { Self.importer($0, among: devices) } + Importer.readingVideo(among: videos)
      : try importers.flatMap { try Self.importers(named: $0, in: devices, videos) }
    self.importers = Self.unique(importing)
    guard !self.exporters.isEmpty else {
      throw ExitStatus.usage(
        "no exporter allocates through \(allocators.map(\.rawValue).joined(separator: ", ")): "
          + "udmabuf and the heaps are exporters of their own, gbm and dumb need a device, v4l2 a video device")
    }
  }

  private static func importer(_ device: DeviceDescription, among devices: [DeviceDescription]) -> Importer {
    Importer(
      name: device.label(among: devices), node: device.usableNode, render: device.usableRender,
      problem: device.problem)
  }

  private static func importers(
    named text: String, in devices: [DeviceDescription], _ videos: [VideoDevice]
  ) throws -> [Importer] {
    if let named = videoDevices(named: text, in: devices, videos) { return named.map { .video($0, among: videos) } }
    return try DeviceSelection.devices(named: text, in: devices, besides: videos).map { importer($0, among: devices) }
  }

  /// The V4L2 nodes that a selector means which means no DRM device; nil where there are none.
  ///
  /// A driver's name means its nodes that have pictures, where there are such.
  private static func videoDevices(
    named text: String, in devices: [DeviceDescription], _ videos: [VideoDevice]
  ) -> [VideoDevice]? {
    guard DeviceSelector(text).matches(in: devices).isEmpty else { return nil }
    let named = videos.named(text)
    let withPictures = named.filter { $0.capabilities?.roles.isEmpty == false }
    let meant = withPictures.isEmpty ? named : withPictures
    return meant.isEmpty ? nil : meant
  }

  private static func exporters(
    named text: String, in devices: [DeviceDescription], _ videos: [VideoDevice], _ wanted: Set<AllocatorKind>,
    _ witness: String?
  ) throws -> [Exporter] {
    let name = text.lowercased()
    if name == AllocatorKind.udmabuf.rawValue { return try systemMemory([.udmabuf]) }
    if name == AllocatorKind.heap.rawValue { return try systemMemory([.heap]) }
    if AllocatorKind.heap.isTold(byName: name) {
      let heaps = try systemMemory([.heap])
      if let one = heaps.first(where: { $0.name.lowercased() == name }) { return [one] }
      let present = heaps.map(\.name)
      let meant = Suggestion.sentence(for: text, among: present, otherwise: ":")
      throw ExitStatus.usage(
        "no exporter is called '\(text)'\(meant) present are \(present.joined(separator: ", "))")
    }
    if let named = DeviceSelection.gpu(text) {
      let program = try WitnessArgument.drawing(witness)
      return try DeviceSelection.devices(named: named, in: devices).map {
        Exporter.gpu($0, among: devices, drawnBy: program)
      }
    }
    if let named = videoDevices(named: text, in: devices, videos) { return named.map(Exporter.video) }
    let named = try DeviceSelection.devices(named: text, in: devices, besides: videos)
    return deviceExporters(named, among: devices, wanted)
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

  /// By name, in capitals or not, by all of a name before a colon, or by whatever else `--exporter` and `--importer` take.
  private func names(of selector: String, _ names: [String]) -> Set<String> {
    let wanted = selector.lowercased()
    let named = names.filter { $0.lowercased() == wanted || $0.lowercased().hasPrefix("\(wanted):") }
    let labels =
      DeviceSelector(selector).matches(in: devices).map { $0.label(among: devices) }
      + (Self.videoDevices(named: selector, in: devices, videos) ?? []).map(\.name)
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
    let reason = why(bad).map { ": \($0)" } ?? ""
    return "\(bad.exporter):\(bad.importer) had to be \(wanted) and is \(bad.verdict.rawValue)\(reason)"
  }

  /// What kept it from being more: for one that is shared, why nobody who could prove it looked.
  private func why(_ cell: CellReport) -> String? {
    guard cell.verdict.passes, cell.reason == nil else { return cell.reason }
    let obstructed = cell.tried.filter(\.isObstructed)
    let sentences = TextStyle.sentences(obstructed.isEmpty ? cell.tried : obstructed)
    return sentences.isEmpty ? nil : sentences.joined(separator: "; ")
  }

  private func isEnough(_ verdict: Verdict) -> Bool {
    switch strength {
    case .held: verdict.arrives
    case .shared: verdict.passes
    case .proven: verdict == .proven
    }
  }
}
