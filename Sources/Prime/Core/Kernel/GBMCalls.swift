/// A `struct gbm_device *`; its owner is `GBMDevice`.
@safe package struct GBMDevicePointer: @unchecked Sendable {
  /// Safe to hold: only handed back to libgbm, by the owner that destroys it last.
  package let raw: OpaquePointer

  package init(raw: OpaquePointer) { unsafe self.raw = raw }
}

/// A `struct gbm_bo *`; its owner is `GBMBuffer`.
@safe package struct GBMBufferPointer: @unchecked Sendable {
  /// Safe to hold: only handed back to libgbm, by the owner that destroys it last.
  package let raw: OpaquePointer

  package init(raw: OpaquePointer) { unsafe self.raw = raw }
}

/// One memory plane as libgbm describes it.
package struct GBMPlane: Hashable, Sendable {
  package var handle: UInt32
  package var offset: UInt32
  package var pitch: UInt32

  package init(handle: UInt32, offset: UInt32, pitch: UInt32) {
    self.handle = handle
    self.offset = offset
    self.pitch = pitch
  }
}

/// What libgbm says of a buffer object it made.
package struct GBMBufferLayout: Hashable, Sendable {
  package var modifier: UInt64
  package var planes: [GBMPlane]

  package init(modifier: UInt64, planes: [GBMPlane]) {
    self.modifier = modifier
    self.planes = planes
  }

  /// The handles of the buffers that the planes lie in, each once, in the order of the planes.
  var handles: [UInt32] {
    planes.map(\.handle).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}

/// A view of a buffer object that `gbm_bo_map` gave: bytes of rows `pitch` apart.
@safe package struct GBMMappedView: @unchecked Sendable {
  package let range: MappedRange
  package let pitch: Int
  /// Safe to hold: libgbm's own token, only handed back to `gbm_bo_unmap`.
  package let token: UnsafeMutableRawPointer

  package init(range: MappedRange, pitch: Int, token: UnsafeMutableRawPointer) {
    self.range = range
    self.pitch = pitch
    unsafe self.token = token
  }
}

/// How a GBM buffer object is going to be used (`gbm_bo_flags`).
public struct GBMUsage: OptionSet, Hashable, Sendable {
  /// The bits of `enum gbm_bo_flags`.
  public let rawValue: UInt32

  /// Wraps bits of `enum gbm_bo_flags`.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// `GBM_BO_USE_SCANOUT`: a display engine reads it.
  public static let scanout = GBMUsage(rawValue: 1 << 0)
  /// `GBM_BO_USE_WRITE`: `gbm_bo_write` fills it; Mesa makes a dumb buffer on the file that GBM was given.
  public static let write = GBMUsage(rawValue: 1 << 3)
  /// `GBM_BO_USE_RENDERING`: the GPU renders into it.
  public static let rendering = GBMUsage(rawValue: 1 << 2)
  /// `GBM_BO_USE_LINEAR`: laid out in rows.
  public static let linear = GBMUsage(rawValue: 1 << 4)
}

/// libgbm: buffer objects that a device's Mesa driver allocates.
package protocol GBMCalls {
  /// `gbm_create_device`; the descriptor must outlive the device.
  func gbmCreateDevice(_ descriptor: CInt) -> CallResult<GBMDevicePointer>
  /// `gbm_device_get_backend_name`; nil where libgbm names none.
  func gbmBackendName(_ device: GBMDevicePointer) -> String?
  /// The paths of the libraries that this process has loaded, by which Mesa's drivers can be told.
  func loadedLibraries() -> [String]
  /// `gbm_device_destroy`.
  func gbmDestroyDevice(_ device: GBMDevicePointer)
  /// `gbm_bo_create`, or `gbm_bo_create_with_modifiers2` where a list is given.
  func gbmCreateBuffer(
    _ device: GBMDevicePointer, width: UInt32, height: UInt32, fourcc: UInt32, modifiers: [UInt64]?, usage: GBMUsage
  ) -> CallResult<GBMBufferPointer>
  /// `gbm_bo_destroy`.
  func gbmDestroyBuffer(_ buffer: GBMBufferPointer)
  /// `gbm_bo_get_modifier`, `gbm_bo_get_plane_count` and per plane handle, offset and stride.
  func gbmLayout(_ buffer: GBMBufferPointer) -> CallResult<GBMBufferLayout>
  /// `gbm_bo_get_fd_for_plane`: a new descriptor, close-on-exec, with an access mode that Mesa chose.
  func gbmExport(_ buffer: GBMBufferPointer, plane: Int32) -> CallResult<CInt>
  /// `gbm_bo_import` of one dma-buf, with its modifier where that is explicit.
  func gbmImport(
    _ device: GBMDevicePointer, width: UInt32, height: UInt32, fourcc: UInt32, modifier: UInt64,
    planes: [(dmaBuf: CInt, offset: UInt32, pitch: UInt32)]
  ) -> CallResult<GBMBufferPointer>
  /// `gbm_bo_map` of the whole picture for reading.
  func gbmMap(_ buffer: GBMBufferPointer, width: UInt32, height: UInt32) -> CallResult<GBMMappedView>
  /// `gbm_bo_unmap`.
  func gbmUnmap(_ buffer: GBMBufferPointer, _ view: GBMMappedView)
}
