internal import Prime

/// A display engine as the reader of a statement's buffers: it fetches them, and writes or sums up what it fetched.
///
/// What it is asked and what it answers goes through the probe, so that a control can alter it. It puts the display back.
final class ScanoutFixture {
  /// A buffer as a framebuffer of the display, with the exporter's own mapping of it.
  struct Picture {
    var buffer: ProbeBuffer
    var mapping: ProbeMapping
    /// The handle on the display's open file.
    var handle: UInt32
    var framebuffer: UInt32
  }

  private let check: Check
  private let device: Device
  private let pipe: DisplayPipe
  private let mode: DisplayMode
  /// Bounds each look; many frames also where the processor is emulated.
  private static let patience = Duration.seconds(10)

  private var route: DisplayRoute { pipe.route }

  /// Width of the mode and of every picture, in pixels.
  var width: Int { mode.width }
  /// Height of the mode and of every picture, in pixels.
  var height: Int { mode.height }

  /// Becomes master of the subject's display and finds the way to its writeback connector, or to its first display.
  ///
  /// Writeback connectors take any size, so that pictures are as small as framebuffers may be, or 64x64.
  init(_ check: Check, to choice: DisplayRoute.Choice) throws {
    guard let node = check.subject.device?.primary else { throw Statement.Stop.broken("this subject is no display") }
    self.check = check
    let route: DisplayRoute
    do throws(PrimeError) {
      device = try Device.open(node)
      // The kernel looks at a wire only for the master.
      try device.becomeMaster()
      route = try DisplayRoute(on: device, to: choice)
    } catch {
      let lacksDisplay = error.finding == .unsupported
      throw lacksDisplay ? Statement.Stop.skipped("\(error)") : Statement.Stop.broken("\(error)")
    }
    guard route.formats.formats.contains(.xrgb8888) else {
      throw Statement.Stop.skipped("\(check.subject.name) does not show XRGB8888")
    }
    if choice == .writeback {
      guard route.targetFormats.contains(.xrgb8888) else {
        throw Statement.Stop.skipped("\(check.subject.name) does not write XRGB8888 back")
      }
      mode = try DisplayMode.withoutWire(
        width: max(64, route.widths.lowerBound), height: max(64, route.heights.lowerBound))
    } else {
      let smallest = route.modes.min { $0.width * $0.height < $1.width * $1.height }
      guard !route.connector.isWriteback, let smallest else {
        throw Statement.Stop.skipped("no display is connected to \(check.subject.name)")
      }
      mode = smallest
    }
    pipe = try DisplayPipe(route)
  }

  /// Puts the display back to what it showed.
  func close() throws {
    try pipe.close()
  }

  // MARK: - Pictures

  /// A picture of the subject's exporter, imported by the display.
  ///
  /// Where it lies in many pieces and the display takes one piece alone, there is none to show.
  func foreignPicture() throws(Statement.Stop) -> Picture {
    let buffer = try check.buffer(width: UInt32(width), height: UInt32(height))
    guard !check.isRefusedForItsPieces(buffer) else {
      throw .skipped(
        "\(check.subject.name): the display takes a page, and refuses a picture of \(width)x\(height) "
          + "with EINVAL, as it may where it needs one contiguous piece")
    }
    guard !check.isTooLargeToBounce(buffer) else {
      throw .skipped(
        "\(check.subject.name): a picture of \(width)x\(height) has a piece of more than \(BounceBuffer.largestPiece) bytes, "
          + "which no bounce buffer takes (EIO)")
    }
    return try imported(buffer)
  }

  /// A picture of the display device's own.
  func nativePicture() throws(Statement.Stop) -> Picture {
    guard let description = check.subject.device else { throw .broken("this subject is no display") }
    let made = ProbeBuffer.make(
      .dumb(description), with: check.kernel, width: UInt32(width), height: UInt32(height))
    switch made {
    case .success(let buffer): return try imported(buffer)
    case .failure(let errno): throw .broken("\(check.subject.name) makes no dumb buffer: \(errno)")
    }
  }

  private func imported(_ buffer: ProbeBuffer) throws(Statement.Stop) -> Picture {
    let mapping = try check.mapping(of: buffer)
    let handle = try check.expect(check.kernel.primeFDToHandle(device.rawDescriptor, buffer.dmaBuf))
    let framebuffer = try check.expect(self.framebuffer(handle, buffer, height: height))
    return Picture(buffer: buffer, mapping: mapping, handle: handle, framebuffer: framebuffer)
  }

  /// The upper `rows` of a picture as a framebuffer of their own, in any format of at most four bytes a pixel.
  func framebuffer(
    of picture: Picture, rows: Int, _ fourcc: Fourcc = .xrgb8888
  ) -> CallResult<UInt32> {
    framebuffer(picture.handle, picture.buffer, height: rows, fourcc)
  }

  private func framebuffer(
    _ handle: UInt32, _ buffer: ProbeBuffer, height: Int, _ fourcc: Fourcc = .xrgb8888
  ) -> CallResult<UInt32> {
    check.kernel.addFramebuffer(
      device.rawDescriptor,
      ProbeFramebuffer(
        width: UInt32(width), height: UInt32(height), fourcc: fourcc.rawValue, handle: handle, pitch: buffer.pitch))
  }

  /// Pixels that a number repeats, no two of them likely to be the same; the fourth byte of each is nothing's.
  func pixels(_ number: UInt64) -> [UInt8] {
    var generator = SplitMix(state: check.seed &+ number)
    return (0..<width * height).flatMap { _ in
      let pixel = generator.next()
      return [UInt8(truncatingIfNeeded: pixel), UInt8(truncatingIfNeeded: pixel >> 8), UInt8(pixel >> 56), 0]
    }
  }

  /// Writes pixels from the processor's side; in a bracket unless told otherwise.
  func write(_ pixels: [UInt8], to picture: Picture, inBracket: Bool = true) throws(Statement.Stop) {
    let dmaBuf = picture.buffer.dmaBuf
    if inBracket { _ = try check.prepare(check.kernel.sync(dmaBuf, SyncFlags.write)) }
    for row in 0..<height {
      check.kernel.write(
        Array(pixels[row * width * 4..<(row + 1) * width * 4]), to: picture.mapping,
        at: row * Int(picture.buffer.pitch))
    }
    if inBracket { _ = try check.prepare(check.kernel.sync(dmaBuf, SyncFlags.write | SyncFlags.end)) }
  }

  /// How many pixels of a picture, read from the processor's side in a bracket, are not the ones given.
  func differences(_ picture: Picture, from pixels: [UInt8]) throws(Statement.Stop) -> Int {
    let dmaBuf = picture.buffer.dmaBuf
    let pitch = Int(picture.buffer.pitch)
    _ = try check.prepare(check.kernel.sync(dmaBuf, SyncFlags.read))
    let seen = check.kernel.bytes(of: picture.mapping, at: 0, count: pitch * (height - 1) + width * 4)
    _ = try check.prepare(check.kernel.sync(dmaBuf, SyncFlags.read | SyncFlags.end))
    var count = 0
    for row in 0..<height {
      for column in 0..<width {
        let (place, index) = (row * pitch + column * 4, (row * width + column) * 4)
        guard place + 3 <= seen.count, seen[place..<place + 3] == pixels[index..<index + 3] else {
          count += 1
          continue
        }
      }
    }
    return count
  }

  // MARK: - The display engine

  /// How the fence of a writeback behaved.
  private enum FenceEnd: String {
    /// It signalled, and the engine had written by then.
    case signalled
    /// The engine wrote nothing and it did not signal until the frame was composed again.
    case late = "silent until the frame was composed again"
    /// It did not signal at all.
    case never = "silent for ever"
  }

  /// Shows one picture and lets the engine write what it fetched into another; returns when the fence has signalled.
  ///
  /// A statement about the picture says nothing of one that was never written, and tells where it came late.
  func capture(_ picture: Picture, into target: Picture) throws(Statement.Stop) -> CallResult<Int> {
    let (answer, fence) = captured(picture, into: target)
    switch fence {
    case .signalled: break
    // What vkms does now and then (WritebackJob).
    case .late: check.note("a writeback's fence was \(fence.rawValue)")
    case .never: throw .broken("a writeback's fence was \(fence.rawValue), so there is no picture to look at")
    }
    return try unlessTimedOut(answer, "the commit")
  }

  private func captured(_ picture: Picture, into target: Picture) -> (answer: CallResult<Int>, fence: FenceEnd) {
    let lostBefore = pipe.lostWritebacks
    var fence = FenceEnd.signalled
    let answer = recorded(
      "commit", "framebuffer \(picture.framebuffer), WRITEBACK_FB_ID \(target.framebuffer), out-fence awaited"
    ) { () throws(PrimeError) in
      do throws(PrimeError) {
        try pipe.show(shown(picture, into: target.framebuffer), mode: mode, deadline: Deadline(in: Self.patience))
        if pipe.lostWritebacks > lostBefore { fence = .late }
      } catch {
        if pipe.lostWritebacks > lostBefore || pipe.unfinished != nil { fence = .never }
        throw error
      }
    }
    return (answer, fence)
  }

  /// Asks whether a picture would be shown and written into a framebuffer, changing nothing (`TEST_ONLY`).
  func test(_ picture: Picture, into target: UInt32) throws(Statement.Stop) -> CallResult<Int> {
    try call("commit", "TEST_ONLY, framebuffer \(picture.framebuffer), WRITEBACK_FB_ID \(target)") {
      () throws(PrimeError) in
      try pipe.test(shown(picture, into: target), mode: mode, deadline: Deadline(in: Self.patience))
    }
  }

  /// Asks for a writeback on a connector that no CRTC feeds, changing nothing.
  func testWithoutCRTC(into target: UInt32) throws(Statement.Stop) -> CallResult<Int> {
    try call("commit", "TEST_ONLY, CRTC_ID 0, WRITEBACK_FB_ID \(target)") { () throws(PrimeError) in
      guard let connector = route.objects?.connector else { return }
      var commit = AtomicCommit()
      try commit.set(connector, "CRTC_ID", 0)
      try commit.set(connector, "WRITEBACK_FB_ID", UInt64(target))
      _ = try commit.send(on: device, flags: [.testOnly, .allowModeset], deadline: Deadline(in: Self.patience))
    }
  }

  /// Sets the mode and shows a picture, with no writeback.
  func show(_ picture: Picture) throws(Statement.Stop) -> CallResult<Int> {
    try call("commit", "framebuffer \(picture.framebuffer)") { () throws(PrimeError) in
      try pipe.show(shown(picture), mode: mode, deadline: Deadline(in: Self.patience))
    }
  }

  /// Shows a picture at the next frame and waits for it, with no writeback.
  func flip(to picture: Picture) throws(Statement.Stop) -> CallResult<Int> {
    try call("flip", "framebuffer \(picture.framebuffer)") { () throws(PrimeError) in
      _ = try pipe.flip(to: shown(picture), deadline: Deadline(in: Self.patience))
    }
  }

  /// The present value of a property of the route's connector.
  func connectorProperty(_ name: String) -> CallResult<UInt64> {
    check.kernel.call("DRM_IOCTL_MODE_OBJ_GETPROPERTIES", name) {
      do throws(PrimeError) {
        let object = try DisplayObject(route.connector.id.rawValue, .connector, of: device)
        return object.value(name).map { .success($0) } ?? .failure(.noSuchFile)
      } catch {
        return .failure(error.transcribed)
      }
    }
  }

  /// Starts the CRTC's checksums; the mode has been set.
  func checksums() throws -> PipeCRC {
    try PipeCRC(of: device, crtcIndex: route.crtcIndex)
  }

  /// The CRTC's checksum of a picture, once it can be no other's.
  func checksum(of picture: Picture, from checksums: PipeCRC) throws(Statement.Stop) -> CallResult<[UInt32]> {
    try reading("framebuffer \(picture.framebuffer)") { () throws(PrimeError) in
      let deadline = Deadline(in: Self.patience)
      for _ in 0..<2 { _ = try pipe.flip(to: shown(picture), deadline: deadline) }
      return [try checksums.settled(deadline: deadline)]
    }
  }

  /// The values of the next `count` frames' checksums, one after the other.
  func following(_ count: Int, from checksums: PipeCRC) throws(Statement.Stop) -> CallResult<[UInt32]> {
    try reading("\(count) frames") { () throws(PrimeError) in
      try checksums.following(count, deadline: Deadline(in: Self.patience))
    }
  }

  private func reading(
    _ arguments: String, _ body: () throws(PrimeError) -> [PipeCRC.Entry]
  ) throws(Statement.Stop) -> CallResult<[UInt32]> {
    let answer: CallResult<[UInt32]> = check.kernel.call("read", "crtc-\(route.crtcIndex)/crc/data, \(arguments)") {
      do throws(PrimeError) {
        return .success(try body().flatMap(\.values))
      } catch {
        return .failure(error.transcribed)
      }
    }
    return try unlessTimedOut(answer, "a frame checksum")
  }

  /// A format that a plane shows, in at most four bytes a pixel, and the connector does not write; nil where it writes all.
  var unwrittenFormat: Fourcc? {
    route.formats.formats.first { fourcc in
      guard let format = PixelFormat(fourcc), format.planes.count == 1 else { return false }
      return format.planes[0].bytesPerElement <= 4 && !route.targetFormats.contains(fourcc)
    }
  }

  private func shown(_ picture: Picture, into target: UInt32? = nil) -> DisplayPipe.Picture {
    DisplayPipe.Picture(
      framebuffer: FramebufferID(rawValue: picture.framebuffer), shown: (width, height),
      target: target.map(FramebufferID.init))
  }

  /// A step of the display's own layers as one recorded call, with the errno that it failed with.
  private func call(
    _ name: String, _ arguments: String, _ body: () throws(PrimeError) -> Void
  ) throws(Statement.Stop) -> CallResult<Int> {
    try unlessTimedOut(recorded(name, arguments, body), "the \(name)")
  }

  private func recorded(_ name: String, _ arguments: String, _ body: () throws(PrimeError) -> Void) -> CallResult<Int> {
    check.kernel.call(name, arguments) {
      do throws(PrimeError) {
        try body()
        return .success(0)
      } catch {
        return .failure(error.transcribed)
      }
    }
  }

  /// What is not done in time says that the machine is slow or the display stuck, and nothing of the promise.
  private func unlessTimedOut<Value>(
    _ answer: CallResult<Value>, _ what: String
  ) throws(Statement.Stop) -> CallResult<Value> {
    if case .failure(.timedOut) = answer {
      throw .broken("\(what) did not come to an end within \(Self.patience.wholeSeconds)")
    }
    return answer
  }
}

extension PrimeError {
  /// The errno that stands for it in a transcript of calls, which knows nothing else.
  fileprivate var transcribed: Errno { errno ?? (finding == .deadline ? .timedOut : .inputOutput) }
}
