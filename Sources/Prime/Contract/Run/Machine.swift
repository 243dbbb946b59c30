internal import Glibc
package import Prime

/// What the machine has, probed once before any statement runs.
package struct Machine: Sendable {
  /// Major and minor of the running kernel.
  package struct KernelVersion: Hashable, Sendable {
    package var major: Int
    package var minor: Int

    package init(major: Int, minor: Int) { (self.major, self.minor) = (major, minor) }

    /// Reads `6.12.117+deb12-amd64`.
    package init?(release: String) {
      let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
      guard numbers.count == 2 else { return nil }
      (major, minor) = (numbers[0], numbers[1])
    }

    package func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
      (self.major, self.minor) >= (major, minor)
    }
  }

  /// Every DRM device.
  package let devices: [DeviceDescription]
  /// The running kernel.
  package let kernelVersion: KernelVersion
  /// How the devices that may be pulled out are; nil where nobody allowed it.
  package let unplugging: Unplugging?
  private let removable: [DeviceDescription]
  let isRoot: Bool
  let hasDebugfs: Bool
  let hasSyncFiles: Bool
  let hasBufferStatistics: Bool
  let masterProblem: [DeviceDescription: String]
  private let isNarrowed: Bool
  private let exporters: [Subject.Exporter]
  private let pairs: [Pair]
  private let displays: [DeviceDescription]
  private let families: [DeviceDescription: DriverFamily]
  private let pictureFormats: [DeviceDescription: UInt32]

  private struct Pair: Sendable {
    var exporter: Subject.Exporter
    var importer: DeviceDescription
    /// Why it is not imported; nil where it is.
    var refusal: Errno?
    var makesFramebuffers: Bool
    /// Whether the kernel was seen to map it through bounce buffers.
    var isBounced: Bool

    var imports: Bool { refusal == nil }
  }

  /// vgem's description where it is loaded and can be opened.
  package var vgem: DeviceDescription? { devices.first { $0.driver == "vgem" && $0.primary == $0.usableNode } }

  /// What says nothing of the exporter that was to make a buffer.
  private static let errorsOfThisProcess = Errno.ofThisProcess.union([.tryAgain, .inputOutput, .noSpace])

  /// Whether an errno leaves open what an exporter can do.
  ///
  /// A driver may make no buffers, and say so as it likes; memory of no device is there where its node is.
  private static func tellsNothing(_ errno: Errno, of exporter: Subject.Exporter) -> Bool {
    if errorsOfThisProcess.contains(errno) { return true }
    if case .dumb = exporter { return false }
    return [.noSuchDevice, .noSuchAddress].contains(errno)
  }

  /// Looks around; `selected` are the devices that may be used, and `removable` those that may be pulled out.
  ///
  /// It `isNarrowed` where there may be devices beside the selected ones. Displays that other processes have open are left
  /// alone unless it `takesHeldDisplays`.
  ///
  /// - Throws: what kept a buffer from being made and says nothing of its exporter, which would be missed in silence.
  package init(
    selected: [DeviceDescription], isNarrowed: Bool = false, removable: [DeviceDescription] = [],
    unplugging: Unplugging? = nil, takesHeldDisplays: Bool = false
  ) throws(PrimeError) {
    self.isNarrowed = isNarrowed
    let probe = KernelProbe()
    let kernel = probe.unrecorded
    devices = selected
    let release = HostDescription.current().kernel
    kernelVersion = KernelVersion(release: release) ?? KernelVersion(major: 0, minor: 0)
    self.removable = removable
    self.unplugging = unplugging
    isRoot = geteuid() == 0
    hasDebugfs = kernel.text(of: "/sys/kernel/debug/dma_buf/bufinfo", limit: 1) != nil
    hasBufferStatistics = kernel.exists("/sys/kernel/dmabuf/buffers")
    let openable = devices.filter { $0.primary != nil && $0.usableNode == $0.primary }
    let candidates =
      openable.map(Subject.Exporter.dumb) + (kernel.isWritable("/dev/udmabuf") ? [.udmabuf] : [])
      + (kernel.isWritable("/dev/dma_heap/system") ? [.heap] : [])
    var buffers: [(Subject.Exporter, ProbeBuffer)] = []
    for exporter in candidates {
      switch ProbeBuffer.make(exporter, with: probe) {
      case .success(let buffer): buffers.append((exporter, buffer))
      case .failure(let errno) where Self.tellsNothing(errno, of: exporter):
        _ = try CallResult<Void>.failure(errno).orThrow("making a buffer to begin with", on: "this machine")
      // What makes no buffers is no exporter.
      case .failure: continue
      }
    }
    exporters = buffers.map(\.0)
    hasSyncFiles =
      buffers.first.map { _, buffer in
        // Any other errno is for a statement to judge.
        if case .failure(.notATerminal) = probe.exportSyncFile(buffer.dmaBuf, flags: 1) { false } else { true }
      } ?? false
    displays = openable.filter { $0.capabilities?.atomic != nil }
    var found: [Pair] = []
    var problems: [DeviceDescription: String] = [:]
    var mapsImports: [DeviceDescription: Bool] = [:]
    var formats: [DeviceDescription: UInt32] = [:]
    for importer in openable {
      guard let node = importer.primary, let opened = try? probe.open(node.path, flags: O_RDWR).get() else { continue }
      if displays.contains(importer) {
        if case .failure(let errno) = probe.setMaster(opened) {
          problems[importer] = "somebody else is master of \(importer.driver) (\(node.path)): \(errno.name)"
        } else if !takesHeldDisplays {
          problems[importer] = HeldDisplay.reason(node, open: opened, kernel: kernel)
        }
        _ = probe.dropMaster(opened)
        formats[importer] = PictureFormat.shown(by: opened, kernel)
      }
      for (exporter, buffer) in buffers where exporter != .dumb(importer) {
        let before = BounceBuffer.slotsInUse(by: kernel)
        let (taken, answer) = TakenBuffer.found(
          buffer, orOnePage: { ProbeBuffer.onePage(exporter, with: probe) },
          asking: { probe.primeFDToHandle(opened, $0.dmaBuf) })
        let slots = (BounceBuffer.slotsInUse(by: kernel) ?? 0) - (before ?? 0)
        var takes = false
        if case .success(let handle) = answer {
          takes =
            formats[importer].map {
              probe.takesFramebuffer(opened, handle: handle, of: taken, as: $0)
            } ?? false
          let mapping = probe.mapDumb(opened, handle: handle)
          // Without dumb buffers it says ENOSYS of everything.
          if mapping.refusal != .notImplemented { mapsImports[importer] = mapping.refusal == nil }
          _ = probe.closeHandle(opened, handle)
        }
        found.append(
          Pair(
            exporter: exporter, importer: importer, refusal: answer.refusal, makesFramebuffers: takes,
            isBounced: slots >= taken.byteCount / BounceBuffer.slotByteCount))
      }
    }
    let version = kernelVersion
    families = Dictionary(
      uniqueKeysWithValues: devices.map { device in
        let family = DriverFamily(
          driver: device.driver, modules: device.modules(by: kernel), kernel: version,
          givesOffsetsForImports: mapsImports[device]
        ) { kernel.readableEntries(of: "/sys/module/\($0)/holders") }
        return (device, family)
      })
    pairs = found
    masterProblem = problems
    pictureFormats = formats
    probe.cleanUp()
  }

  func hasPipeCRC(_ device: DeviceDescription) -> Bool {
    guard let node = device.primary else { return false }
    let number = node.path.lastComponent.drop { !$0.isNumber }
    return LinuxKernel().isWritable("/sys/kernel/debug/dri/\(number)/crtc-0/crc/control")
  }

  /// What is missing where this machine has nothing of a kind.
  func absence(of kind: SubjectKind) -> String {
    if isNarrowed && kind != .machine { return "\(kind.absence), of the chosen ones: \(Remedy.allDevices)" }
    guard [.vgem, .fencedExporter].contains(kind) else { return kind.absence }
    return devices.contains { $0.driver == "vgem" } ? "vgem has no primary node here that can be opened" : kind.absence
  }

  /// Everything of one kind that this machine has.
  package func subjects(_ kind: SubjectKind) -> [Subject] {
    func one(_ device: DeviceDescription) -> Subject {
      Subject(device: device, name: name(of: device), driver: device.driver)
    }
    func both(_ pair: Pair) -> Subject {
      Subject(
        exporter: pair.exporter, device: pair.importer, name: "\(name(of: pair.exporter)) → \(name(of: pair.importer))",
        driver: pair.importer.driver, isBounced: pair.isBounced)
    }
    let openable = devices.filter { $0.primary != nil && $0.usableNode == $0.primary }
    switch kind {
    case .machine: return [Subject(name: "", driver: "")]
    case .exporter: return exporters.map { Subject(exporter: $0, name: name(of: $0), driver: driver(of: $0)) }
    case .dumbDevice:
      return exporters.compactMap { exporter in
        guard case .dumb(let device) = exporter else { return nil }
        return Subject(exporter: exporter, device: device, name: name(of: device), driver: device.driver)
      }
    case .device: return openable.map(one)
    case .renderDevice:
      return devices.filter { device in
        device.problem == nil && openableRenderNode(of: device) != nil
      }.map(one)
    case .sharingPair: return pairs.filter(\.imports).map(both)
    case .pair: return pairs.map(both)
    case .display: return displays.map(one)
    case .displayPair: return pairs.filter { $0.imports && displays.contains($0.importer) }.map(both)
    case .shownPair: return pairs.filter(\.makesFramebuffers).map(both)
    case .vgem: return vgem.map { [Subject(exporter: .dumb($0), device: $0, name: "vgem", driver: "vgem")] } ?? []
    case .fencedExporter:
      guard let vgem else { return [] }
      // vgem only lends its fences: what is looked at is the exporter's.
      return subjects(.vgem)
        + pairs.filter { $0.importer == vgem && $0.imports }.map { pair in
          var subject = both(pair)
          subject.driver = driver(of: pair.exporter)
          return subject
        }
    case .fencedDisplay:
      guard let vgem else { return [] }
      return pairs.filter { $0.exporter == .dumb(vgem) && $0.makesFramebuffers }.map(both)
    case .udmabuf:
      return exporters.contains(.udmabuf) ? [Subject(exporter: .udmabuf, name: "udmabuf", driver: "udmabuf")] : []
    case .heap: return exporters.contains(.heap) ? [Subject(exporter: .heap, name: "heap", driver: "heap")] : []
    case .systemMemory: return subjects(.udmabuf) + subjects(.heap)
    case .udmabufPair: return pairs.filter { $0.exporter == .udmabuf }.map(both)
    case .heapPair: return pairs.filter { $0.exporter == .heap }.map(both)
    case .bouncedPair: return pairs.filter(\.isBounced).map(both)
    case .bouncedDumbPair:
      return subjects(.bouncedPair).filter { if case .dumb = $0.exporter { true } else { false } }
    case .bouncedHeapPair: return subjects(.bouncedPair).filter { $0.exporter == .heap }
    case .bouncedUDMABufPair: return subjects(.bouncedPair).filter { $0.exporter == .udmabuf }
    case .removableDisplay:
      guard unplugging != nil else { return [] }
      return displays.filter { $0.bus.name == "pci" && removable.contains($0) }.map(one)
    }
  }

  /// Which helper the driver is built on whose behaviour a subject shows.
  package func family(of subject: Subject) -> DriverFamily {
    // Of a pair it is the one that the driver's name says.
    let device = subject.device.flatMap { $0.driver == subject.driver || subject.exporter == nil ? $0 : nil }
    return switch (device, subject.exporter) {
    case (let device?, _), (nil, .dumb(let device)): families[device] ?? DriverFamily(nil, "it was not looked at")
    case (nil, .udmabuf): DriverFamily(.udmabuf, "it is udmabuf.c")
    case (nil, .heap): DriverFamily(.systemHeap, "it is system_heap.c")
    case (nil, nil): DriverFamily(nil, "it is no driver's")
    }
  }

  func isDisplay(_ device: DeviceDescription) -> Bool { displays.contains(device) }

  /// A format of 32 bits a pixel that a display shows, XRGB8888 rather than another; nil where it shows none.
  func pictureFormat(of display: DeviceDescription) -> UInt32? { pictureFormats[display] }

  /// Whether an importer answers for this exporter as the core does for one that gives nobody its pages (drm_gem_map_attach),
  /// and for others otherwise.
  func givesNoPages(_ exporter: Subject.Exporter) -> Bool {
    pairs.contains { pair in
      pair.exporter == exporter && pair.refusal == .notImplemented
        && pairs.contains { $0.importer == pair.importer && $0.refusal != .notImplemented }
    }
  }

  /// A device's render node where it can be opened, which its primary node says nothing of.
  func openableRenderNode(of device: DeviceDescription?) -> DRMNode? {
    device?.render.flatMap { LinuxKernel().isWritable($0.path) ? $0 : nil }
  }

  /// Why nothing here can be looked at, in a sentence; nil where something can: a device that opens, or what makes dma-bufs.
  ///
  /// What the kernel promises of files that are no dma-bufs can be seen everywhere, and says nothing of a machine.
  package var emptiness: String? {
    let kinds: [SubjectKind] = [.device, .renderDevice, .exporter]
    guard kinds.allSatisfy({ subjects($0).isEmpty }) else { return nil }
    return devices.compactMap(\.problem).first.map { "no device here can be opened: \($0)" }
      ?? "this machine shows no DRM device"
  }

  private func name(of device: DeviceDescription) -> String { device.label(among: devices) }

  private func name(of exporter: Subject.Exporter) -> String {
    if case .dumb(let device) = exporter { name(of: device) } else { driver(of: exporter) }
  }

  /// Of two devices of one driver the names differ, and what is known of it holds for both.
  private func driver(of exporter: Subject.Exporter) -> String {
    switch exporter {
    case .dumb(let device): device.driver
    case .udmabuf: "udmabuf"
    case .heap: "heap"
    }
  }
}

extension Result where Failure == Errno {
  /// Why it failed; nil where it did not.
  fileprivate var refusal: Errno? {
    if case .failure(let errno) = self { errno } else { nil }
  }
}
