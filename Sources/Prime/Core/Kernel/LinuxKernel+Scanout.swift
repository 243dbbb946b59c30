internal import CDrm
internal import Glibc

extension LinuxKernel {
  package func kmsModes(_ descriptor: CInt, connector: UInt32) -> CallResult<[[UInt8]]> {
    // Safe: libdrm allocates the answer and it is freed after everything was copied out of it.
    guard let answer = unsafe drmModeGetConnector(descriptor, connector) else { return Self.missing() }
    defer { unsafe drmModeFreeConnector(answer) }
    let modes = unsafe UnsafeBufferPointer(start: answer.pointee.modes, count: Int(answer.pointee.count_modes))
    return unsafe .success(modes.map { Self.bytes(of: $0) })
  }

  /// libdrm's mode structure has the kernel's layout, byte for byte (`xf86drmMode.h`).
  private static func bytes(of mode: drmModeModeInfo) -> [UInt8] {
    unsafe withUnsafeBytes(of: mode) { unsafe [UInt8]($0) }
  }

  package func kmsCRTC(_ descriptor: CInt, id: UInt32) -> CallResult<KMSCRTC> {
    // Safe: as above.
    guard let answer = unsafe drmModeGetCrtc(descriptor, id) else { return Self.missing() }
    defer { unsafe drmModeFreeCrtc(answer) }
    let state = unsafe answer.pointee
    return .success(
      KMSCRTC(
        framebuffer: state.buffer_id, x: state.x, y: state.y,
        mode: state.mode_valid != 0 ? Self.bytes(of: state.mode) : nil, gammaSize: Int(state.gamma_size)))
  }

  package func kmsSetCRTC(
    _ descriptor: CInt, id: UInt32, _ state: KMSCRTC, connectors: [UInt32]
  ) -> CallResult<Void> {
    var connectors = connectors
    guard let bytes = state.mode, bytes.count == MemoryLayout<drmModeModeInfo>.size else {
      // Safe: no mode and no connector switch the CRTC off.
      return Self.shimmed(drmModeSetCrtc(descriptor, id, 0, 0, 0, nil, 0, nil)).map { _ in }
    }
    var mode = drmModeModeInfo()
    // Safe: both sides have the size that was just compared, and every bit pattern is a mode.
    unsafe withUnsafeMutableBytes(of: &mode) { unsafe $0.copyBytes(from: bytes) }
    return unsafe Self.shimmed(
      drmModeSetCrtc(
        descriptor, id, state.framebuffer, state.x, state.y, &connectors, CInt(connectors.count), &mode)
    ).map { _ in }
  }

  package func kmsGamma(_ descriptor: CInt, crtc: UInt32, size: Int) -> CallResult<[UInt16]> {
    var (red, green, blue) = ([UInt16](repeating: 0, count: size), [UInt16](repeating: 0, count: size), [UInt16]())
    blue = green
    // Safe: the kernel writes `size` entries to each, or refuses a size that is not its own.
    return unsafe Self.shimmed(cdrm_get_gamma(descriptor, crtc, UInt32(size), &red, &green, &blue)).map { _ in
      red + green + blue
    }
  }

  package func kmsSetGamma(_ descriptor: CInt, crtc: UInt32, _ tables: [UInt16]) -> CallResult<Void> {
    let size = tables.count / 3
    var red = Array(tables[..<size])
    var green = Array(tables[size..<2 * size])
    var blue = Array(tables[(2 * size)..<(3 * size)])
    // Safe: as above, read instead of written.
    return unsafe Self.shimmed(cdrm_set_gamma(descriptor, crtc, UInt32(size), &red, &green, &blue)).map { _ in }
  }

  package func kmsPageFlip(
    _ descriptor: CInt, crtc: UInt32, framebuffer: UInt32, userData: UInt64
  ) -> CallResult<Void> {
    Self.shimmed(cdrm_page_flip(descriptor, crtc, framebuffer, userData)).map { _ in }
  }

  package func kmsCloseFramebuffer(_ descriptor: CInt, id: UInt32) -> CallResult<Void> {
    Self.shimmed(cdrm_close_framebuffer(descriptor, id)).map { _ in }
  }

  package func read(_ descriptor: CInt, limit: Int) -> CallResult<[UInt8]> {
    var bytes = [UInt8](repeating: 0, count: limit)
    // Safe: at most `limit` bytes are written.
    return unsafe Self.shimmed(cdrm_read(descriptor, &bytes, limit)).map { Array(bytes.prefix(Int($0))) }
  }

  package func write(_ descriptor: CInt, _ bytes: [UInt8]) -> CallResult<Int> {
    // Safe: at most all of the bytes are read.
    unsafe Self.shimmed(cdrm_write(descriptor, bytes, bytes.count)).map { Int($0) }
  }
}
