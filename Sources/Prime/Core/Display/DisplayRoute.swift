/// One way through a device's display engine: a plane, the CRTC it feeds, and the connector that CRTC feeds.
public struct DisplayRoute: Sendable {
  /// The device, open for mode setting.
  public let device: Device
  /// Where the picture leaves.
  public let connector: Connector
  /// The CRTC's index in the device's list, which masks and debugfs use.
  public let crtcIndex: Int
  /// The CRTC's object id.
  public let crtcID: CRTCID
  /// The primary plane's object id.
  public let planeID: PlaneID
  /// The formats and modifiers the plane says it fetches; without `IN_FORMATS` every format, modifiers unknown.
  public let formats: PlaneFormats
  /// The modes of the connector, the kernel's preferred first; none for a writeback connector, which takes any size.
  public let modes: [DisplayMode]
  /// The formats a writeback connector writes; empty for a wire.
  public let targetFormats: Set<Fourcc>
  /// Width and height a framebuffer may have, in pixels.
  public let widths: ClosedRange<Int>
  /// The heights a framebuffer may have, in pixels.
  public let heights: ClosedRange<Int>
  /// Whether the device takes atomic commits; else the legacy calls are used.
  public let isAtomic: Bool
  /// What the atomic path sets: nil without it.
  package let objects: Objects?

  /// The objects of the route with their property ids, and those that must let go of its CRTC.
  package struct Objects: Sendable {
    var crtc: DisplayObject
    var plane: DisplayObject
    package var connector: DisplayObject
    var otherPlanes: [DisplayObject]
    var otherConnectors: [DisplayObject]
  }
}

extension DisplayRoute {
  /// The route's connector, CRTC and plane as they are at this moment.
  func readObjects() throws(PrimeError) -> [DisplayObject] {
    [
      try DisplayObject(connector.id.rawValue, .connector, of: device),
      try DisplayObject(crtcID.rawValue, .crtc, of: device), try DisplayObject(planeID.rawValue, .plane, of: device),
    ]
  }
}

/// What a plane says of the formats it fetches.
public struct PlaneFormats: Hashable, Sendable {
  /// Every format, in the driver's order.
  public let formats: [Fourcc]
  /// The `IN_FORMATS` blob, nil where the driver has none.
  public let inFormats: InFormats?

  /// Why a format and modifier cannot be fetched, nil when they can as far as the plane says.
  package func objection(to fourcc: Fourcc, _ modifier: Modifier, plane: PlaneID) -> String? {
    guard formats.contains(fourcc) else {
      return "plane \(plane) does not fetch \(fourcc): it lists \(formats.map(\.name).joined(separator: ", "))"
    }
    // An implicit modifier is between the drivers; the list speaks of explicit ones only.
    guard let inFormats, modifier != .invalid, !inFormats.contains(fourcc, modifier) else { return nil }
    let offered = inFormats.modifiers(of: fourcc).map(\.description).joined(separator: ", ")
    return "plane \(plane) fetches \(fourcc) only with the modifiers \(offered), not \(modifier) (IN_FORMATS)"
  }
}

extension DisplayRoute {
  /// What a caller wants of a route.
  public enum Choice: Hashable, Sendable {
    /// The connector of this name.
    case connector(String)
    /// The first connector with a display, else a writeback connector.
    case connected
    /// A writeback connector.
    case writeback
  }

  /// Finds a way to a connector: of its CRTCs with a primary plane one that shows nothing, or else the first.
  ///
  /// The kernel looks at a wire only for the DRM master: call `becomeMaster` before, or a connector that nobody asked since
  /// the boot is `unknown`.
  ///
  /// `legacy` keeps to the calls from before atomic mode setting although the device grants it.
  ///
  /// - Throws: `drmModeGetResources` with `EOPNOTSUPP` where the device has no mode setting; `absent` for a connector it has
  ///   not; an untestable error where none is connected, with what there is.
  public init(on device: Device, to choice: Choice, legacy: Bool = false) throws(PrimeError) {
    guard device.node.kind == .primary else {
      throw Self.none("a render node sets no modes: name its /dev/dri/card node", on: device)
    }
    let granted = try Self.enableAtomic(on: device, isNeeded: choice == .writeback)
    let atomic = granted && !legacy
    let resources = try device.kernel.kmsResources(device.rawDescriptor).orThrow(
      "drmModeGetResources", on: device.subject, reason: "this device has no display engine (no mode setting)")
    var connectors: [(connector: Connector, answer: KMSConnector)] = []
    for id in resources.connectors {
      var answer = try device.kernel.kmsConnector(device.rawDescriptor, id: id)
        .orThrow("drmModeGetConnector", on: device.subject)
      if !Connector(answer).isWriteback && Connector(answer).connection == .unknown {
        // Nobody has asked the wire yet; reading the modes does.
        _ = device.kernel.kmsModes(device.rawDescriptor, connector: id)
        answer = try device.kernel.kmsConnector(device.rawDescriptor, id: id)
          .orThrow("drmModeGetConnector", on: device.subject)
      }
      connectors.append((Connector(answer), answer))
    }
    let chosen = try Self.chosen(choice, from: connectors, on: device)
    let way = try Self.way(to: chosen.answer, resources: resources, isAtomic: atomic, on: device)
    self.device = device
    self.connector = chosen.connector
    self.crtcIndex = way.crtcIndex
    self.crtcID = CRTCID(rawValue: way.crtcID)
    self.planeID = PlaneID(rawValue: way.plane.id)
    self.formats = PlaneFormats(
      formats: way.plane.formats.map(Fourcc.init(rawValue:)), inFormats: try Self.inFormats(way.planeObject, of: device)
    )
    // A writeback connector takes any size, whatever its driver lists.
    self.modes = chosen.connector.isWriteback ? [] : try Self.modes(of: chosen.connector, on: device)
    self.widths = Int(resources.widths.lowerBound)...Int(resources.widths.upperBound)
    self.heights = Int(resources.heights.lowerBound)...Int(resources.heights.upperBound)
    self.isAtomic = atomic
    guard atomic else {
      self.objects = nil
      self.targetFormats = []
      return
    }
    let connectorObject = try DisplayObject(chosen.answer.id, .connector, of: device)
    var otherConnectors: [DisplayObject] = []
    for id in resources.connectors where id != chosen.answer.id {
      let other = try DisplayObject(id, .connector, of: device)
      if other.value("CRTC_ID") == UInt64(way.crtcID) { otherConnectors.append(other) }
    }
    self.objects = Objects(
      crtc: try DisplayObject(way.crtcID, .crtc, of: device), plane: way.planeObject, connector: connectorObject,
      otherPlanes: way.otherPlanes, otherConnectors: otherConnectors)
    self.targetFormats = try Self.targetFormats(of: connectorObject, on: device)
  }

  /// Whether the device grants atomic mode setting, and lists its writeback connectors with it.
  private static func enableAtomic(on device: Device, isNeeded: Bool) throws(PrimeError) -> Bool {
    switch device.enableAtomic().flatMap({ device.enableWriteback() }) {
    case .success: return true
    case .failure(let errno):
      let isOrdinary = errno == .notSupported || errno == .invalidArgument
      guard isNeeded || !isOrdinary else { return false }
      throw PrimeError(
        operation: "drmSetClientCap", errno: errno, subject: device.subject,
        reason: isOrdinary ? "it has no atomic mode setting with writeback connectors" : nil)
    }
  }

  /// The kernel was asked what there is, and refused nothing.
  private static func none(_ reason: String, on device: Device) -> PrimeError {
    .untestable("drmModeGetConnector", on: device.subject, reason: reason)
  }

  private static func chosen(
    _ choice: Choice, from connectors: [(connector: Connector, answer: KMSConnector)], on device: Device
  ) throws(PrimeError) -> (connector: Connector, answer: KMSConnector) {
    let names = connectors.map { "\($0.connector.name) (\($0.connector.connection.rawValue))" }.joined(separator: ", ")
    let present = connectors.isEmpty ? "it has none" : "it has \(names)"
    switch choice {
    case .connector(let name):
      guard let found = connectors.first(where: { $0.connector.name == name }) else {
        throw PrimeError(
          operation: "drmModeGetConnector", finding: .absent, subject: device.subject,
          reason: "it has no connector \(name): \(present)")
      }
      return found
    case .connected:
      let found = connectors.first { $0.connector.connection == .connected && !$0.connector.isWriteback }
      guard let found = found ?? connectors.first(where: { $0.connector.isWriteback }) else {
        throw none("no display is connected: \(present)", on: device)
      }
      return found
    case .writeback:
      guard let found = connectors.first(where: { $0.connector.isWriteback }) else {
        throw none("it has no writeback connector: \(present)", on: device)
      }
      return found
    }
  }

  private struct Way {
    var crtcIndex: Int
    var crtcID: UInt32
    var plane: KMSPlane
    var planeObject: DisplayObject
    var otherPlanes: [DisplayObject]
    var isIdle: Bool
  }

  private static func way(
    to connector: KMSConnector, resources: KMSResources, isAtomic: Bool, on device: Device
  ) throws(PrimeError) -> Way {
    var mask: UInt32 = 0
    for encoder in connector.encoders {
      mask |= try device.kernel.kmsEncoderCRTCs(device.rawDescriptor, id: encoder)
        .orThrow("drmModeGetEncoder", on: device.subject)
    }
    let planeIDs = try device.kernel.kmsPlanes(device.rawDescriptor)
      .orThrow("drmModeGetPlaneResources", on: device.subject)
    var planes: [(object: DisplayObject, answer: KMSPlane)] = []
    for id in planeIDs {
      let answer = try device.kernel.kmsPlane(device.rawDescriptor, id: id)
        .orThrow("drmModeGetPlane", on: device.subject)
      planes.append((try DisplayObject(id, .plane, of: device), answer))
    }
    let current = try DisplayObject(connector.id, .connector, of: device).value("CRTC_ID") ?? 0
    var ways: [Way] = []
    for (index, id) in resources.crtcs.enumerated() where mask & (1 << UInt32(index)) != 0 {
      let fitting = planes.filter { $0.answer.possibleCRTCs & (1 << UInt32(index)) != 0 }
      let primaries = fitting.filter { $0.object.value("type") == PlaneType.primary }
      // Where every plane fits every CRTC, the first may be another CRTC's: this one's own comes first, then a free one.
      func primary(of crtc: UInt32) -> (object: DisplayObject, answer: KMSPlane)? {
        primaries.first { $0.object.value("CRTC_ID") == UInt64(crtc) }
      }
      guard let primary = primary(of: id) ?? primary(of: 0) ?? primaries.first else { continue }
      let others = fitting.map(\.object).filter { $0.id != primary.object.id && $0.value("CRTC_ID") == UInt64(id) }
      let isActive = try DisplayObject(id, .crtc, of: device).value("ACTIVE") ?? 0
      ways.append(
        Way(
          crtcIndex: index, crtcID: id, plane: primary.answer, planeObject: primary.object, otherPlanes: others,
          // The CRTC that already feeds this connector disturbs nobody else.
          isIdle: isActive == 0 || current == UInt64(id)))
    }
    guard let way = ways.first(where: \.isIdle) ?? ways.first else {
      throw none("no CRTC with a primary plane feeds \(Connector(connector).name)", on: device)
    }
    return way
  }

  static func inFormats(_ plane: DisplayObject, of device: Device) throws(PrimeError) -> InFormats? {
    guard let bytes = try blob("IN_FORMATS", of: plane, on: device) else { return nil }
    return try parsed("IN_FORMATS", on: device) { () throws(BlobError) in try InFormats(parsing: bytes) }
  }

  private static func targetFormats(of connector: DisplayObject, on device: Device) throws(PrimeError) -> Set<Fourcc> {
    guard let bytes = try blob("WRITEBACK_PIXEL_FORMATS", of: connector, on: device) else { return [] }
    return Set(
      try parsed("WRITEBACK_PIXEL_FORMATS", on: device) { () throws(BlobError) in
        try FormatList.parse(bytes)
      })
  }

  private static func modes(of connector: Connector, on device: Device) throws(PrimeError) -> [DisplayMode] {
    let list = try device.kernel.kmsModes(device.rawDescriptor, connector: connector.id.rawValue)
      .orThrow("drmModeGetConnector", on: device.subject)
    var modes: [DisplayMode] = []
    for bytes in list {
      modes.append(
        try parsed("drmModeGetConnector", on: device) { () throws(BlobError) in try DisplayMode(parsing: bytes) })
    }
    return modes
  }

  private static func blob(
    _ name: String, of object: DisplayObject, on device: Device
  ) throws(PrimeError) -> [UInt8]? {
    guard let id = object.value(name), id != 0 else { return nil }
    return try device.kernel.kmsBlob(device.rawDescriptor, id: UInt32(truncatingIfNeeded: id))
      .orThrow("drmModeGetPropertyBlob", on: device.subject)
  }

  /// What the kernel says and this library cannot read is the kernel's or this library's fault, and worth a report.
  private static func parsed<Value>(
    _ name: PrimeError.Operation, on device: Device, _ body: () throws(BlobError) -> Value
  ) throws(PrimeError) -> Value {
    do throws(BlobError) {
      return try body()
    } catch {
      throw PrimeError(
        operation: name, finding: .broken, subject: device.subject, reason: "its bytes make no sense: \(error)")
    }
  }
}
