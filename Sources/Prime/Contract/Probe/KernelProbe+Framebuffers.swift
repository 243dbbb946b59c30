package import Prime

/// The ioctls of `drm_mode.h` that make, describe and remove framebuffers.
extension IoctlRequest {
  package static let getFramebuffer = drm(0xad, "DRM_IOCTL_MODE_GETFB")
  package static let removeFramebuffer = drm(0xaf, "DRM_IOCTL_MODE_RMFB")
  package static let dirtyFramebuffer = drm(0xb1, "DRM_IOCTL_MODE_DIRTYFB")
  package static let addFramebuffer = drm(0xb8, "DRM_IOCTL_MODE_ADDFB2")
  package static let getFramebuffer2 = drm(0xce, "DRM_IOCTL_MODE_GETFB2")
  package static let closeFramebuffer = drm(0xd0, "DRM_IOCTL_MODE_CLOSEFB")
}

/// `struct drm_mode_fb_cmd2` without its id: what `ADDFB2` is told, and what `GETFB2` answers.
package struct ProbeFramebuffer: Hashable, Sendable {
  /// `DRM_MODE_FB_MODIFIERS`: the modifiers mean something.
  package static let withModifiers: UInt32 = 2

  package var width: UInt32
  package var height: UInt32
  package var fourcc: UInt32
  package var flags: UInt32 = 0
  /// One GEM handle for each of four planes, 0 where the format has none.
  package var handles: [UInt32]
  /// Bytes from one row to the next.
  package var pitches: [UInt32]
  /// Bytes from the buffer's beginning.
  package var offsets: [UInt32] = [0, 0, 0, 0]
  package var modifiers: [UInt64] = [0, 0, 0, 0]

  /// A framebuffer of one plane from its buffer's beginning, without a modifier.
  package init(width: UInt32, height: UInt32, fourcc: UInt32, handle: UInt32, pitch: UInt32) {
    self.width = width
    self.height = height
    self.fourcc = fourcc
    handles = [handle, 0, 0, 0]
    pitches = [pitch, 0, 0, 0]
  }

  /// The same with one thing changed.
  package func with<Value>(_ field: WritableKeyPath<ProbeFramebuffer, Value>, _ value: Value) -> ProbeFramebuffer {
    var changed = self
    changed[keyPath: field] = value
    return changed
  }

  /// The same with `DRM_MODE_FB_MODIFIERS` and one modifier for its first plane.
  package func with(modifier: UInt64) -> ProbeFramebuffer {
    with(\.flags, Self.withModifiers).with(\.modifiers[0], modifier)
  }

  /// The structure's 26 words: modifiers are aligned to 8 bytes, which leaves a hole before them.
  func words(id: UInt32) -> [UInt32] {
    [id, width, height, fourcc, flags] + handles + pitches + offsets + [0] + modifiers.flatMap([UInt32].quad)
  }

  init(_ answer: IoctlAnswer) {
    let words = answer.words
    (width, height, fourcc, flags) = (words[1], words[2], words[3], words[4])
    handles = Array(words[5..<9])
    pitches = Array(words[9..<13])
    offsets = Array(words[13..<17])
    modifiers = (0..<4).map { answer.quad(18 + $0 * 2) }
  }
}

extension ProbeFramebuffer: ProbeValue {
  package static var neutral: ProbeFramebuffer {
    ProbeFramebuffer(width: 0, height: 0, fourcc: 0, handle: 0, pitch: 0)
  }
  package var distorted: ProbeFramebuffer {
    with(\.width, width ^ 1).with(\.height, height ^ 1).with(\.handles, handles.map { $0 ^ 1 })
  }
  package var shown: String { "\(width)x\(height), handles \(handles), pitches \(pitches)" }
}

extension KernelProbe {
  /// `DRM_IOCTL_MODE_ADDFB2`: the new framebuffer's id.
  package func addFramebuffer(_ device: CInt, _ framebuffer: ProbeFramebuffer) -> CallResult<UInt32> {
    let modifiers =
      framebuffer.modifiers.contains { $0 != 0 }
      ? ", modifiers \(framebuffer.modifiers.map { "0x\(hexadecimal($0, digits: 1))" })" : ""
    let text =
      "\(framebuffer.width)x\(framebuffer.height), format 0x\(hexadecimal(UInt64(framebuffer.fourcc), digits: 8)), "
      + "flags \(framebuffer.flags), handles \(framebuffer.handles), pitches \(framebuffer.pitches), "
      + "offsets \(framebuffer.offsets)\(modifiers)"
    return ioctl(device, .addFramebuffer, framebuffer.words(id: 0), text) { $0.words[0] }
  }

  /// `DRM_IOCTL_MODE_RMFB`, which takes the framebuffer off every screen first.
  package func removeFramebuffer(_ device: CInt, _ id: UInt32) -> CallResult<Int> {
    ioctl(device, .removeFramebuffer, [id], "framebuffer \(id)") { $0.returned }
  }

  /// `DRM_IOCTL_MODE_CLOSEFB`, which leaves the screens alone.
  package func closeFramebuffer(_ device: CInt, _ id: UInt32, pad: UInt32 = 0) -> CallResult<Int> {
    ioctl(device, .closeFramebuffer, [id, pad], "framebuffer \(id), pad \(pad)") { $0.returned }
  }

  /// `DRM_IOCTL_MODE_GETFB`: the handle, 0 for those who may not have one.
  package func framebufferHandle(_ device: CInt, _ id: UInt32) -> CallResult<UInt32> {
    ioctl(device, .getFramebuffer, [id, 0, 0, 0, 0, 0, 0], "framebuffer \(id)") { $0.words[6] }
  }

  /// `DRM_IOCTL_MODE_GETFB2`.
  package func framebuffer(_ device: CInt, _ id: UInt32) -> CallResult<ProbeFramebuffer> {
    ioctl(device, .getFramebuffer2, ProbeFramebuffer.neutral.words(id: id), "framebuffer \(id)") {
      ProbeFramebuffer($0)
    }
  }

  /// `DRM_IOCTL_MODE_DIRTYFB` with clips at an address, which may be nobody's.
  package func dirtyFramebuffer(
    _ device: CInt, _ id: UInt32, clipCount: UInt32 = 0, clips: UInt64 = 0
  ) -> CallResult<Int> {
    ioctl(
      device, .dirtyFramebuffer, [id, 0, 0, clipCount] + .quad(clips), "framebuffer \(id), \(clipCount) clips"
    ) { $0.returned }
  }
}
