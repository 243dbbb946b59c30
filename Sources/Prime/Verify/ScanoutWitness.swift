/// Somebody who sees what a display engine fetched for a frame.
protocol ScanoutWitness: AnyObject {
  var name: ObserverName { get }

  /// The framebuffer that the display engine is to write into, nil for a witness that looks from elsewhere.
  var target: UInt32? { get }

  /// What is wrong with the frame on the screen, nil where it is what the content says; compares it with `wrong` too.
  func look(_ content: PictureContent, wrong: PictureContent, on pipe: DisplayPipe, deadline: Deadline) throws
    -> String?
}

/// The display engine itself, through a writeback connector, into a second buffer of the exporter.
final class WritebackWitness: ScanoutWitness {
  let name = ObserverName.writeback
  // The framebuffer goes before the buffer that it wraps.
  private let framebuffer: Framebuffer
  private let buffer: DMABuf
  private let layout: PictureLayout
  private let tolerance: ComponentTolerance

  /// Allocates the second buffer from the same exporter, so that the way back from the device is shown with it.
  ///
  /// It has the picture's own format where the connector writes that without rounding, else XRGB8888.
  init(
    _ description: BufferDescription, targetFrom allocator: any Allocator, route: DisplayRoute
  ) throws(PrimeError) {
    let device = route.device
    let wide: [Fourcc] = [.xrgb16161616, .argb16161616]
    let fourcc =
      wide.contains(description.fourcc) && route.targetFormats.contains(.xrgb16161616)
      ? Fourcc.xrgb16161616 : .xrgb8888
    guard route.targetFormats.contains(fourcc), let format = PixelFormat(fourcc),
      let tolerance = ComponentTolerance.conversion(between: description.fourcc, and: fourcc)
    else {
      throw PrimeError(
        operation: "writeback", errno: .notSupported, subject: device.subject,
        reason: "\(route.connector.name) writes no format that \(description.fourcc) can be compared in")
    }
    let object = try allocator.allocate(
      AllocationRequest(format: format, width: description.width, height: description.height))
    buffer = try object.export(.readWrite)
    let handle = try GEMHandle(importing: buffer, into: device)
    framebuffer = try Framebuffer(handle, object.description)
    layout = object.description.layout
    self.tolerance = tolerance
  }

  var target: UInt32? { framebuffer.id }

  /// The largest difference of a component that is allowed, in steps of an eight-bit component.
  var allowance: Int { tolerance.eightBitSteps }

  func look(
    _ content: PictureContent, wrong: PictureContent, on pipe: DisplayPipe, deadline: Deadline
  ) throws -> String? {
    try buffer.read(deadline: deadline) { bytes in
      if let difference = try content.compare(bytes, layout: layout, tolerance: tolerance) {
        return difference.sentence
      }
      guard try !wrong.matches(bytes, layout: layout, tolerance: tolerance) else {
        throw PrimeError(
          operation: "control", errno: .inputOutput, subject: pipe.route.device.subject,
          reason: "the written picture also matches content that was never shown, so this comparison proves nothing")
      }
      return nil
    }
  }

  /// The picture that was written last.
  func picture(deadline: Deadline) throws -> RGBImage {
    try buffer.read(deadline: deadline) { bytes in try RGBImage(decoding: bytes, layout: layout) }
  }
}

/// The checksum of the CRTC: believed only where a picture drawn on the display device itself has the same, and another
/// picture has another.
final class CRCWitness: ScanoutWitness {
  let name = ObserverName.crc
  let target: UInt32? = nil
  private let checksums: PipeCRC
  // The framebuffer goes before the buffer that it wraps.
  private let framebuffer: Framebuffer
  private let native: DMABuf
  private let layout: PictureLayout
  private var shown: DisplayPipe.Picture

  /// Starts the checksums of a CRTC that shows something, and allocates a buffer of the display device's own.
  init(
    showing picture: DisplayPipe.Picture, _ description: BufferDescription, route: DisplayRoute
  ) throws(PrimeError) {
    checksums = try PipeCRC(of: route.device, crtcIndex: route.crtcIndex)
    let object = try DumbAllocator(device: route.device).allocate(
      AllocationRequest(format: description.layout.format, width: description.width, height: description.height))
    native = try object.export(.readWrite)
    framebuffer = try Framebuffer(GEMHandle(importing: native, into: route.device), object.description)
    layout = object.description.layout
    shown = picture
  }

  /// Which framebuffer is on the screen now.
  func isShowing(_ picture: DisplayPipe.Picture) {
    shown = picture
  }

  func look(
    _ content: PictureContent, wrong: PictureContent, on pipe: DisplayPipe, deadline: Deadline
  ) throws -> String? {
    let imported = try checksum(of: shown, on: pipe, deadline: deadline)
    let twin = try checksum(of: content, on: pipe, deadline: deadline)
    let other = try checksum(of: wrong, on: pipe, deadline: deadline)
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
    of content: PictureContent, on pipe: DisplayPipe, deadline: Deadline
  ) throws -> PipeCRC.Entry {
    try native.write(deadline: deadline) { bytes in try content.fill(&bytes, layout: layout) }
    var picture = shown
    picture.framebuffer = framebuffer.id
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

extension PictureContent {
  /// Whether memory holds the content; for a pattern this stops at the first row that it does not.
  fileprivate func matches(
    _ bytes: Span<UInt8>, layout: PictureLayout, tolerance: ComponentTolerance
  ) throws -> Bool {
    if case .pattern(let pattern) = self { return try pattern.matches(bytes, layout: layout, ignoringUnusedBits: true) }
    return try compare(bytes, layout: layout, tolerance: tolerance) == nil
  }
}
