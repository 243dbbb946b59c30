internal import CDrm

extension LinuxKernel {
  package func dmaBufExportSyncFile(_ descriptor: CInt, flags: UInt32) -> CallResult<CInt> {
    Self.shimmed(cdrm_dma_buf_export_sync_file(descriptor, flags))
  }

  package func dmaBufImportSyncFile(_ descriptor: CInt, flags: UInt32, syncFile: CInt) -> CallResult<Void> {
    Self.shimmed(cdrm_dma_buf_import_sync_file(descriptor, flags, syncFile)).map { _ in }
  }

  package func syncFileInfo(_ descriptor: CInt, room: Int) -> CallResult<KernelSyncFileInfo> {
    var info = sync_file_info()
    var fences = [sync_fence_info](repeating: sync_fence_info(), count: room)
    // Safe: the kernel fills the struct and at most `room` fences, and refuses where the file holds more.
    let result = unsafe Self.shimmed(cdrm_sync_file_info(descriptor, &info, &fences, UInt32(room)))
    return result.map { _ in
      KernelSyncFileInfo(
        name: Self.fixedText(info.name), status: info.status, fenceCount: Int(info.num_fences),
        fences: fences.prefix(Int(info.num_fences)).map { fence in
          KernelFence(
            driver: Self.fixedText(fence.driver_name), timeline: Self.fixedText(fence.obj_name), status: fence.status,
            timestamp: fence.timestamp_ns)
        })
    }
  }

  /// The text in a C array of characters: as far as its first zero, or all of it.
  private static func fixedText<Characters>(_ characters: Characters) -> String {
    // Safe: the bytes are those of the value itself and are copied.
    unsafe withUnsafeBytes(of: characters) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  package func syncFileMerge(_ descriptor: CInt, with other: CInt, name: String) -> CallResult<CInt> {
    // Safe: the name is copied for the call, and no more of it than fits.
    unsafe Self.shimmed(cdrm_sync_file_merge(descriptor, other, name))
  }

  package func vgemFenceAttach(_ descriptor: CInt, handle: UInt32, flags: UInt32) -> CallResult<UInt32> {
    var fence: UInt32 = 0
    // Safe: the shim fills the one number it is given.
    return unsafe Self.shimmed(cdrm_vgem_fence_attach(descriptor, handle, flags, &fence)).map { _ in fence }
  }

  package func vgemFenceSignal(_ descriptor: CInt, fence: UInt32) -> CallResult<Void> {
    Self.shimmed(cdrm_vgem_fence_signal(descriptor, fence)).map { _ in }
  }
}

// MARK: - Syncobjs

extension LinuxKernel {
  package func syncobjCreate(_ descriptor: CInt, isSignalled: Bool) -> CallResult<UInt32> {
    var handle: UInt32 = 0
    // Safe: the shim fills the one number it is given.
    return unsafe Self.shimmed(cdrm_syncobj_create(descriptor, isSignalled ? 1 : 0, &handle)).map { _ in handle }
  }

  package func syncobjDestroy(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    Self.shimmed(cdrm_syncobj_destroy(descriptor, handle)).map { _ in }
  }

  package func syncobjToDescriptor(_ descriptor: CInt, handle: UInt32, asSyncFile: Bool) -> CallResult<CInt> {
    Self.shimmed(cdrm_syncobj_to_descriptor(descriptor, handle, asSyncFile ? 1 : 0))
  }

  package func syncobjFromDescriptor(_ descriptor: CInt, _ syncobj: CInt) -> CallResult<UInt32> {
    var handle: UInt32 = 0
    // Safe: the shim fills the one number it is given.
    return unsafe Self.shimmed(cdrm_syncobj_from_descriptor(descriptor, syncobj, &handle)).map { _ in handle }
  }

  package func syncobjImportSyncFile(_ descriptor: CInt, handle: UInt32, syncFile: CInt) -> CallResult<Void> {
    Self.shimmed(cdrm_syncobj_import_sync_file(descriptor, handle, syncFile)).map { _ in }
  }

  package func syncobjSignal(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    Self.shimmed(cdrm_syncobj_signal(descriptor, handle)).map { _ in }
  }

  package func syncobjReset(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    Self.shimmed(cdrm_syncobj_reset(descriptor, handle)).map { _ in }
  }

  package func syncobjWait(
    _ descriptor: CInt, handle: UInt32, point: UInt64?, forSubmission: Bool, nanoseconds: Int64
  ) -> CallResult<Void> {
    let forSubmission: CInt = forSubmission ? 1 : 0
    let result =
      if let point {
        cdrm_syncobj_timeline_wait(descriptor, handle, point, forSubmission, nanoseconds)
      } else {
        cdrm_syncobj_wait(descriptor, handle, forSubmission, nanoseconds)
      }
    return Self.shimmed(result).map { _ in }
  }

  package func syncobjTimelineSignal(_ descriptor: CInt, handle: UInt32, point: UInt64) -> CallResult<Void> {
    Self.shimmed(cdrm_syncobj_timeline_signal(descriptor, handle, point)).map { _ in }
  }

  package func syncobjQuery(_ descriptor: CInt, handle: UInt32, lastSubmitted: Bool) -> CallResult<UInt64> {
    var point: UInt64 = 0
    // Safe: the shim fills the one number it is given.
    return unsafe Self.shimmed(cdrm_syncobj_query(descriptor, handle, lastSubmitted ? 1 : 0, &point)).map { _ in point }
  }

  package func syncobjTransfer(_ descriptor: CInt, from: SyncobjPoint, to: SyncobjPoint) -> CallResult<Void> {
    Self.shimmed(cdrm_syncobj_transfer(descriptor, from.handle, from.point, to.handle, to.point)).map { _ in }
  }
}
