import Glibc
import Prime
import Synchronization

extension FakeKernel {
  func kmsCommit(
    _ descriptor: CInt, assignments: [KMSAssignment], outFences: [KMSAssignment], flags: UInt32, userData: UInt64
  ) -> CallResult<[CInt]> {
    call(.kmsCommit) { state in
      let device = try state.display(descriptor, "DRM_IOCTL_MODE_ATOMIC")
      guard state.devices[device].master == descriptor else { throw Errno.permissionDenied }
      guard state.files[descriptor]?.clientCapabilities.contains(3) == true else { throw Errno.invalidArgument }
      var objects = state.devices[device].objects
      for assignment in assignments + outFences {
        guard let name = FakeDevice.propertyName(assignment.property), objects[assignment.object]?[name] != nil else {
          throw Errno.noSuchFile
        }
        if outFences.contains(assignment) { continue }
        objects[assignment.object]?[name] = assignment.value
      }
      try state.check(objects, device: device)
      // DRM_MODE_ATOMIC_TEST_ONLY
      if flags & 0x100 != 0 { return [] }
      let target = UInt32(objects[FakeDevice.writebackConnector]?["WRITEBACK_FB_ID"] ?? 0)
      if target != 0 { try state.writeBack(objects, into: target, device: device) }
      // A job, not state: it reads as 0 the next moment.
      if objects[FakeDevice.writebackConnector] != nil {
        objects[FakeDevice.writebackConnector]?["WRITEBACK_FB_ID"] = 0
      }
      // DRM_MODE_ATOMIC_NONBLOCK
      if flags & 0x200 != 0, state.flips.contains(where: { $0.file == descriptor }) { throw Errno.busy }
      let awaited = try state.takeInFences(of: &objects)
      state.devices[device].objects = objects
      let shown = state.fences.newFence(
        driver: state.devices[device].setup.driver, timeline: "CRTC", status: awaited.isEmpty ? 1 : 0)
      // DRM_MODE_PAGE_FLIP_EVENT
      if flags & 1 != 0 { state.flips.append(FakeFlip(file: descriptor, userData, awaited: awaited, shown: shown)) }
      state.settleFlips()
      if state.faults.withholdsFence { return outFences.map { _ in -1 } }
      return try outFences.map { outFence in
        guard FakeDevice.propertyName(outFence.property) == "OUT_FENCE_PTR" else {
          return try state.adopt(memfd_create("fake-fence", UInt32(MFD_CLOEXEC)), as: .fence)
        }
        return try state.newSyncFile("", [shown])
      }
    }
  }
}

/// A page flip that was asked for and is not shown yet.
struct FakeFlip {
  var file: CInt
  var userData: UInt64
  /// The fences that the engine waits for.
  var awaited: [Int]
  /// The fence that signals when it is shown.
  var shown: Int

  init(file: CInt, _ userData: UInt64, awaited: [Int], shown: Int) {
    (self.file, self.userData, self.awaited, self.shown) = (file, userData, awaited, shown)
  }
}

extension FakeKernel.State {
  /// Shows each flip whose fences have signalled: its event is there, and its own fence signals.
  mutating func settleFlips() {
    for flip in flips where !fences.isPending(flip.awaited) {
      files[flip.file]?.events += FakeKernel.flipEvent(flip.userData)
      fences.all[flip.shown].status = 1
    }
    flips.removeAll { fences.all[$0.shown].status != 0 }
  }

  /// The fences that the planes were told to wait for, which are told for one commit.
  fileprivate mutating func takeInFences(of objects: inout [UInt32: [String: UInt64]]) throws(Errno) -> [Int] {
    var awaited: [Int] = []
    for id in objects.keys {
      guard let number = objects[id]?["IN_FENCE_FD"], number != Self.noFence else { continue }
      objects[id]?["IN_FENCE_FD"] = Self.noFence
      guard let file = syncFile(CInt(truncatingIfNeeded: number)) else { throw .invalidArgument }
      awaited += file.fences
    }
    return awaited
  }

  /// What `drm_atomic_check` would object to.
  fileprivate func check(_ objects: [UInt32: [String: UInt64]], device: Int) throws(Errno) {
    let known = devices[device]
    // What another CRTC shows is not looked at.
    for (id, values) in objects where id != FakeDevice.foreignPlane {
      for name in ["FB_ID", "WRITEBACK_FB_ID"] {
        guard let framebuffer = values[name], framebuffer != 0 else { continue }
        guard let known = known.framebuffers[UInt32(framebuffer)] else { throw .invalidArgument }
        if name == "FB_ID" {
          guard values["SRC_W"] ?? 0 <= UInt64(known.request.width) << 16,
            values["SRC_H"] ?? 0 <= UInt64(known.request.height) << 16
          else { throw .noSpace }
        }
      }
      if let framebuffer = values["FB_ID"], (framebuffer == 0) != (values["CRTC_ID"] == 0) { throw .invalidArgument }
      if id == FakeDevice.crtc {
        let mode = values["MODE_ID"] ?? 0
        guard mode == 0 || known.blobs[UInt32(mode)]?.count == 68 else { throw .invalidArgument }
        if values["ACTIVE"] == 1 && mode == 0 { throw .invalidArgument }
      }
    }
    if known.setup.planeCoversMode, let values = objects[FakeDevice.primaryPlane], values["FB_ID"] != 0,
      let mode = known.blobs[UInt32(objects[FakeDevice.crtc]?["MODE_ID"] ?? 0)], mode.count == 68,
      values["SRC_W"] != UInt64(mode[4]) << 16 || values["SRC_H"] != UInt64(mode[14]) << 16
    {
      throw .invalidArgument
    }
    // vkms does not feed a wire and a buffer at once.
    let writes = objects[FakeDevice.writebackConnector]?["WRITEBACK_FB_ID"] ?? 0 != 0
    if writes && objects[FakeDevice.virtualConnector]?["CRTC_ID"] != 0 { throw .invalidArgument }
    if writes && objects[FakeDevice.writebackConnector]?["CRTC_ID"] != UInt64(FakeDevice.crtc) {
      throw .invalidArgument
    }
  }

  /// Composes what the planes show and writes it into the target's memory.
  fileprivate mutating func writeBack(
    _ objects: [UInt32: [String: UInt64]], into target: UInt32, device: Int
  ) throws(Errno) {
    let known = devices[device]
    guard let target = known.framebuffers[target],
      let mode = known.blobs[UInt32(objects[FakeDevice.crtc]?["MODE_ID"] ?? 0)], mode.count == 68,
      target.request.width == UInt32(mode[4]) | UInt32(mode[5]) << 8,
      target.request.height == UInt32(mode[14]) | UInt32(mode[15]) << 8,
      let format = PixelFormat(Fourcc(rawValue: target.request.fourcc))
    else { throw .invalidArgument }
    let before = memories[target.memory].bytes()
    let bytes = try composed(objects, onto: before, target.request, format, device: device)
    memories[target.memory].store(written(bytes, over: before, target.request, device: device))
  }

  /// The planes of a CRTC, one above the other on black.
  func composed(
    _ objects: [UInt32: [String: UInt64]], onto before: [UInt8], _ target: KMSFramebufferRequest, _ format: PixelFormat,
    device: Int
  ) throws(Errno) -> [UInt8] {
    let known = devices[device]
    var bytes = before
    for (index, shape) in format.planes.enumerated() {
      let place = target.planes[index]
      for row in 0..<Int(target.height) / shape.verticalSubsampling {
        let start = Int(place.offset) + row * Int(place.pitch)
        let count = Int(target.width) / shape.horizontalSubsampling * shape.bytesPerElement
        for byte in 0..<count { bytes[start + byte] = 0 }
      }
    }
    for plane in [FakeDevice.primaryPlane, FakeDevice.overlayPlane] {
      guard let values = objects[plane], values["CRTC_ID"] == UInt64(FakeDevice.crtc),
        let picture = known.framebuffers[UInt32(values["FB_ID"] ?? 0)]
      else { continue }
      guard picture.request.fourcc == target.fourcc else { throw .invalidArgument }
      compose(picture, values, format: format, onto: &bytes, of: target, device: device)
    }
    return bytes
  }

  /// What a lying engine writes of what it composed.
  private mutating func written(
    _ composed: [UInt8], over before: [UInt8], _ request: KMSFramebufferRequest, device: Int
  ) -> [UInt8] {
    let history = devices[device].composed
    devices[device].composed.append(composed)
    let (pitch, rows) = (Int(request.planes[0].pitch), Int(request.height))
    func keeping(_ isWritten: (Int) -> Bool) -> [UInt8] {
      var bytes = before
      for row in 0..<rows where isWritten(row) {
        bytes.replaceSubrange(row * pitch..<(row + 1) * pitch, with: composed[row * pitch..<(row + 1) * pitch])
      }
      return bytes
    }
    switch faults.writeback {
    case .none: return composed
    case .nothing: return before
    case .upperHalf: return keeping { $0 < rows / 2 }
    case .withoutLastRow: return keeping { $0 < rows - 1 }
    case .withoutOddRows: return keeping { $0.isMultiple(of: 2) }
    case .firstRowOnly: return keeping { $0 == 0 }
    case .withoutLastPixel:
      var bytes = composed
      let last = (rows - 1) * pitch + (Int(request.width) - 1) * 4
      bytes.replaceSubrange(last..<last + 4, with: before[last..<last + 4])
      return bytes
    case .firstPicture: return history.first ?? composed
    case .oneFrameLate: return history.last ?? composed
    }
  }

  private func compose(
    _ picture: FakeFramebuffer, _ values: [String: UInt64], format: PixelFormat, onto bytes: inout [UInt8],
    of target: KMSFramebufferRequest, device: Int
  ) {
    let source = bytesSeenByImporter(picture.memory)
    let isImport = memories[picture.memory].exporter != device
    var places = picture.request.planes
    if faults.swapsPlaneOffsets && places.count > 1 {
      let first = places[0].offset
      places[0].offset = places[1].offset
      places[1].offset = first
    }
    let width = Int(min(values["SRC_W"] ?? 0, UInt64(target.width) << 16) >> 16)
    let height = Int(min(values["SRC_H"] ?? 0, UInt64(target.height) << 16) >> 16)
    func coordinate(_ name: String) -> Int {
      faults.ignoresPlace == name ? 0 : Int(Int64(bitPattern: values[name] ?? 0))
    }
    let place = (x: coordinate("CRTC_X"), y: coordinate("CRTC_Y"))
    for (index, shape) in format.planes.enumerated() {
      let size = shape.bytesPerElement
      for row in 0..<height / shape.verticalSubsampling
      where !isImport || faults.checksum.covers(row, of: height / shape.verticalSubsampling)
        || !faults.fetchesAsChecksum
      {
        let pitch = Int(places[index].pitch) + faults.pitchOffBy
        let from = Int(places[index].offset) + (row + faults.shiftsRowsBy) * pitch
        let line = row + place.y / shape.verticalSubsampling
        guard line >= 0, line < Int(target.height) / shape.verticalSubsampling else { continue }
        let to =
          Int(target.planes[index].offset) + line * Int(target.planes[index].pitch)
          + place.x / shape.horizontalSubsampling * size
        for column in 0..<width / shape.horizontalSubsampling {
          let x = column + place.x / shape.horizontalSubsampling
          guard x >= 0, x < Int(target.width) / shape.horizontalSubsampling else { continue }
          for byte in 0..<size {
            let read = from + column * size + (faults.swapsBytes ? size - 1 - byte : byte)
            var value = source.indices.contains(read) ? source[read] : 0
            // What carries no component comes back as ones, as vkms writes it.
            value |= UInt8(truncatingIfNeeded: ~shape.significantMask >> (8 * UInt64(byte)))
            bytes[to + column * size + byte] = value
          }
        }
      }
    }
  }
}
