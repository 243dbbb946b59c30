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
  private let imported: ImportedPicture
  private let picture: SharedPicture

  /// - Throws: an untestable `native-map` where the exporter is another device, or is not known.
  init(
    _ picture: borrowing SharedPicture, on importer: Device, from exporter: DeviceIdentity?
  ) throws(PrimeError) {
    guard let exporter, exporter.isSameDevice(as: importer.identity) else {
      throw .untestable(
        .nativeMap, on: importer.subject,
        reason: exporter == nil
          ? "nothing says that the buffer is this device's own, and its mapping of another's would be the exporter's view"
          : "the buffer is another device's, and a mapping of that is at best the exporter's own")
    }
    self.imported = try picture.imported(into: importer)
    self.picture = try picture.duplicate()
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try imported.readThroughDevice(picture, deadline: deadline) { bytes, layout in
      try examination.look(at: bytes, layout: layout, ignoringUnusedBits: false)
    }
  }

  /// Writes a pattern from the importer's side.
  func write(_ pattern: Pattern, deadline: Deadline) throws {
    try imported.writeThroughDevice(picture, deadline: deadline) { bytes, layout in
      try pattern.fill(&bytes, layout: layout)
    }
  }
}

/// The importer's handle exported again: the same dma-buf by number, and read through it.
final class IdentityObserver: Observer {
  let name = ObserverName.identity
  let isProof = false
  private let exported: SharedPicture

  init(_ imported: borrowing ImportedPicture, of picture: borrowing SharedPicture) throws(PrimeError) {
    self.exported = try Self.exportedAgain(imported, of: picture)
  }

  /// Exports the handles again.
  ///
  /// - Throws: `identity` where one is another dma-buf than the one that was imported.
  static func exportedAgain(
    _ imported: borrowing ImportedPicture, of picture: borrowing SharedPicture
  ) throws(PrimeError) -> SharedPicture {
    let exported = try imported.export(.readWrite)
    for (again, given) in zip(exported.identities, picture.identities) where again != given {
      throw PrimeError(
        operation: .identity, finding: .broken, subject: imported.device.subject,
        reason: "the importer's handle is another dma-buf (inode \(again.inode)) than the one imported "
          + "(inode \(given.inode))")
    }
    return exported
  }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try exported.examine(examination, deadline: deadline)
  }
}
