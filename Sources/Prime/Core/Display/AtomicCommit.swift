/// One atomic request and the flags it is sent with (`DRM_IOCTL_MODE_ATOMIC`).
package struct AtomicCommit {
  /// The flags of `drm_mode.h` that this library uses.
  package struct Flags: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let testOnly = Flags(rawValue: CommitFlags.testOnly)
    package static let event = Flags(rawValue: CommitFlags.event)
    package static let nonBlocking = Flags(rawValue: CommitFlags.nonblocking)
    package static let allowModeset = Flags(rawValue: CommitFlags.allowModeset)
  }

  var assignments: [KMSAssignment] = []

  package init(assignments: [KMSAssignment] = []) {
    self.assignments = assignments
  }

  package mutating func set(_ object: DisplayObject, _ name: String, _ value: UInt64) throws(PrimeError) {
    assignments.append(try object.setting(name, to: value))
  }

  /// Sends it and gives a descriptor for each out-fence, which the caller owns.
  ///
  /// An interrupted commit changed nothing and is sent again until the deadline.
  package func send(
    on device: Device, flags: Flags, outFences: [KMSAssignment] = [], userData: UInt64 = 0,
    deadline: Deadline
  ) throws(PrimeError) -> [CInt] {
    let operation: PrimeError.Operation = "DRM_IOCTL_MODE_ATOMIC"
    while true {
      switch device.kernel.kmsCommit(
        device.rawDescriptor, assignments: assignments, outFences: outFences, flags: flags.rawValue,
        userData: userData)
      {
      case .success(let fences): return fences
      case .failure(.interrupted), .failure(.tryAgain):
        try deadline.check(operation, on: device.subject)
      case .failure(let errno):
        throw PrimeError(
          operation: operation, errno: errno, subject: device.subject,
          reason: PrimeError.displayReason(errno) ?? PrimeError.commonReason(errno))
      }
    }
  }
}

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
