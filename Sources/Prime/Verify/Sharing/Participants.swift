public import Prime

/// Where a buffer comes from: a DRM device with an allocator of its own, a video device, or system memory of no device.
public struct Exporter: Hashable, Sendable {
  /// How reports name it: the driver, `driver:N` where several devices have it, `video:N`, `udmabuf`, or `heap:NAME`.
  public let name: String
  /// The device's primary node, nil for system memory.
  public let primary: DRMNode?
  /// The device's render node, nil where it has none that may be opened.
  public let render: DRMNode?
  /// Which way it allocates.
  public let allocator: AllocatorKind
  /// The dma-heap's name, nil for every other allocator.
  public let heap: String?
  /// The V4L2 node whose memory it is, nil for every other allocator.
  public let video: VideoDevice?
  /// Why it cannot be used here; nil when it can.
  public let problem: PrimeError?
  /// What draws, for a GPU; nil for every other allocator.
  public let program: WitnessProgram?

  /// Names an exporter that is opened through one node, or that is system memory.
  public init(
    name: String, node: DRMNode?, allocator: AllocatorKind, heap: String? = nil, problem: PrimeError? = nil
  ) {
    self.init(
      name: name, primary: node?.kind == .primary ? node : nil, render: node?.kind == .render ? node : nil,
      allocator: allocator, heap: heap, problem: problem)
  }

  /// Names an exporter.
  public init(
    name: String, primary: DRMNode?, render: DRMNode?, allocator: AllocatorKind, heap: String? = nil,
    video: VideoDevice? = nil, problem: PrimeError? = nil, program: WitnessProgram? = nil
  ) {
    self.name = name
    self.primary = primary
    self.render = render
    self.allocator = allocator
    self.heap = allocator == .heap ? heap ?? DMAHeapAllocator.systemHeap : nil
    self.video = video
    self.problem = problem
    self.program = program
  }

  /// The DRM node it is opened through first, nil for system memory and video devices.
  ///
  /// Dumb buffers exist on primary nodes only. GBM takes the render node: a driver's own allocation is `DRM_AUTH` on the
  /// primary one (amdgpu), or the primary node is a display's that allocates nothing. `Allocator.node` tells which one a
  /// buffer came through.
  public var node: DRMNode? { [.gbm, .gpu].contains(allocator) ? render ?? primary : primary ?? render }

  /// The path of the node it is opened through, nil for system memory.
  public var nodePath: String? { node?.path ?? video?.path }
}

extension Exporter {
  /// A device as an exporter, once for each of these allocators that needs a device.
  ///
  /// Without any it is the one that the device is found to have: dumb buffers, or else GBM.
  public static func device(
    _ device: DeviceDescription, among devices: [DeviceDescription], allocators: Set<AllocatorKind> = []
  ) -> [Exporter] {
    self.device(device, among: devices, allocators: allocators, kernel: LinuxKernel())
  }

  package static func device(
    _ device: DeviceDescription, among devices: [DeviceDescription], allocators: Set<AllocatorKind>,
    kernel: any KernelCalls
  ) -> [Exporter] {
    let kinds = allocators.isEmpty ? [usualAllocator(of: device, kernel: kernel)] : allocators
    return [AllocatorKind.dumb, .gbm].filter(kinds.contains).map { kind in
      Exporter(
        name: device.label(among: devices), primary: device.primary, render: device.usableRender, allocator: kind,
        problem: device.problem)
    }
  }

  /// The GPU of a device as an exporter, whose pictures a program draws.
  public static func gpu(
    _ device: DeviceDescription, among devices: [DeviceDescription], drawnBy program: WitnessProgram
  ) -> Exporter {
    Exporter(
      name: "\(AllocatorKind.gpu.rawValue):\(device.label(among: devices))", primary: device.primary,
      render: device.usableRender, allocator: .gpu, problem: device.problem, program: program)
  }

  /// Dumb buffers where the driver makes them, whatever it says of itself: vgem makes them and does not answer
  /// `DRM_CAP_DUMB_BUFFER`.
  private static func usualAllocator(of device: DeviceDescription, kernel: any KernelCalls) -> AllocatorKind {
    guard let primary = device.primary, device.usableNodes.contains(primary) else {
      return device.usableNodes.isEmpty ? .dumb : .gbm
    }
    // What fails here fails again where it is looked at, and is told there.
    guard let opened = try? Device.open(primary, kernel: kernel) else { return .dumb }
    return DumbAllocator(device: opened).isSupported ? .dumb : .gbm
  }

  /// The exporters that need no device: udmabuf and every dma-heap, of these kinds of allocator.
  ///
  /// - Throws: `opendir` where `/dev/dma_heap` cannot be read.
  public static func systemMemory(_ kinds: Set<AllocatorKind>) throws(PrimeError) -> [Exporter] {
    try systemMemory(kinds, kernel: LinuxKernel())
  }

  package static func systemMemory(
    _ kinds: Set<AllocatorKind>, kernel: any KernelCalls
  ) throws(PrimeError) -> [Exporter] {
    var exporters: [Exporter] = []
    if kinds.contains(.udmabuf) {
      exporters.append(
        Exporter(
          name: AllocatorKind.udmabuf.rawValue, node: nil, allocator: .udmabuf,
          problem: SystemMemoryAvailability.udmabufProblem(by: kernel)))
    }
    guard kinds.contains(.heap) else { return exporters }
    return exporters
      + (try SystemMemoryAvailability.heaps(by: kernel)).map { heap in
        Exporter(
          name: "\(AllocatorKind.heap.rawValue):\(heap)", node: nil, allocator: .heap, heap: heap,
          problem: SystemMemoryAvailability.problem(ofHeap: heap, by: kernel))
      }
  }
}

extension AllocatorKind {
  /// Whether an exporter's name tells how it allocates: `udmabuf` and `heap:NAME` do, a driver's does not.
  ///
  /// A name may be in capitals, as a person gives it.
  public func isTold(byName name: String) -> Bool {
    let name = name.lowercased()
    return name == rawValue || name.hasPrefix("\(rawValue):")
  }
}

/// The device that a buffer is handed to: a DRM device or a video device.
public struct Importer: Hashable, Sendable {
  /// How reports name it: the driver, `driver:N` where several devices have it, or `video:N`.
  public let name: String
  /// The DRM node it is opened through; nil where it has none that can be seen, and for a video device.
  public let node: DRMNode?
  /// What a video device does with the buffer; nil for a DRM device.
  public let video: VideoImport?
  /// Its render node, through which a GPU is asked to look; nil where it has none that may be opened.
  public let render: DRMNode?
  /// Why it cannot be used here; nil when it can.
  public let problem: PrimeError?

  /// Names an importer.
  public init(
    name: String, node: DRMNode?, render: DRMNode? = nil, video: VideoImport? = nil, problem: PrimeError? = nil
  ) {
    self.name = name
    self.node = node
    self.render = render
    self.video = video
    self.problem = problem
  }

  /// The path of the node it is opened through; nil where it has none that can be seen.
  public var nodePath: String? { node?.path ?? video?.device.path }

  /// Opens its DRM node.
  ///
  /// - Throws: `open` with `absent` where it has none; else as `Device.open`.
  package func open(by kernel: any KernelCalls) throws(PrimeError) -> Device {
    guard let node else {
      throw PrimeError(operation: "open", finding: .absent, subject: name, reason: "it has no node")
    }
    return try Device.open(node, kernel: kernel)
  }
}
