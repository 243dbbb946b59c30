internal import Prime

/// How a display's share of a scanout chooses its way, before anything is changed.
extension ScanoutStage {
  static func chooseRoute(
    on display: Device, _ connector: String?, _ request: ScanoutRequest
  ) throws(PrimeError) -> DisplayRoute {
    if let connector { return try DisplayRoute(on: display, to: .connector(connector), legacy: request.legacy) }
    // What cannot be seen cannot be proven, so a connector that shows it is preferred. One that writes what cannot be
    // compared shows less than a screen does.
    if !request.legacy {
      do throws(PrimeError) {
        let route = try DisplayRoute(on: display, to: .writeback)
        if canCompare(request, on: route) { return route }
      } catch {
        // That it has none is no error, and leaves the screens.
        guard !error.isBreakage, error.errno != .noMemory, error.finding != .tooLarge else { throw error }
      }
    }
    return try DisplayRoute(on: display, to: .connected, legacy: request.legacy)
  }

  /// Whether a writeback connector writes a format in which the request's pictures can be compared.
  static func canCompare(_ request: ScanoutRequest, on route: DisplayRoute) -> Bool {
    let overlay = request.overlay.map { (format: $0.format.fourcc, alpha: $0.alpha) }
    return WrittenFormat(for: request.format.fourcc, overlay: overlay, among: route.targetFormats) != nil
  }

  static func chooseMode(of route: DisplayRoute, _ wanted: ModeRequest?) throws -> DisplayMode {
    if route.connector.isWriteback {
      return try DisplayMode.withoutWire(width: wanted?.width ?? 1024, height: wanted?.height ?? 768)
    }
    guard let wanted else {
      guard let mode = route.modes.first(where: \.isPreferred) ?? route.modes.first else {
        throw Stop(
          verdict: .untested,
          reason: "\(route.device.subject): \(route.connector.name) offers no mode: no display is connected")
      }
      return mode
    }
    guard let mode = wanted.best(of: route.modes) else {
      throw declined("\(route.connector.name) offers \(wanted.refusal(among: route.modes))", route)
    }
    return mode
  }

  /// Chooses the plane by the format; the modifier is known once the buffers are.
  static func chooseSecondPlane(
    of route: DisplayRoute, _ overlay: ScanoutRequest.Overlay, in mode: (width: Int, height: Int),
    _ record: ScanoutRecord
  ) throws -> (plane: SecondPlane, rectangle: ScanoutReport.Rectangle) {
    let plane = try Stop.declining(.refused, by: .importer) {
      try route.secondPlane(fetching: overlay.format.fourcc, .invalid)
    }
    record.report.overlay?.plane = plane.id.rawValue
    record.report.overlay?.planeKind = plane.kind
    let rectangle = overlay.rectangle(in: mode)
    record.report.overlay?.rectangle = rectangle
    guard rectangle.x < mode.width, rectangle.y < mode.height, rectangle.x + rectangle.width > 0,
      rectangle.y + rectangle.height > 0
    else {
      throw declined(
        "nothing of an overlay of \(rectangle.width)x\(rectangle.height) at (\(rectangle.x),\(rectangle.y)) lies within "
          + "the mode \(mode.width)x\(mode.height)", route)
    }
    return (plane, rectangle)
  }

  static func declined(_ reason: String, _ route: DisplayRoute) -> Stop {
    Stop(
      verdict: .refused, refusedBy: .importer,
      error: PrimeError(operation: .scanout, finding: .unsuitable, subject: route.device.subject, reason: reason))
  }
}
