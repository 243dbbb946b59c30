internal import Prime

/// Somebody on the importing side who can look at the buffer.
protocol Observer: AnyObject {
  var name: ObserverName { get }

  /// Whether what it has seen so far shows what the importing device can read, not only what it holds.
  var isProof: Bool { get }

  /// Why that is not so, in a sentence, where there is more to say than its name does.
  var objection: String? { get }

  /// What a display engine was given; nil for an observer that is none.
  var showing: Showing? { get }

  /// Whether it looks through another program, which may end at any moment: that costs its look and not the check.
  var isOutside: Bool { get }

  /// Looks at the buffer as it is now and examines what is seen.
  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch?

  /// Puts back what it changed to be able to look.
  func close() throws(PrimeError)
}

extension Observer {
  var isProof: Bool { true }
  var objection: String? { nil }
  var isOutside: Bool { false }
  var showing: Showing? { nil }
  func close() {}
}

/// The importer's own mapping of its handle, where the buffer is the importing device's own.
///
/// For a buffer of another device it shows nothing: `drm_gem_dumb_map_offset` refuses it, and drivers with a rule of their
/// own hand it to the exporter's mapping (vmwgfx, nvidia-drm) or fault when it is touched (TTM).
final class NativeMapObserver: Observer {
  let name = ObserverName.nativeMap
  private let handle: GEMHandle
  private let buffer: DMABuf
  private let layout: PictureLayout

  /// - Throws: an untestable `native-map` where the exporter is another device, or is not known.
  init(
    _ buffer: borrowing DMABuf, _ description: BufferDescription, on importer: Device, from exporter: DeviceIdentity?
  ) throws(PrimeError) {
    guard let exporter, exporter.isSameDevice(as: importer.identity) else {
      throw .untestable(
        .nativeMap, on: importer.subject,
        reason: exporter == nil
          ? "nothing says that the buffer is this device's own, and its mapping of another's would be the exporter's view"
          : "the buffer is another device's, and a mapping of that is at best the exporter's own")
    }
    self.handle = try GEMHandle(importing: buffer, into: importer)
    self.buffer = try buffer.duplicate()
    self.layout = description.layout
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    let mapping = try handle.mapThroughDevice(byteCount: buffer.byteCount, writable: false)
    return try buffer.bracket(writing: false, deadline: deadline) {
      try mapping.withSpan(of: UInt8.self) { bytes in
        try examination.look(at: bytes, layout: layout, ignoringUnusedBits: false)
      }
    }
  }

  /// Writes a pattern from the importer's side.
  func write(_ pattern: Pattern, deadline: Deadline) throws {
    var mapping = try handle.mapThroughDevice(byteCount: buffer.byteCount, writable: true)
    try buffer.bracket(writing: true, deadline: deadline) {
      try mapping.withMutableSpan(of: UInt8.self) { bytes in try pattern.fill(&bytes, layout: layout) }
    }
  }
}

/// The importer's handle exported again: the same dma-buf by number, and read through it.
final class IdentityObserver: Observer {
  let name = ObserverName.identity
  let isProof = false
  private let exported: DMABuf
  private let layout: PictureLayout

  init(
    _ handle: borrowing GEMHandle, of buffer: borrowing DMABuf, _ description: BufferDescription
  ) throws(PrimeError) {
    self.exported = try handle.export(.readWrite)
    self.layout = description.layout
    try Self.check(exported, is: buffer, on: handle.device)
  }

  /// Exports a handle again.
  ///
  /// - Throws: `identity` where it is another dma-buf than the one that was imported.
  static func check(_ handle: borrowing GEMHandle, is buffer: borrowing DMABuf) throws(PrimeError) {
    let exported = try handle.export(.readWrite)
    try check(exported, is: buffer, on: handle.device)
  }

  private static func check(
    _ exported: borrowing DMABuf, is buffer: borrowing DMABuf, on importer: Device
  ) throws(PrimeError) {
    guard exported.identity != buffer.identity else { return }
    throw PrimeError(
      operation: .identity, finding: .broken, subject: importer.subject,
      reason: "the importer's handle is another dma-buf (inode \(exported.identity.inode)) than the one imported "
        + "(inode \(buffer.identity.inode))")
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try exported.read(deadline: deadline) { bytes in
      try examination.look(at: bytes, layout: layout, ignoringUnusedBits: false)
    }
  }
}
