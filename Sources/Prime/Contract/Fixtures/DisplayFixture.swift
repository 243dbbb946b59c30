internal import Glibc
internal import Prime

/// A display that a statement may set modes on: its master's open file, and one way from a plane to a connector.
///
/// Finding it is not what statements are about, so those calls are not recorded. It begins switched off, and ends with what
/// it showed before.
struct DisplayFixture {
  let kernel: KernelProbe
  /// The primary node, open as its master; the probe closes it.
  let node: CInt
  let connector: UInt32
  let crtc: UInt32
  /// The primary plane.
  let plane: UInt32
  /// The connector's smallest mode of at least 640 pixels a row: buffers of its size are quickly made.
  let mode: DisplayMode
  /// What every picture is made of, which the primary plane fetches: 32 bits a pixel.
  let format: UInt32
  private let properties: [UInt32: [String: UInt32]]

  /// Width and height of the mode, in pixels.
  var width: UInt32 { UInt32(mode.hdisplay) }
  var height: UInt32 { UInt32(mode.vdisplay) }

  /// Becomes master of a device and finds a way; `isAtomic` asks for the client capabilities of atomic mode setting.
  init(_ path: String, with kernel: KernelProbe, isAtomic: Bool) throws(Statement.Stop) {
    self.kernel = kernel
    let system = kernel.unrecorded
    let found = try Self.find(on: DRMNode(path: path, kind: .primary), system)
    let way = found.way
    let node = try Self.master(of: path, with: kernel, isAtomic: isAtomic)
    self.node = node
    guard let mode = Self.mode(of: way.connector, on: node, system) else {
      throw .skipped("no display is connected to \(path)")
    }
    (connector, crtc, plane, format, self.mode) = (way.connector, way.crtc, way.plane, way.format, mode)
    func names(_ object: UInt32, _ kind: KMSObjectKind) -> [String: UInt32] {
      let list = (try? system.kmsProperties(node, object: object, kind: kind).get()) ?? []
      return Dictionary(list.map { ($0.name, $0.id) }, uniquingKeysWith: { first, _ in first })
    }
    properties = [
      crtc: names(crtc, .crtc), plane: names(plane, .plane), connector: names(connector, .connector),
    ]
    DisplayCustody.take(path, found.shown)
    // Nobody else is master then, and no statement's framebuffer is left.
    kernel.afterClosing { Self.putBack(found.shown, path, system) }
    _ = system.kmsSetCRTC(node, id: crtc, KMSCRTC(framebuffer: 0, x: 0, y: 0, mode: nil), connectors: [])
  }

  private struct Way {
    var connector: UInt32
    var crtc: UInt32
    var plane: UInt32
    var format: UInt32
  }

  /// Finds a way to a display, and what the device shows.
  ///
  /// The open file that is asked has atomic mode setting where the device has: what the kernel shows of a display, it shows to
  /// such clients. It is closed, and is master no more, when this returns.
  private static func find(
    on node: DRMNode, _ system: any KernelCalls
  ) throws(Statement.Stop) -> (way: Way, shown: SavedDisplayState) {
    let route: DisplayRoute
    let shown: SavedDisplayState
    do throws(PrimeError) {
      let device = try Device.open(node, kernel: system)
      // The kernel looks at a wire only for the master.
      try device.becomeMaster()
      route = try DisplayRoute(on: device, to: .connected)
      shown = try SavedDisplayState(of: device)
    } catch {
      throw error.isUntestable ? .skipped("\(error)") : .broken("\(error)")
    }
    guard !route.connector.isWriteback else { throw .skipped("no display is connected to \(node.path)") }
    guard let format = PictureFormat.first(of: route.formats.formats.map(\.rawValue)) else {
      throw .skipped("\(node.path) shows no format of 32 bits a pixel, which is what this looks with")
    }
    return (
      Way(
        connector: route.connector.id.rawValue, crtc: route.crtcID.rawValue, plane: route.planeID.rawValue,
        format: format), shown
    )
  }

  /// The mode that statements use, as this client is told it: one without atomic mode setting is told no aspect ratio, and may
  /// set none (`drm_mode_expose_to_userspace`, `drm_mode_setcrtc`).
  private static func mode(of connector: UInt32, on node: CInt, _ system: any KernelCalls) -> DisplayMode? {
    guard case .success(let list) = system.kmsModes(node, connector: connector) else { return nil }
    let modes = list.compactMap { try? DisplayMode(parsing: $0) }
    let wide = modes.filter { $0.width >= 640 && !$0.isInterlaced && !$0.isDoubleScan }
    return wide.min { $0.width * $0.height < $1.width * $1.height } ?? modes.first
  }

  /// A display that cannot be put back is told by the runner, which looks at it when the statement's process is gone.
  private static func putBack(_ saved: SavedDisplayState, _ path: String, _ system: any KernelCalls) {
    do throws(PrimeError) {
      let device = try Device.open(DRMNode(path: path, kind: .primary), kernel: system)
      try device.becomeMaster()
      defer { device.dropMaster() }
      try saved.restore(on: device, deadline: Deadline(in: .seconds(10), on: system))
      DisplayCustody.giveBack(path)
    } catch {
      return
    }
  }

  /// An open file that is master of a device, whether or not a display is connected to it.
  static func master(of path: String, with kernel: KernelProbe, isAtomic: Bool) throws(Statement.Stop) -> CInt {
    let system = kernel.unrecorded
    guard case .success(let node) = kernel.open(path, flags: O_RDWR) else { throw .broken("\(path) cannot be opened") }
    if !system.isMaster(node), case .failure(let errno) = system.setMaster(node) {
      throw .broken("nobody may become master of \(path): \(errno)")
    }
    if isAtomic {
      for capability in [ClientCapability.universalPlanes, ClientCapability.atomic] {
        guard case .success = system.setClientCapability(node, capability, 1) else {
          throw .broken("\(path) grants no atomic mode setting")
        }
      }
    } else {
      // The planes are needed to name one; a statement about clients without the capability takes it back.
      _ = system.setClientCapability(node, ClientCapability.universalPlanes, 1)
    }
    return node
  }

  // MARK: - Assignments

  /// One assignment to a property by its name.
  func set(_ object: UInt32, _ name: String, _ value: UInt64) throws(Statement.Stop) -> KMSAssignment {
    KMSAssignment(object: object, property: try property(object, name), value: value)
  }

  /// The plane waits for a sync_file before it shows its framebuffer; -1 is none.
  func waiting(for syncFile: CInt) throws(Statement.Stop) -> KMSAssignment {
    try set(plane, "IN_FENCE_FD", UInt64(bitPattern: Int64(syncFile)))
  }

  /// A property's id.
  func property(_ object: UInt32, _ name: String) throws(Statement.Stop) -> UInt32 {
    guard let id = properties[object]?[name] else { throw .broken("object \(object) has no property \(name)") }
    return id
  }

  /// The primary plane shows a framebuffer of the mode's size, whole and unscaled.
  func showing(_ framebuffer: UInt32) throws(Statement.Stop) -> [KMSAssignment] {
    [
      try set(plane, "FB_ID", UInt64(framebuffer)), try set(plane, "CRTC_ID", UInt64(crtc)),
      try set(plane, "SRC_X", 0), try set(plane, "SRC_Y", 0), try set(plane, "SRC_W", UInt64(width) << 16),
      try set(plane, "SRC_H", UInt64(height) << 16), try set(plane, "CRTC_X", 0), try set(plane, "CRTC_Y", 0),
      try set(plane, "CRTC_W", UInt64(width)), try set(plane, "CRTC_H", UInt64(height)),
    ]
  }

  /// Everything that switches the display on with a framebuffer; the mode is a blob's id.
  func lighting(_ framebuffer: UInt32, mode blob: UInt32) throws(Statement.Stop) -> [KMSAssignment] {
    try [set(connector, "CRTC_ID", UInt64(crtc)), set(crtc, "ACTIVE", 1), set(crtc, "MODE_ID", UInt64(blob))]
      + showing(framebuffer)
  }

  /// What the plane, the CRTC and the connector are set to now, as property ids and values.
  func state() -> CallResult<[UInt64]> {
    kernel.properties(node, of: plane, .plane).flatMap { plane in
      kernel.properties(node, of: crtc, .crtc).flatMap { crtc in
        kernel.properties(node, of: connector, .connector).map { plane + crtc + $0 }
      }
    }
  }

  /// The framebuffer that the plane is set to.
  func shownFramebuffer() throws(Statement.Stop) -> CallResult<UInt64> {
    let wanted = UInt64(try property(plane, "FB_ID"))
    return kernel.properties(node, of: plane, .plane).map { list in
      stride(from: 0, to: list.count - 1, by: 2).first { list[$0] == wanted }.map { list[$0 + 1] } ?? UInt64.max
    }
  }
}

/// A buffer of a display with a framebuffer on it.
struct DisplayPicture {
  /// Its GEM handle on the display.
  var handle: UInt32
  var pitch: UInt32
  var byteCount: Int
  var framebuffer: UInt32
}

extension Check {
  /// The subject's display, this process its master.
  func display(isAtomic: Bool = true) throws(Statement.Stop) -> DisplayFixture {
    guard let path = subject.device?.primary?.path else { throw .broken("this subject has no primary node") }
    return try DisplayFixture(path, with: kernel, isAtomic: isAtomic)
  }

  /// The subject's node, this process its master; no display needs to be connected.
  func masterNode(isAtomic: Bool = false) throws(Statement.Stop) -> CInt {
    guard let path = subject.device?.primary?.path else { throw .broken("this subject has no primary node") }
    return try DisplayFixture.master(of: path, with: kernel, isAtomic: isAtomic)
  }

  /// A fresh dumb buffer of the mode's size, with a framebuffer.
  func picture(on display: DisplayFixture) throws(Statement.Stop) -> DisplayPicture {
    let layout = try prepare(kernel.createDumb(display.node, width: display.width, height: display.height))
    let framebuffer = try prepare(
      kernel.addFramebuffer(display.node, display.request(handle: layout.handle, pitch: layout.pitch)))
    return DisplayPicture(
      handle: layout.handle, pitch: layout.pitch, byteCount: Int(layout.byteCount), framebuffer: framebuffer)
  }

  /// A fresh picture that the display shows, with its mode set.
  func shownPicture(on display: DisplayFixture) throws(Statement.Stop) -> DisplayPicture {
    let picture = try picture(on: display)
    _ = try prepare(
      kernel.setCRTC(
        display.node, display.crtc, ProbeCRTC(framebuffer: picture.framebuffer, mode: display.mode.bytes),
        connectors: [display.connector]))
    return picture
  }

  /// Expects one flip event, and that it carries what was asked for and the CRTC.
  func expectFlip(
    on display: DisplayFixture, userData: UInt64, within milliseconds: Int32 = 10000
  ) throws(Statement.Stop) {
    let ready = try expect(kernel.poll(display.node, events: Int16(POLLIN), milliseconds: milliseconds))
    expect("the event", ready, is: Int16(POLLIN))
    guard ready == Int16(POLLIN) else { throw .failed }
    let bytes = try expect(kernel.read(display.node, byteCount: 1024))
    guard let events = try? DisplayEvent.parse(bytes) else {
      return expect("the event", false, "events that can be read", got: "\(bytes)")
    }
    expect("the number of events", events.count, is: 1)
    guard case .flipComplete(let data, let crtc, _, _) = events.first else {
      return expect("the event", false, "DRM_EVENT_FLIP_COMPLETE", got: "\(events)")
    }
    expect("the event's size in bytes", bytes.count, is: 32)
    expect("the event's user data", data, is: userData)
    expect("the event's CRTC", crtc, is: display.crtc)
  }

  /// Expects that no event comes for a while.
  func expectNoEvent(on display: DisplayFixture, for milliseconds: Int32) throws(Statement.Stop) {
    let ready = try expect(kernel.poll(display.node, events: Int16(POLLIN), milliseconds: milliseconds))
    expect("what the node tells", ready, is: 0)
  }
}

extension DisplayFixture {
  /// A framebuffer of the mode's size.
  func request(handle: UInt32, pitch: UInt32) -> ProbeFramebuffer {
    ProbeFramebuffer(width: width, height: height, fourcc: format, handle: handle, pitch: pitch)
  }
}
