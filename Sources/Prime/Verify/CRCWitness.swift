/// The checksum of the CRTC: believed only where a picture drawn on the display device itself has the same, and another
/// picture has another.
final class CRCWitness: ScanoutWitness {
  let name = ObserverName.crc
  let target: UInt32? = nil
  private let checksums: PipeCRC
  private let native: Twin
  /// The twin of an overlay whose blending is the engine's to compute; nil where one plane can show the same pixels.
  private let nativeOverlay: Twin?
  private var shown: DisplayPipe.Picture

  /// A buffer of the display device's own.
  private final class Twin {
    // The framebuffer goes before the buffer that it wraps.
    let framebuffer: Framebuffer
    private let buffer: DMABuf
    private let layout: PictureLayout

    init(on device: Device, _ format: PixelFormat, width: Int, height: Int) throws(PrimeError) {
      let object = try DumbAllocator(device: device).allocate(
        AllocationRequest(format: format, width: width, height: height))
      buffer = try object.export(.readWrite)
      framebuffer = try Framebuffer(GEMHandle(importing: buffer, into: device), object.description)
      layout = object.description.layout
    }

    func write(deadline: Deadline, _ fill: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void) throws {
      try buffer.write(deadline: deadline) { bytes in try fill(&bytes, layout) }
    }
  }

  /// Starts the checksums of a CRTC that shows something, and allocates buffers of the display device's own.
  ///
  /// An opaque overlay's twin is the composed picture on one plane, which needs a format that holds both; another
  /// overlay's is a second plane, and its checksum then says nothing of how the two were blended.
  init(
    showing picture: DisplayPipe.Picture, _ description: BufferDescription, route: DisplayRoute,
    overlay: (description: BufferDescription, alpha: Int)? = nil
  ) throws(PrimeError) {
    checksums = try PipeCRC(of: route.device, crtcIndex: route.crtcIndex)
    native = try Twin(
      on: route.device, description.layout.format, width: description.width, height: description.height)
    if let overlay, overlay.alpha < 255 || Self.rounds(overlay.description.fourcc, description.fourcc) {
      nativeOverlay = try Twin(
        on: route.device, overlay.description.layout.format, width: overlay.description.width,
        height: overlay.description.height)
    } else {
      nativeOverlay = nil
    }
    shown = picture
  }

  private static func rounds(_ one: Fourcc, _ other: Fourcc) -> Bool {
    ComponentTolerance.conversion(between: one, and: other) != .exact
  }

  /// Whether its twin had the two planes of an overlay, so that their blending was not looked at.
  var hasLayeredTwin: Bool { nativeOverlay != nil }

  /// What is on the screen now.
  func isShowing(_ picture: DisplayPipe.Picture) {
    shown = picture
  }

  func look(_ expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline) throws -> String? {
    let imported = try checksum(of: shown, on: pipe, deadline: deadline)
    let twin: PipeCRC.Entry
    if let nativeOverlay, let layers = expected.layers {
      try nativeOverlay.write(deadline: deadline) { bytes, layout in try layers.overlay.fill(&bytes, layout: layout) }
      twin = try checksum(of: layers.base, below: nativeOverlay, on: pipe, deadline: deadline)
    } else {
      twin = try checksum(of: expected.content, on: pipe, deadline: deadline)
    }
    let other = try checksum(of: expected.wrong, on: pipe, deadline: deadline)
    let again = try checksum(of: shown, on: pipe, deadline: deadline)
    guard other.values != twin.values, imported.values == again.values else {
      throw PrimeError(
        operation: "control", errno: .inputOutput, subject: pipe.route.device.subject,
        reason: "the CRTC's checksum does not tell pictures apart, so it proves nothing: \(Self.text(imported)), "
          + "the same picture drawn here \(Self.text(twin)), another \(Self.text(other)), the first again "
          + Self.text(again))
    }
    guard imported.values != twin.values else { return nil }
    return "the CRTC's checksum \(Self.text(imported)) is not that of the same picture drawn on the device itself, "
      + Self.text(twin)
  }

  private func checksum(
    of content: PictureContent, below overlay: Twin? = nil, on pipe: DisplayPipe, deadline: Deadline
  ) throws -> PipeCRC.Entry {
    try native.write(deadline: deadline) { bytes, layout in try content.fill(&bytes, layout: layout) }
    var picture = shown
    picture.framebuffer = native.framebuffer.id
    if let overlay { picture.overlay?.framebuffer = overlay.framebuffer.id } else { picture.overlay = nil }
    return try checksum(of: picture, on: pipe, deadline: deadline)
  }

  /// Shows a picture and waits until its checksum can be no other's.
  private func checksum(
    of picture: DisplayPipe.Picture, on pipe: DisplayPipe, deadline: Deadline
  ) throws(PrimeError) -> PipeCRC.Entry {
    for _ in 0..<2 { _ = try pipe.flip(to: picture, deadline: deadline) }
    return try checksums.settled(deadline: deadline)
  }

  private static func text(_ entry: PipeCRC.Entry) -> String {
    entry.values.map { "0x" + hexadecimal(UInt64($0), digits: 8) }.joined(separator: " ")
  }
}
