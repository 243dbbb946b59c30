internal import CDrm
internal import Glibc

extension LinuxKernel {
  /// libgbm answers NULL and leaves errno as Mesa left it, which may be 0.
  private static func failed<Value>() -> CallResult<Value> {
    let errno = Glibc.errno
    return .failure(Errno(rawValue: errno == 0 ? EINVAL : errno))
  }

  /// Runs a call of libgbm with standard error sent to nowhere, where that was asked for.
  ///
  /// The descriptor belongs to the whole process, so what other threads print meanwhile is lost too.
  private func quietly<Value>(_ body: () -> CallResult<Value>) -> CallResult<Value> {
    guard silencesMesa, case .success(let kept) = duplicate(STDERR_FILENO) else { return body() }
    defer {
      _ = dup2(kept, STDERR_FILENO)
      close(kept)
    }
    if case .success(let nowhere) = open("/dev/null", flags: O_WRONLY) {
      _ = dup2(nowhere, STDERR_FILENO)
      close(nowhere)
    }
    return body()
  }

  package func gbmCreateDevice(_ descriptor: CInt) -> CallResult<GBMDevicePointer> {
    quietly {
      Glibc.errno = 0
      // Safe: libgbm owns what it returns until gbmDestroyDevice.
      guard let device = unsafe gbm_create_device(descriptor) else { return Self.failed() }
      return unsafe .success(GBMDevicePointer(raw: device))
    }
  }

  package func gbmBackendName(_ device: GBMDevicePointer) -> String? {
    // Safe: the name is libgbm's own and lives as long as the device, and it is copied.
    guard let name = unsafe gbm_device_get_backend_name(device.raw) else { return nil }
    return unsafe String(cString: name)
  }

  package func loadedLibraries() -> [String] {
    let maps = text(of: "/proc/self/maps", limit: 16 << 20) ?? ""
    // A line ends with the path of the mapped file, where there is one.
    let paths = maps.split(separator: "\n").compactMap { line in line.firstIndex(of: "/").map { String(line[$0...]) } }
    return Set(paths).sorted()
  }

  package func gbmDestroyDevice(_ device: GBMDevicePointer) {
    unsafe gbm_device_destroy(device.raw)
  }

  package func gbmCreateBuffer(
    _ device: GBMDevicePointer, width: UInt32, height: UInt32, fourcc: UInt32, modifiers: [UInt64]?, usage: GBMUsage
  ) -> CallResult<GBMBufferPointer> {
    quietly {
      Glibc.errno = 0
      let buffer: OpaquePointer?
      if let modifiers {
        // Safe: libgbm copies the list before it returns.
        unsafe buffer = unsafe gbm_bo_create_with_modifiers2(
          device.raw, width, height, fourcc, modifiers, UInt32(modifiers.count), usage.rawValue)
      } else {
        unsafe buffer = unsafe gbm_bo_create(device.raw, width, height, fourcc, usage.rawValue)
      }
      guard let buffer = unsafe buffer else { return Self.failed() }
      return unsafe .success(GBMBufferPointer(raw: buffer))
    }
  }

  package func gbmDestroyBuffer(_ buffer: GBMBufferPointer) {
    unsafe gbm_bo_destroy(buffer.raw)
  }

  package func gbmLayout(_ buffer: GBMBufferPointer) -> CallResult<GBMBufferLayout> {
    // Safe: these only read the buffer object, which its owner keeps alive.
    let count = unsafe gbm_bo_get_plane_count(buffer.raw)
    guard (1...4).contains(count) else { return .failure(.invalidArgument) }
    let planes = (0..<count).map { plane in
      unsafe GBMPlane(
        handle: gbm_bo_get_handle_for_plane(buffer.raw, plane).u32, offset: gbm_bo_get_offset(buffer.raw, plane),
        pitch: gbm_bo_get_stride_for_plane(buffer.raw, plane))
    }
    return unsafe .success(GBMBufferLayout(modifier: gbm_bo_get_modifier(buffer.raw), planes: planes))
  }

  package func gbmExport(_ buffer: GBMBufferPointer, plane: Int32) -> CallResult<CInt> {
    Glibc.errno = 0
    // Safe: it only reads the buffer object, and the descriptor is a plain number.
    let descriptor = unsafe gbm_bo_get_fd_for_plane(buffer.raw, plane)
    return descriptor < 0 ? Self.failed() : .success(descriptor)
  }

  package func gbmImport(
    _ device: GBMDevicePointer, width: UInt32, height: UInt32, fourcc: UInt32, modifier: UInt64,
    planes: [(dmaBuf: CInt, offset: UInt32, pitch: UInt32)]
  ) -> CallResult<GBMBufferPointer> {
    Glibc.errno = 0
    let buffer: OpaquePointer?
    if modifier == CDRM_FORMAT_MOD_INVALID {
      var data = gbm_import_fd_data()
      data.fd = planes.first?.dmaBuf ?? -1
      data.width = width
      data.height = height
      data.stride = planes.first?.pitch ?? 0
      data.format = fourcc
      // Safe: libgbm reads the struct during the call and duplicates the descriptor.
      unsafe buffer = unsafe gbm_bo_import(device.raw, UInt32(GBM_BO_IMPORT_FD), &data, 0)
    } else {
      var data = gbm_import_fd_modifier_data()
      data.width = width
      data.height = height
      data.format = fourcc
      data.num_fds = UInt32(planes.count)
      data.modifier = modifier
      // Safe: the tuples hold four numbers each and at most four planes are written.
      unsafe withUnsafeMutableBytes(of: &data.fds) { fds in
        for (index, plane) in planes.prefix(4).enumerated() {
          unsafe fds.storeBytes(of: plane.dmaBuf, toByteOffset: index * 4, as: CInt.self)
        }
      }
      unsafe withUnsafeMutableBytes(of: &data.strides) { strides in
        for (index, plane) in planes.prefix(4).enumerated() {
          unsafe strides.storeBytes(of: CInt(bitPattern: plane.pitch), toByteOffset: index * 4, as: CInt.self)
        }
      }
      unsafe withUnsafeMutableBytes(of: &data.offsets) { offsets in
        for (index, plane) in planes.prefix(4).enumerated() {
          unsafe offsets.storeBytes(of: CInt(bitPattern: plane.offset), toByteOffset: index * 4, as: CInt.self)
        }
      }
      // Safe: libgbm reads the struct during the call and duplicates the descriptors.
      unsafe buffer = unsafe gbm_bo_import(device.raw, UInt32(GBM_BO_IMPORT_FD_MODIFIER), &data, 0)
    }
    guard let buffer = unsafe buffer else { return Self.failed() }
    return unsafe .success(GBMBufferPointer(raw: buffer))
  }

  package func gbmMap(_ buffer: GBMBufferPointer, width: UInt32, height: UInt32) -> CallResult<GBMMappedView> {
    Glibc.errno = 0
    var pitch: UInt32 = 0
    var token: UnsafeMutableRawPointer? = nil
    // Safe: the view lives until gbmUnmap; its length follows from the pitch libgbm gives and the height asked for.
    guard
      let address = unsafe gbm_bo_map(
        buffer.raw, 0, 0, width, height, GBM_BO_TRANSFER_READ.rawValue, &pitch, &token)
    else { return Self.failed() }
    guard let token = unsafe token else { return .failure(.inputOutput) }
    let bytesPerPixel = unsafe Int(gbm_bo_get_bpp(buffer.raw)) / 8
    let byteCount = Int(pitch) * (Int(height) - 1) + Int(width) * bytesPerPixel
    return unsafe .success(
      GBMMappedView(
        range: MappedRange(baseAddress: address, byteCount: byteCount), pitch: Int(pitch), token: token))
  }

  package func gbmUnmap(_ buffer: GBMBufferPointer, _ view: GBMMappedView) {
    unsafe gbm_bo_unmap(buffer.raw, view.token)
  }
}
