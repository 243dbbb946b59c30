/// Somebody on the importing side who can look at the buffer.
protocol Observer: AnyObject {
  var name: ObserverName { get }

  /// Looks at the buffer as it is now and examines what is seen.
  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch?

  /// Puts back what it changed to be able to look.
  func close() throws(PrimeError)
}

extension Observer {
  func close() {}
}

/// The importer's own mapping of its handle.
///
/// The kernel grants it only for buffers of the same device.
final class NativeMapObserver: Observer {
  let name = ObserverName.nativeMap
  private let handle: GEMHandle
  private let buffer: DMABuf
  private let layout: PictureLayout

  init(_ buffer: borrowing DMABuf, _ description: BufferDescription, on importer: Device) throws(PrimeError) {
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

/// The importer's Mesa driver, on an open file of its own.
final class GBMMapObserver: Observer {
  let name = ObserverName.gbmMap
  private let imported: GBMBuffer
  private let buffer: DMABuf
  private let layout: PictureLayout

  init(_ buffer: borrowing DMABuf, _ description: BufferDescription, on importer: Device) throws(PrimeError) {
    guard description.layout.planes.count == 1 else {
      throw PrimeError(
        operation: "gbm_bo_map", errno: .notSupported, subject: importer.subject,
        reason: "only formats with one plane are looked at through GBM")
    }
    self.imported = try GBMBuffer(importing: buffer, description, on: GBMDevice(on: importer))
    self.buffer = try buffer.duplicate()
    self.layout = description.layout
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try buffer.bracket(writing: false, deadline: deadline) {
      try imported.read(width: layout.width, height: layout.height) { bytes, pitch in
        let seen = try PictureLayout(
          format: layout.format, width: layout.width, height: layout.height,
          planes: [PlaneLayout(offset: 0, pitch: pitch)])
        return try examination.look(at: bytes, layout: seen, ignoringUnusedBits: false)
      }
    }
  }
}

/// The importer's handle exported again: the same dma-buf by number, and read through it.
final class IdentityObserver: Observer {
  /// No call failed where the two are different buffers.
  static let operation = "identity"
  let name = ObserverName.identity
  private let exported: DMABuf
  private let layout: PictureLayout

  init(
    _ handle: borrowing GEMHandle, of buffer: borrowing DMABuf, _ description: BufferDescription
  ) throws(PrimeError) {
    self.exported = try handle.export(.readWrite)
    self.layout = description.layout
    guard exported.identity == buffer.identity else {
      throw PrimeError(
        operation: Self.operation, errno: .inputOutput, subject: handle.device.subject,
        reason: "the importer's handle is another dma-buf (inode \(exported.identity.inode)) than the one imported "
          + "(inode \(buffer.identity.inode))")
    }
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try exported.read(deadline: deadline) { bytes in
      try examination.look(at: bytes, layout: layout, ignoringUnusedBits: false)
    }
  }
}
