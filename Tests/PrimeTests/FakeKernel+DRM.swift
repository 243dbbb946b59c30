import Glibc
import Prime
import Synchronization

/// A device of the fake kernel: what all of its open files share.
struct FakeDevice {
  let setup: FakeKernel.DeviceSetup
  var isGone = false
  var goesAt: (KernelCall, Int)?
  /// The open file that is master.
  var master: CInt?
  var framebuffers: [UInt32: FakeFramebuffer] = [:]
  var blobs: [UInt32: [UInt8]] = [:]
  /// The blobs that somebody has to destroy.
  var userBlobs: Set<UInt32> = []
  /// KMS objects with the values of their properties.
  var objects: [UInt32: [String: UInt64]] = [:]
  var checksums = FakeChecksums()
  /// What its display engine composed for a writeback, in order.
  var composed: [[UInt8]] = []
  var nextFramebuffer: UInt32 = 0xfb01
  var nextBlob: UInt32 = 0xb001

  init(_ setup: FakeKernel.DeviceSetup) { self.setup = setup }

  func has(_ path: String) -> Bool { setup.primary == path || setup.render == path }
}

/// An open file of a node, with GEM handles of its own.
struct FakeOpenFile {
  let device: Int
  let isRender: Bool
  var handles: [UInt32: Int] = [:]
  /// The number that each memory has here: a second import gives the same (`drm_prime.c`).
  var numbers: [Int: UInt32] = [:]
  /// Numbers of different files differ, so that a mix-up shows.
  var nextHandle: UInt32
  var clientCapabilities: Set<UInt64> = []
  /// Events that nobody has read yet.
  var events: [UInt8] = []

  mutating func add(_ memory: Int) -> UInt32 {
    let handle = nextHandle
    nextHandle += 1
    handles[handle] = memory
    return handle
  }
}

extension FakeKernel.State {
  mutating func openFile(_ descriptor: CInt, device: Int, isRender: Bool) {
    files[descriptor] = FakeOpenFile(device: device, isRender: isRender, nextHandle: UInt32(nextFile) * 0x100 + 1)
    nextFile += 1
    // The first opener of a primary node is master without asking.
    if !isRender && devices[device].master == nil && !faults.otherMaster { devices[device].master = descriptor }
  }

  /// The kernel frees what an open file still holds; that the holder left it to the kernel is worth a note.
  mutating func closeFile(_ descriptor: CInt) {
    guard let file = files.removeValue(forKey: descriptor) else { return }
    let framebuffers = devices[file.device].framebuffers.filter { $0.value.owner == descriptor }.keys
    if faults.wipesClosedExporters {
      for memory in file.handles.values where memories[memory].exporter == file.device {
        memories[memory].store([UInt8](repeating: 0, count: memories[memory].byteCount))
      }
    }
    if !file.handles.isEmpty && !faults.filesTakeHandles {
      violations.append("a node was closed with \(file.handles.count) handle(s) open")
    }
    if !framebuffers.isEmpty { violations.append("a node was closed with \(framebuffers.count) framebuffer(s)") }
    for id in framebuffers { removeFramebuffer(id, device: file.device) }
    violations += fences.close(descriptor)
    if devices[file.device].master == descriptor { devices[file.device].master = nil }
  }

  /// The open file of a descriptor, `ENODEV` where its device is gone.
  mutating func file(_ descriptor: CInt, _ operation: String) throws(Errno) -> FakeOpenFile {
    guard let file = files[descriptor] else { throw wrongDescriptor(descriptor, operation) }
    guard !devices[file.device].isGone else { throw .noSuchDevice }
    return file
  }

  /// The memory behind a handle; one that another file gave is a mix-up, and `ENOENT` as in the kernel.
  mutating func memory(of handle: UInt32, in descriptor: CInt, _ operation: String) throws(Errno) -> Int {
    let file = try file(descriptor, operation)
    if let memory = file.handles[handle] { return memory }
    if files.values.contains(where: { $0.handles[handle] != nil }) {
      violations.append("\(operation) with handle \(handle), which belongs to another open file")
    }
    throw .noSuchFile
  }

  /// Imports a buffer as `drmPrimeFDToHandle` does.
  mutating func importHandle(_ descriptor: CInt, dmaBuf: CInt, _ operation: String) throws(Errno) -> UInt32 {
    let file = try file(descriptor, operation)
    let memory = try memory(ofDMABuf: dmaBuf, operation)
    if !faults.importsGiveNewHandles, let handle = file.numbers[memory], file.handles[handle] != nil { return handle }
    if faults.importsGiveFirst, let handle = file.handles.keys.min() { return handle }
    let isOwn = memories[memory].exporter == file.device
    if !isOwn, let refusal = devices[file.device].setup.refusesImports { throw refusal }
    var imported = memory
    if faults.copiedImports > 0 && !isOwn {
      faults.copiedImports -= 1
      // It counts as imported all the same, so that the importer's own mapping of it stays refused.
      imported = try newMemory(byteCount: memories[memory].byteCount, exporter: nil)
      memories[imported].store(memories[memory].bytes())
    }
    if !isOwn { bounce(imported) }
    let handle = files[descriptor]?.add(imported) ?? 0
    files[descriptor]?.numbers[memory] = handle
    return handle
  }
}

extension FakeKernel {
  func version(_ descriptor: CInt) -> CallResult<DriverVersion> {
    call(.version) { state in
      let file = try state.file(descriptor, "drmGetVersion")
      return DriverVersion(
        name: state.devices[file.device].setup.driver, major: 1, minor: 2, patch: 3, date: "20260101",
        summary: "a fake device")
    }
  }

  func capability(_ descriptor: CInt, _ capability: UInt64) -> CallResult<UInt64> {
    call(.capability) { state in
      let setup = state.devices[try state.file(descriptor, "drmGetCap").device].setup
      switch capability {
      // DRM_CAP_PRIME: import and export, claimed by every driver since 6.6, also by one that refuses.
      case 5: return 3
      case 0x13: return setup.hasSyncobjs ? 1 : 0
      case 0x14: return setup.hasTimelineSyncobjs ? 1 : 0
      // The rest is about mode setting, and a driver without it does not answer.
      case 1 where setup.displayFormats != nil: return 1
      case 0x10 where setup.displayFormats != nil: return setup.takesFramebufferModifiers ? 1 : 0
      default: throw Errno.notSupported
      }
    }
  }

  func setClientCapability(_ descriptor: CInt, _ capability: UInt64, _ value: UInt64) -> CallResult<Void> {
    call(.setClientCapability) { state in
      let file = try state.file(descriptor, "drmSetClientCap")
      guard state.devices[file.device].setup.displayFormats != nil else { throw Errno.notSupported }
      // DRM_CLIENT_CAP_WRITEBACK_CONNECTORS needs DRM_CLIENT_CAP_ATOMIC.
      if capability == 5 && !file.clientCapabilities.contains(3) { throw Errno.invalidArgument }
      state.files[descriptor]?.clientCapabilities.insert(capability)
    }
  }

  func isMaster(_ descriptor: CInt) -> Bool {
    state.withLock { state in
      guard let file = state.files[descriptor] else { return false }
      return state.devices[file.device].master == descriptor
    }
  }

  func setMaster(_ descriptor: CInt) -> CallResult<Void> {
    call(.setMaster) { state in
      let device = try state.file(descriptor, "drmSetMaster").device
      guard !state.faults.otherMaster, state.devices[device].master ?? descriptor == descriptor else {
        throw Errno.busy
      }
      state.devices[device].master = descriptor
    }
  }

  func dropMaster(_ descriptor: CInt) -> CallResult<Void> {
    // Also where it is told to fail: the caller can do no more than ask.
    defer {
      state.withLock { state in
        guard let device = state.files[descriptor]?.device, state.devices[device].master == descriptor else { return }
        state.devices[device].master = nil
      }
    }
    return call(.dropMaster) { state in
      let device = try state.file(descriptor, "drmDropMaster").device
      guard state.devices[device].master == descriptor else { throw Errno.invalidArgument }
    }
  }

  func primeHandleToFD(_ descriptor: CInt, handle: UInt32, writable: Bool) -> CallResult<CInt> {
    call(.primeHandleToFD) { state in
      let memory = try state.memory(of: handle, in: descriptor, "drmPrimeHandleToFD")
      if state.files[descriptor]?.numbers[memory] == nil { state.files[descriptor]?.numbers[memory] = handle }
      let first = state.memories.firstIndex { $0.exporter == state.memories[memory].exporter && $0.isWritable != nil }
      let exported = state.faults.exportsGiveFirst ? first ?? memory : memory
      return try state.exportDescriptor(of: exported, writable: writable)
    }
  }

  func primeFDToHandle(_ descriptor: CInt, dmaBuf: CInt) -> CallResult<UInt32> {
    call(.primeFDToHandle) { state in try state.importHandle(descriptor, dmaBuf: dmaBuf, "drmPrimeFDToHandle") }
  }

  func closeHandle(_ descriptor: CInt, handle: UInt32) -> CallResult<Void> {
    // Also where it is told to fail: the device is gone then, and its handles with it.
    defer {
      state.withLock { state in
        let memory = state.files[descriptor]?.handles.removeValue(forKey: handle)
        if let memory { state.unbounce(memory) }
      }
    }
    return call(.closeHandle) { state in
      guard state.files[descriptor]?.handles[handle] != nil else {
        state.violations.append("GEM_CLOSE of handle \(handle), which is not open")
        throw Errno.invalidArgument
      }
      _ = try state.file(descriptor, "DRM_IOCTL_GEM_CLOSE")
    }
  }

  func createDumb(
    _ descriptor: CInt, width: UInt32, height: UInt32, bitsPerPixel: UInt32
  ) -> CallResult<DumbBufferLayout> {
    call(.createDumb) { state in
      let file = try state.file(descriptor, "DRM_IOCTL_MODE_CREATE_DUMB")
      guard !file.isRender else { throw Errno.permissionDenied }
      guard state.devices[file.device].setup.makesDumbBuffers else { throw Errno.notImplemented }
      let alignment = state.devices[file.device].setup.dumbPitchAlignment
      let pitch = (width * ((bitsPerPixel + 7) / 8) + alignment - 1) / alignment * alignment
      let size = (Int(pitch) * Int(height) + 4095) / 4096 * 4096
      let memory = try state.newMemory(byteCount: size, exporter: file.device)
      let handle = state.files[descriptor]?.add(memory) ?? 0
      let answered = state.faults.halvesDumbBuffers ? UInt64(size) / 2 : UInt64(size)
      return DumbBufferLayout(handle: handle, pitch: pitch, byteCount: answered)
    }
  }

  func mapDumb(_ descriptor: CInt, handle: UInt32) -> CallResult<UInt64> {
    call(.mapDumb) { state in
      let memory = try state.memory(of: handle, in: descriptor, "DRM_IOCTL_MODE_MAP_DUMB")
      // The rule of drm_gem_dumb_map_offset: not for a buffer that came from elsewhere.
      let isOwn = state.memories[memory].exporter == state.files[descriptor]?.device
      guard isOwn || state.faults.mapsImports else { throw Errno.invalidArgument }
      return UInt64(memory + 1) << 32
    }
  }
}
