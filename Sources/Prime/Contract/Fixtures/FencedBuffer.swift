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
  func pendingFence(_ access: FenceAccess, on buffer: FencedBuffer) throws(Statement.Stop) -> UInt32 {
    try prepare(kernel.attachVGEMFence(buffer.vgem, handle: buffer.handle, flags: access.vgemFlags))
  }

  /// Signals a fence.
  func signal(_ fence: UInt32, on buffer: FencedBuffer) throws(Statement.Stop) {
    _ = try prepare(kernel.signalVGEMFence(buffer.vgem, fence: fence))
  }

  /// What poll says of a dma-buf at this moment: `POLLIN` where a reader need not wait, `POLLOUT` where a writer need not.
  func readiness(of dmaBuf: CInt) throws(Statement.Stop) -> Int16 {
    try expect(kernel.poll(dmaBuf, events: Int16(POLLIN | POLLOUT), milliseconds: 0))
  }

  /// START must wait for these fences, which are signalled one after the other, and end when the last one is.
  func expectStart(
    _ flags: UInt64, on buffer: FencedBuffer, waitsFor fences: [UInt32]
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
      try signal(fence, on: buffer)
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
