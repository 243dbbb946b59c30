internal import Prime

/// The importer's display engine, which fetches a picture of luma and chroma, makes colours of it and writes those back.
///
/// The colours are computed here too, by the encoding and range that the plane is told. What differs by more than the rounding of
/// both is no picture that arrived: a shift of the chroma by one sample changes nearly every pixel by more.
final class PlanarWritebackObserver: WritebackLooker {
  let name = ObserverName.writeback
  // Destroyed in this order: the display goes back to what it showed before its framebuffers are removed.
  private let pipeline: WritebackPipeline
  private let picture: Framebuffer
  private let target: Framebuffer
  private let shared: SharedPicture
  private let targetPicture: SharedPicture
  private let mode: DisplayMode
  private let comparison: YCbCrLook
  let showing: Showing?

  init(
    _ imported: borrowing ImportedPicture, of shared: borrowing SharedPicture,
    targetOtherwiseFrom allocator: any Allocator
  ) throws(PrimeError) {
    let importer = imported.device
    let pipeline = try WritebackPipeline(on: importer)
    let (route, description) = (pipeline.route, shared.description)
    func unavailable(_ reason: String) -> PrimeError {
      .untestable(.writeback, on: importer.subject, reason: reason)
    }
    if let objection = route.formats.objection(to: description.fourcc, description.modifier, plane: route.planeID) {
      throw unavailable(objection)
    }
    guard route.targetFormats.contains(.xrgb8888) else {
      throw unavailable("its display engine does not write XRGB8888 back")
    }
    guard description.layout.format.lumaChroma != nil else {
      throw unavailable("\(description.fourcc) has no luma and chroma in planes of their own")
    }
    guard let told = route.colourModel, let encoding = YCbCrConversion.Encoding(rawValue: told.encoding),
      let range = YCbCrConversion.Range(rawValue: told.range)
    else {
      throw unavailable("its plane does not say by which encoding and range it makes colours of luma and chroma")
    }
    guard route.widths.contains(description.width), route.heights.contains(description.height) else {
      throw unavailable(
        "\(description.size) is no size of its framebuffers, which go from \(route.widths.lowerBound)x"
          + "\(route.heights.lowerBound) to \(route.widths.upperBound)x\(route.heights.upperBound)")
    }
    let request = try AllocationRequest(
      beside: BufferDescription(
        layout: try AllocationRequest(format: .xrgb8888, size: description.size)
          .packedLayout(operation: .writeback, on: importer.subject), modifier: .linear),
      width: description.width, height: description.height, on: importer)
    try MemoryBudget.check(
      description.width * description.height * 4, operation: .writeback, on: importer.subject, by: importer.kernel)
    let made = try WritebackTarget(request, on: importer, otherwise: allocator)
    targetPicture = try made.picture.duplicate()
    guard !shared.identities.contains(targetPicture.first.identity) else {
      throw WritebackObserver.sharesMemory(importer.subject, "its target is a dma-buf of the picture")
    }
    guard Set(shared.identities).count == shared.bufferCount else {
      throw WritebackObserver.sharesMemory(importer.subject, "the exporter gives one dma-buf for two planes")
    }
    target = try targetPicture.imported(into: importer).framebuffer()
    picture = try imported.framebuffer()
    mode = try DisplayMode.withoutWire(width: description.width, height: description.height)
    comparison = YCbCrLook(
      conversion: YCbCrConversion(encoding, range), picture: description.layout, target: targetPicture.layout)
    showing = Showing(description, as: description.fourcc, on: route)
    self.shared = try shared.duplicate()
    self.pipeline = pipeline
  }

  /// How the colours were computed: `BT.601 limited, within 3 of 255`.
  var conversion: String { "\(comparison.conversion), within \(YCbCrConversion.tolerance) of 255" }

  var targetInode: UInt64 { targetPicture.first.identity.inode }

  var lostWritebacks: Int { pipeline.lostWritebacks }

  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    let wasIntact = try isIntact(examination, deadline: deadline)
    try targetPicture.write(deadline: deadline) { bytes, _ in
      try comparison.spoil(&bytes, before: examination.expected)
    }
    // Two dma-bufs may still be one memory.
    if try wasIntact && !isIntact(examination, deadline: deadline) {
      throw WritebackObserver.sharesMemory(pipeline.device.subject, "writing to the one changed the other")
    }
    try pipeline.capture(picture, shown: comparison.target.size, into: target, mode: mode, deadline: deadline)
    let complaint = try targetPicture.read(deadline: deadline) { bytes, _ in
      try comparison.complaint(about: bytes, examination)
    }
    guard let complaint else { return nil }
    throw Stop(verdict: .mismatch, reason: "writeback on \(pipeline.device.subject): \(complaint)")
  }

  private func isIntact(_ examination: Examination, deadline: Deadline) throws -> Bool {
    try shared.read(deadline: deadline) { bytes, layout in
      try examination.expected.matches(bytes, layout: layout, ignoringUnusedBits: false)
    }
  }

  func close() throws(PrimeError) { try pipeline.close() }
}
