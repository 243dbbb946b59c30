internal import Prime

/// The importer's Mesa driver, on an open file of its own.
///
/// It is a proof only where its map is shown to be a copy that the device made: of many drivers `gbm_bo_map` of an import is
/// the exporter's own mapping (v3d, panfrost, etnaviv, lima for linear buffers), identity under another name.
final class GBMMapObserver: Observer {
  let name = ObserverName.gbmMap
  // The view goes before the buffer object that it shows.
  private var view: GBMView?
  private let imported: GBMBuffer
  private let buffer: DMABuf
  private let layout: PictureLayout
  /// Who looks, and what is known of its map so far.
  private(set) var driver: GBMDriver

  /// - Throws: an untestable `gbm_bo_map` where the importer does not render: Mesa would look with the processor, or with
  ///   another device that it allocates for such a display (kmsro), and neither says anything of this one; where the importer
  ///   has two copies, since Mesa renews the one that was written from the one that was not, and shows that.
  init(_ picture: borrowing SharedPicture, on importer: Device) throws(PrimeError) {
    guard picture.layout.planes.count == 1 else {
      throw .untestable(
        "gbm_bo_map", on: importer.subject, reason: "only formats with one plane are looked at through GBM")
    }
    guard importer.identity.hasRenderNode(by: importer.kernel) != false else {
      throw .untestable(
        "gbm_bo_map", on: importer.subject, reason: "it has no render node, so no Mesa driver reads the buffer with it")
    }
    guard !TwoCopies.areKept(by: importer) else {
      throw .untestable(
        "gbm_bo_map", on: importer.subject,
        reason: "it has two copies of its buffer, and Mesa would write the GPU's over what the CPU wrote")
    }
    let device = try GBMDevice(on: importer)
    self.driver = GBMDriver(on: device)
    self.imported = try GBMBuffer(importing: picture, on: device)
    self.buffer = try picture.first.duplicate()
    self.layout = picture.layout
  }

  var isProof: Bool { driver.isProof }

  var objection: String? { driver.objection }

  /// Looks at the map that is still open first, then through a new one, which stays open for the next look.
  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    try buffer.bracket(writing: false, deadline: deadline) {
      if let view = view.take() {
        driver.view = try view.read { bytes, pitch in try kind(of: bytes, pitch: pitch, examination) }
      }
      let fresh = try imported.map(width: layout.width, height: layout.height)
      let mismatch = try fresh.read { bytes, pitch in
        try examination.look(at: bytes, layout: seen(pitch), ignoringUnusedBits: false)
      }
      view = consume fresh
      return mismatch
    }
  }

  /// What a map is that was made before `examination.expected` was written.
  private func kind(of bytes: Span<UInt8>, pitch: Int, _ examination: Examination) throws -> GBMDriver.View? {
    let layout = try seen(pitch)
    if try examination.expected.matches(bytes, layout: layout, ignoringUnusedBits: false) { return .mapping }
    let showsEarlier = try examination.earlier.contains {
      try $0.matches(bytes, layout: layout, ignoringUnusedBits: false)
    }
    // Neither: what it is cannot be said, and what cannot be said proves nothing.
    return showsEarlier ? .copy : nil
  }

  private func seen(_ pitch: Int) throws(LayoutError) -> PictureLayout {
    try PictureLayout(
      format: layout.format, width: layout.width, height: layout.height,
      planes: [PlaneLayout(offset: 0, pitch: pitch)])
  }
}
