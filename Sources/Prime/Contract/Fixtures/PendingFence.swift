internal import Prime

/// A fence of vgem's that nobody signals but the statement, for a display to wait for.
struct PendingFence {
  let kernel: KernelProbe
  /// The vgem buffer that has it.
  let buffer: ProbeBuffer
  private let expiry = Deadline(in: .milliseconds(9300))
  private let number: UInt32

  /// Attaches a fence to a buffer, which is used so until it is signalled.
  init(_ access: FenceAccess, on buffer: ProbeBuffer, with kernel: KernelProbe) throws(Statement.Stop) {
    guard let handle = buffer.handle,
      case .success(let number) = kernel.attachVGEMFence(buffer.node, handle: handle, flags: access.vgemFlags)
    else { throw .broken("vgem attached no fence") }
    (self.kernel, self.buffer, self.number) = (kernel, buffer, number)
  }

  /// Whoever waited goes on; it fails with `ETIMEDOUT` where vgem's own ten seconds were over before.
  func signal() -> CallResult<Int> { kernel.signalVGEMFence(buffer.node, fence: number) }

  /// How long it stays pending for certain, in milliseconds: vgem ends it after ten seconds.
  var remainingMilliseconds: Int32 { max(1, Int32(expiry.remaining / .milliseconds(1))) }

  /// The fence as a sync_file, which is what a writer would have to wait for.
  func syncFile() -> CallResult<CInt> { kernel.exportSyncFile(buffer.dmaBuf, flags: UInt32(SyncFlags.write)) }
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
    try PendingFence(access, on: vgemBuffer(), with: kernel)
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
      return (picture, try PendingFence(access, on: foreign, with: kernel))
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
    let fence = try PendingFence(access, on: foreign, with: kernel)
    let syncFile = try prepare(fence.syncFile())
    _ = try prepare(kernel.importSyncFile(own, flags: access.syncFlags, syncFile: syncFile))
    return (picture, fence)
  }
}
