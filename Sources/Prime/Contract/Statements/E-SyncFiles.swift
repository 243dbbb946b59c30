internal import Glibc
internal import Prime

extension Contract {
  /// What sync_files are, and how they come out of a dma-buf and go into one.
  static let syncFiles: [Statement] = syncFileExchange + syncFileCalls

  private static let read = UInt32(SyncFlags.read)
  private static let write = UInt32(SyncFlags.write)
  private static let readWrite = UInt32(SyncFlags.readWrite)

  /// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE` and `IMPORT_SYNC_FILE`.
  private static let syncFileExchange: [Statement] = [
    Statement(
      "E07", .core, on: .exporter, "READ, WRITE and both export a sync_file that is close-on-exec",
      needs: [.syncFiles], source: "dma-buf.c:dma_buf_export_sync_file"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for access in [read, write, readWrite] {
        let file = try check.expect(check.kernel.exportSyncFile(dmaBuf, flags: access))
        let flags = try check.expect(check.kernel.control(file, F_GETFD, 0, "F_GETFD"))
        check.expect("FD_CLOEXEC", flags & Int(FD_CLOEXEC), is: Int(FD_CLOEXEC))
        try check.expect(check.kernel.syncFileInfo(file, room: 0))
      }
    },
    Statement(
      "E08", .core, on: .fencedExporter,
      "READ exports what a reader has to wait for, which are the writers; WRITE exports all",
      needs: [.syncFiles], source: "dma-buf.c:dma_buf_export_sync_file (dma_resv_usage_rw)"
    ) { check in
      let buffer = try check.fencedBuffer()
      let reader = try check.pendingFence(.read, on: buffer)
      try check.expect("READ while somebody reads", check.syncFile(of: buffer.dmaBuf, read), is: .signalled)
      try check.expect("WRITE while somebody reads", check.syncFile(of: buffer.dmaBuf, write), is: .pending)
      try check.signal(reader)
      _ = try check.pendingFence(.write, on: buffer)
      try check.expect("READ while somebody writes", check.syncFile(of: buffer.dmaBuf, read), is: .pending)
      try check.expect("WRITE while somebody writes", check.syncFile(of: buffer.dmaBuf, write), is: .pending)
    },
    Statement(
      "E09", .core, on: .fencedExporter, "an exported sync_file is a snapshot: a later fence does not enter it",
      needs: [.syncFiles], source: "dma-buf.c:dma_buf_export_sync_file (dma_resv_get_singleton)"
    ) { check in
      let buffer = try check.fencedBuffer()
      let before = try check.pendingFence(.read, on: buffer)
      let snapshot = try check.syncFile(of: buffer.dmaBuf)
      _ = try check.pendingFence(.read, on: buffer)
      try check.expect("the sync_file", snapshot, is: .pending)
      try check.signal(before)
      try check.expect("the sync_file when its own fence is signalled", snapshot, is: .signalled)
      check.expect("poll, with the later fence", try check.readiness(of: buffer.dmaBuf), is: Int16(POLLIN))
    },
    Statement(
      "E10", .core, on: .exporter, "a buffer that nobody uses exports a sync_file that is signalled",
      needs: [.syncFiles], source: "dma-buf.c:dma_buf_export_sync_file (dma_fence_get_stub)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for access in [read, write] {
        let file = try check.syncFile(of: dmaBuf, access)
        try check.expect("the sync_file", file, is: .signalled)
        check.expect("its status", try check.expect(check.kernel.syncFileInfo(file, room: 4)).status, is: 1)
      }
    },
    Statement(
      "E11", .core, on: .exporter, "EXPORT and IMPORT refuse flags without READ or WRITE, and unknown ones",
      needs: [.syncFiles], source: "dma-buf.c:dma_buf_export_sync_file, dma_buf_import_sync_file"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      let file = try check.syncFile(of: dmaBuf)
      for flags in [0, UInt32(SyncFlags.end), read | UInt32(SyncFlags.end), write | 8, ~0] {
        check.expect(check.kernel.exportSyncFile(dmaBuf, flags: flags), fails: .invalidArgument)
        check.expect(check.kernel.importSyncFile(dmaBuf, flags: flags, syncFile: file), fails: .invalidArgument)
      }
    },
    Statement(
      "E12", .core, on: .exporter, "IMPORT of what is not a sync_file is EINVAL, not EBADF",
      needs: [.syncFiles], source: "dma-buf.c:dma_buf_import_sync_file (sync_file_get_fence)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      let closed = try check.prepare(check.kernel.duplicate(dmaBuf))
      _ = try check.prepare(check.kernel.close(closed))
      for file in [-1, dmaBuf, closed] {
        check.expect(check.kernel.importSyncFile(dmaBuf, flags: write, syncFile: file), fails: .invalidArgument)
      }
    },
    Statement(
      "E13", .core, on: .exporter,
      "an imported sync_file makes the buffer wait: with READ its writers, with WRITE its readers as well",
      needs: [.vgem, .syncFiles], source: "dma-buf.c:dma_buf_import_sync_file"
    ) { check in
      for (access, pending) in [(read, Int16(POLLIN)), (write, 0)] {
        let dmaBuf = try check.buffer().dmaBuf
        let fence = try check.pendingFence()
        let syncFile = try check.prepare(fence.syncFile())
        try check.expect(check.kernel.importSyncFile(dmaBuf, flags: access, syncFile: syncFile))
        check.expect("poll while it is pending", try check.readiness(of: dmaBuf), is: pending)
        try check.signal(fence)
        check.expect("poll afterwards", try check.readiness(of: dmaBuf), is: Int16(POLLIN | POLLOUT))
      }
    },
  ]

  /// The ioctls and poll of a sync_file.
  private static let syncFileCalls: [Statement] = [
    Statement(
      "E14", .core, on: .exporter, "SYNC_IOC_FILE_INFO refuses flags and padding that are not 0",
      needs: [.syncFiles], source: "sync_file.c:sync_file_ioctl_fence_info"
    ) { check in
      let file = try check.syncFile(of: check.buffer().dmaBuf)
      for room: UInt32 in [0, 4] {
        check.expect(check.kernel.syncFileInfo(file, room: room, flags: 1), fails: .invalidArgument)
        check.expect(check.kernel.syncFileInfo(file, room: room, pad: 1), fails: .invalidArgument)
        check.expectSuccess(check.kernel.syncFileInfo(file, room: room))
      }
    },
    Statement(
      "E15", .core, on: .fencedExporter,
      "SYNC_IOC_FILE_INFO without room tells how many fences there are, and refuses room for too few",
      needs: [.syncFiles], source: "sync_file.c:sync_file_ioctl_fence_info"
    ) { check in
      let buffer = try check.fencedBuffer()
      _ = try check.pendingFence(.read, on: buffer)
      _ = try check.pendingFence(.read, on: buffer)
      let file = try check.syncFile(of: buffer.dmaBuf)
      let counted = try check.expect(check.kernel.syncFileInfo(file, room: 0))
      check.expect("the fences", counted.fenceCount, is: 2)
      check.expect("the status", counted.status, is: 0)
      check.expect(check.kernel.syncFileInfo(file, room: 1), fails: .invalidArgument)
      for room: UInt32 in [2, 3] {
        let listed = try check.expect(check.kernel.syncFileInfo(file, room: room))
        check.expect("the fences", listed.fenceCount, is: 2)
        check.expect("their statuses", listed.fences.map(\.status), is: [0, 0])
      }
    },
    Statement(
      "E16", .core, on: .fencedExporter,
      "the status is 0 while a fence is pending and 1 afterwards; a pending one names its driver and timeline",
      needs: [.syncFiles], source: "sync_file.c:sync_file_ioctl_fence_info, sync_fill_fence_info"
    ) { check in
      let buffer = try check.fencedBuffer()
      let fence = try check.pendingFence(.write, on: buffer)
      let file = try check.syncFile(of: buffer.dmaBuf)
      let pending = try check.expect(check.kernel.syncFileInfo(file, room: 1))
      check.expect("the status while it is pending", pending.status, is: 0)
      check.expect("the fence's status while it is pending", pending.fences.map(\.status), is: [0])
      let names = pending.fences.flatMap { [$0.driver, $0.timeline] }
      check.expect(
        "the names", names.count == 2 && !names.contains(""), "a driver and a timeline", got: "\(names)")
      try check.signal(fence)
      // Which names it has now is nobody's promise.
      let signalled = try check.expect(check.kernel.syncFileInfo(file, room: 1))
      check.expect("the status after the signal", signalled.status, is: 1)
      check.expect("the fence's status after the signal", signalled.fences.map(\.status), is: [1])
    },
    Statement(
      "E17", .core, on: .exporter,
      "SYNC_IOC_MERGE with what is not a sync_file is ENOENT; flags and padding that are not 0 are refused",
      needs: [.syncFiles], source: "sync_file.c:sync_file_ioctl_merge"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      let (one, other) = (try check.syncFile(of: dmaBuf), try check.syncFile(of: dmaBuf))
      check.expect(check.kernel.merge(one, -1), fails: .noSuchFile)
      check.expect(check.kernel.merge(one, dmaBuf), fails: .noSuchFile)
      check.expect(check.kernel.merge(one, other, flags: 1), fails: .invalidArgument)
      check.expect(check.kernel.merge(one, other, pad: 1), fails: .invalidArgument)
      check.expectSuccess(check.kernel.merge(one, other))
    },
    Statement(
      "E18", .core, on: .fencedExporter, "a sync_file is readable when it is signalled, and never writable",
      needs: [.syncFiles], source: "sync_file.c:sync_file_poll"
    ) { check in
      let buffer = try check.fencedBuffer()
      let fence = try check.pendingFence(.write, on: buffer)
      let file = try check.syncFile(of: buffer.dmaBuf)
      check.expect("poll while it is pending", try check.readiness(of: file), is: 0)
      try check.signal(fence)
      check.expect("poll afterwards", try check.readiness(of: file), is: Int16(POLLIN))
    },
  ]
}

/// What a sync_file's fences are at this moment.
enum SyncFileState: String, Sendable {
  case pending
  case signalled
}

extension Check {
  /// The sync_file of a buffer, by default of all its fences.
  func syncFile(of dmaBuf: CInt, _ flags: UInt32 = UInt32(SyncFlags.write)) throws(Statement.Stop) -> CInt {
    try prepare(kernel.exportSyncFile(dmaBuf, flags: flags))
  }

  /// A sync_file must be in this state; one that is signalled may take a moment to say so.
  func expect(_ what: String, _ syncFile: CInt, is state: SyncFileState) throws(Statement.Stop) {
    // The fences of a merged one are signalled in turn by the kernel's deferred work.
    let limit: Int32 = state == .signalled ? 5000 : 0
    let seen = try expect(kernel.poll(syncFile, events: Int16(POLLIN), milliseconds: limit))
    expect(what, seen & Int16(POLLIN) != 0 ? SyncFileState.signalled : .pending, is: state)
  }
}
