internal import Glibc

/// A CRTC whose picture goes into a buffer instead of onto a wire: what it writes is what the display engine fetched.
///
/// It needs DRM master, which it asks for, and puts the display back to what it showed when it is closed.
public final class WritebackPipeline {
  /// The device whose display engine looks.
  public let device: Device
  private let crtc: DisplayObject
  private let plane: DisplayObject
  private let connector: DisplayObject
  /// Everything else that feeds from or into the CRTC and must be switched off with it.
  private let otherPlanes: [DisplayObject]
  private let otherConnectors: [DisplayObject]
  private let planeFormats: Set<Fourcc>
  private let targetFormats: Set<Fourcc>
  private let widths: ClosedRange<UInt32>
  private let heights: ClosedRange<UInt32>
  private var saved: SavedDisplayState?

  /// Finds a writeback connector with a CRTC and a primary plane, becomes master and remembers what was shown.
  ///
  /// - Throws: `ENOTSUP` where the device has no writeback connector; `drmSetMaster` where somebody else holds the display.
  public init(on device: Device) throws(PrimeError) {
    guard device.node.kind == .primary, device.enableAtomic(), device.enableWriteback() else {
      throw Self.missing("it has no atomic mode setting with writeback connectors", on: device)
    }
    let resources = try device.kernel.kmsResources(device.rawDescriptor)
      .orThrow("drmModeGetResources", on: device.subject)
    var found: (connector: UInt32, crtcs: UInt32)?
    for id in resources.connectors where found == nil {
      let connector = try device.kernel.kmsConnector(device.rawDescriptor, id: id)
        .orThrow("drmModeGetConnector", on: device.subject)
      guard connector.type == Self.writebackConnectorType else { continue }
      var crtcs: UInt32 = 0
      for encoder in connector.encoders {
        crtcs |= try device.kernel.kmsEncoderCRTCs(device.rawDescriptor, id: encoder)
          .orThrow("drmModeGetEncoder", on: device.subject)
      }
      found = (id, crtcs)
    }
    guard let found else { throw Self.missing("it has no writeback connector", on: device) }
    let route = try Self.route(from: found.crtcs, resources: resources, on: device)
    self.device = device
    self.connector = try DisplayObject(found.connector, .connector, of: device)
    self.crtc = route.crtc
    self.plane = route.plane
    self.planeFormats = Set(route.formats.map(Fourcc.init(rawValue:)))
    self.otherPlanes = route.otherPlanes
    self.widths = resources.widths
    self.heights = resources.heights
    var otherConnectors: [DisplayObject] = []
    for id in resources.connectors where id != found.connector {
      let other = try DisplayObject(id, .connector, of: device)
      if other.value("CRTC_ID") == UInt64(route.crtc.id) { otherConnectors.append(other) }
    }
    self.otherConnectors = otherConnectors
    self.targetFormats = try Self.targetFormats(of: connector, on: device)
    try device.becomeMaster()
    self.saved = nil
    do throws(PrimeError) {
      self.saved = try SavedDisplayState(of: device)
    } catch {
      device.dropMaster()
      throw error
    }
  }

  deinit {
    // A display must not stay changed because an error ended the work; `close` is for those who want to know.
    try? close(deadline: Deadline(in: .seconds(10)))
  }

  /// Puts the display back to what it showed and gives mastership back.
  ///
  /// Further calls do nothing.
  public func close(deadline: Deadline) throws(PrimeError) {
    guard let state = saved else { return }
    saved = nil
    defer { device.dropMaster() }
    try state.restore(deadline: deadline)
  }

  /// The least width and height of a framebuffer on this device, in pixels.
  var minimumSize: (width: Int, height: Int) { (Int(widths.lowerBound), Int(heights.lowerBound)) }

  /// The largest width and height of a framebuffer on this device, in pixels.
  var maximumSize: (width: Int, height: Int) { (Int(widths.upperBound), Int(heights.upperBound)) }

  /// Whether a framebuffer of this size is possible at all.
  func allows(width: Int, height: Int) -> Bool {
    UInt32(exactly: width).map(widths.contains) == true && UInt32(exactly: height).map(heights.contains) == true
  }

  /// Whether the plane fetches and the connector writes this format.
  public func supports(_ format: Fourcc) -> Bool {
    planeFormats.contains(format) && targetFormats.contains(format)
  }

  /// Shows the upper left part of `picture` and lets the display engine write what it fetched into `target`.
  ///
  /// `shown` is the part of the picture, in pixels; `target` has exactly the size `mode`. What the part does not cover is
  /// black. Returns when the engine has finished writing.
  ///
  /// - Throws: `DRM_IOCTL_MODE_ATOMIC` with its errno; `ETIMEDOUT` where the fence did not signal before the deadline.
  public func capture(
    _ picture: borrowing Framebuffer, shown: (width: Int, height: Int), into target: borrowing Framebuffer,
    mode: ModeTiming, deadline: Deadline
  ) throws(PrimeError) {
    guard let bytes = mode.modeInfoBytes() else {
      throw PrimeError(
        operation: "drmModeCreatePropertyBlob", errno: .overflow, subject: device.subject,
        reason: "\(mode.width)x\(mode.height) is beyond what a mode can say")
    }
    let blob = try PropertyBlob(bytes, on: device)
    var commit = AtomicCommit()
    for other in otherPlanes {
      try commit.set(other, "FB_ID", 0)
      try commit.set(other, "CRTC_ID", 0)
    }
    // vkms refuses a CRTC that feeds a wire and a buffer at once.
    for other in otherConnectors { try commit.set(other, "CRTC_ID", 0) }
    try commit.set(connector, "CRTC_ID", UInt64(crtc.id))
    try commit.set(connector, "WRITEBACK_FB_ID", UInt64(target.id))
    try commit.set(crtc, "MODE_ID", UInt64(blob.id))
    try commit.set(crtc, "ACTIVE", 1)
    try commit.set(plane, "FB_ID", UInt64(picture.id))
    try commit.set(plane, "CRTC_ID", UInt64(crtc.id))
    for (name, value) in [("SRC_X", 0), ("SRC_Y", 0), ("SRC_W", shown.width << 16), ("SRC_H", shown.height << 16)] {
      try commit.set(plane, name, UInt64(value))
    }
    for (name, value) in [("CRTC_X", 0), ("CRTC_Y", 0), ("CRTC_W", shown.width), ("CRTC_H", shown.height)] {
      try commit.set(plane, name, UInt64(value))
    }
    let fences = try commit.send(
      on: device, flags: .allowModeset,
      outFences: [try connector.setting("WRITEBACK_OUT_FENCE_PTR", to: 0)], deadline: deadline)
    guard let rawFence = fences.first, rawFence >= 0 else {
      throw PrimeError(
        operation: "DRM_IOCTL_MODE_ATOMIC", errno: .inputOutput, subject: device.subject,
        reason: "the kernel accepted the commit and gave no writeback fence")
    }
    let fence = Descriptor(adopting: rawFence, kernel: device.kernel)
    try Self.wait(for: fence, on: device, deadline: deadline)
  }

  private static func wait(for fence: borrowing Descriptor, on device: Device, deadline: Deadline) throws(PrimeError) {
    while true {
      switch device.kernel.poll(fence.rawValue, events: Int16(POLLIN), milliseconds: deadline.pollSlice) {
      case .success(0), .failure(.interrupted), .failure(.tryAgain):
        try deadline.check("poll for the writeback fence", on: device.subject)
      case .success: return
      case .failure(let errno):
        throw PrimeError(operation: "poll for the writeback fence", errno: errno, subject: device.subject)
      }
    }
  }

  // MARK: - Finding the way

  /// `DRM_MODE_CONNECTOR_WRITEBACK`.
  private static let writebackConnectorType: UInt32 = 18
  /// `DRM_PLANE_TYPE_PRIMARY`.
  private static let primaryPlaneType: UInt64 = 1

  private static func missing(_ reason: String, on device: Device) -> PrimeError {
    PrimeError(operation: "writeback", errno: .notSupported, subject: device.subject, reason: reason)
  }

  private struct Route {
    var crtc: DisplayObject
    var plane: DisplayObject
    var formats: [UInt32]
    var otherPlanes: [DisplayObject]
  }

  /// A CRTC of the mask with a primary plane; one that shows nothing is preferred to one that does.
  private static func route(
    from mask: UInt32, resources: KMSResources, on device: Device
  ) throws(PrimeError) -> Route {
    let planeIDs = try device.kernel.kmsPlanes(device.rawDescriptor)
      .orThrow("drmModeGetPlaneResources", on: device.subject)
    var planes: [(object: DisplayObject, answer: KMSPlane)] = []
    for id in planeIDs {
      let answer = try device.kernel.kmsPlane(device.rawDescriptor, id: id)
        .orThrow("drmModeGetPlane", on: device.subject)
      planes.append((try DisplayObject(id, .plane, of: device), answer))
    }
    var routes: [Route] = []
    for (index, id) in resources.crtcs.enumerated() where mask & (1 << UInt32(index)) != 0 {
      let crtc = try DisplayObject(id, .crtc, of: device)
      let fitting = planes.filter { $0.answer.possibleCRTCs & (1 << UInt32(index)) != 0 }
      guard let primary = fitting.first(where: { $0.object.value("type") == primaryPlaneType }) else { continue }
      let others = fitting.map(\.object).filter { $0.id != primary.object.id && $0.value("CRTC_ID") == UInt64(id) }
      routes.append(Route(crtc: crtc, plane: primary.object, formats: primary.answer.formats, otherPlanes: others))
    }
    guard let route = routes.first(where: { $0.crtc.value("ACTIVE") == 0 }) ?? routes.first else {
      throw missing("its writeback connector has no CRTC with a primary plane", on: device)
    }
    return route
  }

  private static func targetFormats(of connector: DisplayObject, on device: Device) throws(PrimeError) -> Set<Fourcc> {
    guard let blob = connector.value("WRITEBACK_PIXEL_FORMATS"), blob != 0 else { return [] }
    let bytes = try device.kernel.kmsBlob(device.rawDescriptor, id: UInt32(truncatingIfNeeded: blob))
      .orThrow("drmModeGetPropertyBlob", on: device.subject)
    var formats: Set<Fourcc> = []
    for start in stride(from: 0, to: bytes.count - bytes.count % 4, by: 4) {
      var code: UInt32 = 0
      for byte in (0..<4).reversed() { code = code << 8 | UInt32(bytes[start + byte]) }
      formats.insert(Fourcc(rawValue: code))
    }
    return formats
  }
}
