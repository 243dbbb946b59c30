package import Prime

/// What reads and draws pictures in a witness.
package protocol WitnessRenderer: AnyObject {
  /// Its name.
  var name: String { get }
  /// Whether it is a device or the processor.
  var kind: WitnessAnswer.Renderer { get }
  /// Reads the picture of a buffer and puts it into memory, where `memory` says.
  func look(
    at picture: borrowing SharedPicture, into bytes: inout MutableSpan<UInt8>, _ memory: PictureLayout
  ) throws
  /// Makes a buffer to draw into.
  func makeBuffer(_ request: AllocationRequest) throws -> BufferObject
  /// Draws the picture in the memory into a buffer.
  func draw(
    _ bytes: Span<UInt8>, _ memory: PictureLayout, into picture: borrowing SharedPicture
  ) throws
}

/// The witness's side of `docs/handover.md`: does what it is asked until nobody asks any more.
package final class WitnessService {
  /// A buffer, and the memory that the tool sees.
  private final class Work {
    let picture: SharedPicture
    var memory: Mapping
    let layout: PictureLayout

    init(
      _ picture: consuming SharedPicture, _ memory: consuming Mapping, _ layout: PictureLayout
    ) {
      self.picture = picture
      self.memory = memory
      self.layout = layout
    }
  }

  private let connection: HandoverConnection
  private let renderer: any WitnessRenderer
  private var work: Work?

  /// How long the tool may take between two requests.
  private static let patience = Duration.seconds(600)

  /// Serves on the socket that this process was started with.
  package init(socket: CInt, _ renderer: any WitnessRenderer) {
    connection = HandoverConnection(
      adopting: Descriptor(adopting: socket, kernel: LinuxKernel()), to: "the tool")
    self.renderer = renderer
  }

  /// Does everything that it is asked; it returns when the tool has closed its end.
  package func run() throws {
    while try serve() {}
  }

  /// Does one thing; false where nobody asks any more.
  private func serve() throws -> Bool {
    let message: (bytes: [UInt8], descriptors: HandoverDescriptors)
    do throws(PrimeError) {
      message = try connection.receive(
        "a request", room: WitnessRequest.byteCount, deadline: Deadline(in: Self.patience))
    } catch {
      guard error.isEndOfPeer else { throw error }
      return false
    }
    let deadline = Deadline(in: .seconds(10))
    var makesBuffer = false
    let answer: WitnessAnswer
    do {
      let request = try WitnessRequest(parsing: message.bytes)
      if !request.isAgain {
        work = nil
        work = try prepare(request, message.descriptors)
        makesBuffer = request.task == .draw
      }
      answer = try perform(request.task)
    } catch {
      try connection.send(refusal(error).bytes, deadline: deadline)
      return true
    }
    try connection.send(answer.bytes, deadline: deadline)
    if makesBuffer, let work {
      let offer = HandoverOffer(work.picture.description, access: .readWrite, seed: 0, asksForWriteBack: false)
      try connection.send(offer.bytes, dmaBufs: work.picture.rawDescriptors, deadline: deadline)
    }
    return true
  }

  private func refusal(_ error: any Error) -> WitnessAnswer {
    guard let error = error as? PrimeError else {
      return WitnessAnswer(
        .failed, errno: 0, operation: "request", sentence: "\(error)", renderer.kind, name: renderer.name)
    }
    return WitnessAnswer(
      error.isBreakage ? .failed : .refused,
      errno: error.errno.map { UInt32(clamping: $0.rawValue) } ?? 0,
      operation: error.operation.description, sentence: error.explanation, renderer.kind,
      name: renderer.name)
  }

  /// Takes over what comes with a first request, and makes the buffer that is to be drawn into.
  private func prepare(_ request: WitnessRequest, _ descriptors: HandoverDescriptors) throws -> Work {
    guard descriptors.count == request.descriptorCount else {
      throw HandoverError.descriptorCount(announced: request.descriptorCount, given: descriptors.count)
    }
    guard let format = PixelFormat(request.fourcc), format.planes.count == 1 else {
      throw HandoverError.format(request.fourcc)
    }
    let (width, height) = (Int(request.width), Int(request.height))
    func layout(_ offset: UInt64, _ pitch: UInt32, in byteCount: Int) throws -> PictureLayout {
      let layout = try PictureLayout(
        format: format, width: width, height: height,
        planes: [PlaneLayout(offset: Int(clamping: offset), pitch: Int(pitch))])
      guard layout.byteCount <= byteCount else {
        throw LayoutError.beyondBuffer(plane: 0, needed: layout.byteCount, size: byteCount)
      }
      return layout
    }
    let picture: SharedPicture
    if let plane = request.plane {
      let buffer = try DMABuf(adopting: descriptors.takeFirst())
      let description = BufferDescription(
        layout: try layout(plane.offset, plane.pitch, in: buffer.byteCount), modifier: request.modifier)
      picture = try SharedPicture(description, in: buffer)
    } else {
      let object = try renderer.makeBuffer(
        AllocationRequest(format: format, width: width, height: height, usage: [.linear, .rendering]))
      picture = try object.export(.readWrite)
    }
    let subject = "the memory"
    let memory = descriptors.takeFirst()
    let byteCount = Int(clamping: try memory.kernel.seekToEnd(memory.rawValue).orThrow("lseek", on: subject))
    let memoryLayout = try layout(request.memoryOffset, request.memoryPitch, in: byteCount)
    let mapping = try Mapping(
      memory.rawValue, byteCount: byteCount, writable: true, offset: 0, kernel: memory.kernel, subject: subject)
    return Work(picture, mapping, memoryLayout)
  }

  private func perform(_ task: WitnessRequest.Task) throws -> WitnessAnswer {
    guard let work else { throw HandoverError.field("the flags", 1) }
    let layout = work.layout
    switch task {
    case .look:
      try work.memory.withMutableSpan(of: UInt8.self) { bytes in
        try renderer.look(at: work.picture, into: &bytes, layout)
      }
    case .draw:
      try work.memory.withSpan(of: UInt8.self) { bytes in
        try renderer.draw(bytes, layout, into: work.picture)
      }
    }
    return WitnessAnswer(
      rows: UInt32(clamping: layout.height), byteCount: UInt64(layout.byteCount - layout.planes[0].offset),
      renderer.kind, name: renderer.name)
  }
}
