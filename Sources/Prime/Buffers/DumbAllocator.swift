/// Dumb buffers of a primary node (`DRM_IOCTL_MODE_CREATE_DUMB`): linear memory for the CPU and the display engine.
///
/// The kernel promises them for use on the same device only; that other devices take them is what is being tested.
public struct DumbAllocator: Allocator {
  private let device: Device

  /// Allocates on an open primary node, which stays open as long as a buffer of it lives.
  public init(device: Device) {
    self.device = device
  }

  /// `.dumb`.
  public var kind: AllocatorKind { .dumb }

  /// The node that was opened.
  public var node: DRMNode? { device.node }

  /// Whether its driver makes dumb buffers at all, which only a try tells.
  ///
  /// v3d, panfrost, lima and etnaviv have a primary node and no `dumb_create`, which is `ENOSYS`.
  public var isSupported: Bool {
    switch device.kernel.createDumb(device.rawDescriptor, width: 32, height: 32, bitsPerPixel: 32) {
    case .success(let made):
      _ = GEMHandle(adopting: made.handle, of: device)
      return true
    case .failure(let errno): return ![.notImplemented, .notSupported, .notATerminal].contains(errno)
    }
  }

  /// Allocates a buffer that holds every plane, one below the other, at the pitch the driver chose.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    let operation = "DRM_IOCTL_MODE_CREATE_DUMB"
    try request.requireLinear("dumb buffers are", operation: operation, on: device.subject)
    let needed = try request.packedLayout(operation: operation, on: device.subject)
    let elementBytes = request.format.planes[0].bytesPerElement
    let widestRow = needed.planes.indices.map { needed.rowBytes(ofPlane: $0) }.max() ?? 0
    let rows = needed.planes.indices.map { needed.rows(ofPlane: $0) }
    guard let width = UInt32(exactly: (widestRow + elementBytes - 1) / elementBytes),
      let height = UInt32(exactly: rows.reduce(0, +))
    else {
      throw PrimeError(operation: operation, errno: .overflow, subject: device.subject)
    }
    let created = try device.kernel.createDumb(
      device.rawDescriptor, width: width, height: height, bitsPerPixel: UInt32(elementBytes * 8)
    ).orThrow(
      operation, on: device.subject,
      reason: "its driver makes no dumb buffer of \(width)x\(height) with \(elementBytes * 8) bits a pixel")
    let handle = GEMHandle(adopting: created.handle, of: device)
    var planes: [PlaneLayout] = []
    var firstRow = 0
    for count in rows {
      planes.append(PlaneLayout(offset: firstRow * Int(created.pitch), pitch: Int(created.pitch)))
      firstRow += count
    }
    let layout = try PictureLayout.checked(
      format: request.format, width: request.width, height: request.height, planes: planes, operation: operation,
      on: device.subject)
    guard UInt64(layout.byteCount) <= created.byteCount else {
      throw PrimeError(
        operation: operation, errno: .inputOutput, subject: device.subject,
        reason: "the driver gave \(created.byteCount) bytes where \(layout.byteCount) are needed")
    }
    return BufferObject(BufferDescription(layout: layout, modifier: .linear), storage: .gem(handle))
  }
}

extension AllocationRequest {
  /// Throws where linear memory has none of the modifiers that were asked for.
  ///
  /// Its bytes could be called anything, but nothing would have arranged them so.
  func requireLinear(_ whatIs: String, operation: String, on subject: String) throws(PrimeError) {
    guard let modifiers, !modifiers.contains(.linear) else { return }
    throw .untestable(
      operation, on: subject, reason: "\(whatIs) linear, and linear is not among the modifiers asked for")
  }

  /// The smallest layout that holds the picture, with an impossible size as an error of the call that was not made.
  func packedLayout(
    pitchAlignment: Int = 1, operation: String, on subject: String
  ) throws(PrimeError) -> PictureLayout {
    do throws(LayoutError) {
      return try PictureLayout.packed(format: format, width: width, height: height, pitchAlignment: pitchAlignment)
    } catch {
      throw PrimeError(operation: operation, errno: .invalidArgument, subject: subject, reason: error.description)
    }
  }
}

extension PictureLayout {
  /// The layout that a kernel or library answered, with an impossible one as an error of that call.
  static func checked(
    format: PixelFormat, width: Int, height: Int, planes: [PlaneLayout], operation: String, on subject: String
  ) throws(PrimeError) -> PictureLayout {
    do throws(LayoutError) {
      return try PictureLayout(format: format, width: width, height: height, planes: planes)
    } catch {
      throw PrimeError(operation: operation, errno: .inputOutput, subject: subject, reason: error.description)
    }
  }
}
