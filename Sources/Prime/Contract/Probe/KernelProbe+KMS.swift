internal import Glibc
package import Prime

/// The ioctls of `drm_mode.h` that read and set modes.
extension IoctlRequest {
  package static let getCRTC = drm(0xa1, "DRM_IOCTL_MODE_GETCRTC")
  package static let setCRTC = drm(0xa2, "DRM_IOCTL_MODE_SETCRTC")
  package static let getBlob = drm(0xac, "DRM_IOCTL_MODE_GETPROPBLOB")
  package static let pageFlip = drm(0xb0, "DRM_IOCTL_MODE_PAGE_FLIP")
  package static let objectProperties = drm(0xb9, "DRM_IOCTL_MODE_OBJ_GETPROPERTIES")
  package static let atomic = drm(0xbc, "DRM_IOCTL_MODE_ATOMIC")
  package static let createBlob = drm(0xbd, "DRM_IOCTL_MODE_CREATEPROPBLOB")
}

/// What `SETCRTC` is told and `GETCRTC` answers.
package struct ProbeCRTC: Hashable, ProbeValue {
  package var framebuffer: UInt32
  package var x: UInt32 = 0
  package var y: UInt32 = 0
  /// The bytes of a `drm_mode_modeinfo`; nil where the CRTC is off.
  package var mode: [UInt8]?

  package init(framebuffer: UInt32, x: UInt32 = 0, y: UInt32 = 0, mode: [UInt8]?) {
    self.framebuffer = framebuffer
    self.x = x
    self.y = y
    self.mode = mode
  }

  package static var neutral: ProbeCRTC { ProbeCRTC(framebuffer: 0, mode: nil) }
  package var distorted: ProbeCRTC { ProbeCRTC(framebuffer: framebuffer ^ 1, x: x ^ 1, y: y, mode: mode) }
  package var shown: String { "framebuffer \(framebuffer) at \(x),\(y), \(mode == nil ? "off" : "on")" }
}

extension KernelProbe {
  private static let modeWords = 17

  /// `DRM_IOCTL_MODE_GETCRTC`.
  package func crtc(_ device: CInt, _ id: UInt32) -> CallResult<ProbeCRTC> {
    let request = [UInt32](repeating: 0, count: 3) + [id] + [UInt32](repeating: 0, count: 5 + Self.modeWords)
    return ioctl(device, .getCRTC, request, "CRTC \(id)") { answer in
      let words = answer.words
      let mode = words[9...].flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32($0 * 8)) } }
      return ProbeCRTC(framebuffer: words[4], x: words[5], y: words[6], mode: words[8] == 0 ? nil : mode)
    }
  }

  /// `DRM_IOCTL_MODE_SETCRTC`.
  package func setCRTC(_ device: CInt, _ id: UInt32, _ state: ProbeCRTC, connectors: [UInt32]) -> CallResult<Int> {
    let list = memory(connectors)
    let mode =
      state.mode.map { bytes in
        stride(from: 0, to: Self.modeWords * 4, by: 4).map { start in
          (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32($1 * 8) }
        }
      } ?? [UInt32](repeating: 0, count: Self.modeWords)
    let head: [UInt32] = [
      UInt32(connectors.count), id, state.framebuffer, state.x, state.y, 0, state.mode == nil ? 0 : 1,
    ]
    return ioctl(
      device, .setCRTC, .quad(list.address) + head + mode,
      "CRTC \(id), \(state.shown), connectors \(connectors)"
    ) { $0.returned }
  }

  /// `DRM_IOCTL_MODE_PAGE_FLIP`.
  package func pageFlip(
    _ device: CInt, crtc: UInt32, framebuffer: UInt32, flags: UInt32 = CommitFlags.event, userData: UInt64 = 0
  ) -> CallResult<Int> {
    ioctl(
      device, .pageFlip, [crtc, framebuffer, flags, 0] + .quad(userData),
      "CRTC \(crtc), framebuffer \(framebuffer), flags 0x\(hexadecimal(UInt64(flags), digits: 1))"
    ) { $0.returned }
  }

  /// `DRM_IOCTL_MODE_ATOMIC` with any assignments; those of one object that follow each other are one entry for the
  /// kernel.
  package func commit(
    _ device: CInt, _ assignments: [KMSAssignment], flags: UInt32, userData: UInt64 = 0, reserved: UInt64 = 0,
    restarting: Bool = true
  ) -> CallResult<Int> {
    var objects: [UInt32] = []
    var counts: [UInt32] = []
    for assignment in assignments {
      if objects.last == assignment.object {
        counts[counts.count - 1] += 1
      } else {
        objects.append(assignment.object)
        counts.append(1)
      }
    }
    let (objectList, countList) = (memory(objects), memory(counts))
    let properties = memory(assignments.map(\.property))
    let values = memory(assignments.flatMap { [UInt32].quad($0.value) })
    let head: [UInt32] = [flags, UInt32(objects.count)]
    let addresses = [objectList, countList, properties, values].flatMap { [UInt32].quad($0.address) }
    let text = assignments.map { "\($0.object).\($0.property) = \(Int64(bitPattern: $0.value))" }
    return ioctl(
      device, .atomic, head + addresses + .quad(reserved) + .quad(userData), restarting: restarting,
      "flags 0x\(hexadecimal(UInt64(flags), digits: 1)), \(text.joined(separator: ", "))"
    ) { $0.returned }
  }

  /// `DRM_IOCTL_MODE_OBJ_GETPROPERTIES`: each property's id followed by its value.
  package func properties(_ device: CInt, of object: UInt32, _ kind: KMSObjectKind) -> CallResult<[UInt64]> {
    let room = 256
    let (ids, values) = (memory(byteCount: room * 4), memory(byteCount: room * 8))
    let request = .quad(ids.address) + .quad(values.address) + [UInt32(room), object, kind.rawValue, 0]
    return ioctl(device, .objectProperties, request, "object \(object)") { answer in
      (0..<min(Int(answer.words[4]), room)).flatMap { index in
        [
          UInt64(ids.word(at: index)),
          UInt64(values.word(at: index * 2)) | UInt64(values.word(at: index * 2 + 1)) << 32,
        ]
      }
    }
  }

  /// `DRM_IOCTL_MODE_CREATEPROPBLOB`.
  package func createBlob(_ device: CInt, _ bytes: [UInt8]) -> CallResult<UInt32> {
    let content = memory(bytes: bytes)
    return ioctl(
      device, .createBlob, .quad(content.address) + [UInt32(bytes.count), 0], "\(bytes.count) bytes"
    ) { $0.words[3] }
  }

  /// `DRM_IOCTL_MODE_GETPROPBLOB`: at most 64 KiB.
  package func blob(_ device: CInt, _ id: UInt32) -> CallResult<[UInt8]> {
    let room = memory(byteCount: 65536)
    // The kernel copies only where the length it is told is the blob's own, so the first call asks for that.
    var length: UInt32 = 0
    let asked: CallResult<UInt32> = ioctl(device, .getBlob, [id, 0, 0, 0], "blob \(id)") { $0.words[1] }
    switch asked {
    case .failure(let errno): return .failure(errno)
    case .success(let byteCount): length = min(byteCount, UInt32(room.byteCount))
    }
    return ioctl(device, .getBlob, [id, length] + .quad(room.address), "blob \(id), \(length) bytes") { answer in
      Array(room.bytes.prefix(Int(answer.words[1])))
    }
  }

  /// A descriptor that the kernel wrote into memory, such as an out-fence; it is closed with the others.
  package func descriptor(in memory: UserMemory) -> CallResult<CInt> {
    adopting(call("read memory", "the out-fence") { .success(CInt(bitPattern: memory.word(at: 0))) })
  }

  private func memory(bytes: [UInt8]) -> UserMemory {
    memory(
      stride(from: 0, to: bytes.count, by: 4).map { start in
        (0..<min(4, bytes.count - start)).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32($1 * 8) }
      })
  }
}
