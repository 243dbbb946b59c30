internal import Glibc
internal import Prime
internal import PrimeProcesses

extension Contract {
  /// C: `DMA_BUF_IOCTL_SYNC`.
  static let syncBrackets: [Statement] = syncArguments + syncWaits

  /// What it takes.
  private static let syncArguments: [Statement] = [
    Statement(
      "C01", .core, on: .exporter, "START and END take READ, WRITE and both",
      source: "dma-buf.c:dma_buf_ioctl; uapi/linux/dma-buf.h"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for access in [SyncFlags.read, SyncFlags.write, SyncFlags.readWrite] {
        try check.expect(check.kernel.sync(dmaBuf, access))
        try check.expect(check.kernel.sync(dmaBuf, access | SyncFlags.end))
      }
    },
    Statement(
      "C02", .core, on: .exporter, "flags without READ or WRITE are refused", source: "dma-buf.c:dma_buf_ioctl"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      check.expect(check.kernel.sync(dmaBuf, 0), fails: .invalidArgument)
      check.expect(check.kernel.sync(dmaBuf, SyncFlags.end), fails: .invalidArgument)
    },
    Statement(
      "C03", .core, on: .exporter, "a flag that nobody defined is refused, in all 64 bits",
      source: "dma-buf.c:dma_buf_ioctl (DMA_BUF_SYNC_VALID_FLAGS_MASK)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for unknown: UInt64 in [1 << 3, 1 << 32, 1 << 63] {
        check.expect(check.kernel.sync(dmaBuf, SyncFlags.read | unknown), fails: .invalidArgument)
      }
      check.expect(check.kernel.sync(dmaBuf, ~0), fails: .invalidArgument)
    },
    Statement(
      "C04", .exporterSpecific, on: .exporter,
      "END without START is accepted, by udmabuf once a START has mapped it",
      source: "dma-buf.c:dma_buf_end_cpu_access; udmabuf.c:end_cpu_udmabuf"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      let end = SyncFlags.readWrite | SyncFlags.end
      guard check.subject.exporter == .udmabuf else {
        try check.expect(check.kernel.sync(dmaBuf, end))
        return
      }
      check.expect(check.kernel.sync(dmaBuf, end), fails: .invalidArgument)
      try check.expect(check.kernel.sync(dmaBuf, SyncFlags.readWrite))
      try check.expect(check.kernel.sync(dmaBuf, end))
      try check.expect(check.kernel.sync(dmaBuf, end))
    },
    Statement(
      "C05", .helper, on: .exporter, "brackets may be nested",
      source: "dma-buf.c:dma_buf_begin_cpu_access, dma_buf_end_cpu_access"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      try check.expect(check.kernel.sync(dmaBuf, SyncFlags.readWrite))
      try check.expect(check.kernel.sync(dmaBuf, SyncFlags.read))
      try check.expect(check.kernel.sync(dmaBuf, SyncFlags.read | SyncFlags.end))
      try check.expect(check.kernel.sync(dmaBuf, SyncFlags.readWrite | SyncFlags.end))
    },
    Statement(
      "C06", .core, on: .exporter, "a read-only descriptor brackets writing as well",
      source: "dma-buf.c:dma_buf_ioctl (it does not look at the access mode)"
    ) { check in
      let dmaBuf = try check.readOnlyBuffer().dmaBuf
      try check.expect(check.kernel.sync(dmaBuf, SyncFlags.write))
      try check.expect(check.kernel.sync(dmaBuf, SyncFlags.write | SyncFlags.end))
    },
    Statement(
      "C07", .core, on: .machine, "what is not a dma-buf has no SYNC", source: "fs/ioctl.c"
    ) { check in
      let memory = try check.prepare(check.kernel.createMemory(byteCount: Int64(PageMarks.pageSize), seals: 0))
      check.expect(check.kernel.sync(memory, SyncFlags.read), fails: .notATerminal)
      let null = try check.prepare(check.kernel.open("/dev/null", flags: O_RDWR))
      check.expect(check.kernel.sync(null, SyncFlags.read), fails: .notATerminal)
    },
  ]

  /// What it waits for.
  private static let syncWaits: [Statement] = [
    Statement(
      "C08", .core, on: .fencedExporter, "START for reading waits for writers, not for readers",
      source: "dma-buf.c:__dma_buf_begin_cpu_access (dma_resv_usage_rw)"
    ) { check in
      let buffer = try check.fencedBuffer()
      let reader = try check.pendingFence(.read, on: buffer)
      try check.expect(check.kernel.sync(buffer.dmaBuf, SyncFlags.read))
      check.expect(
        "poll for writing after START beside a reader", try check.readiness(of: buffer.dmaBuf), is: Int16(POLLIN))
      try check.expect(check.kernel.sync(buffer.dmaBuf, SyncFlags.read | SyncFlags.end))
      try check.signal(reader)
      let writer = try check.pendingFence(.write, on: buffer)
      try check.expectStart(SyncFlags.read, on: buffer, waitsFor: [writer])
    },
    Statement(
      "C09", .core, on: .fencedExporter, "START for writing waits for every reader and writer",
      source: "dma-buf.c:__dma_buf_begin_cpu_access (dma_resv_usage_rw)"
    ) { check in
      let buffer = try check.fencedBuffer()
      for access in [SyncFlags.write, SyncFlags.readWrite] {
        let writer = try check.pendingFence(.write, on: buffer)
        try check.expectStart(access, on: buffer, waitsFor: [writer])
        // Whichever of two is done first, the other is waited for.
        for isReversed in [false, true] {
          let readers = [try check.pendingFence(.read, on: buffer), try check.pendingFence(.read, on: buffer)]
          try check.expectStart(access, on: buffer, waitsFor: isReversed ? readers.reversed() : readers)
        }
      }
    },
    Statement(
      "C10", .helper, of: .surely(.shmem, .dma, .vram, .ttm, .udmabuf, .systemHeap), on: .fencedExporter,
      "a signal handler interrupts the wait, which the caller begins again",
      source: "dma-buf.c:__dma_buf_begin_cpu_access (interruptible); uapi/linux/dma-buf.h"
    ) { check in
      let buffer = try check.fencedBuffer()
      Interruptions.arm(restarting: false)
      let writer = try check.pendingFence(.write, on: buffer)
      let start = try check.background { [kernel = check.kernel] in kernel.startReading(buffer.dmaBuf) }
      let early = start.result(within: .milliseconds(100))
      check.expect("START", early == nil, "a wait for the pending fence", got: "an end before it")
      // One signal could come before the thread is inside the call.
      let limit = Deadline(in: .seconds(5), on: check.kernel.unrecorded)
      while start.result(within: .milliseconds(10)) == nil && limit.remaining > .zero { start.interrupt() }
      guard let answer = start.result(within: .zero) else {
        check.expect("START", false, "EINTR", got: "it waits on through signals")
        return
      }
      check.expect(answer, fails: .interrupted)
      check.expect("poll after EINTR", try check.readiness(of: buffer.dmaBuf), is: 0)
      try check.expectStart(SyncFlags.read, on: buffer, waitsFor: [writer])
    },
    Statement(
      "C11", .helper, of: .surely(.shmem, .dma, .vram, .ttm, .udmabuf, .systemHeap), on: .fencedExporter,
      "after a handler with SA_RESTART the kernel waits on by itself",
      source: "dma-buf.c:__dma_buf_begin_cpu_access (ERESTARTSYS); signal(7)"
    ) { check in
      let buffer = try check.fencedBuffer()
      Interruptions.arm(restarting: true)
      let writer = try check.pendingFence(.write, on: buffer)
      let start = try check.background { [kernel = check.kernel] in kernel.startReading(buffer.dmaBuf) }
      var early: CallResult<Int>?
      for _ in 0..<15 where early == nil {
        early = start.result(within: .milliseconds(10))
        start.interrupt()
      }
      check.expect("START", early == nil, "a wait through signals", got: "an end before the fence's")
      try check.signal(writer)
      try check.expect(check.end(of: start, "START"))
      try check.expect(check.kernel.sync(buffer.dmaBuf, SyncFlags.read | SyncFlags.end))
    },
    Statement(
      "C12", .core, on: .fencedExporter, "END waits for nobody", source: "dma-buf.c:dma_buf_end_cpu_access"
    ) { check in
      let buffer = try check.fencedBuffer()
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.readWrite))
      let writer = try check.pendingFence(.write, on: buffer)
      for access in [SyncFlags.readWrite, SyncFlags.write, SyncFlags.read] {
        try check.expect(check.kernel.sync(buffer.dmaBuf, access | SyncFlags.end))
      }
      // A fence that is still pending is one that nobody waited for.
      check.expect("poll after END beside a writer", try check.readiness(of: buffer.dmaBuf), is: 0)
      try check.signal(writer)
    },
    Statement(
      "C13", .core, on: .fencedExporter, "when START ends, what it waited for is signalled",
      source: "dma-buf.c:__dma_buf_begin_cpu_access; dma-buf.c:dma_buf_poll"
    ) { check in
      let buffer = try check.fencedBuffer()
      let cases: [(FenceAccess, UInt64)] = [
        (.write, SyncFlags.read), (.write, SyncFlags.write), (.read, SyncFlags.write),
      ]
      for (access, flags) in cases {
        let fence = try check.pendingFence(access, on: buffer)
        let before = try check.readiness(of: buffer.dmaBuf)
        check.expect("poll before START", before, is: access == .write ? 0 : Int16(POLLIN))
        try check.expectStart(flags, on: buffer, waitsFor: [fence])
        check.expect("poll after END", try check.readiness(of: buffer.dmaBuf), is: Int16(POLLIN | POLLOUT))
      }
    },
    Statement(
      "C14", .exporterSpecific, on: .vgem,
      "a fence of vgem that nobody signals ends after ten seconds, and START with it",
      source: "vgem_fence.c (VGEM_FENCE_TIMEOUT)"
    ) { check in
      let buffer = try check.fencedBuffer()
      let writer = try check.pendingFence(.write, on: buffer)
      let attached = ContinuousClock.now
      let start = try check.background { [kernel = check.kernel] in kernel.sync(buffer.dmaBuf, SyncFlags.read) }
      guard let answer = start.result(within: .seconds(25)) else {
        check.expect("START", false, "an end after 10 s", got: "it waits on after 25 s")
        return
      }
      let waited = ContinuousClock.now - attached
      try check.expect(answer)
      check.expect("START", waited > .seconds(9), "a wait of 10 s", got: "\(waited)")
      try check.expect(check.kernel.sync(buffer.dmaBuf, SyncFlags.read | SyncFlags.end))
      check.expect(check.kernel.signalVGEMFence(buffer.vgem, fence: writer.number), fails: .timedOut)
      check.expect("poll after that", try check.readiness(of: buffer.dmaBuf), is: Int16(POLLIN | POLLOUT))
    },
    Statement(
      "C15", .core, on: .fencedExporter, "O_NONBLOCK does not keep START from waiting",
      source: "dma-buf.c:dma_buf_ioctl (it has no nonblocking path)"
    ) { check in
      let buffer = try check.fencedBuffer()
      _ = try check.prepare(check.kernel.control(buffer.dmaBuf, F_SETFL, Int64(O_NONBLOCK), "F_SETFL, O_NONBLOCK"))
      let writer = try check.pendingFence(.write, on: buffer)
      try check.expectStart(SyncFlags.read, on: buffer, waitsFor: [writer])
    },
  ]
}

extension KernelProbe {
  /// START for reading, which a signal ends.
  ///
  /// Whoever made the buffer may answer EAGAIN before there is anything to wait for, and it is begun again
  /// (dma-buf.c, DOC "cpu access").
  fileprivate func startReading(_ dmaBuf: CInt) -> CallResult<Int> {
    let limit = Deadline(in: .seconds(5), on: unrecorded)
    var answer = sync(dmaBuf, SyncFlags.read, restarting: false)
    while case .failure(.tryAgain) = answer, limit.remaining > .zero {
      answer = sync(dmaBuf, SyncFlags.read, restarting: false)
    }
    return answer
  }
}
