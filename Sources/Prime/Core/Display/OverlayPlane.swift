/// A plane that a CRTC shows above its primary plane.
public struct SecondPlane: Sendable {
  /// What the driver offers the plane for.
  public enum Kind: String, Hashable, Sendable, Codable {
    /// Any picture, `DRM_PLANE_TYPE_OVERLAY`.
    case overlay
    /// A mouse pointer, `DRM_PLANE_TYPE_CURSOR`; hardware often takes a few sizes only.
    case cursor

    /// The value of the plane's property `type`.
    fileprivate var type: UInt64 {
      switch self {
      case .overlay: PlaneType.overlay
      case .cursor: PlaneType.cursor
      }
    }
  }

  /// The plane's object id.
  public let id: PlaneID
  /// What the driver offers it for.
  public let kind: Kind
  /// The formats and modifiers it says it fetches.
  public let formats: PlaneFormats
  /// Its properties.
  let object: DisplayObject
  /// The place among the planes that puts it above the picture; nil where it has that, or there is no order.
  let raised: UInt64?
}

extension DisplayRoute {
  /// The planes that the route's CRTC can show above its primary plane, overlays before cursors.
  ///
  /// A plane that shows something on another CRTC is left to it.
  ///
  /// - Throws: `unsupported` where the device or the caller has no atomic mode setting, which shows two planes in one commit.
  public func secondPlanes() throws(PrimeError) -> [SecondPlane] {
    guard let objects else {
      throw PrimeError(
        operation: .scanout, finding: .unsupported, subject: device.subject,
        reason: "two planes in one commit need atomic mode setting, which this display is not driven by")
    }
    let floor = objects.plane.value("zpos")
    var found: [SecondPlane] = []
    for id in try device.kernel.kmsPlanes(device.rawDescriptor)
      .orThrow("drmModeGetPlaneResources", on: device.subject) where id != planeID.rawValue
    {
      let answer = try device.kernel.kmsPlane(device.rawDescriptor, id: id)
        .orThrow("drmModeGetPlane", on: device.subject)
      let object = try DisplayObject(id, .plane, of: device)
      let kind = [SecondPlane.Kind.overlay, .cursor].first { $0.type == object.value("type") }
      guard let kind, answer.possibleCRTCs & (1 << UInt32(crtcIndex)) != 0,
        [0, UInt64(crtcID.rawValue)].contains(object.value("CRTC_ID") ?? 0)
      else { continue }
      // Where planes have an order, one below the picture would be hidden by it.
      var raised: UInt64?
      if let floor, let height = object.property("zpos"), height.value <= floor {
        guard !height.isImmutable, height.admits(floor + 1) else { continue }
        raised = floor + 1
      }
      let formats = PlaneFormats(
        formats: answer.formats.map(Fourcc.init(rawValue:)), inFormats: try Self.inFormats(object, of: device))
      found.append(SecondPlane(id: PlaneID(rawValue: id), kind: kind, formats: formats, object: object, raised: raised))
    }
    return found.filter { $0.kind == .overlay } + found.filter { $0.kind == .cursor }
  }

  /// The first of the second planes that fetches a format with a modifier.
  ///
  /// - Throws: `unsupported` where there is no second plane; `unsuitable` where none fetches it, with what one of them offers.
  public func secondPlane(fetching fourcc: Fourcc, _ modifier: Modifier) throws(PrimeError) -> SecondPlane {
    let planes = try secondPlanes()
    guard let first = planes.first else {
      throw PrimeError(
        operation: .scanout, finding: .unsupported, subject: device.subject,
        reason: "CRTC \(crtcIndex) has no second plane: neither an overlay nor a cursor plane feeds it")
    }
    let fetching = planes.first { $0.formats.objection(to: fourcc, modifier, plane: $0.id) == nil }
    guard fetching == nil, let objection = first.formats.objection(to: fourcc, modifier, plane: first.id) else {
      return fetching ?? first
    }
    throw PrimeError(
      operation: .scanout, finding: .unsuitable, subject: device.subject,
      reason: objection)
  }
}

extension AtomicCommit {
  /// Shows a part of a framebuffer on a plane, unscaled; `corner` is where in the framebuffer it begins.
  mutating func show(
    _ framebuffer: FramebufferID, from corner: Point = .origin, on plane: DisplayObject, of crtc: CRTCID,
    size: (width: Int, height: Int), at place: (x: Int, y: Int) = (0, 0)
  ) throws(PrimeError) {
    try set(plane, "FB_ID", UInt64(framebuffer.rawValue))
    try set(plane, "CRTC_ID", UInt64(crtc.rawValue))
    // In fixed point with 16 bits of fraction (drm_plane.c).
    for (name, value) in [
      ("SRC_X", corner.x), ("SRC_Y", corner.y), ("SRC_W", size.width), ("SRC_H", size.height),
    ] {
      try set(plane, name, UInt64(value) << 16)
    }
    for (name, value) in [
      ("CRTC_X", place.x), ("CRTC_Y", place.y), ("CRTC_W", size.width), ("CRTC_H", size.height),
    ] {
      // A plane may begin left of the screen or above it.
      try set(plane, name, UInt64(bitPattern: Int64(value)))
    }
  }

  /// Takes a plane off its CRTC.
  mutating func switchOff(_ plane: DisplayObject) throws(PrimeError) {
    try set(plane, "FB_ID", 0)
    try set(plane, "CRTC_ID", 0)
  }
}
