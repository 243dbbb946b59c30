import Glibc
import Prime

/// A kernel before 6.8, whose displays can be looked at through atomic calls alone.
extension FakeKernel {
  func kmsModes(_ descriptor: CInt, connector: UInt32) -> CallResult<[[UInt8]]> { .failure(.notSupported) }

  func kmsCRTC(_ descriptor: CInt, id: UInt32) -> CallResult<KMSCRTC> { .failure(.notSupported) }

  func kmsSetCRTC(_ descriptor: CInt, id: UInt32, _ state: KMSCRTC, connectors: [UInt32]) -> CallResult<Void> {
    .failure(.notSupported)
  }

  func kmsGamma(_ descriptor: CInt, crtc: UInt32, size: Int) -> CallResult<[UInt16]> { .failure(.notSupported) }

  func kmsSetGamma(_ descriptor: CInt, crtc: UInt32, _ tables: [UInt16]) -> CallResult<Void> { .failure(.notSupported) }

  func kmsPageFlip(_ descriptor: CInt, crtc: UInt32, framebuffer: UInt32, userData: UInt64) -> CallResult<Void> {
    .failure(.notSupported)
  }

  /// An ioctl that this kernel does not know is `EINVAL`; `RmFB` is what there is.
  func kmsCloseFramebuffer(_ descriptor: CInt, id: UInt32) -> CallResult<Void> { .failure(.invalidArgument) }

  func read(_ descriptor: CInt, limit: Int) -> CallResult<[UInt8]> { .failure(.badDescriptor) }

  func write(_ descriptor: CInt, _ bytes: [UInt8]) -> CallResult<Int> { .failure(.badDescriptor) }
}
