public import Prime

/// The DRM core's ioctls of `drm.h` and `vgem_drm.h` that statements about buffers need.
extension IoctlRequest {
  package static let gemClose = write("d", 0x09, "DRM_IOCTL_GEM_CLOSE")
  package static let getCapability = drm(0x0c, "DRM_IOCTL_GET_CAP")
  package static let setClientCapability = write("d", 0x0d, "DRM_IOCTL_SET_CLIENT_CAP")
  package static let setMaster = plain("d", 0x1e, "DRM_IOCTL_SET_MASTER")
  package static let dropMaster = plain("d", 0x1f, "DRM_IOCTL_DROP_MASTER")
  package static let primeHandleToFD = drm(0x2d, "DRM_IOCTL_PRIME_HANDLE_TO_FD")
  package static let primeFDToHandle = drm(0x2e, "DRM_IOCTL_PRIME_FD_TO_HANDLE")
  package static let createDumb = drm(0xb2, "DRM_IOCTL_MODE_CREATE_DUMB")
  package static let mapDumb = drm(0xb3, "DRM_IOCTL_MODE_MAP_DUMB")
  package static let destroyDumb = drm(0xb4, "DRM_IOCTL_MODE_DESTROY_DUMB")
  package static let vgemFenceAttach = drm(0x41, "DRM_IOCTL_VGEM_FENCE_ATTACH")
  package static let vgemFenceSignal = write("d", 0x42, "DRM_IOCTL_VGEM_FENCE_SIGNAL")
}

extension DumbBufferLayout: ProbeValue {
  package static var neutral: DumbBufferLayout { DumbBufferLayout(handle: 0, pitch: 0, byteCount: 0) }
  package var distorted: DumbBufferLayout { DumbBufferLayout(handle: handle, pitch: 1, byteCount: 1) }
  package var shown: String { "handle \(handle), pitch \(pitch), \(byteCount) bytes" }
}

extension KernelProbe {
  /// `DRM_IOCTL_PRIME_HANDLE_TO_FD`.
  package func primeHandleToFD(_ device: CInt, handle: UInt32, flags: UInt32) -> CallResult<CInt> {
    adopting(
      ioctl(
        device, .primeHandleToFD, [handle, flags, UInt32(bitPattern: -1)],
        "handle \(handle), flags 0x\(hexadecimal(UInt64(flags), digits: 1))"
      ) { $0.descriptor(2) })
  }

  /// `DRM_IOCTL_PRIME_FD_TO_HANDLE`.
  package func primeFDToHandle(_ device: CInt, _ dmaBuf: CInt, flags: UInt32 = 0) -> CallResult<UInt32> {
    ioctl(device, .primeFDToHandle, [0, flags, UInt32(bitPattern: dmaBuf)], "dma-buf \(dmaBuf)") { $0.words[0] }
  }

  /// `DRM_IOCTL_GEM_CLOSE`.
  package func closeHandle(_ device: CInt, _ handle: UInt32) -> CallResult<Int> {
    ioctl(device, .gemClose, [handle, 0], "handle \(handle)") { $0.returned }
  }

  /// `DRM_IOCTL_MODE_CREATE_DUMB`.
  package func createDumb(
    _ device: CInt, width: UInt32, height: UInt32, bitsPerPixel: UInt32 = 32
  ) -> CallResult<DumbBufferLayout> {
    call("DRM_IOCTL_MODE_CREATE_DUMB", "\(device), \(width)x\(height), \(bitsPerPixel) bits") {
      unrecorded.createDumb(device, width: width, height: height, bitsPerPixel: bitsPerPixel)
    }
  }

  /// `DRM_IOCTL_MODE_MAP_DUMB`: the offset to map the device at.
  package func mapDumb(_ device: CInt, handle: UInt32) -> CallResult<UInt64> {
    ioctl(device, .mapDumb, [handle, 0, 0, 0], "handle \(handle)") { $0.quad(2) }
  }

  /// `DRM_IOCTL_MODE_DESTROY_DUMB`.
  package func destroyDumb(_ device: CInt, handle: UInt32) -> CallResult<Int> {
    ioctl(device, .destroyDumb, [handle], "handle \(handle)") { $0.returned }
  }

  /// `DRM_IOCTL_GET_CAP`.
  package func capability(_ device: CInt, _ capability: UInt64) -> CallResult<UInt64> {
    ioctl(device, .getCapability, .quad(capability) + [0, 0], "capability \(capability)") { $0.quad(2) }
  }

  /// `DRM_IOCTL_SET_CLIENT_CAP`.
  package func setClientCapability(_ device: CInt, _ capability: UInt64, _ value: UInt64) -> CallResult<Int> {
    ioctl(device, .setClientCapability, .quad(capability) + .quad(value), "capability \(capability) = \(value)") {
      $0.returned
    }
  }

  /// `DRM_IOCTL_SET_MASTER`.
  package func setMaster(_ device: CInt) -> CallResult<Int> {
    ioctl(device, .setMaster, []) { $0.returned }
  }

  /// `DRM_IOCTL_DROP_MASTER`.
  package func dropMaster(_ device: CInt) -> CallResult<Int> {
    ioctl(device, .dropMaster, []) { $0.returned }
  }

  /// `DRM_IOCTL_VGEM_FENCE_ATTACH`: a fence on the buffer, which only `signalVGEMFence` or ten seconds end; flag 1 is
  /// `VGEM_FENCE_WRITE`.
  package func attachVGEMFence(
    _ device: CInt, handle: UInt32, flags: UInt32, pad: UInt32 = 0
  ) -> CallResult<UInt32> {
    ioctl(device, .vgemFenceAttach, [handle, flags, 0, pad], "handle \(handle), flags \(flags)") { $0.words[2] }
  }

  /// `DRM_IOCTL_VGEM_FENCE_SIGNAL`.
  package func signalVGEMFence(_ device: CInt, fence: UInt32, flags: UInt32 = 0) -> CallResult<Int> {
    ioctl(device, .vgemFenceSignal, [fence, flags], "fence \(fence)") { $0.returned }
  }
}
