import Glibc
import Synchronization

@testable import Prime

/// A kernel before 6.8, whose displays can be looked at through atomic calls alone.
extension FakeKernel {
  /// The wire of a device with checksums has modes of 64x64 and 128x96.
  func kmsModes(_ descriptor: CInt, connector: UInt32) -> CallResult<[[UInt8]]> {
    let isLit = state.withLock { state in
      state.files[descriptor].map { state.devices[$0.device].setup.checksumSources != nil } == true
    }
    guard isLit, connector == FakeDevice.virtualConnector else { return .failure(.notSupported) }
    let modes = [(64, 64), (128, 96)].compactMap { try? DisplayMode.withoutWire(width: $0.0, height: $0.1).bytes }
    return .success(modes)
  }

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

  func read(_ descriptor: CInt, limit: Int) -> CallResult<[UInt8]> {
    state.withLock { state in
      switch state.descriptors[descriptor] {
      case .checksumControl(let device): return .success(state.listing(ofDevice: device, to: descriptor))
      case .checksumData(let device): return state.devices[device].checksums.taken()
      case .node where state.files[descriptor]?.events.isEmpty == false:
        defer { state.files[descriptor]?.events = [] }
        return .success(state.files[descriptor]?.events ?? [])
      case .iterator(let program, let reads):
        return state.readIterator(descriptor, program: program, reads: reads)
      default: return .failure(.badDescriptor)
      }
    }
  }

  func write(_ descriptor: CInt, _ bytes: [UInt8]) -> CallResult<Int> {
    state.withLock { state in
      guard case .checksumControl(let device) = state.descriptors[descriptor] else { return .failure(.badDescriptor) }
      return state.choose(String(decoding: bytes, as: UTF8.self), onDevice: device).map { bytes.count }
    }
  }
}
