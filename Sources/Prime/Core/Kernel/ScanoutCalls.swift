/// What `drmModeGetCrtc` tells: the state that the legacy calls see.
package struct KMSCRTC: Hashable, Sendable {
  package var framebuffer: UInt32
  package var x: UInt32
  package var y: UInt32
  /// The bytes of a `drm_mode_modeinfo`, nil where the CRTC is off.
  package var mode: [UInt8]?
  /// How many entries each of its three gamma tables has, 0 for none; `SETCRTC` does not look at it.
  package var gammaSize: Int

  package init(framebuffer: UInt32, x: UInt32, y: UInt32, mode: [UInt8]?, gammaSize: Int = 0) {
    self.framebuffer = framebuffer
    self.x = x
    self.y = y
    self.mode = mode
    self.gammaSize = gammaSize
  }
}

/// What taking a buffer to a screen needs beside mode setting itself: modes, the legacy calls, events, debugfs files.
package protocol ScanoutCalls {
  /// `drmModeGetConnector`, which asks the wire: each mode as the bytes of a `drm_mode_modeinfo`.
  func kmsModes(_ descriptor: CInt, connector: UInt32) -> CallResult<[[UInt8]]>
  /// `drmModeGetCrtc`.
  func kmsCRTC(_ descriptor: CInt, id: UInt32) -> CallResult<KMSCRTC>
  /// `drmModeSetCrtc`; no mode switches the CRTC off.
  func kmsSetCRTC(_ descriptor: CInt, id: UInt32, _ state: KMSCRTC, connectors: [UInt32]) -> CallResult<Void>
  /// `drmModeCrtcGetGamma`: `size` entries of red, then of green, then of blue.
  func kmsGamma(_ descriptor: CInt, crtc: UInt32, size: Int) -> CallResult<[UInt16]>
  /// `drmModeCrtcSetGamma` with three tables in one list, as `kmsGamma` gives them.
  func kmsSetGamma(_ descriptor: CInt, crtc: UInt32, _ tables: [UInt16]) -> CallResult<Void>
  /// `drmModePageFlip` with `DRM_MODE_PAGE_FLIP_EVENT`.
  func kmsPageFlip(_ descriptor: CInt, crtc: UInt32, framebuffer: UInt32, userData: UInt64) -> CallResult<Void>
  /// `DRM_IOCTL_MODE_CLOSEFB`, from Linux 6.8 on: unlike `RmFB` it switches nothing off.
  func kmsCloseFramebuffer(_ descriptor: CInt, id: UInt32) -> CallResult<Void>
  /// `read(2)` of at most `limit` bytes.
  func read(_ descriptor: CInt, limit: Int) -> CallResult<[UInt8]>
  /// `write(2)` of all bytes in one call.
  func write(_ descriptor: CInt, _ bytes: [UInt8]) -> CallResult<Int>
}
