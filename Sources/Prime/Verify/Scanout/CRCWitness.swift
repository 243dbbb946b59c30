internal import Prime

/// The checksum of the CRTC: believed only where a picture drawn on the display device itself has the same, and where it
/// changes with every single row and pixel that is tried.
///
/// A checksum that differs for a picture that differs everywhere has looked at something, and that may be one row.
final class CRCWitness: ScanoutWitness {
  let name = ObserverName.crc
  let target: FramebufferID? = nil
  private let route: DisplayRoute
  private var checksums: PipeCRC?
  /// The sources that were not tried yet.
  private var sources: ArraySlice<String>
  /// Two, so that the one on the screen is never written.
  private let twins: [2 of Twin]
  private var turn = 0
  /// The twin of an overlay whose blending is the engine's to compute; nil where one plane can show the same pixels.
  private let nativeOverlay: Twin?
  private let format: PixelFormat
  private var shown: DisplayPipe.Picture
  private let history: LookHistory
  private var sourceName = PipeCRC.defaultSource
  /// The checksums of every picture that was looked at so far.
  private var seen: Set<[UInt32]> = []
  /// That of the picture on the screen.
  private var last: [UInt32]?
  /// Whether a frame was shown since whose checksum is not known, and may still be on its way.
  private var hasUnseenFrames = false
  /// Whether what is on the screen is the buffer that is looked at, which may be written meanwhile: a frame then holds some of
  /// both pictures.
  private var showsBuffer = true

  /// What `history` knows the present source by.
  private var source: LookHistory.ChecksumSource {
    LookHistory.ChecksumSource(
      pipe: LookHistory.Pipe(of: route), name: sourceName, width: shown.shown.width, height: shown.shown.height,
      format: format.fourcc, isLayered: shown.overlay != nil)
  }

  /// A buffer of the display device's own.
  private final class Twin {
    // The framebuffer goes before the buffer that it wraps.
    let framebuffer: Framebuffer
    private let picture: SharedPicture

    init(on device: Device, _ format: PixelFormat, width: Int, height: Int) throws(PrimeError) {
      let object = try DumbAllocator(device: device).allocate(
        AllocationRequest(format: format, width: width, height: height))
      picture = try object.export(.readWrite)
      framebuffer = try picture.imported(into: device).framebuffer()
    }

    func write(deadline: Deadline, _ fill: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void) throws {
      try picture.write(deadline: deadline, fill)
    }
  }

  /// Starts the checksums of a CRTC that shows something, and allocates buffers of the display device's own.
  ///
  /// An opaque overlay's twin is the composed picture on one plane, which needs a format that holds both; another
  /// overlay's is a second plane, and its checksum then says nothing of how the two were blended.
  init(
    showing picture: DisplayPipe.Picture, _ description: BufferDescription, route: DisplayRoute,
    overlay: (description: BufferDescription, alpha: Int)? = nil, history: LookHistory = LookHistory()
  ) throws(PrimeError) {
    self.route = route
    self.history = history
    sources = try PipeCRC.sources(of: route.device, crtcIndex: route.crtcIndex)[...]
    func twin(_ description: BufferDescription) throws(PrimeError) -> Twin {
      try Twin(
        on: route.device, description.layout.format, width: description.width, height: description.height)
    }
    twins = [try twin(description), try twin(description)]
    if let overlay, overlay.alpha < 255 || Self.rounds(overlay.description.fourcc, description.fourcc) {
      nativeOverlay = try twin(overlay.description)
    } else {
      nativeOverlay = nil
    }
    format = description.layout.format
    shown = picture
    try startNextSource()
  }

  private static func rounds(_ one: Fourcc, _ other: Fourcc) -> Bool {
    ComponentTolerance.conversion(between: one, and: other) != .exact
  }

  /// Whether its twin had the two planes of an overlay, so that their blending was not looked at.
  var hasLayeredTwin: Bool { nativeOverlay != nil }

  /// What is on the screen now.
  func isShowing(_ picture: DisplayPipe.Picture) {
    shown = picture
    hasUnseenFrames = true
    showsBuffer = true
  }

  // MARK: - Sources

  /// Ends the source, which comes before the display goes back to what it showed.
  ///
  /// While one runs, the driver works for each frame: vkms composes every one of them in a queue of high priority, and
  /// where a frame takes longer than the display's period nothing else has the processor.
  func close() {
    checksums = nil
    sources = []
  }

  /// Starts the next source that can be started; throws where none is left.
  private func startNextSource() throws(PrimeError) {
    checksums = nil
    hasUnseenFrames = last != nil
    seen = []
    last = nil
    var failure: PrimeError?
    while let source = sources.popFirst() {
      do throws(PrimeError) {
        checksums = try PipeCRC(of: route.device, crtcIndex: route.crtcIndex, source: source)
        sourceName = source
        return
      } catch {
        guard !error.isBreakage else { throw error }
        failure = failure ?? error
      }
    }
    throw failure ?? objection("none of its sources can be used")
  }

  /// Why nothing can be concluded from the checksums; another source may do better.
  private func objection(_ reason: String) -> PrimeError {
    .untestable(.crc, on: route.device.subject, reason: reason)
  }

  /// How long sources are looked for that can be believed, after the first.
  private static let patience = Duration.seconds(3)

  // MARK: - Looking

  func look(_ expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline) throws -> String? {
    var first: PrimeError?
    let end = Deadline(in: Self.patience, on: route.device.kernel)
    while true {
      do {
        return try compare(expected, on: pipe, deadline: deadline)
      } catch let error as PrimeError where error.operation == .crc && !error.isBreakage {
        let cause = first ?? error
        first = cause
        guard end.remaining > .zero else { throw givingUp(cause) }
        do throws(PrimeError) { try startNextSource() } catch { throw error.isBreakage ? error : givingUp(cause) }
      }
    }
  }

  private func givingUp(_ cause: PrimeError) -> PrimeError {
    history.object(to: source.pipe, cause)
    return cause
  }

  /// Compares the picture on the screen with the same one drawn on the device itself.
  ///
  /// A picture's checksum is known by being unlike that of the picture before it, so that another one is always shown between
  /// two that should be equal.
  private func compare(_ expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline) throws -> String? {
    let imported = try presentChecksum(on: pipe, deadline: deadline)
    let controls = ChecksumControl.all(of: expected, size: shown.shown, format: format)
    let isComplete = !history.isTrusted(source)
    let turn = history.nextTurn(of: source) % controls.count
    for control in isComplete ? controls[...] : controls[turn...turn] {
      try require(control, in: expected, on: pipe, deadline: deadline)
    }
    // The same picture on the same CRTC has the checksum that it had before, and where it has not, it is drawn again.
    if !isComplete, let before = history.checksum(of: expected, from: source), imported.values == before { return nil }
    let twin = try checksum(of: draw(expected, deadline: deadline), on: pipe, deadline: deadline)
    // A source that was steady before is believed to be, unless the two differ.
    if isComplete || imported.values != twin.values {
      _ = try checksum(of: draw(expected.wrong, deadline: deadline), on: pipe, deadline: deadline)
      let again = try checksum(of: shown, on: pipe, deadline: deadline)
      guard imported.values == again.values else {
        throw objection(
          "the CRTC's checksum of one picture is first \(Self.text(imported)) and then \(Self.text(again))")
      }
    }
    history.trust(source)
    guard imported.values != twin.values else {
      history.note(twin.values, of: expected, from: source)
      return nil
    }
    return "the CRTC's checksum \(Self.text(imported)) is not that of the same picture drawn on the device itself, "
      + Self.text(twin)
  }

  /// The checksum of what is on the screen.
  private func presentChecksum(on pipe: DisplayPipe, deadline: Deadline) throws(PrimeError) -> PipeCRC.Entry {
    guard let checksums else { throw objection("none of its sources can be used") }
    // Whatever may still be on its way was seen before, unless frames were shown that nobody looked at.
    if !hasUnseenFrames {
      // Nothing but this was shown since the source was started, or a look's last picture still is.
      let times = last == nil ? 3 : showsBuffer ? 2 : timesOfAPicture
      if last != nil { _ = try pipe.flip(to: shown, deadline: deadline) }
      showsBuffer = true
      if let entry = try checksums.fresh(unlike: seen, times: times, deadline: deadline) { return noted(entry) }
    }
    for _ in 0..<2 { _ = try pipe.flip(to: shown, deadline: deadline) }
    return noted(try checksums.settled(deadline: deadline))
  }

  /// Shows another picture than before and waits for its checksum.
  private func checksum(
    of picture: DisplayPipe.Picture, on pipe: DisplayPipe, deadline: Deadline
  ) throws(PrimeError) -> PipeCRC.Entry {
    guard let last, let entry = try entry(of: picture, unlike: [last], on: pipe, deadline: deadline) else {
      throw objection("the CRTC's checksum does not tell pictures apart, so it proves nothing")
    }
    return entry
  }

  /// Shows a control, whose checksum must be unlike all that were seen.
  private func require(
    _ control: ChecksumControl, in expected: ScanoutExpectation, on pipe: DisplayPipe, deadline: Deadline
  ) throws {
    let picture =
      if let alteration = control.alteration {
        try draw(expected, altering: alteration, deadline: deadline)
      } else {
        try draw(expected.wrong, deadline: deadline)
      }
    guard try entry(of: picture, unlike: seen, on: pipe, deadline: deadline) != nil else {
      throw objection(control.objection)
    }
  }

  private func entry(
    of picture: DisplayPipe.Picture, unlike others: Set<[UInt32]>, on pipe: DisplayPipe, deadline: Deadline
  ) throws(PrimeError) -> PipeCRC.Entry? {
    guard let checksums else { return nil }
    _ = try pipe.flip(to: picture, deadline: deadline)
    showsBuffer = picture.framebuffer == shown.framebuffer
    return try checksums.fresh(unlike: others, times: timesOfAPicture, deadline: deadline).map(noted)
  }

  /// How often the checksum of a picture that nobody writes has to come.
  private var timesOfAPicture: Int { history.isTrusted(source) ? 1 : 2 }

  private func noted(_ entry: PipeCRC.Entry) -> PipeCRC.Entry {
    seen.insert(entry.values)
    last = entry.values
    hasUnseenFrames = false
    return entry
  }

  /// Draws what the screen should show into buffers of the display's own, with a part of it altered where one is named.
  private func draw(
    _ expected: ScanoutExpectation, altering alteration: ContentAlteration? = nil, deadline: Deadline
  ) throws -> DisplayPipe.Picture {
    guard let nativeOverlay, let layers = expected.layers else {
      return try draw(expected.content, altering: alteration, deadline: deadline)
    }
    var picture = try draw(layers.base, altering: alteration, deadline: deadline)
    try nativeOverlay.write(deadline: deadline) { bytes, layout in try layers.overlay.fill(&bytes, layout: layout) }
    picture.overlay = shown.overlay
    picture.overlay?.framebuffer = nativeOverlay.framebuffer.id
    return picture
  }

  /// Draws one plane.
  private func draw(
    _ content: PictureContent, altering alteration: ContentAlteration? = nil, deadline: Deadline
  ) throws -> DisplayPipe.Picture {
    turn = 1 - turn
    try twins[turn].write(deadline: deadline) { bytes, layout in
      try content.fill(&bytes, layout: layout, altering: alteration)
    }
    var picture = shown
    picture.framebuffer = twins[turn].framebuffer.id
    picture.overlay = nil
    return picture
  }

  private static func text(_ entry: PipeCRC.Entry) -> String {
    entry.values.map { "0x" + hexadecimal(UInt64($0), digits: 8) }.joined(separator: " ")
  }
}

/// A picture that differs from the expected one in a small part.
struct ChecksumControl {
  /// Nil for the expectation's own wrong picture.
  let alteration: ContentAlteration?
  /// What is said where the checksum does not change with it.
  let objection: String

  /// The expectation's own wrong picture.
  private init() {
    alteration = nil
    objection = "the CRTC's checksum does not tell pictures apart, so it proves nothing"
  }

  private init(_ alteration: ContentAlteration) {
    self.alteration = alteration
    let name =
      switch alteration {
      case .everything: "the whole picture"
      case .row(let y): "row \(y) alone"
      case .element(let x, let y, nil): "the pixel (\(x),\(y)) alone"
      case .element(let x, let y, let channel?): "the \(channel.rawValue) of the pixel (\(x),\(y)) alone"
      case .exchangedElements(let one, let other, let y): "the pixels (\(one),\(y)) and (\(other),\(y)) exchanged"
      case .exchangedRows(let one, let other): "the rows \(one) and \(other) exchanged"
      }
    objection = "the CRTC's checksum does not change with \(name), so it does not cover the picture"
  }

  /// The wrong picture, an even and an odd row, the four corners, in which each component has its turn, a pixel within, and
  /// the same pixels in another order.
  ///
  /// A pixel that is told tells its row as well, so that the corners stand for the first and the last row. The places
  /// between are the content's own, others in each run. With an overlay on a plane of its own, which may cover pixels, rows
  /// must do.
  static func all(
    of expected: ScanoutExpectation, size: (width: Int, height: Int), format: PixelFormat
  ) -> [ChecksumControl] {
    let (right, bottom) = (size.width - 1, size.height - 1)
    let inner = max(1, size.height - 2)
    let chance = place(in: expected.content)
    let even = min(bottom, 1 + chance % inner) & ~1
    let odd = (1 + chance / 7 % inner) | 1
    let rows: [ContentAlteration] = [.row(even), .row(odd <= bottom ? odd : max(0, odd - 2))]
    if let layers = expected.layers {
      let exchanges = layers.base.exchanges(size: size, format: format, from: chance).filter { exchange in
        if case .exchangedRows = exchange { true } else { false }
      }
      return [ChecksumControl()] + ([.row(0), .row(bottom)] + rows + exchanges).map { ChecksumControl($0) }
    }
    let pixels: [ContentAlteration] = [
      .element(x: 0, y: 0, .red), .element(x: right, y: 0, .green), .element(x: 0, y: bottom, .blue),
      .element(x: right, y: bottom), .element(x: chance / 3 % size.width, y: chance / 11 % size.height),
    ]
    let exchanges = expected.content.exchanges(size: size, format: format, from: chance / 5)
    return [ChecksumControl()] + (rows + pixels + exchanges).map { ChecksumControl($0) }
  }

  private static func place(in content: PictureContent) -> Int {
    guard case .pattern(let pattern) = content else { return 0x5eed }
    return Int(truncatingIfNeeded: pattern.rowKey(plane: 0, y: 0) >> 32) & 0xfff_ffff
  }
}
