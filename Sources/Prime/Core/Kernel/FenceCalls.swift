/// What `SYNC_IOC_FILE_INFO` tells, as the kernel gives it.
package struct KernelSyncFileInfo: Hashable, Sendable {
  package var name: String
  /// 1 signalled, 0 pending, a negative errno where a fence ended with an error.
  package var status: Int32
  /// How many fences the file holds, however many were asked for.
  package var fenceCount: Int
  /// At most as many as there was room for.
  package var fences: [KernelFence]

  package init(name: String, status: Int32, fenceCount: Int, fences: [KernelFence]) {
    self.name = name
    self.status = status
    self.fenceCount = fenceCount
    self.fences = fences
  }
}

/// One `struct sync_fence_info`.
package struct KernelFence: Hashable, Sendable {
  package var driver: String
  package var timeline: String
  /// As in `KernelSyncFileInfo`.
  package var status: Int32
  /// `CLOCK_MONOTONIC` nanoseconds, 0 while it is pending.
  package var timestamp: UInt64

  package init(driver: String, timeline: String, status: Int32, timestamp: UInt64) {
    self.driver = driver
    self.timeline = timeline
    self.status = status
    self.timestamp = timestamp
  }
}

/// Fences: sync_files, those of a dma-buf, vgem's own, and syncobjs.
package protocol SyncCalls {
  /// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE`, close-on-exec.
  func dmaBufExportSyncFile(_ descriptor: CInt, flags: UInt32) -> CallResult<CInt>
  /// `DMA_BUF_IOCTL_IMPORT_SYNC_FILE`.
  func dmaBufImportSyncFile(_ descriptor: CInt, flags: UInt32, syncFile: CInt) -> CallResult<Void>
  /// `SYNC_IOC_FILE_INFO` with room for so many fences; `EINVAL` where the file holds more, unless the room is 0.
  func syncFileInfo(_ descriptor: CInt, room: Int) -> CallResult<KernelSyncFileInfo>
  /// `SYNC_IOC_MERGE`, close-on-exec.
  func syncFileMerge(_ descriptor: CInt, with other: CInt, name: String) -> CallResult<CInt>

  /// `DRM_IOCTL_VGEM_FENCE_ATTACH`, whose number means another call on any other driver.
  func vgemFenceAttach(_ descriptor: CInt, handle: UInt32, flags: UInt32) -> CallResult<UInt32>
  /// `DRM_IOCTL_VGEM_FENCE_SIGNAL`.
  func vgemFenceSignal(_ descriptor: CInt, fence: UInt32) -> CallResult<Void>

  /// `DRM_IOCTL_SYNCOBJ_CREATE`.
  func syncobjCreate(_ descriptor: CInt, isSignalled: Bool) -> CallResult<UInt32>
  /// `DRM_IOCTL_SYNCOBJ_DESTROY`.
  func syncobjDestroy(_ descriptor: CInt, handle: UInt32) -> CallResult<Void>
  /// `DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD`, close-on-exec: the syncobj itself, or its fence of now as a sync_file.
  func syncobjToDescriptor(_ descriptor: CInt, handle: UInt32, asSyncFile: Bool) -> CallResult<CInt>
  /// `DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE` of a syncobj.
  func syncobjFromDescriptor(_ descriptor: CInt, _ syncobj: CInt) -> CallResult<UInt32>
  /// `DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE` with `IMPORT_SYNC_FILE`.
  func syncobjImportSyncFile(_ descriptor: CInt, handle: UInt32, syncFile: CInt) -> CallResult<Void>
  /// `DRM_IOCTL_SYNCOBJ_SIGNAL`.
  func syncobjSignal(_ descriptor: CInt, handle: UInt32) -> CallResult<Void>
  /// `DRM_IOCTL_SYNCOBJ_RESET`.
  func syncobjReset(_ descriptor: CInt, handle: UInt32) -> CallResult<Void>
  /// `DRM_IOCTL_SYNCOBJ_WAIT`, or `TIMELINE_WAIT` for a point, for so long from now; not restarted, `ETIME` at the end.
  func syncobjWait(
    _ descriptor: CInt, handle: UInt32, point: UInt64?, forSubmission: Bool, nanoseconds: Int64
  ) -> CallResult<Void>
  /// `DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL`.
  func syncobjTimelineSignal(_ descriptor: CInt, handle: UInt32, point: UInt64) -> CallResult<Void>
  /// `DRM_IOCTL_SYNCOBJ_QUERY`: the last point that signalled, or that was submitted.
  func syncobjQuery(_ descriptor: CInt, handle: UInt32, lastSubmitted: Bool) -> CallResult<UInt64>
  /// `DRM_IOCTL_SYNCOBJ_TRANSFER` without `WAIT_FOR_SUBMIT`.
  func syncobjTransfer(_ descriptor: CInt, from: SyncobjPoint, to: SyncobjPoint) -> CallResult<Void>
}

/// A syncobj's handle and a point on its timeline, 0 for the fence of a binary one.
package struct SyncobjPoint: Hashable, Sendable {
  package var handle: UInt32
  package var point: UInt64

  package init(handle: UInt32, point: UInt64) {
    self.handle = handle
    self.point = point
  }
}
