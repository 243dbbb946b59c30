/// Bytes that a property refers to by number (`drmModeCreatePropertyBlob`), given back when the owner goes.
struct PropertyBlob: ~Copyable {
  private let device: Device
  let id: BlobID

  init(_ bytes: [UInt8], on device: Device) throws(PrimeError) {
    self.id = BlobID(
      rawValue: try device.kernel.kmsCreateBlob(device.rawDescriptor, bytes: bytes)
        .orThrow("drmModeCreatePropertyBlob", on: device.subject))
    self.device = device
  }

  deinit {
    _ = device.kernel.kmsDestroyBlob(device.rawDescriptor, id: id.rawValue)
  }
}
