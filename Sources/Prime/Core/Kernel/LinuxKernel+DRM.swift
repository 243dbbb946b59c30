internal import CDrm
internal import Glibc

extension LinuxKernel {
  package func version(_ descriptor: CInt) -> CallResult<DriverVersion> {
    // Safe: libdrm allocates the answer and this function frees it after copying everything out of it.
    guard let version = unsafe drmGetVersion(descriptor) else {
      let errno = Glibc.errno
      return .failure(Errno(rawValue: errno == 0 ? EINVAL : errno))
    }
    defer { unsafe drmFreeVersion(version) }
    return unsafe .success(
      DriverVersion(
        name: Self.text(version.pointee.name), major: Int(version.pointee.version_major),
        minor: Int(version.pointee.version_minor), patch: Int(version.pointee.version_patchlevel),
        date: Self.text(version.pointee.date), summary: Self.text(version.pointee.desc)))
  }

  /// A C string of libdrm's, or an empty one for NULL.
  static func text(_ pointer: UnsafePointer<CChar>?) -> String {
    // Safe: libdrm ends its strings with a zero byte.
    guard let pointer = unsafe pointer else { return "" }
    return unsafe String(cString: pointer)
  }

  static func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String {
    unsafe text(UnsafePointer(pointer))
  }

  package func capability(_ descriptor: CInt, _ capability: UInt64) -> CallResult<UInt64> {
    var value: UInt64 = 0
    // Safe: libdrm fills the one number it is given.
    return unsafe Self.shimmed(cdrm_get_capability(descriptor, capability, &value)).map { _ in value }
  }

  package func setClientCapability(_ descriptor: CInt, _ capability: UInt64, _ value: UInt64) -> CallResult<Void> {
    Self.shimmed(cdrm_set_client_capability(descriptor, capability, value)).map { _ in }
  }

  package func isMaster(_ descriptor: CInt) -> Bool {
    cdrm_is_master(descriptor) != 0
  }

  package func setMaster(_ descriptor: CInt) -> CallResult<Void> {
    Self.shimmed(cdrm_set_master(descriptor)).map { _ in }
  }

  package func dropMaster(_ descriptor: CInt) -> CallResult<Void> {
    Self.shimmed(cdrm_drop_master(descriptor)).map { _ in }
  }

  package func primeHandleToFD(_ descriptor: CInt, handle: UInt32, writable: Bool) -> CallResult<CInt> {
    var exported: CInt = -1
    let flags = UInt32(DRM_CLOEXEC) | (writable ? UInt32(DRM_RDWR) : 0)
    // Safe: libdrm fills the one number it is given.
    return unsafe Self.shimmed(cdrm_prime_handle_to_fd(descriptor, handle, flags, &exported)).map { _ in exported }
  }

  package func primeFDToHandle(_ descriptor: CInt, dmaBuf: CInt) -> CallResult<UInt32> {
    var handle: UInt32 = 0
    // Safe: libdrm fills the one number it is given.
    return unsafe Self.shimmed(cdrm_prime_fd_to_handle(descriptor, dmaBuf, &handle)).map { _ in handle }
  }

  package func closeHandle(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    Self.shimmed(cdrm_gem_close(descriptor, handle)).map { _ in }
  }

  package func createDumb(
    _ descriptor: CInt, width: UInt32, height: UInt32, bitsPerPixel: UInt32
  ) -> CallResult<DumbBufferLayout> {
    var argument = drm_mode_create_dumb()
    argument.width = width
    argument.height = height
    argument.bpp = bitsPerPixel
    // Safe: the kernel fills the struct it is given.
    return unsafe Self.shimmed(cdrm_create_dumb(descriptor, &argument)).map { _ in
      DumbBufferLayout(handle: argument.handle, pitch: argument.pitch, byteCount: argument.size)
    }
  }

  package func mapDumb(_ descriptor: CInt, handle: UInt32) -> CallResult<UInt64> {
    var offset: UInt64 = 0
    // Safe: the shim fills the one number it is given.
    return unsafe Self.shimmed(cdrm_map_dumb(descriptor, handle, &offset)).map { _ in offset }
  }
}
