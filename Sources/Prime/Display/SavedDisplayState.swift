/// What a device's displays showed, and the way back to it.
struct SavedDisplayState {
  private let device: Device
  private let crtcs: [DisplayObject]
  private let planes: [DisplayObject]
  private let connectors: [DisplayObject]
  /// The bytes of each CRTC's mode: the kernel frees the blob itself with the state that refers to it.
  private let modes: [UInt32: [UInt8]]

  /// Reads the state of every CRTC, plane and connector.
  init(of device: Device) throws(PrimeError) {
    let resources = try device.kernel.kmsResources(device.rawDescriptor)
      .orThrow("drmModeGetResources", on: device.subject)
    let planeIDs = try device.kernel.kmsPlanes(device.rawDescriptor)
      .orThrow("drmModeGetPlaneResources", on: device.subject)
    var crtcs: [DisplayObject] = []
    var modes: [UInt32: [UInt8]] = [:]
    for id in resources.crtcs {
      let crtc = try DisplayObject(id, .crtc, of: device)
      if let blob = crtc.value("MODE_ID"), blob != 0 {
        modes[id] = try device.kernel.kmsBlob(device.rawDescriptor, id: UInt32(truncatingIfNeeded: blob))
          .orThrow("drmModeGetPropertyBlob", on: device.subject)
      }
      crtcs.append(crtc)
    }
    var planes: [DisplayObject] = []
    for id in planeIDs { planes.append(try DisplayObject(id, .plane, of: device)) }
    var connectors: [DisplayObject] = []
    for id in resources.connectors { connectors.append(try DisplayObject(id, .connector, of: device)) }
    self.device = device
    self.crtcs = crtcs
    self.planes = planes
    self.connectors = connectors
    self.modes = modes
  }

  private static let planeProperties = [
    "FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H",
    "alpha", "pixel blend mode",
  ]

  /// Commits the saved state again, in one request.
  func restore(deadline: Deadline) throws(PrimeError) {
    var commit = AtomicCommit()
    for connector in connectors {
      try commit.set(connector, "CRTC_ID", connector.value("CRTC_ID") ?? 0)
    }
    for plane in planes {
      for name in Self.planeProperties {
        guard let value = plane.value(name) else { continue }
        try commit.set(plane, name, value)
      }
    }
    try restoreCRTCs(crtcs[...], commit, deadline: deadline)
  }

  /// Adds one CRTC after the other, holding each one's mode blob until the commit was sent.
  private func restoreCRTCs(
    _ rest: ArraySlice<DisplayObject>, _ commit: AtomicCommit, deadline: Deadline
  ) throws(PrimeError) {
    var commit = commit
    guard let crtc = rest.first else {
      _ = try commit.send(on: device, flags: .allowModeset, deadline: deadline)
      return
    }
    try commit.set(crtc, "ACTIVE", crtc.value("ACTIVE") ?? 0)
    guard let bytes = modes[crtc.id] else {
      try commit.set(crtc, "MODE_ID", 0)
      return try restoreCRTCs(rest.dropFirst(), commit, deadline: deadline)
    }
    let blob = try PropertyBlob(bytes, on: device)
    try commit.set(crtc, "MODE_ID", UInt64(blob.id))
    try restoreCRTCs(rest.dropFirst(), commit, deadline: deadline)
  }
}
