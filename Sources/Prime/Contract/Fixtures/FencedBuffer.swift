internal import Glibc
internal import Prime
internal import PrimeProcesses

/// A buffer, and the open vgem that puts fences on it: its maker, or another device that took it.
struct FencedBuffer: Hashable, Sendable {
  /// The dma-buf under test.
  let dmaBuf: CInt
  /// vgem, open.
  let vgem: CInt
  /// The buffer's handle there.
  let handle: UInt32
}

/// A fence of vgem's that nobody signals but the statement, or vgem itself after ten seconds.
struct PendingFence {
  private let kernel: KernelProbe
  private let buffer: FencedBuffer
  private let expiry = Deadline(in: .milliseconds(9300))
  /// Its number on the open vgem.
  let number: UInt32

  /// A fence that was attached a moment ago.
  fileprivate init(_ number: UInt32, on buffer: FencedBuffer, with kernel: KernelProbe) {
    (self.number, self.buffer, self.kernel) = (number, buffer, kernel)
  }

  /// Whoever waited goes on; it fails with `ETIMEDOUT` where vgem's own ten seconds were over before.
  func signal() -> CallResult<Int> { kernel.signalVGEMFence(buffer.vgem, fence: number) }

  /// How long it stays pending for certain, in milliseconds: vgem ends it after ten seconds.
  var remainingMilliseconds: Int32 { max(1, Int32(expiry.remaining / .milliseconds(1))) }

  /// The fence as a sync_file, which is what a writer would have to wait for.
  func syncFile() -> CallResult<CInt> { kernel.exportSyncFile(buffer.dmaBuf, flags: UInt32(SyncFlags.write)) }
}

extension Check {
  /// A fresh buffer of the subject's exporter that vgem knows; subjects are `.fencedExporter`.
  func fencedBuffer() throws(Statement.Stop) -> FencedBuffer {
    let buffer = try buffer()
    if let handle = buffer.handle, case .dumb(let device) = subject.exporter, device == machine.vgem {
      return FencedBuffer(dmaBuf: buffer.dmaBuf, vgem: buffer.node, handle: handle)
    }
    let vgem = try openDevice()
    let handle = try prepare(kernel.primeFDToHandle(vgem, buffer.dmaBuf))
    return FencedBuffer(dmaBuf: buffer.dmaBuf, vgem: vgem, handle: handle)
  }

  /// A fence that stays pending until it is signalled, or for ten seconds.
  func pendingFence(_ access: FenceAccess, on buffer: FencedBuffer) throws(Statement.Stop) -> PendingFence {
    let number = try prepare(kernel.attachVGEMFence(buffer.vgem, handle: buffer.handle, flags: access.vgemFlags))
    return PendingFence(number, on: buffer, with: kernel)
  }

  /// Signals a fence that has not ended by itself.
  func signal(_ fence: PendingFence) throws(Statement.Stop) {
    _ = try prepare(fence.signal())
  }

  /// What poll says of a dma-buf at this moment: `POLLIN` where a reader need not wait, `POLLOUT` where a writer need not.
  func readiness(of dmaBuf: CInt) throws(Statement.Stop) -> Int16 {
    try expect(kernel.poll(dmaBuf, events: Int16(POLLIN | POLLOUT), milliseconds: 0))
  }

  /// START must wait for these fences, which are signalled one after the other, and end when the last one is.
  func expectStart(
    _ flags: UInt64, on buffer: FencedBuffer, waitsFor fences: [PendingFence]
  ) throws(Statement.Stop) {
    let name = "START, flags \(flags)"
    let start = try background { [kernel] in
      // What poll says right after it is what shows that it waited, however slow the machine is.
      let answer = kernel.sync(buffer.dmaBuf, flags)
      return (answer, kernel.poll(buffer.dmaBuf, events: Int16(POLLIN | POLLOUT), milliseconds: 0))
    }
    for fence in fences {
      let early = start.result(within: .milliseconds(100))
      expect(name, early == nil, "a wait for the pending fence", got: "an end before it")
      try signal(fence)
    }
    let (answer, readiness) = try end(of: start, name)
    try expect(answer)
    let needed = Int16(flags & SyncFlags.write != 0 ? POLLIN | POLLOUT : POLLIN)
    expect("poll after \(name)", try expect(readiness) & needed, is: needed)
    _ = try prepare(kernel.sync(buffer.dmaBuf, flags | SyncFlags.end))
  }

  /// Makes a call on a thread of its own.
  func background<Value: Sendable>(
    _ body: @escaping @Sendable () -> Value
  ) throws(Statement.Stop) -> BackgroundCall<Value> {
    switch BackgroundCall.start(body) {
    case .success(let call): return call
    case .failure(let errno): throw .broken("no thread could be started to make the call: \(errno) (\(errno.meaning))")
    }
  }

  /// What a call answered that nothing holds back any more.
  func end<Value>(of call: BackgroundCall<Value>, _ name: String) throws(Statement.Stop) -> Value {
    guard let value = call.result(within: .seconds(8)) else {
      expect(name, false, "an end, as every fence is signalled", got: "it waits on")
      throw .failed
    }
    return value
  }
}

extension Check {
  /// A buffer of vgem's, on an open file of its own.
  ///
  /// Opened after the display it is closed before it: a display that still waits for a fence is not held up by it.
  func vgemBuffer(width: UInt32 = 64, height: UInt32 = 64) throws(Statement.Stop) -> ProbeBuffer {
    guard let vgem = machine.vgem else { throw .broken("there is no vgem") }
    switch ProbeBuffer.make(.dumb(vgem), with: kernel, width: width, height: height) {
    case .success(let buffer): return buffer
    case .failure(let errno): throw .broken("vgem makes no buffer: \(errno)")
    }
  }

  /// A fence on a vgem buffer of its own.
  func pendingFence(_ access: FenceAccess = .write) throws(Statement.Stop) -> PendingFence {
    try pendingFence(access, on: fenced(vgemBuffer()))
  }

  /// A buffer of vgem's own, as one that takes fences.
  private func fenced(_ buffer: ProbeBuffer) throws(Statement.Stop) -> FencedBuffer {
    guard let handle = buffer.handle else { throw .broken("a buffer of vgem's has no handle") }
    return FencedBuffer(dmaBuf: buffer.dmaBuf, vgem: buffer.node, handle: handle)
  }

  /// A sync_file that is signalled: nobody uses the buffer it is of.
  func signalledSyncFile() throws(Statement.Stop) -> CInt {
    try prepare(kernel.exportSyncFile(idleBuffer().dmaBuf, flags: UInt32(SyncFlags.write)))
  }

  /// A buffer that nobody uses: of memory, of vgem or of the subject's own device.
  ///
  /// Another display's would be in the way of whoever becomes master there at the same time.
  func idleBuffer() throws(Statement.Stop) -> ProbeBuffer {
    let candidates = machine.subjects(.exporter).compactMap(\.exporter)
    let own = [machine.vgem, subject.device].compactMap { $0 }.map(Subject.Exporter.dumb)
    guard let exporter = ([.udmabuf, .heap] + own).first(where: candidates.contains) else {
      throw .skipped("neither memory, nor vgem, nor \(subject.name) makes dma-bufs here")
    }
    return try buffer(on: exporter)
  }

  /// A picture whose buffer carries a fence of vgem's: a vgem buffer where the display takes them, else a buffer of the
  /// display's that the fence was put on through a sync_file.
  func fencedPicture(
    _ access: FenceAccess, on display: DisplayFixture
  ) throws(Statement.Stop) -> (picture: DisplayPicture, fence: PendingFence) {
    let foreign = try vgemBuffer(width: display.width, height: display.height)
    if case .success(let handle) = kernel.primeFDToHandle(display.node, foreign.dmaBuf) {
      let framebuffer = try prepare(
        kernel.addFramebuffer(display.node, display.request(handle: handle, pitch: foreign.pitch)))
      let picture = DisplayPicture(
        handle: handle, pitch: foreign.pitch, byteCount: foreign.byteCount, framebuffer: framebuffer)
      return (picture, try pendingFence(access, on: fenced(foreign)))
    }
    guard machine.missing(.syncFiles, for: subject) == nil else {
      throw .skipped("\(subject.name) takes no buffers of vgem's, and this kernel has no other way to give it a fence")
    }
    guard subject.device?.capabilities?.primeExport != false else {
      throw .skipped("\(subject.name) neither takes vgem's buffers nor exports its own, so none can be given a fence")
    }
    // Where a display first moves a buffer to memory of its own, as bochs-drm does up to 6.12, the move waits for every
    // fence, and in the caller. A buffer that was on screen is there already.
    let picture = try shownPicture(on: display)
    _ = try shownPicture(on: display)
    let own = try prepare(
      kernel.primeHandleToFD(display.node, handle: picture.handle, flags: PrimeFlags.closeOnExec))
    let fence = try pendingFence(access, on: fenced(foreign))
    let syncFile = try prepare(fence.syncFile())
    _ = try prepare(kernel.importSyncFile(own, flags: access.syncFlags, syncFile: syncFile))
    return (picture, fence)
  }
}
