/// A DRM synchronisation object: a place for a fence that can be replaced, or a timeline of them.
///
/// Made and shared by devices with `DRM_CAP_SYNCOBJ`; its points need `DRM_CAP_SYNCOBJ_TIMELINE`
/// (`drivers/gpu/drm/drm_syncobj.c`). It keeps its device open and destroys its handle; the object itself lives as long as
/// anybody has a handle or a descriptor of it.
public struct Syncobj: ~Copyable, Sendable {
  let device: Device
  let handle: UInt32

  private init(adopting handle: UInt32, of device: Device) {
    self.device = device
    self.handle = handle
  }

  /// Makes one, without a fence or with one that has signalled (`DRM_IOCTL_SYNCOBJ_CREATE`).
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_CREATE` with `EOPNOTSUPP` where the driver has no syncobjs.
  public init(on device: Device, isSignalled: Bool = false) throws(PrimeError) {
    let handle = try Self.answer(
      device.kernel.syncobjCreate(device.rawDescriptor, isSignalled: isSignalled), .create, on: device)
    self.init(adopting: handle, of: device)
  }

  /// A handle of an object that was exported, on this or another device (`DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE`).
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE` with `EINVAL` for a file that is not a syncobj.
  public init(importing syncobj: borrowing Descriptor, into device: Device) throws(PrimeError) {
    try self.init(importing: syncobj.rawValue, into: device)
  }

  /// A handle of the object behind another library's descriptor, for example Vulkan's or `wp_linux_drm_syncobj`'s
  /// (`DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE`).
  ///
  /// The descriptor stays the caller's to close, at any time: the handle keeps the object.
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE` with `EINVAL` for a file that is not a syncobj, a number that is not open among
  ///   them.
  public init(importing descriptor: CInt, into device: Device) throws(PrimeError) {
    let handle = try Self.answer(
      device.kernel.syncobjFromDescriptor(device.rawDescriptor, descriptor), .fromDescriptor, on: device,
      invalid: "descriptor \(descriptor) is not a syncobj")
    self.init(adopting: handle, of: device)
  }

  deinit {
    // An error says that the device is gone, and the handle with it.
    _ = device.kernel.syncobjDestroy(device.rawDescriptor, handle: handle)
  }

  /// The object as a descriptor that another device or process can import (`DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD`).
  ///
  /// The caller owns it.
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD` with `EMFILE` where the process has no descriptor left.
  public borrowing func export() throws(PrimeError) -> Descriptor {
    let file = try Self.answer(
      device.kernel.syncobjToDescriptor(device.rawDescriptor, handle: handle, asSyncFile: false), .toDescriptor,
      on: device)
    return Descriptor(adopting: file, kernel: device.kernel)
  }

  /// The fence of now as a sync_file, which the caller owns (`DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD`, `EXPORT_SYNC_FILE`).
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD` with `EINVAL` where there is no fence yet.
  public borrowing func exportSyncFile() throws(PrimeError) -> SyncFile {
    let file = try Self.answer(
      device.kernel.syncobjToDescriptor(device.rawDescriptor, handle: handle, asSyncFile: true), .toDescriptor,
      on: device, invalid: Self.noFence)
    return SyncFile(adopting: Descriptor(adopting: file, kernel: device.kernel))
  }

  /// Puts the fence of a sync_file in the place of the one that was there (`DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE`).
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE` with `EINVAL` for a file that is not a sync_file.
  public borrowing func importSyncFile(_ file: borrowing SyncFile) throws(PrimeError) {
    let syncFile = file.rawDescriptor
    try Self.answer(
      device.kernel.syncobjImportSyncFile(device.rawDescriptor, handle: handle, syncFile: syncFile), .fromDescriptor,
      on: device, invalid: "descriptor \(syncFile) is not a sync_file")
  }

  /// Puts a fence there that has signalled (`DRM_IOCTL_SYNCOBJ_SIGNAL`); who waits for the one before goes on waiting.
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_SIGNAL` with its errno.
  public borrowing func signal() throws(PrimeError) {
    try Self.answer(device.kernel.syncobjSignal(device.rawDescriptor, handle: handle), .signal, on: device)
  }

  /// Takes the fence away (`DRM_IOCTL_SYNCOBJ_RESET`).
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_RESET` with its errno.
  public borrowing func reset() throws(PrimeError) {
    try Self.answer(device.kernel.syncobjReset(device.rawDescriptor, handle: handle), .reset, on: device)
  }

  /// Waits until the fence has signalled (`DRM_IOCTL_SYNCOBJ_WAIT`).
  ///
  /// - Parameters:
  ///   - deadline: When to give up.
  ///   - forSubmission: Whether to wait for a fence to come where there is none yet.
  /// - Throws: `DRM_IOCTL_SYNCOBJ_WAIT` with `deadline` or `cancelled` when the deadline ends it, and with `EINVAL` where there
  ///   is no fence and none is waited for.
  public borrowing func wait(deadline: Deadline, forSubmission: Bool = false) throws(PrimeError) {
    try wait(point: nil, deadline: deadline, forSubmission: forSubmission)
  }

  /// As the blocking wait, for a task: it is suspended, and a thread made for it blocks.
  ///
  /// - Throws: As the blocking wait, with `cancelled` where the task is cancelled; `pthread_create` where there is no thread.
  public borrowing func wait(deadline: Deadline, forSubmission: Bool = false) async throws(PrimeError) {
    try await suspendedWait(point: nil, deadline: deadline, forSubmission: forSubmission)
  }

  borrowing func wait(point: UInt64?, deadline: Deadline, forSubmission: Bool) throws(PrimeError) {
    try Self.wait(for: handle, of: device, point: point, deadline: deadline, forSubmission: forSubmission)
  }

  borrowing func suspendedWait(point: UInt64?, deadline: Deadline, forSubmission: Bool) async throws(PrimeError) {
    let (device, handle) = (device, handle)
    try await SuspendedWait.run(on: device.subject, deadline: deadline) { (deadline) throws(PrimeError) in
      try Self.wait(for: handle, of: device, point: point, deadline: deadline, forSubmission: forSubmission)
    }
  }

  private static func wait(
    for handle: UInt32, of device: Device, point: UInt64?, deadline: Deadline, forSubmission: Bool
  ) throws(PrimeError) {
    let call: Call = point == nil ? .wait : .timelineWait
    while true {
      let answer = device.kernel.syncobjWait(
        device.rawDescriptor, handle: handle, point: point, forSubmission: forSubmission,
        nanoseconds: Int64(deadline.pollSlice) * 1_000_000)
      switch answer {
      case .success: return
      case .failure(.timerExpired), .failure(.interrupted), .failure(.tryAgain):
        try deadline.check(Self.operation(of: call), on: device.subject)
      case .failure: try Self.answer(answer, call, on: device, invalid: noFence)
      }
    }
  }
}

extension Syncobj {
  static let noFence = "no fence was submitted to it yet: signal it, import one, or wait for the submission too"

  /// The calls, by their names behind `DRM_IOCTL_SYNCOBJ_`.
  enum Call: String {
    case create = "CREATE"
    case fromDescriptor = "FD_TO_HANDLE"
    case toDescriptor = "HANDLE_TO_FD"
    case signal = "SIGNAL"
    case reset = "RESET"
    case wait = "WAIT"
    case timelineWait = "TIMELINE_WAIT"
    case timelineSignal = "TIMELINE_SIGNAL"
    case query = "QUERY"
    case transfer = "TRANSFER"

    /// Whether it needs `DRM_CAP_SYNCOBJ_TIMELINE` as well.
    var isOfTimelines: Bool { [.timelineWait, .timelineSignal, .query, .transfer].contains(self) }
  }

  static func operation(of call: Call) -> PrimeError.Operation { "DRM_IOCTL_SYNCOBJ_\(call.rawValue)" }

  /// The value, or the error with what is known about it.
  @discardableResult static func answer<Value>(
    _ result: CallResult<Value>, _ call: Call, on device: Device, invalid: String? = nil
  ) throws(PrimeError) -> Value {
    switch result {
    case .success(let value): return value
    case .failure(let errno):
      let reason: String? =
        switch errno {
        case .notSupported where call.isOfTimelines:
          "\(device.driver) has no timeline syncobjs (DRM_CAP_SYNCOBJ_TIMELINE): use binary ones, or sync_files"
        case .notSupported: "\(device.driver) has no syncobjs (DRM_CAP_SYNCOBJ): use sync_files"
        case .invalidArgument: invalid
        default: PrimeError.commonReason(errno)
        }
      throw PrimeError(operation: operation(of: call), errno: errno, subject: device.subject, reason: reason)
    }
  }
}
