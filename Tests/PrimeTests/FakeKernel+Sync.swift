import Glibc
import Prime
import Synchronization

// MARK: - Sync_files and the fences of a buffer

extension FakeKernel {
  func dmaBufExportSyncFile(_ descriptor: CInt, flags: UInt32) -> CallResult<CInt> {
    call(.dmaBufExportSyncFile) { state in
      let memory = try state.memory(ofDMABuf: descriptor, "DMA_BUF_IOCTL_EXPORT_SYNC_FILE")
      guard flags & ~3 == 0, flags != 0 else { throw Errno.invalidArgument }
      let fences = state.fences.inTheWay(ofMemory: memory, writing: flags & 2 != 0)
      return try state.newSyncFile("", fences)
    }
  }

  func dmaBufImportSyncFile(_ descriptor: CInt, flags: UInt32, syncFile: CInt) -> CallResult<Void> {
    call(.dmaBufImportSyncFile) { state in
      let memory = try state.memory(ofDMABuf: descriptor, "DMA_BUF_IOCTL_IMPORT_SYNC_FILE")
      guard flags & ~3 == 0, flags != 0 else { throw Errno.invalidArgument }
      guard let file = state.syncFile(syncFile) else { throw Errno.invalidArgument }
      for fence in file.fences {
        state.fences.reservations[memory, default: []].append((fence, flags & 2 != 0))
      }
    }
  }

  func syncFileInfo(_ descriptor: CInt, room: Int) -> CallResult<KernelSyncFileInfo> {
    call(.syncFileInfo) { state in
      state.settleFlips()
      guard let file = state.syncFile(descriptor) else { throw Errno.notATerminal }
      let count = state.faults.claimedFences ?? file.fences.count
      let fences = file.fences.map { state.fences.all[$0] }
      let status = fences.map(\.status).first { $0 != 1 } ?? 1
      guard room > 0 else { return KernelSyncFileInfo(name: file.name, status: status, fenceCount: count, fences: []) }
      guard room >= file.fences.count else { throw Errno.invalidArgument }
      return KernelSyncFileInfo(
        name: file.name, status: status, fenceCount: fences.count,
        fences: fences.map {
          KernelFence(
            driver: $0.driver, timeline: $0.timeline, status: $0.status, timestamp: $0.status == 0 ? 0 : 1_000_000)
        })
    }
  }

  func syncFileMerge(_ descriptor: CInt, with other: CInt, name: String) -> CallResult<CInt> {
    call(.syncFileMerge) { state in
      guard let file = state.syncFile(descriptor) else { throw Errno.notATerminal }
      guard let otherFile = state.syncFile(other) else { throw Errno.noSuchFile }
      // The kernel leaves those out that are over.
      let fences = (file.fences + otherFile.fences).filter { state.fences.isPending([$0]) }
      return try state.newSyncFile(name, fences)
    }
  }

  func vgemFenceAttach(_ descriptor: CInt, handle: UInt32, flags: UInt32) -> CallResult<UInt32> {
    call(.vgemFenceAttach) { state in
      let file = try state.file(descriptor, "DRM_IOCTL_VGEM_FENCE_ATTACH")
      guard state.devices[file.device].setup.driver == "vgem" else {
        state.violations.append("a private call of vgem was made on another driver")
        throw Errno.invalidArgument
      }
      guard flags & ~1 == 0 else { throw Errno.invalidArgument }
      let memory = try state.memory(of: handle, in: descriptor, "DRM_IOCTL_VGEM_FENCE_ATTACH")
      guard state.fences.inTheWay(ofMemory: memory, writing: flags & 1 != 0).isEmpty else { throw Errno.busy }
      let fence = state.fences.newFence(
        driver: "vgem", timeline: "unbound", status: state.faults.fencesEndAtOnce ? 1 : 0)
      state.fences.reservations[memory, default: []].append((fence, flags & 1 != 0))
      if state.faults.syncFilesGrow {
        for index in state.fences.syncFiles.indices { state.fences.syncFiles[index].fences.append(fence) }
      }
      let number = state.fences.newNumber()
      state.fences.vgem[descriptor, default: [:]][number] = fence
      return number
    }
  }

  func vgemFenceSignal(_ descriptor: CInt, fence: UInt32) -> CallResult<Void> {
    // Gone also where it is told to fail: the caller can do no more than ask.
    let found = state.withLock { $0.fences.vgem[descriptor]?.removeValue(forKey: fence) }
    defer {
      state.withLock { state in
        if let found, state.fences.all[found].status == 0 { state.fences.all[found].status = 1 }
      }
    }
    return call(.vgemFenceSignal) { state in
      _ = try state.file(descriptor, "DRM_IOCTL_VGEM_FENCE_SIGNAL")
      guard let found else { throw Errno.noSuchFile }
      guard state.fences.all[found].status == 0 || state.faults.fencesEndAtOnce else { throw Errno.timedOut }
    }
  }
}

extension FakeKernel.State {
  func syncFile(_ descriptor: CInt) -> FakeFences.SyncFile? {
    guard case .syncFile(let number) = descriptors[descriptor] else { return nil }
    return fences.syncFiles[number]
  }

  mutating func newSyncFile(_ name: String, _ held: [Int]) throws(Errno) -> CInt {
    // Of no fence at all the kernel makes one that has signalled.
    let held = held.isEmpty ? [fences.newStub()] : held
    fences.syncFiles.append(FakeFences.SyncFile(name: name, fences: held))
    return try adopt(
      memfd_create("fake-sync_file", UInt32(MFD_CLOEXEC)), as: .syncFile(fences.syncFiles.count - 1))
  }
}

// MARK: - Syncobjs

extension FakeKernel {
  func syncobjCreate(_ descriptor: CInt, isSignalled: Bool) -> CallResult<UInt32> {
    call(.syncobjCreate) { state in
      try state.requireSyncobjs(descriptor)
      let points = isSignalled ? [FakeFences.Point(value: 0, fences: [state.fences.newStub()])] : []
      state.fences.syncobjs.append(points)
      return state.newSyncobjHandle(of: state.fences.syncobjs.count - 1, in: descriptor)
    }
  }

  func syncobjDestroy(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    call(.syncobjDestroy) { state in
      _ = try state.syncobj(descriptor, handle)
      state.fences.handles[descriptor]?[handle] = nil
    }
  }

  func syncobjToDescriptor(_ descriptor: CInt, handle: UInt32, asSyncFile: Bool) -> CallResult<CInt> {
    call(.syncobjToDescriptor) { state in
      let object = try state.syncobj(descriptor, handle)
      guard asSyncFile else {
        return try state.adopt(memfd_create("fake-syncobj", UInt32(MFD_CLOEXEC)), as: .syncobj(object))
      }
      let held = state.fences.syncobjs[object].flatMap(\.fences)
      guard !held.isEmpty else { throw Errno.invalidArgument }
      return try state.newSyncFile("", held)
    }
  }

  func syncobjFromDescriptor(_ descriptor: CInt, _ syncobj: CInt) -> CallResult<UInt32> {
    call(.syncobjFromDescriptor) { state in
      try state.requireSyncobjs(descriptor)
      guard case .syncobj(let object) = state.descriptors[syncobj] else { throw Errno.invalidArgument }
      return state.newSyncobjHandle(of: object, in: descriptor)
    }
  }

  func syncobjImportSyncFile(_ descriptor: CInt, handle: UInt32, syncFile: CInt) -> CallResult<Void> {
    call(.syncobjImportSyncFile) { state in
      let object = try state.syncobj(descriptor, handle)
      guard let file = state.syncFile(syncFile) else { throw Errno.invalidArgument }
      state.fences.syncobjs[object] = [FakeFences.Point(value: 0, fences: file.fences)]
    }
  }

  func syncobjSignal(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    call(.syncobjSignal) { state in
      let object = try state.syncobj(descriptor, handle)
      state.fences.syncobjs[object] = [FakeFences.Point(value: 0, fences: [state.fences.newStub()])]
    }
  }

  func syncobjReset(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    call(.syncobjReset) { state in state.fences.syncobjs[try state.syncobj(descriptor, handle)] = [] }
  }

  func syncobjWait(
    _ descriptor: CInt, handle: UInt32, point: UInt64?, forSubmission: Bool, nanoseconds: Int64
  ) -> CallResult<Void> {
    let answer = call(.syncobjWait) { state in
      let object = try state.syncobj(descriptor, handle, isTimeline: point != nil)
      guard let held = state.fences(of: object, point: point ?? 0) else {
        throw forSubmission ? Errno.timerExpired : .invalidArgument
      }
      if state.fences.isPending(held) { throw Errno.timerExpired }
    }
    if case .failure(.timerExpired) = answer { wait(.nanoseconds(max(0, nanoseconds))) }
    return answer
  }

  func syncobjTimelineSignal(_ descriptor: CInt, handle: UInt32, point: UInt64) -> CallResult<Void> {
    call(.syncobjTimelineSignal) { state in
      let object = try state.syncobj(descriptor, handle, isTimeline: true)
      state.fences.syncobjs[object].append(FakeFences.Point(value: point, fences: [state.fences.newStub()]))
    }
  }

  func syncobjQuery(_ descriptor: CInt, handle: UInt32, lastSubmitted: Bool) -> CallResult<UInt64> {
    call(.syncobjQuery) { state in
      let points = state.fences.syncobjs[try state.syncobj(descriptor, handle, isTimeline: true)]
      let over = points.prefix { lastSubmitted || !state.fences.isPending($0.fences) }
      return over.last?.value ?? 0
    }
  }

  func syncobjTransfer(_ descriptor: CInt, from: SyncobjPoint, to: SyncobjPoint) -> CallResult<Void> {
    call(.syncobjTransfer) { state in
      let source = try state.syncobj(descriptor, from.handle, isTimeline: true)
      let target = try state.syncobj(descriptor, to.handle, isTimeline: true)
      guard let held = state.fences(of: source, point: from.point) else { throw Errno.invalidArgument }
      if to.point == 0 { state.fences.syncobjs[target] = [] }
      state.fences.syncobjs[target].append(FakeFences.Point(value: to.point, fences: held))
    }
  }
}

extension FakeKernel.State {
  fileprivate mutating func requireSyncobjs(_ descriptor: CInt, isTimeline: Bool = false) throws(Errno) {
    let setup = devices[try file(descriptor, "DRM_IOCTL_SYNCOBJ").device].setup
    guard setup.hasSyncobjs, !isTimeline || setup.hasTimelineSyncobjs else { throw .notSupported }
  }

  fileprivate mutating func newSyncobjHandle(of object: Int, in descriptor: CInt) -> UInt32 {
    let handle = fences.newNumber()
    fences.handles[descriptor, default: [:]][handle] = object
    return handle
  }

  fileprivate mutating func syncobj(
    _ descriptor: CInt, _ handle: UInt32, isTimeline: Bool = false
  ) throws(Errno) -> Int {
    try requireSyncobjs(descriptor, isTimeline: isTimeline)
    guard let object = fences.handles[descriptor]?[handle] else {
      violations.append("syncobj \(handle), which this open file does not have")
      throw .noSuchFile
    }
    return object
  }

  /// The fences up to the first point that is as far as the one asked for.
  fileprivate func fences(of object: Int, point: UInt64) -> [Int]? {
    let points = fences.syncobjs[object]
    guard let end = points.firstIndex(where: { $0.value >= point }) else { return nil }
    return points[...end].flatMap(\.fences)
  }
}
