/// What a driver says of itself (`drmGetCap`); nil where it did not answer the question.
///
/// Since Linux 6.6 every driver claims PRIME import and export, also one that refuses every import: only a try tells.
public struct DeviceCapabilities: Hashable, Sendable, Codable {
  /// `DRM_PRIME_CAP_IMPORT` of `DRM_CAP_PRIME`.
  public var primeImport: Bool?
  /// `DRM_PRIME_CAP_EXPORT` of `DRM_CAP_PRIME`.
  public var primeExport: Bool?
  /// `DRM_CAP_DUMB_BUFFER`.
  ///
  /// vgem has dumb buffers and does not answer, since it has no mode setting.
  public var dumbBuffer: Bool?
  /// `DRM_CAP_ADDFB2_MODIFIERS`.
  public var framebufferModifiers: Bool?
  /// `DRM_CAP_SYNCOBJ`.
  public var syncobj: Bool?
  /// `DRM_CAP_SYNCOBJ_TIMELINE`.
  public var syncobjTimeline: Bool?
  /// Whether `DRM_CLIENT_CAP_ATOMIC` is granted.
  public var atomic: Bool?
  /// Whether it has a writeback connector, which shows what its display engine composed.
  public var writeback: Bool?

  /// Nothing known.
  public init() {}

  /// The numbers of `drm.h`.
  fileprivate enum Number {
    static let dumbBuffer: UInt64 = 0x1
    static let prime: UInt64 = 0x5
    static let framebufferModifiers: UInt64 = 0x10
    static let syncobj: UInt64 = 0x13
    static let syncobjTimeline: UInt64 = 0x14
    static let primeImport: UInt64 = 0x1
    static let primeExport: UInt64 = 0x2
    /// `DRM_MODE_CONNECTOR_WRITEBACK`.
    static let writebackConnector: UInt32 = 18
  }

  /// Asks an open device.
  ///
  /// Client capabilities stay switched on for its open file.
  static func asking(_ device: Device) -> DeviceCapabilities {
    func answer(_ number: UInt64) -> UInt64? {
      try? device.kernel.capability(device.rawDescriptor, number).get()
    }
    var capabilities = DeviceCapabilities()
    let prime = answer(Number.prime)
    capabilities.primeImport = prime.map { $0 & Number.primeImport != 0 }
    capabilities.primeExport = prime.map { $0 & Number.primeExport != 0 }
    capabilities.dumbBuffer = answer(Number.dumbBuffer).map { $0 != 0 }
    capabilities.framebufferModifiers = answer(Number.framebufferModifiers).map { $0 != 0 }
    capabilities.syncobj = answer(Number.syncobj).map { $0 != 0 }
    capabilities.syncobjTimeline = answer(Number.syncobjTimeline).map { $0 != 0 }
    guard device.node.kind == .primary, case .success = device.kernel.kmsResources(device.rawDescriptor)
    else { return capabilities }
    capabilities.atomic = device.enableAtomic().succeeded
    guard capabilities.atomic == true, device.enableWriteback().succeeded else { return capabilities }
    // Read after the capability was granted: before it the list leaves writeback connectors out.
    let connectors = (try? device.kernel.kmsResources(device.rawDescriptor).get())?.connectors ?? []
    capabilities.writeback = connectors.contains { connector in
      (try? device.kernel.kmsConnector(device.rawDescriptor, id: connector).get())?.type == Number.writebackConnector
    }
    return capabilities
  }
}

extension Result where Failure == Errno {
  fileprivate var succeeded: Bool {
    if case .success = self { return true }
    return false
  }
}

extension Device {
  /// Whether `AddFB2` takes an explicit modifier (`DRM_CAP_ADDFB2_MODIFIERS`).
  var takesFramebufferModifiers: Bool {
    (try? kernel.capability(rawDescriptor, DeviceCapabilities.Number.framebufferModifiers).get()) == 1
  }

  /// Asks for atomic mode setting, and for every plane to be listed, which must come first.
  ///
  /// Virtual devices list their cursor plane to atomic clients only where those say that they set its hot spot (Linux 6.6).
  func enableAtomic() -> CallResult<Void> {
    enable(ClientCapability.universalPlanes).flatMap { enable(ClientCapability.atomic) }.flatMap {
      switch enable(ClientCapability.cursorHotspots) {
      // Other devices, and older kernels: there is no such plane.
      case .success, .failure(.notSupported), .failure(.invalidArgument): .success(())
      case .failure(let errno): .failure(errno)
      }
    }
  }

  /// Asks for writeback connectors to be listed; the kernel refuses before atomic was granted.
  func enableWriteback() -> CallResult<Void> {
    enable(ClientCapability.writebackConnectors)
  }

  /// What an open file was granted it keeps, so that nothing is asked twice.
  private func enable(_ capability: UInt64) -> CallResult<Void> {
    guard !hasGranted(capability) else { return .success(()) }
    return kernel.setClientCapability(rawDescriptor, capability, 1).map { noteGranted(capability) }
  }

  /// The numbers of `drm.h`.
  private enum ClientCapability {
    static let universalPlanes: UInt64 = 2
    static let atomic: UInt64 = 3
    static let writebackConnectors: UInt64 = 5
    static let cursorHotspots: UInt64 = 6
  }
}
