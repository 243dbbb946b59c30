internal import Glibc
internal import Prime
internal import PrimeProcesses

extension Contract {
  /// E: implicit fences, poll and sync_file.
  static let fences: [Statement] = polling + syncFiles + fenceOwners

  private static let both = Int16(POLLIN | POLLOUT)

  /// What poll tells of a dma-buf's fences.
  private static let polling: [Statement] = [
    Statement(
      "E01", .core, on: .exporter, "a buffer that nobody uses may be read and written at once",
      source: "dma-buf.c:dma_buf_poll; DOC: implicit fence poll support"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      check.expect("poll", try check.readiness(of: dmaBuf), is: both)
    },
    Statement(
      "E02", .core, on: .fencedExporter, "while somebody reads, poll lets readers in and holds writers back",
      source: "dma-buf.c:dma_buf_poll; DOC: implicit fence poll support"
    ) { check in
      let buffer = try check.fencedBuffer()
      let fence = try check.pendingFence(.read, on: buffer)
      check.expect("poll while the fence is pending", try check.readiness(of: buffer.dmaBuf), is: Int16(POLLIN))
      try check.signal(fence)
    },
    Statement(
      "E03", .core, on: .fencedExporter, "while somebody writes, poll holds readers and writers back",
      source: "dma-buf.c:dma_buf_poll; DOC: implicit fence poll support"
    ) { check in
      let buffer = try check.fencedBuffer()
      let fence = try check.pendingFence(.write, on: buffer)
      check.expect("poll while the fence is pending", try check.readiness(of: buffer.dmaBuf), is: 0)
      try check.signal(fence)
      check.expect("poll afterwards", try check.readiness(of: buffer.dmaBuf), is: both)
    },
    Statement(
      "E04", .core, on: .fencedExporter, "a poll that waits ends when the fence is signalled",
      source: "dma-buf.c:dma_buf_poll_cb"
    ) { check in
      let buffer = try check.fencedBuffer()
      for (access, event) in [(FenceAccess.write, POLLIN), (.write, POLLOUT), (.read, POLLOUT)] {
        let fence = try check.pendingFence(access, on: buffer)
        let poll = try check.background { [kernel = check.kernel] in
          // Longer than its end is waited for: poll looks once more when its time is up.
          kernel.poll(buffer.dmaBuf, events: Int16(event), milliseconds: 25_000)
        }
        let early = poll.result(within: .milliseconds(100))
        check.expect("poll", early == nil, "a wait for the pending fence", got: "an end before it")
        try check.signal(fence)
        let seen = try check.expect(try check.end(of: poll, "poll"))
        check.expect("what the poll that waited reports", seen, is: Int16(event))
      }
    },
    Statement(
      "E05", .core, on: .exporter, "poll reports nothing that is not asked for, and knows no POLLPRI",
      source: "dma-buf.c:dma_buf_poll (masks to POLLIN and POLLOUT)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for events in [0, POLLPRI] {
        let seen = try check.expect(check.kernel.poll(dmaBuf, events: Int16(events), milliseconds: 0))
        check.expect("poll for events \(events)", seen, is: 0)
      }
    },
    Statement(
      "E06", .exporterSpecific, on: .vgem, "vgem refuses a fence that conflicts with a pending one",
      source: "vgem_fence.c:vgem_fence_attach_ioctl"
    ) { check in
      let buffer = try check.fencedBuffer()
      func attach(_ access: FenceAccess) -> CallResult<UInt32> {
        check.kernel.attachVGEMFence(buffer.vgem, handle: buffer.handle, flags: access.vgemFlags)
      }
      func signal(_ fence: UInt32) throws {
        _ = try check.prepare(check.kernel.signalVGEMFence(buffer.vgem, fence: fence))
      }
      let reader = try check.expect(attach(.read))
      let otherReader = try check.expect(attach(.read))
      check.expect(attach(.write), fails: .busy)
      try signal(reader)
      check.expect(attach(.write), fails: .busy)
      try signal(otherReader)
      _ = try check.expect(attach(.write))
      check.expect(attach(.read), fails: .busy)
      check.expect(attach(.write), fails: .busy)
    },
  ]

  /// Whose fences they are.
  private static let fenceOwners: [Statement] = [
    Statement(
      "E19", .exporterSpecific, on: .vgem,
      "vgem says what is wrong: an unknown handle or fence, a flag, a fence that ended by itself",
      source: "vgem_fence.c:vgem_fence_attach_ioctl, vgem_fence_signal_ioctl, VGEM_FENCE_TIMEOUT"
    ) { check in
      let buffer = try check.fencedBuffer()
      let (kernel, vgem, handle) = (check.kernel, buffer.vgem, buffer.handle)
      check.expect(kernel.attachVGEMFence(vgem, handle: 0, flags: 0), fails: .noSuchFile)
      check.expect(kernel.attachVGEMFence(vgem, handle: handle + 1000, flags: 0), fails: .noSuchFile)
      check.expect(kernel.attachVGEMFence(vgem, handle: handle, flags: 2), fails: .invalidArgument)
      check.expect(kernel.attachVGEMFence(vgem, handle: handle, flags: 0, pad: 1), fails: .invalidArgument)
      check.expect(kernel.signalVGEMFence(vgem, fence: 1000), fails: .noSuchFile)
      let fence = try check.pendingFence(.write, on: buffer)
      check.expect(kernel.signalVGEMFence(vgem, fence: fence.number, flags: 1), fails: .invalidArgument)
      try check.signal(fence)
      check.expect(kernel.signalVGEMFence(vgem, fence: fence.number), fails: .noSuchFile)
      // Ten seconds, which vgem counts.
      let forgotten = try check.pendingFence(.write, on: buffer)
      let end = try check.expect(kernel.poll(buffer.dmaBuf, events: both, milliseconds: 25_000))
      check.expect("poll after ten seconds", end, is: both)
      check.expect(kernel.signalVGEMFence(vgem, fence: forgotten.number), fails: .timedOut)
      check.expect("poll after it", try check.readiness(of: buffer.dmaBuf), is: both)
    },
    Statement(
      "E20", .core, on: .fencedExporter,
      "fences belong to the buffer: every descriptor, open file and process sees them",
      source: "dma-buf.c:dma_buf_poll (the dma_resv is the buffer's)"
    ) { check in
      let kernel = check.kernel
      let buffer = try check.fencedBuffer()
      let duplicate = try check.prepare(kernel.duplicate(buffer.dmaBuf))
      let other = try check.otherHolder(of: buffer)
      let exportedAgain = try check.prepare(
        kernel.primeHandleToFD(other.node, handle: other.handle, flags: PrimeFlags.closeOnExec))
      let fence = try check.pendingFence(.write, on: buffer)
      let started = ChildProcess.start { send in
        let probe = KernelProbe()
        let readiness = try? probe.poll(duplicate, events: both, milliseconds: 0).get()
        send([readiness.map { UInt8(truncatingIfNeeded: $0) } ?? 0xff])
        if case .success = probe.sync(duplicate, SyncFlags.readWrite) { send([1]) } else { send([0]) }
      }
      guard case .success(let process) = started else { throw Statement.Stop.broken("no process could be started") }
      defer {
        process.kill()
        _ = process.reap(within: .seconds(5))
      }
      check.expect("poll on a duplicate", try check.readiness(of: duplicate), is: 0)
      check.expect("poll through another open file", try check.readiness(of: exportedAgain), is: 0)
      if other.isVGEM {
        let flags = FenceAccess.read.vgemFlags
        check.expect(kernel.attachVGEMFence(other.node, handle: other.handle, flags: flags), fails: .busy)
      }
      check.expect("poll in another process", try check.word(from: process), is: [0])
      let early = try check.expect(kernel.poll(process.output, events: Int16(POLLIN), milliseconds: 100))
      check.expect("START in another process", early == 0, "a wait for the pending fence", got: "an end before it")
      try check.signal(fence)
      check.expect("START in another process, which succeeds with 1", try check.word(from: process), is: [1])
      check.expect("poll on a duplicate afterwards", try check.readiness(of: duplicate), is: both)
      check.expect("poll through another open file afterwards", try check.readiness(of: exportedAgain), is: both)
    },
    Statement(
      "E21", .core, on: .vgem, "a merged sync_file has the fences of both and is signalled when all of them are",
      needs: [.syncFiles], source: "sync_file.c:sync_file_merge"
    ) { check in
      let (one, other) = (try check.fencedBuffer(), try check.fencedBuffer())
      let oneFence = try check.pendingFence(.write, on: one)
      let otherFence = try check.pendingFence(.write, on: other)
      let merged = try check.expect(
        check.kernel.merge(check.syncFile(of: one.dmaBuf), check.syncFile(of: other.dmaBuf)))
      let pending = try check.expect(check.kernel.syncFileInfo(merged, room: 4))
      check.expect("its fences", pending.fenceCount, is: 2)
      check.expect("its status", pending.status, is: 0)
      try check.signal(oneFence)
      try check.expect("the merged sync_file after the first signal", merged, is: .pending)
      check.expect("its status", try check.expect(check.kernel.syncFileInfo(merged, room: 4)).status, is: 0)
      try check.signal(otherFence)
      try check.expect("the merged sync_file after both signals", merged, is: .signalled)
      check.expect("its status", try check.expect(check.kernel.syncFileInfo(merged, room: 4)).status, is: 1)
    },
  ]
}

extension Check {
  /// Another open file that has the buffer: vgem's, or the exporter's own where that refuses a second importer.
  ///
  /// An exporter may answer EBUSY to who attaches while another has the buffer mapped (dma-buf.h:dma_buf_ops.attach); its own
  /// device attaches nothing.
  fileprivate func otherHolder(
    of buffer: FencedBuffer
  ) throws(Statement.Stop) -> (node: CInt, handle: UInt32, isVGEM: Bool) {
    let vgem = try openDevice()
    let answer = kernel.primeFDToHandle(vgem, buffer.dmaBuf)
    if case .failure(.busy) = answer, kernel.alteredCall == nil, case .dumb(let device) = subject.exporter,
      device != machine.vgem, let path = device.primary?.path
    {
      let exporter = try prepare(kernel.openDevice(path))
      note("a second importer is refused with EBUSY, so the other open file was the exporter's own")
      return (exporter, try prepare(kernel.primeFDToHandle(exporter, buffer.dmaBuf)), false)
    }
    return (vgem, try prepare(answer), true)
  }

  /// The next byte that a process tells, none where it ended without.
  fileprivate func word(from process: ChildProcess) throws(Statement.Stop) -> [UInt8] {
    let ready = try expect(kernel.poll(process.output, events: Int16(POLLIN), milliseconds: 8000))
    expect("what the process tells", ready != 0, "a word", got: "nothing")
    guard ready != 0 else { throw .failed }
    return try expect(kernel.read(process.output, byteCount: 1))
  }
}
