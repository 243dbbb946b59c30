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
  ///
  /// - Throws: `DRM_IOCTL_MODE_CREATE_DUMB` with `EACCES` on a render node, `ENOSYS` where the driver makes none, `ENOMEM`; an
  ///   untestable error where the request is for a modifier other than `linear`.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    let operation: PrimeError.Operation = "DRM_IOCTL_MODE_CREATE_DUMB"
    try request.requireLinear("dumb buffers are", operation: operation, on: device.subject)
    _ = try request.packedLayout(operation: operation, on: device.subject)
    let created = try allocate(request, operation)
    let layout = try request.stackedLayout(
      pitch: created.pitch, operation: operation, on: device.subject)
    guard UInt64(layout.byteCount) <= created.byteCount else {
      throw PrimeError(
        operation: operation, finding: .broken, subject: device.subject,
        reason: "the driver gave \(created.byteCount) bytes where \(layout.byteCount) are needed")
    }
    return BufferObject(BufferDescription(layout: layout, modifier: .linear), storage: .gem(created.handle))
  }

  /// What the driver made.
  private struct Made: ~Copyable {
    let handle: GEMHandle
    let pitch: Int
    let byteCount: UInt64
  }

  /// Makes the buffer with the pitch that the importer wants, where asking for a wider one gives that.
  private func allocate(_ request: AllocationRequest, _ operation: PrimeError.Operation) throws(PrimeError) -> Made {
    let natural = try create(request, rowBytes: request.widestRow, operation)
    guard let wanted = request.pitch, natural.pitch != wanted.own else { return natural }
    if wanted.own > request.widestRow, let made = try? create(request, rowBytes: wanted.own, operation),
      made.pitch == wanted.own
    {
      return made
    }
    guard !natural.pitch.isMultiple(of: wanted.multiple) else { return natural }
    // A row of one pixel shows what this driver rounds to.
    guard let own = try ImporterPitch.roundedPixel(request, on: device) else { return natural }
    let multiple = own.leastCommonMultiple(with: wanted.multiple)
    let rowBytes = (request.widestRow + multiple - 1) / multiple * multiple
    if let made = try? create(request, rowBytes: rowBytes, operation), made.pitch.isMultiple(of: wanted.multiple) {
      return made
    }
    // The driver has its own mind, and the importer may take it all the same.
    return natural
  }

  /// The end of a sentence about dumb buffers that a render node was asked for (`drm_ioctl_permit`).
  static let renderNodeHasNone =
    "which only a primary node makes (EACCES on a render node): make the device's /dev/dri/card* visible here"

  private func create(
    _ request: AllocationRequest, rowBytes: Int, _ operation: PrimeError.Operation
  ) throws(PrimeError) -> Made {
    let elementBytes = request.format.planes[0].bytesPerElement
    let width = try PrimeError.word(
      (rowBytes + elementBytes - 1) / elementBytes, of: "\(request.size)", operation, on: device.subject)
    let height = try PrimeError.word(request.stackedRows, of: "\(request.size)", operation, on: device.subject)
    let answer = device.kernel.createDumb(
      device.rawDescriptor, width: width, height: height, bitsPerPixel: UInt32(elementBytes * 8))
    if case .failure(.permissionDenied) = answer, device.node.kind == .render {
      throw .untestable(
        operation, on: device.subject, reason: "it was asked for a dumb buffer, " + Self.renderNodeHasNone)
    }
    let created = try answer.orThrow(
      operation, on: device.subject,
      reason: "its driver makes no dumb buffer of \(width)x\(height) with \(elementBytes * 8) bits a pixel")
    return Made(
      handle: GEMHandle(adopting: created.handle, of: device), pitch: Int(created.pitch), byteCount: created.byteCount)
  }
}

/// The distance from row to row that an importer gives its own buffers, which others are allocated with for it.
///
/// A display that is handed another one refuses it at `AddFB2`: mxsfb and lcdif take no pitch but that of the width, i915
/// wants multiples of 64 bytes and amdgpu of 256.
public struct ImporterPitch: Hashable, Sendable {
  /// Of its own buffer of the same size and format, in bytes.
  public let own: Int
  /// What it rounds to, in bytes: the pitch of a row of one pixel.
  public let multiple: Int

  /// States a pitch.
  public init(own: Int, multiple: Int) {
    self.own = own
    self.multiple = max(1, multiple)
  }

  /// Asks an importer for the pitch of a dumb buffer of its own; nil where its driver makes none, or not on this node.
  ///
  /// - Throws: `DRM_IOCTL_MODE_CREATE_DUMB` where it failed with what is no such answer.
  public init?(for request: AllocationRequest, on importer: Device) throws(PrimeError) {
    guard let own = try Self.pitch(rowBytes: request.widestRow, request, on: importer),
      let multiple = try Self.roundedPixel(request, on: importer)
    else { return nil }
    self.init(own: own, multiple: multiple)
  }

  static func roundedPixel(_ request: AllocationRequest, on device: Device) throws(PrimeError) -> Int? {
    try pitch(rowBytes: request.format.planes[0].bytesPerElement, request, on: device)
  }

  /// The pitch of a dumb buffer of few rows, whose handle is closed at once.
  private static func pitch(
    rowBytes: Int, _ request: AllocationRequest, on device: Device
  ) throws(PrimeError) -> Int? {
    let elementBytes = request.format.planes[0].bytesPerElement
    guard let width = UInt32(exactly: (rowBytes + elementBytes - 1) / elementBytes) else { return nil }
    let answer = device.kernel.createDumb(
      device.rawDescriptor, width: width, height: 16, bitsPerPixel: UInt32(elementBytes * 8))
    if case .failure(let errno) = answer, declines.contains(errno) { return nil }
    let made = try answer.orThrow("DRM_IOCTL_MODE_CREATE_DUMB", on: device.subject)
    _ = GEMHandle(adopting: made.handle, of: device)
    return Int(made.pitch)
  }

  /// No dumb buffers (ENOSYS), none on a render node (EACCES), or none of that size or depth.
  private static let declines: Set<Errno> = [
    .notImplemented, .notSupported, .notATerminal, .permissionDenied, .notPermitted, .invalidArgument,
  ]
}

extension Int {
  fileprivate func leastCommonMultiple(with other: Int) -> Int {
    var (larger, smaller) = (self, other)
    while smaller != 0 { (larger, smaller) = (smaller, larger % smaller) }
    return self / larger * other
  }
}

extension AllocationRequest {
  /// A buffer of the same exporter beside one that an importer's display was told of: of its format, in rows where that is in
  /// rows, with the pitch that the importer wants.
  package init(
    beside picture: BufferDescription, width: Int, height: Int, on importer: Device
  ) throws(PrimeError) {
    self.init(
      format: picture.layout.format, width: width, height: height,
      modifiers: picture.modifier == .invalid ? nil : [.linear], usage: .linear)
    pitch = try ImporterPitch(for: self, on: importer)
  }

  /// Throws where linear memory has none of the modifiers that were asked for.
  ///
  /// Its bytes could be called anything, but nothing would have arranged them so.
  func requireLinear(_ whatIs: String, operation: PrimeError.Operation, on subject: String) throws(PrimeError) {
    guard let modifiers, !modifiers.contains(.linear) else { return }
    throw .untestable(
      operation, on: subject, reason: "\(whatIs) linear, and linear is not among the modifiers asked for")
  }

  /// The bytes of the widest row of any plane, without what pads it.
  package var widestRow: Int {
    format.planes.map { $0.columns(ofWidth: width) * $0.bytesPerElement }.max() ?? 0
  }

  /// The rows of all planes, one below the other.
  var stackedRows: Int { format.planes.map { $0.rows(ofHeight: height) }.reduce(0, +) }

  /// Lays the planes one below the other at one pitch.
  func stackedLayout(
    pitch: Int, operation: PrimeError.Operation, on subject: String
  ) throws(PrimeError) -> PictureLayout {
    var planes: [PlaneLayout] = []
    var firstRow = 0
    for plane in format.planes {
      planes.append(PlaneLayout(offset: firstRow * pitch, pitch: pitch))
      firstRow += plane.rows(ofHeight: height)
    }
    return try PictureLayout.checked(
      format: format, width: width, height: height, planes: planes, operation: operation, on: subject)
  }

  /// The smallest layout that holds the picture, with an impossible size as an error of the call that was not made.
  package func packedLayout(
    pitchAlignment: Int = 1, operation: PrimeError.Operation, on subject: String
  ) throws(PrimeError) -> PictureLayout {
    do throws(LayoutError) {
      return try PictureLayout.packed(format: format, width: width, height: height, pitchAlignment: pitchAlignment)
    } catch {
      throw PrimeError(operation: operation, finding: .unsuitable, subject: subject, reason: error.description)
    }
  }
}

extension PictureLayout {
  /// The layout that a kernel or library answered, with an impossible one as an error of that call.
  package static func checked(
    format: PixelFormat, width: Int, height: Int, planes: [PlaneLayout], operation: PrimeError.Operation,
    on subject: String
  ) throws(PrimeError) -> PictureLayout {
    do throws(LayoutError) {
      return try PictureLayout(format: format, width: width, height: height, planes: planes)
    } catch {
      throw PrimeError(operation: operation, finding: .broken, subject: subject, reason: error.description)
    }
  }
}
