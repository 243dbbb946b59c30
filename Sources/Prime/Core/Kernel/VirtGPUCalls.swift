internal import CDrm

/// Which of a buffer's two copies is renewed from the other (`virtgpu_drm.h`).
package enum VirtGPUTransfer: Hashable, Sendable {
  /// `DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST`: the GPU's copy from the guest's pages.
  case toHost
  /// `DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST`: the guest's pages from the GPU's copy.
  case fromHost

  /// The call's name.
  package var operation: PrimeError.Operation {
    switch self {
    case .toHost: "DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST"
    case .fromHost: "DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST"
    }
  }
}

/// virtio_gpu's own calls, about buffers that have a copy on the host and one in the guest.
package protocol VirtGPUCalls {
  /// `VIRTGPU_PARAM_3D_FEATURES`: whether the host draws for it.
  func virtGPUHas3D(_ descriptor: CInt) -> CallResult<Bool>
  /// Starts the transfer of the whole picture.
  func virtGPUTransfer(
    _ descriptor: CInt, handle: UInt32, width: UInt32, height: UInt32, _ transfer: VirtGPUTransfer
  ) -> CallResult<Void>
  /// `DRM_IOCTL_VIRTGPU_WAIT`, which does not wait: whether something is still done with the buffer.
  func virtGPUIsBusy(_ descriptor: CInt, handle: UInt32) -> CallResult<Bool>
}

extension LinuxKernel {
  package func virtGPUHas3D(_ descriptor: CInt) -> CallResult<Bool> {
    Self.shimmed(cdrm_virtgpu_has_3d(descriptor)).map { $0 != 0 }
  }

  package func virtGPUTransfer(
    _ descriptor: CInt, handle: UInt32, width: UInt32, height: UInt32, _ transfer: VirtGPUTransfer
  ) -> CallResult<Void> {
    Self.shimmed(cdrm_virtgpu_transfer(descriptor, handle, width, height, transfer == .toHost ? 1 : 0)).map { _ in }
  }

  package func virtGPUIsBusy(_ descriptor: CInt, handle: UInt32) -> CallResult<Bool> {
    Self.shimmed(cdrm_virtgpu_is_busy(descriptor, handle)).map { $0 != 0 }
  }
}
