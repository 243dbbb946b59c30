package import Prime

/// What kind of thing a statement is looked at on; it is run once for each that the machine has.
package enum SubjectKind: String, Hashable, Sendable, CaseIterable {
  /// Once.
  case machine
  /// Everything that makes dma-bufs: devices with dumb buffers, udmabuf, the system heap.
  case exporter
  /// Devices with dumb buffers, through their primary node.
  case dumbDevice
  /// Every device with a primary node that can be opened.
  case device
  /// Every device with a render node that can be opened.
  case renderDevice
  /// An exporter and another device that takes its buffers.
  case sharingPair
  /// An exporter and another device, whether or not it takes its buffers.
  case pair
  /// Devices that set modes.
  case display
  /// A foreign exporter and a display that takes its buffers.
  case displayPair
  /// A foreign exporter and a display that takes its buffers and makes framebuffers of them.
  case shownPair
  /// vgem, which has fences of its own.
  case vgem
  /// vgem, and every exporter whose buffers it takes: what can be given vgem's fences.
  case fencedExporter
  /// vgem and a display that takes its buffers: a fence on one device holds back the other.
  case fencedDisplay
  /// `/dev/udmabuf`.
  case udmabuf
  /// `/dev/dma_heap/system`.
  case heap
  /// udmabuf and the system heap: memory of no device.
  case systemMemory
  /// udmabuf and a device, whether or not it takes its buffers.
  case udmabufPair
  /// The system heap and a device, whether or not it takes its buffers.
  case heapPair
  /// An exporter and a device that has a copy of its buffers.
  case bouncedPair
  /// A device with dumb buffers, and another one that has a copy of them.
  case bouncedDumbPair
  /// The system heap and a device that has a copy of its buffers.
  case bouncedHeapPair
  /// udmabuf and a device that has a copy of its buffers.
  case bouncedUDMABufPair
  /// A display that its user allowed to be pulled out.
  case removableDisplay

  /// What is missing where there is none.
  var absence: String {
    switch self {
    case .machine: "there is no machine"
    case .exporter: "nothing here makes dma-bufs"
    case .dumbDevice: "no device here has dumb buffers"
    case .device: "no primary node here can be opened"
    case .renderDevice: "no render node here can be opened"
    case .sharingPair: "no device here takes another's buffers"
    case .pair: "this needs two devices"
    case .display: "no device here sets modes"
    case .displayPair, .shownPair: "no display here takes another's buffers"
    case .vgem, .fencedExporter: "vgem is not loaded: `sudo modprobe vgem`"
    case .fencedDisplay: "this needs vgem and a display that takes its buffers"
    case .udmabuf: "/dev/udmabuf cannot be opened, or this kernel has none"
    case .heap: "/dev/dma_heap/system cannot be opened, or this kernel has none"
    case .systemMemory: "neither /dev/udmabuf nor /dev/dma_heap/system can be opened here"
    case .udmabufPair: "this needs /dev/udmabuf and a device"
    case .heapPair: "this needs /dev/dma_heap/system and a device"
    case .bouncedPair, .bouncedDumbPair, .bouncedHeapPair, .bouncedUDMABufPair:
      "no import here is seen to go through bounce buffers: boot with swiotlb=force, and run it as root with debugfs mounted"
    case .removableDisplay: "no device may be pulled out: \(Remedy.allowedUnplug)"
    }
  }
}

/// One thing that a statement is looked at on.
package struct Subject: Hashable, Sendable {
  /// What makes dma-bufs.
  package enum Exporter: Hashable, Sendable {
    /// Dumb buffers of a device's primary node.
    case dumb(DeviceDescription)
    /// `/dev/udmabuf`.
    case udmabuf
    /// `/dev/dma_heap/system`.
    case heap
  }

  /// What makes the buffers; nil where the statement is about a device or the machine.
  package var exporter: Exporter?
  /// The device that is looked at: the importer or display of a pair, else the one device.
  package var device: DeviceDescription?
  /// How reports name it: `vgem`, `udmabuf → vkms`, empty for the machine.
  package var name: String
  /// The driver whose behaviour it shows: the exporter's for an exporter, else the device's.
  package var driver: String
  /// Whether the importer of a pair has a copy of the buffers, in bounce buffers.
  package var isBounced: Bool

  package init(
    exporter: Exporter? = nil, device: DeviceDescription? = nil, name: String, driver: String, isBounced: Bool = false
  ) {
    self.exporter = exporter
    self.device = device
    self.name = name
    self.driver = driver
    self.isBounced = isBounced
  }

  /// The drivers that it is about, by every name that the kernel's log may have for them.
  var drivers: Set<String> {
    var devices = [device].compactMap { $0 }
    if case .dumb(let exporting) = exporter { devices.append(exporting) }
    return Set(devices.flatMap { $0.modules(by: LinuxKernel()).union([$0.driver]) } + (driver.isEmpty ? [] : [driver]))
  }

  /// The nodes that it is about.
  var nodes: Set<String> {
    var nodes = Set([device?.primary?.path, device?.render?.path].compactMap { $0 })
    if case .dumb(let exporting) = exporter, let node = exporting.primary { nodes.insert(node.path) }
    return nodes
  }
}
