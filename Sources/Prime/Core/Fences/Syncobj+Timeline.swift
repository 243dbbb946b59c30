/// A syncobj as a timeline: each point is a fence, and a point has signalled when it and all before it have.
///
/// All of it needs `DRM_CAP_SYNCOBJ_TIMELINE`, and answers `EOPNOTSUPP` without.
extension Syncobj {
  /// Adds a point that has signalled (`DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL`).
  ///
  /// Points are added in ascending order.
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL` with its errno.
  public borrowing func signal(point: UInt64) throws(PrimeError) {
    try Self.answer(
      device.kernel.syncobjTimelineSignal(device.rawDescriptor, handle: handle, point: point), .timelineSignal,
      on: device)
  }

  /// Waits until a point has signalled (`DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT`).
  ///
  /// - Parameters:
  ///   - point: The point on the timeline.
  ///   - deadline: When to give up.
  ///   - forSubmission: Whether to wait for a fence to come where the point has none yet.
  /// - Throws: `DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT` with `deadline` or `cancelled` when the deadline ends it, and with `EINVAL`
  ///   where the point has no fence and none is waited for.
  public borrowing func wait(
    point: UInt64, deadline: Deadline, forSubmission: Bool = false
  ) throws(PrimeError) {
    try wait(point: Optional(point), deadline: deadline, forSubmission: forSubmission)
  }

  /// As the blocking wait, for a task: it is suspended, and a thread made for it blocks.
  ///
  /// - Throws: As the blocking wait, with `cancelled` where the task is cancelled; `pthread_create` where there is no thread.
  public borrowing func wait(
    point: UInt64, deadline: Deadline, forSubmission: Bool = false
  ) async throws(PrimeError) {
    try await suspendedWait(point: point, deadline: deadline, forSubmission: forSubmission)
  }

  /// The last point that has signalled, 0 before the first (`DRM_IOCTL_SYNCOBJ_QUERY`).
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_QUERY` with its errno.
  public borrowing func signalledPoint() throws(PrimeError) -> UInt64 {
    try query(lastSubmitted: false)
  }

  /// The last point that was added, signalled or not, 0 before the first.
  ///
  /// The call is `DRM_IOCTL_SYNCOBJ_QUERY` with `LAST_SUBMITTED`.
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_QUERY` with its errno.
  public borrowing func submittedPoint() throws(PrimeError) -> UInt64 {
    try query(lastSubmitted: true)
  }

  private borrowing func query(lastSubmitted: Bool) throws(PrimeError) -> UInt64 {
    try Self.answer(
      device.kernel.syncobjQuery(device.rawDescriptor, handle: handle, lastSubmitted: lastSubmitted), .query,
      on: device)
  }

  /// Puts the fence of a point into a point of another syncobj of the same open file (`DRM_IOCTL_SYNCOBJ_TRANSFER`).
  ///
  /// Point 0 stands for the fence of a binary syncobj, on either side: that is how a sync_file gets onto a timeline.
  ///
  /// - Throws: `DRM_IOCTL_SYNCOBJ_TRANSFER` with `EINVAL` where the point has no fence yet, or where the other is a syncobj of
  ///   another open file.
  public borrowing func transfer(
    point: UInt64, to other: borrowing Syncobj, point otherPoint: UInt64
  ) throws(PrimeError) {
    let target = SyncobjPoint(handle: other.handle, point: otherPoint)
    guard other.device === device else {
      throw PrimeError(
        operation: Self.operation(of: .transfer), finding: .unsuitable, subject: device.subject,
        reason: "the other syncobj belongs to another open file: export it and import it here first")
    }
    try Self.answer(
      device.kernel.syncobjTransfer(
        device.rawDescriptor, from: SyncobjPoint(handle: handle, point: point), to: target),
      .transfer, on: device, invalid: Self.noFence)
  }
}
