@testable import Prime

/// No device of the fake kernel is virtio_gpu, and another driver's ioctl is none of theirs.
extension FakeKernel {
  func virtGPUHas3D(_ descriptor: CInt) -> CallResult<Bool> { .failure(.invalidArgument) }

  func virtGPUTransfer(
    _ descriptor: CInt, handle: UInt32, width: UInt32, height: UInt32, _ transfer: VirtGPUTransfer
  ) -> CallResult<Void> { .failure(.invalidArgument) }

  func virtGPUIsBusy(_ descriptor: CInt, handle: UInt32) -> CallResult<Bool> { .failure(.invalidArgument) }
}
