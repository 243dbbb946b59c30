import Glibc
import Prime
import Synchronization

/// A framebuffer of the fake kernel.
struct FakeFramebuffer {
  /// The open file that made it; nil for the console's.
  var owner: CInt?
  var memory: Int
  var request: KMSFramebufferRequest
}

extension FakeDevice {
  // Ids in ranges of their own, so that a mix-up is seen in a message.
  static let crtc: UInt32 = 0xcc00
  static let primaryPlane: UInt32 = 0xee00
  static let overlayPlane: UInt32 = 0xee01
  static let foreignPlane: UInt32 = 0xee02
  static let virtualConnector: UInt32 = 0xc000
  static let writebackConnector: UInt32 = 0xc001
  static let encoder: UInt32 = 0xe000
  static let consoleFramebuffer: UInt32 = 0xfb00
  static let consoleMode: UInt32 = 0xb000
  static let formatList: UInt32 = 0xb0ff

  static let propertyNames = [
    "type", "FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H", "ACTIVE",
    "MODE_ID", "WRITEBACK_FB_ID", "WRITEBACK_PIXEL_FORMATS", "WRITEBACK_OUT_FENCE_PTR", "rotation", "alpha",
    "GAMMA_LUT", "Colorspace", "driver's own", "IN_FENCE_FD", "OUT_FENCE_PTR",
  ]

  /// `DRM_MODE_PROP_…` bits.
  static func flags(_ name: String) -> UInt32 {
    switch name {
    case "type", "WRITEBACK_PIXEL_FORMATS": 1 << 2
    case "MODE_ID", "GAMMA_LUT": 1 << 4
    default: 0
    }
  }

  static func propertyID(_ name: String) -> UInt32 {
    UInt32(0x9000 + (propertyNames.firstIndex(of: name) ?? 0xfff))
  }

  static func propertyName(_ id: UInt32) -> String? {
    let index = Int(id) - 0x9000
    return propertyNames.indices.contains(index) ? propertyNames[index] : nil
  }
}

extension FakeKernel.State {
  /// Gives a device its KMS objects, and a console that shows something where it is told to.
  mutating func startDisplay(ofDevice index: Int) {
    let setup = devices[index].setup
    var plane = Dictionary(uniqueKeysWithValues: FakeDevice.propertyNames[1...10].map { ($0, UInt64(0)) })
    plane["rotation"] = 1
    plane["alpha"] = 0xffff
    plane["IN_FENCE_FD"] = Self.noFence
    plane["type"] = 0
    if setup.hasOverlay { devices[index].objects[FakeDevice.overlayPlane] = plane }
    plane["type"] = 1
    devices[index].objects[FakeDevice.primaryPlane] = plane
    if setup.hasForeignPlane {
      plane["CRTC_ID"] = UInt64(FakeDevice.crtc) + 1
      plane["FB_ID"] = UInt64(FakeDevice.consoleFramebuffer)
      devices[index].objects[FakeDevice.foreignPlane] = plane
    }
    devices[index].objects[FakeDevice.crtc] = ["ACTIVE": 0, "MODE_ID": 0, "GAMMA_LUT": 0, "OUT_FENCE_PTR": 0]
    devices[index].objects[FakeDevice.virtualConnector] = ["CRTC_ID": 0, "Colorspace": 0, "driver's own": 0]
    if setup.hasWriteback {
      devices[index].objects[FakeDevice.writebackConnector] = [
        "CRTC_ID": 0, "WRITEBACK_FB_ID": 0, "WRITEBACK_PIXEL_FORMATS": UInt64(FakeDevice.formatList),
        "WRITEBACK_OUT_FENCE_PTR": 0, "Colorspace": 0, "driver's own": 0,
      ]
      devices[index].blobs[FakeDevice.formatList] = (setup.displayFormats ?? []).flatMap { format in
        (0..<4).map { UInt8(truncatingIfNeeded: format.rawValue >> (8 * UInt32($0))) }
      }
    }
    guard setup.showsPicture, let memory = try? newMemory(byteCount: 256 * 48, exporter: index) else { return }
    memories[memory].store([UInt8](repeating: 0x40, count: 256 * 48))
    devices[index].framebuffers[FakeDevice.consoleFramebuffer] = FakeFramebuffer(
      owner: nil, memory: memory,
      request: KMSFramebufferRequest(
        width: 64, height: 48, fourcc: Fourcc(parsing: "XRGB8888")?.rawValue ?? 0, modifier: nil,
        planes: [GBMPlane(handle: 0, offset: 0, pitch: 256)]))
    // 64x48 as a drm_mode_modeinfo, as far as anybody here reads it.
    var mode = [UInt8](repeating: 0, count: 68)
    mode[4] = 64
    mode[14] = 48
    devices[index].blobs[FakeDevice.consoleMode] = mode
    devices[index].objects[FakeDevice.crtc] = [
      "ACTIVE": 1, "MODE_ID": UInt64(FakeDevice.consoleMode), "GAMMA_LUT": 0, "OUT_FENCE_PTR": 0,
    ]
    devices[index].objects[FakeDevice.virtualConnector]?["CRTC_ID"] = UInt64(FakeDevice.crtc)
    for (name, value) in [
      ("FB_ID", UInt64(FakeDevice.consoleFramebuffer)), ("CRTC_ID", UInt64(FakeDevice.crtc)), ("SRC_W", 64 << 16),
      ("SRC_H", 48 << 16), ("CRTC_W", 64), ("CRTC_H", 48),
    ] {
      devices[index].objects[FakeDevice.primaryPlane]?[name] = value
    }
  }

  /// `IN_FENCE_FD` reads so whatever was set.
  static let noFence = UInt64(bitPattern: -1)

  /// As `drmModeRmFB`: a plane that shows it is switched off.
  mutating func removeFramebuffer(_ id: UInt32, device: Int) {
    devices[device].framebuffers[id] = nil
    for object in devices[device].objects.keys where devices[device].objects[object]?["FB_ID"] == UInt64(id) {
      devices[device].objects[object]?["FB_ID"] = 0
      devices[device].objects[object]?["CRTC_ID"] = 0
    }
  }

  /// The device of an open file that has mode setting.
  mutating func display(_ descriptor: CInt, _ operation: String) throws(Errno) -> Int {
    let file = try file(descriptor, operation)
    guard !file.isRender, devices[file.device].setup.displayFormats != nil else { throw .notSupported }
    return file.device
  }
}

extension FakeKernel {
  /// What the displays of a device show: the value of every property, with blobs by their bytes, since one may come back
  /// under another number.
  func shown(on path: String) -> [String] {
    state.withLock { state in
      guard let device = state.devices.first(where: { $0.has(path) }) else { return [] }
      return device.objects.sorted { $0.key < $1.key }.flatMap { id, values in
        values.sorted { $0.key < $1.key }.map { name, value in
          let text = FakeDevice.flags(name) == 1 << 4 ? "\(device.blobs[UInt32(value)] ?? [])" : "\(value)"
          return "\(String(id, radix: 16)) \(name)=\(text)"
        }
      }
    }
  }

  /// Sets a property behind everybody's back, as another program did before the test.
  func set(_ name: String, of object: UInt32, to value: UInt64, on path: String) {
    state.withLock { state in
      for index in state.devices.indices where state.devices[index].has(path) {
        state.devices[index].objects[object]?[name] = value
      }
    }
  }

  func kmsResources(_ descriptor: CInt) -> CallResult<KMSResources> {
    call(.kmsResources) { state in
      let device = try state.display(descriptor, "drmModeGetResources")
      let seesWriteback = state.files[descriptor]?.clientCapabilities.contains(5) == true
      var connectors = [FakeDevice.virtualConnector]
      if seesWriteback && state.devices[device].setup.hasWriteback { connectors.append(FakeDevice.writebackConnector) }
      return KMSResources(
        crtcs: [FakeDevice.crtc], connectors: connectors, encoders: [FakeDevice.encoder, FakeDevice.encoder + 1],
        widths: 10...8192, heights: 10...8192)
    }
  }

  func kmsConnector(_ descriptor: CInt, id: UInt32) -> CallResult<KMSConnector> {
    call(.kmsConnector) { state in
      _ = try state.display(descriptor, "drmModeGetConnector")
      switch id {
      case FakeDevice.virtualConnector:
        return KMSConnector(id: id, type: 15, typeIndex: 1, connection: 1, encoders: [FakeDevice.encoder])
      case FakeDevice.writebackConnector:
        return KMSConnector(id: id, type: 18, typeIndex: 1, connection: 3, encoders: [FakeDevice.encoder + 1])
      default: throw Errno.noSuchFile
      }
    }
  }

  func kmsEncoderCRTCs(_ descriptor: CInt, id: UInt32) -> CallResult<UInt32> {
    call(.kmsEncoderCRTCs) { state in
      _ = try state.display(descriptor, "drmModeGetEncoder")
      return 1
    }
  }

  func kmsEncoderCRTC(_ descriptor: CInt, id: UInt32) -> CallResult<UInt32> { .failure(.notSupported) }

  func kmsPlanes(_ descriptor: CInt) -> CallResult<[UInt32]> {
    call(.kmsPlanes) { state in
      let device = try state.display(descriptor, "drmModeGetPlaneResources")
      let seesAll = state.files[descriptor]?.clientCapabilities.contains(2) == true
      let overlays = state.devices[device].setup.hasOverlay ? [FakeDevice.overlayPlane] : []
      let foreign = state.devices[device].setup.hasForeignPlane ? [FakeDevice.foreignPlane] : []
      return (seesAll ? foreign + [FakeDevice.primaryPlane] : []) + overlays
    }
  }

  func kmsPlane(_ descriptor: CInt, id: UInt32) -> CallResult<KMSPlane> {
    call(.kmsPlane) { state in
      let device = try state.display(descriptor, "drmModeGetPlane")
      let formats = (state.devices[device].setup.displayFormats ?? []).map(\.rawValue)
      return KMSPlane(id: id, possibleCRTCs: 1, formats: formats)
    }
  }

  func kmsProperties(_ descriptor: CInt, object: UInt32, kind: KMSObjectKind) -> CallResult<[KMSProperty]> {
    call(.kmsProperties) { state in
      let device = try state.display(descriptor, "drmModeObjectGetProperties")
      guard let values = state.devices[device].objects[object] else { throw Errno.noSuchFile }
      return values.sorted { $0.key < $1.key }.map { name, value in
        KMSProperty(id: FakeDevice.propertyID(name), name: name, value: value, flags: FakeDevice.flags(name))
      }
    }
  }

  func kmsSetProperty(
    _ descriptor: CInt, object: UInt32, kind: KMSObjectKind, property: UInt32, value: UInt64
  ) -> CallResult<Void> { .failure(.notSupported) }

  func kmsBlob(_ descriptor: CInt, id: UInt32) -> CallResult<[UInt8]> {
    call(.kmsBlob) { state in
      let device = try state.display(descriptor, "drmModeGetPropertyBlob")
      guard let bytes = state.devices[device].blobs[id] else { throw Errno.noSuchFile }
      return bytes
    }
  }

  func kmsCreateBlob(_ descriptor: CInt, bytes: [UInt8]) -> CallResult<UInt32> {
    call(.kmsCreateBlob) { state in
      let device = try state.display(descriptor, "drmModeCreatePropertyBlob")
      let id = state.devices[device].nextBlob
      state.devices[device].nextBlob += 1
      state.devices[device].blobs[id] = bytes
      state.devices[device].userBlobs.insert(id)
      return id
    }
  }

  func kmsDestroyBlob(_ descriptor: CInt, id: UInt32) -> CallResult<Void> {
    // Also where it is told to fail: the device is gone then. The bytes stay for the mode that refers to them.
    defer {
      state.withLock { state in
        guard let device = state.files[descriptor]?.device else { return }
        if state.devices[device].userBlobs.remove(id) == nil {
          state.violations.append("drmModeDestroyPropertyBlob of \(id), which is not there")
        }
      }
    }
    return call(.kmsDestroyBlob) { state in _ = try state.display(descriptor, "drmModeDestroyPropertyBlob") }
  }

  func kmsAddFramebuffer(_ descriptor: CInt, _ request: KMSFramebufferRequest) -> CallResult<UInt32> {
    call(.kmsAddFramebuffer) { state in
      let device = try state.display(descriptor, "drmModeAddFB2WithModifiers")
      let setup = state.devices[device].setup
      guard request.modifier == nil || setup.takesFramebufferModifiers, request.modifier ?? 0 == 0,
        setup.displayFormats?.contains(Fourcc(rawValue: request.fourcc)) == true,
        let format = PixelFormat(Fourcc(rawValue: request.fourcc)), request.planes.count == format.planes.count,
        request.planes.allSatisfy({ $0.pitch.isMultiple(of: setup.pitchMultiple) })
      else { throw Errno.invalidArgument }
      let memory = try state.memory(
        of: request.planes[0].handle, in: descriptor, "drmModeAddFB2WithModifiers")
      let layout = try? PictureLayout(
        format: format, width: Int(request.width), height: Int(request.height),
        planes: request.planes.map { PlaneLayout(offset: Int($0.offset), pitch: Int($0.pitch)) })
      guard let layout, layout.byteCount <= state.memories[memory].byteCount else { throw Errno.invalidArgument }
      let id = state.devices[device].nextFramebuffer
      state.devices[device].nextFramebuffer += 1
      state.devices[device].framebuffers[id] = FakeFramebuffer(owner: descriptor, memory: memory, request: request)
      return id
    }
  }

  func kmsRemoveFramebuffer(_ descriptor: CInt, id: UInt32) -> CallResult<Void> {
    // Also where it is told to fail: the device is gone then.
    defer {
      state.withLock { state in
        guard let device = state.files[descriptor]?.device else { return }
        if state.devices[device].framebuffers[id]?.owner != descriptor {
          state.violations.append("drmModeRmFB of \(id), which is not this file's")
        }
        state.removeFramebuffer(id, device: device)
      }
    }
    return call(.kmsRemoveFramebuffer) { state in _ = try state.display(descriptor, "drmModeRmFB") }
  }
}
