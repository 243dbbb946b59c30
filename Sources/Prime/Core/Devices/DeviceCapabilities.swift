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
  }

  /// Asks an open device.
  ///
  /// Client capabilities stay switched on for its open file.
  ///
  /// - Throws: what a question failed with that is no answer: a capability that could not be asked for is not one that is
  ///   missing.
  static func asking(_ device: Device) throws(PrimeError) -> DeviceCapabilities {
    func answer(_ number: UInt64) throws(PrimeError) -> UInt64? {
      try device.kernel.capability(device.rawDescriptor, number).unlessDeclined("drmGetCap", by: device)
    }
    var capabilities = DeviceCapabilities()
    let prime = try answer(Number.prime)
    capabilities.primeImport = prime.map { $0 & Number.primeImport != 0 }
    capabilities.primeExport = prime.map { $0 & Number.primeExport != 0 }
    capabilities.dumbBuffer = try answer(Number.dumbBuffer).map { $0 != 0 }
    capabilities.framebufferModifiers = try answer(Number.framebufferModifiers).map { $0 != 0 }
    capabilities.syncobj = try answer(Number.syncobj).map { $0 != 0 }
    capabilities.syncobjTimeline = try answer(Number.syncobjTimeline).map { $0 != 0 }
    func resources() throws(PrimeError) -> KMSResources? {
      try device.kernel.kmsResources(device.rawDescriptor).unlessDeclined("drmModeGetResources", by: device)
    }
    guard device.node.kind == .primary, try resources() != nil else { return capabilities }
    let atomic: Void? = try device.enableAtomic().unlessDeclined("drmSetClientCap", by: device)
    capabilities.atomic = atomic != nil
    guard atomic != nil, try device.enableWriteback().unlessDeclined("drmSetClientCap", by: device) != nil else {
      return capabilities
    }
    // Read after the capability was granted: before it the list leaves writeback connectors out.
    capabilities.writeback = false
    for connector in try resources()?.connectors ?? [] {
      let answer = try device.kernel.kmsConnector(device.rawDescriptor, id: connector)
        .unlessDeclined("drmModeGetConnector", by: device)
      if answer?.type == ConnectorType.writeback { capabilities.writeback = true }
    }
    return capabilities
  }
}

extension Result where Failure == Errno {
  /// What a question to a driver was answered; nil where the driver has no such thing (`drm_getcap`, `drm_setclientcap`), or
  /// has it no more.
  fileprivate func unlessDeclined(_ operation: PrimeError.Operation, by device: Device) throws(PrimeError) -> Success? {
    switch self {
    case .success(let value): return value
    case .failure(.invalidArgument), .failure(.notSupported), .failure(.notImplemented), .failure(.notATerminal),
      .failure(.permissionDenied), .failure(.notPermitted), .failure(.noSuchFile):
      return nil
    case .failure: return try orThrow(operation, on: device.subject)
    }
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
}
