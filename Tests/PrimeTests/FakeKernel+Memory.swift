import Glibc
import Prime
import Synchronization

/// Memory that a buffer lives in: a real memfd, kept by the fake kernel until it goes itself.
struct FakeMemory: Sendable {
  let descriptor: CInt
  let byteCount: Int
  /// The device it was made on; nil for udmabuf, heap and plain memory.
  let exporter: Int?
  /// Decided by the first export, as the DRM core does.
  var isWritable: Bool?
  /// The bytes as they were before the write bracket that is open or was last.
  var beforeLastWrite: [UInt8]?
  var writeBrackets = 0
  /// What importers see of it in its place; nil where it is not bounced.
  var bounced: [UInt8]?
  /// The same for the exporter's own device.
  var ownBounce: [UInt8]?

  func bytes() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    let count = pread(descriptor, &bytes, byteCount, 0)
    precondition(count == byteCount, "a memfd gave \(count) of \(byteCount) bytes")
    return bytes
  }

  func store(_ bytes: [UInt8], at offset: Int = 0) {
    let count = pwrite(descriptor, bytes, bytes.count, off_t(offset))
    precondition(count == bytes.count, "a memfd took \(count) of \(bytes.count) bytes")
  }
}

extension FakeKernel.State {
  mutating func newMemory(byteCount: Int, exporter: Int?) throws(Errno) -> Int {
    let descriptor = memfd_create("fake-buffer", UInt32(MFD_CLOEXEC))
    guard descriptor >= 0 else { throw Errno(rawValue: errno) }
    let rounded = (byteCount + 4095) / 4096 * 4096
    guard ftruncate(descriptor, off_t(rounded)) == 0 else { throw Errno(rawValue: errno) }
    memories.append(FakeMemory(descriptor: descriptor, byteCount: rounded, exporter: exporter))
    return memories.count - 1
  }

  /// A descriptor of a dma-buf over this memory.
  mutating func exportDescriptor(of memory: Int, writable: Bool) throws(Errno) -> CInt {
    let decided = memories[memory].isWritable ?? writable
    memories[memory].isWritable = decided
    return try adopt(
      fcntl(memories[memory].descriptor, F_DUPFD_CLOEXEC, 0), as: .dmaBuf(memory, writable: decided))
  }

  mutating func memory(ofDMABuf descriptor: CInt, _ operation: String) throws(Errno) -> Int {
    guard case .dmaBuf(let memory, _) = descriptors[descriptor] else { throw wrongDescriptor(descriptor, operation) }
    return memory
  }

  /// The bytes of a buffer as a device that imported it sees them.
  func bytesSeenByImporter(_ memory: Int) -> [UInt8] {
    var bytes = memories[memory].bounced ?? memories[memory].bytes()
    if let first = faults.writesArriveLateFrom, memories[memory].writeBrackets >= first,
      let before = memories[memory].beforeLastWrite
    {
      bytes = before
    }
    if let page = faults.zeroPage {
      for index in bytes.indices where index / 4096 == page { bytes[index] = 0 }
    }
    return bytes
  }
}

// MARK: - Mapping, waiting, SYNC

extension FakeKernel {
  func map(_ descriptor: CInt, byteCount: Int, writable: Bool, offset: UInt64) -> CallResult<MappedRange> {
    call(.map) { state in
      var memory: Int
      switch state.descriptors[descriptor] {
      case .dmaBuf(let number, let mayWrite):
        guard mayWrite || !writable else { throw Errno.permissionDenied }
        guard offset == 0 else { throw Errno.invalidArgument }
        memory = number
      case .node:
        // The offset that mapDumb gave.
        memory = Int(offset >> 32) - 1
        guard state.files[descriptor]?.handles.values.contains(memory) == true else { throw Errno.permissionDenied }
        if let view = state.faults.nativeView {
          let bytes = view(state.memories[memory].bytes())
          memory = try state.newMemory(byteCount: bytes.count, exporter: nil)
          state.memories[memory].store(bytes)
        }
      default: throw state.wrongDescriptor(descriptor, "mmap")
      }
      guard byteCount <= state.memories[memory].byteCount else { throw Errno.invalidArgument }
      let address = mmap(
        nil, byteCount, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, state.memories[memory].descriptor, 0)
      guard let address, address != MAP_FAILED else { throw Errno(rawValue: errno) }
      state.mappings[UInt(bitPattern: address)] = byteCount
      return MappedRange(baseAddress: address, byteCount: byteCount)
    }
  }

  func unmap(_ range: MappedRange) {
    state.withLock { state in
      guard state.mappings.removeValue(forKey: UInt(bitPattern: range.baseAddress)) == range.byteCount else {
        return state.violations.append("munmap of a range that is not mapped")
      }
      munmap(range.baseAddress, range.byteCount)
    }
  }

  func poll(_ descriptor: CInt, events: Int16, milliseconds: Int32) -> CallResult<Int16> {
    let answer = call(.poll) { state -> Int16? in
      if milliseconds > 0 { state.waitingPolls += 1 }
      state.settleFlips()
      switch state.descriptors[descriptor] {
      case _ where state.faults.neverReady: return nil
      case .fence: return state.hasLostWriteback ? 0 : events
      case .plain(let path) where state.video.nodes[path]?.engine != nil: return events
      case .checksumData(let device): return state.nextChecksum(ofDevice: device) & events
      case .node: return state.files[descriptor]?.events.isEmpty == false ? Int16(POLLIN) & events : 0
      case .dmaBuf(let memory, _): return state.events(ofMemory: memory) & events
      case .syncFile(let file): return state.fences.events(ofSyncFile: file) & events
      case .socket(let socket): return state.sockets.events(of: socket) & events
      default: throw state.wrongDescriptor(descriptor, "poll")
      }
    }
    if case .failure(let errno) = answer {
      // Also what a signal ends at once takes time.
      wait(.milliseconds(1))
      return .failure(errno)
    }
    if case .success(let found?) = answer, found != 0 { return .success(found) }
    if milliseconds > 0 { wait(.milliseconds(milliseconds)) }
    return .success(0)
  }

  func createSealedMemory(_ name: String, byteCount: Int64) -> CallResult<CInt> {
    call(.createSealedMemory) { state in
      let memory = try state.newMemory(byteCount: Int(byteCount), exporter: nil)
      return try state.adopt(fcntl(state.memories[memory].descriptor, F_DUPFD_CLOEXEC, 0), as: .memory(memory))
    }
  }

  func dmaBufSync(_ descriptor: CInt, flags: UInt64) -> CallResult<Void> {
    var memory: Int?
    if flags & 4 == 0 { awaitFences(of: descriptor, writing: flags & 2 != 0) }
    let answer = call(.dmaBufSync) { state in
      memory = try state.memory(ofDMABuf: descriptor, "DMA_BUF_IOCTL_SYNC")
      // The kernel's own check, `linux/dma-buf.h`: READ, WRITE, END and nothing else.
      guard flags & ~7 == 0, flags & 3 != 0 else { throw Errno.invalidArgument }
      // POLLIN for a reader, POLLOUT for a writer.
      let needed = Int16(flags & 2 != 0 ? POLLOUT : POLLIN)
      if flags & 4 == 0, let memory, state.faults.bracketsAtFences == .isViolation,
        state.fences.events(ofMemory: memory) & needed == 0
      {
        state.violations.append("SYNC START while fences are pending, which waits without end")
      }
    }
    var failure: Errno?
    if case .failure(let errno) = answer { failure = errno }
    state.withLock { state in
      if memory == nil, case .dmaBuf(let number, _) = state.descriptors[descriptor] { memory = number }
      guard let memory else { return }
      state.syncLog.append(SyncEntry(memory: memory, flags: flags, errno: failure))
      state.account(flags: flags, failure: failure, memory: memory)
    }
    return answer
  }

  /// Sleeps as the kernel does, where the fake is told to.
  ///
  /// vgem ends a fence that nobody signals after ten seconds; a fake one holds a bracket for two at the most.
  private func awaitFences(of descriptor: CInt, writing: Bool) {
    let isHeld = {
      self.state.withLock { state in
        guard state.faults.bracketsAtFences == .waits, case .dmaBuf(let memory, _) = state.descriptors[descriptor]
        else {
          return false
        }
        return !state.fences.inTheWay(ofMemory: memory, writing: writing).isEmpty
      }
    }
    let start = ContinuousClock.now
    while isHeld() && ContinuousClock.now - start < .seconds(2) { usleep(1000) }
  }

  func udmabufCreate(_ device: CInt, memory: CInt, byteCount: UInt64) -> CallResult<CInt> {
    call(.udmabufCreate) { state in
      guard case .plain = state.descriptors[device] else { throw state.wrongDescriptor(device, "UDMABUF_CREATE") }
      guard case .memory(let number) = state.descriptors[memory] else {
        throw state.wrongDescriptor(memory, "UDMABUF_CREATE")
      }
      guard byteCount % 4096 == 0, byteCount <= state.memories[number].byteCount else { throw Errno.invalidArgument }
      return try state.exportDescriptor(of: number, writable: true)
    }
  }

  func dmaHeapAllocate(_ heap: CInt, byteCount: UInt64) -> CallResult<CInt> {
    call(.dmaHeapAllocate) { state in
      guard case .plain = state.descriptors[heap] else { throw state.wrongDescriptor(heap, "DMA_HEAP_IOCTL_ALLOC") }
      let memory = try state.newMemory(byteCount: Int(byteCount), exporter: nil)
      return try state.exportDescriptor(of: memory, writable: true)
    }
  }
}

extension FakeKernel.State {
  /// What `poll` says of a buffer.
  fileprivate func events(ofMemory memory: Int) -> Int16 {
    if faults.pollIgnoresFences { return Int16(POLLIN | POLLOUT) }
    let events = fences.events(ofMemory: memory)
    return faults.readersHoldReaders && events & Int16(POLLOUT) == 0 ? 0 : events
  }

  /// Keeps count of brackets; an END that failed for good ends its bracket too: nobody can do more than ask.
  fileprivate mutating func account(flags: UInt64, failure: Errno?, memory: Int) {
    let isEnd = flags & 4 != 0
    if failure == nil { syncBounces(memory, flags: flags) }
    if isEnd {
      guard failure != .interrupted, failure != .tryAgain else { return }
      openBrackets[memory, default: 0] -= 1
      if openBrackets[memory, default: 0] < 0 { violations.append("SYNC END without a START") }
      guard flags & 2 != 0 else { return }
      if faults.scribblesAfterWrite == memories[memory].writeBrackets {
        memories[memory].store([UInt8](repeating: 0xdb, count: 64))
      }
    } else if failure == nil {
      openBrackets[memory, default: 0] += 1
      guard flags & 2 != 0 else { return }
      memories[memory].writeBrackets += 1
      memories[memory].beforeLastWrite = memories[memory].bytes()
    }
  }
}
