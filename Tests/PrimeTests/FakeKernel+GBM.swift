import Glibc
import Prime
import Synchronization

/// libgbm's objects by the number that stands in their pointer.
struct FakeGBM {
  struct Buffer {
    var device: UInt
    var handle: UInt32
    var memory: Int
    var modifier: UInt64
    var planes: [GBMPlane]
    var format: PixelFormat
    var height: Int
    var views = 0
  }

  /// GBM devices and the descriptor each was made on.
  var devices: [UInt: CInt] = [:]
  var buffers: [UInt: Buffer] = [:]
  /// No address of this process, so that following one crashes at once.
  private var nextPointer: UInt = 0x6b0

  mutating func newPointer() -> OpaquePointer {
    nextPointer += 16
    guard let pointer = OpaquePointer(bitPattern: nextPointer) else { fatalError("a pointer of 0") }
    return pointer
  }

  func leftovers() -> [String] {
    devices.keys.sorted().map { "GBM device \($0) is still there" }
      + buffers.keys.sorted().map { "GBM buffer \($0) is still there" }
  }
}

extension UInt {
  fileprivate init(_ device: GBMDevicePointer) { self.init(bitPattern: device.raw) }
  fileprivate init(_ buffer: GBMBufferPointer) { self.init(bitPattern: buffer.raw) }
}

extension FakeKernel {
  /// The memory of the only buffer object.
  var gbmMemory: Int? { state.withLock { $0.gbm.buffers.values.first?.memory } }

  /// The memory behind a dma-buf.
  func memory(of buffer: borrowing DMABuf) -> Int? {
    guard case .dmaBuf(let memory, _) = state.withLock({ $0.descriptors[buffer.rawDescriptor] }) else { return nil }
    return memory
  }

  func gbmCreateDevice(_ descriptor: CInt) -> CallResult<GBMDevicePointer> {
    call(.gbmCreateDevice) { state in
      let file = try state.file(descriptor, "gbm_create_device")
      guard state.devices[file.device].setup.hasGBM else { throw Errno.invalidArgument }
      let pointer = GBMDevicePointer(raw: state.gbm.newPointer())
      state.gbm.devices[UInt(pointer)] = descriptor
      return pointer
    }
  }

  func gbmBackendName(_ device: GBMDevicePointer) -> String? { "fake" }

  func loadedLibraries() -> [String] { state.withLock { $0.faults.libraries } }

  func gbmDestroyDevice(_ device: GBMDevicePointer) {
    state.withLock { state in
      if state.gbm.buffers.values.contains(where: { $0.device == UInt(device) }) {
        state.violations.append("gbm_device_destroy with buffer objects of it alive")
      }
      guard let descriptor = state.gbm.devices.removeValue(forKey: UInt(device)) else {
        return state.violations.append("gbm_device_destroy of a device that is not there")
      }
      if state.files[descriptor] == nil { state.violations.append("gbm_device_destroy after its node was closed") }
    }
  }

  func gbmCreateBuffer(
    _ device: GBMDevicePointer, width: UInt32, height: UInt32, fourcc: UInt32, modifiers: [UInt64]?, usage: GBMUsage
  ) -> CallResult<GBMBufferPointer> {
    call(.gbmCreateBuffer) { state in
      let descriptor = try state.gbmDescriptor(device)
      let file = try state.file(descriptor, "gbm_bo_create")
      let setup = state.devices[file.device].setup
      guard modifiers?.contains(where: { $0 == 0 || $0 == setup.tiledModifier }) ?? true,
        let format = PixelFormat(Fourcc(rawValue: fourcc))
      else { throw Errno.invalidArgument }
      if setup.gbmIsSoftware {
        if modifiers != nil { throw Errno.notImplemented }
        if file.isRender { throw Errno.permissionDenied }
        if !setup.makesDumbBuffers { throw Errno.notImplemented }
      }
      let layout: PictureLayout
      do {
        layout = try PictureLayout.packed(format: format, width: Int(width), height: Int(height), pitchAlignment: 256)
      } catch {
        throw Errno.invalidArgument
      }
      let isElsewhere = setup.gbmHandles == .ofAnImport
      let memory = try state.newMemory(byteCount: layout.byteCount, exporter: isElsewhere ? nil : file.device)
      if state.faults.gbmExportsWhenAllocating {
        state.memories[memory].isWritable = !state.faults.gbmExportsForReading
      }
      // No fake file ever has the number 1.
      var handle: UInt32 = 1
      switch setup.gbmHandles {
      case .own, .ofAnImport: handle = state.files[descriptor]?.add(memory) ?? 0
      case .ofAnotherFile: break
      case .alsoOfAnotherBuffer:
        let buffer = try state.newMemory(byteCount: layout.byteCount, exporter: file.device)
        handle = state.files[descriptor]?.add(buffer) ?? 0
      }
      let pointer = GBMBufferPointer(raw: state.gbm.newPointer())
      let isLinear = modifiers?.contains(0) ?? usage.contains(.linear)
      state.gbm.buffers[UInt(pointer)] = FakeGBM.Buffer(
        device: UInt(device), handle: handle, memory: memory,
        modifier: modifiers == nil
          ? Modifier.invalid.rawValue : isLinear ? Modifier.linear.rawValue : setup.tiledModifier ?? 0,
        planes: layout.planes.map { GBMPlane(handle: handle, offset: UInt32($0.offset), pitch: UInt32($0.pitch)) },
        format: format, height: Int(height))
      return pointer
    }
  }

  func gbmExport(_ buffer: GBMBufferPointer, plane: Int32) -> CallResult<CInt> {
    call(.gbmExport) { state in
      guard let object = state.gbm.buffers[UInt(buffer)] else { throw Errno.invalidArgument }
      guard object.planes.indices.contains(Int(plane)) else { throw Errno.invalidArgument }
      return try state.exportDescriptor(of: object.memory, writable: !state.faults.gbmExportsForReading)
    }
  }

  func gbmDestroyBuffer(_ buffer: GBMBufferPointer) {
    state.withLock { state in
      guard let object = state.gbm.buffers.removeValue(forKey: UInt(buffer)) else {
        return state.violations.append("gbm_bo_destroy of a buffer object that is not there")
      }
      if object.views != 0 { state.violations.append("gbm_bo_destroy while it is mapped") }
      // Mesa counts the uses of a handle itself.
      let sharesHandle = state.gbm.buffers.values.contains { $0.device == object.device && $0.handle == object.handle }
      guard !sharesHandle, let descriptor = state.gbm.devices[object.device] else { return }
      state.files[descriptor]?.handles.removeValue(forKey: object.handle)
    }
  }

  func gbmLayout(_ buffer: GBMBufferPointer) -> CallResult<GBMBufferLayout> {
    call(.gbmLayout) { state in
      guard let object = state.gbm.buffers[UInt(buffer)] else { throw Errno.invalidArgument }
      return GBMBufferLayout(modifier: object.modifier, planes: object.planes)
    }
  }

  func gbmImport(
    _ device: GBMDevicePointer, width: UInt32, height: UInt32, fourcc: UInt32, modifier: UInt64,
    planes: [(dmaBuf: CInt, offset: UInt32, pitch: UInt32)]
  ) -> CallResult<GBMBufferPointer> {
    call(.gbmImport) { state in
      let descriptor = try state.gbmDescriptor(device)
      guard let format = PixelFormat(Fourcc(rawValue: fourcc)) else { throw Errno.invalidArgument }
      let handles = try planes.map { try state.importHandle(descriptor, dmaBuf: $0.dmaBuf, "gbm_bo_import") }
      guard let handle = handles.first, let memory = state.files[descriptor]?.handles[handle] else {
        throw Errno.noSuchFile
      }
      let pointer = GBMBufferPointer(raw: state.gbm.newPointer())
      state.gbm.buffers[UInt(pointer)] = FakeGBM.Buffer(
        device: UInt(device), handle: handle, memory: memory, modifier: modifier,
        planes: zip(handles, planes).map { GBMPlane(handle: $0, offset: $1.offset, pitch: $1.pitch) }, format: format,
        height: Int(height))
      return pointer
    }
  }

  func gbmMap(_ buffer: GBMBufferPointer, width: UInt32, height: UInt32) -> CallResult<GBMMappedView> {
    call(.gbmMap) { state in
      guard let object = state.gbm.buffers[UInt(buffer)] else { throw Errno.invalidArgument }
      if let descriptor = state.gbm.devices[object.device] { _ = try state.file(descriptor, "gbm_bo_map") }
      if state.faults.gbmMapsMemory { return try state.gbmMapInPlace(object, buffer, width: width, height: height) }
      // A copy with a pitch of its own, as a driver makes one that has to untile.
      let rowBytes = Int(width) * object.format.planes[0].bytesPerElement
      let pitch = (rowBytes + 127) / 128 * 128
      let source = state.bytesSeenByImporter(object.memory)
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: pitch * Int(height), alignment: 64)
      copy.initializeMemory(as: UInt8.self, repeating: 0)
      for row in 0..<Int(height) {
        let start = Int(object.planes[0].offset) + row * (Int(object.planes[0].pitch) + state.faults.pitchOffBy)
        for byte in 0..<rowBytes where start + byte < source.count { copy[row * pitch + byte] = source[start + byte] }
      }
      guard let base = copy.baseAddress else { throw Errno.noMemory }
      state.gbm.buffers[UInt(buffer)]?.views += 1
      let used = pitch * (Int(height) - 1) + rowBytes
      return GBMMappedView(range: MappedRange(baseAddress: base, byteCount: used), pitch: pitch, token: base)
    }
  }

  func gbmUnmap(_ buffer: GBMBufferPointer, _ view: GBMMappedView) {
    state.withLock { state in
      guard let views = state.gbm.buffers[UInt(buffer)]?.views, views > 0 else {
        return state.violations.append("gbm_bo_unmap of what is not mapped")
      }
      state.gbm.buffers[UInt(buffer)]?.views = views - 1
      if let byteCount = state.mappings.removeValue(forKey: UInt(bitPattern: view.token)) {
        munmap(view.token, byteCount)
      } else {
        view.token.deallocate()
      }
    }
  }
}

extension FakeKernel.State {
  /// The buffer's own memory, as drivers give it whose map of an import is the exporter's.
  fileprivate mutating func gbmMapInPlace(
    _ object: FakeGBM.Buffer, _ buffer: GBMBufferPointer, width: UInt32, height: UInt32
  ) throws(Errno) -> GBMMappedView {
    let byteCount = memories[object.memory].byteCount
    let address = mmap(nil, byteCount, PROT_READ, MAP_SHARED, memories[object.memory].descriptor, 0)
    guard let address, address != MAP_FAILED else { throw Errno(rawValue: errno) }
    mappings[UInt(bitPattern: address)] = byteCount
    gbm.buffers[UInt(buffer)]?.views += 1
    let plane = object.planes[0]
    let rowBytes = Int(width) * object.format.planes[0].bytesPerElement
    let used = Int(plane.pitch) * (Int(height) - 1) + rowBytes
    return GBMMappedView(
      range: MappedRange(baseAddress: address + Int(plane.offset), byteCount: used), pitch: Int(plane.pitch),
      token: address)
  }

  fileprivate mutating func gbmDescriptor(_ device: GBMDevicePointer) throws(Errno) -> CInt {
    guard let descriptor = gbm.devices[UInt(device)] else {
      violations.append("a call on a GBM device that is not there")
      throw .invalidArgument
    }
    return descriptor
  }
}
