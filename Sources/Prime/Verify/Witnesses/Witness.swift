internal import Prime
internal import PrimeProcesses

/// A program that looks at a buffer, or draws one, in a process of its own; see `docs/handover.md`.
public struct WitnessProgram: Hashable, Sendable {
  /// The program and its arguments.
  public let words: [String]
  /// Whether what it prints is shown on standard error.
  public let isLoud: Bool

  /// Names a program; nil where there is no word.
  public init?(_ words: [String], isLoud: Bool = false) {
    guard words.first?.isEmpty == false else { return nil }
    self.words = words
    self.isLoud = isLoud
  }

  /// How messages name it.
  public var name: String { words[0].lastComponent }

  /// The name of the program that looks through EGL and OpenGL ES, which lies beside the tool.
  public static let gl = "prime-witness-gl"
  /// The name of the program that looks through Vulkan, which lies beside the tool.
  public static let vulkan = "prime-witness-vulkan"
}

/// Which witness looks for an importer, and when.
public struct WitnessChoice: Hashable, Sendable {
  /// The program.
  public let program: WitnessProgram
  /// Whether somebody named it: it is asked for every importer then, and not only where a GPU may look and nobody stronger does.
  public let isNamed: Bool

  /// Chooses.
  public init(_ program: WitnessProgram, isNamed: Bool) {
    self.program = program
    self.isNamed = isNamed
  }

  /// Whether it is worth asking about a device, beside what others saw.
  func isAsked(about importer: Device, whereOthersLook othersLook: Bool) -> Bool {
    if isNamed { return true }
    guard !othersLook, GBMDriver.drivesHardware(of: importer.driver) else { return false }
    return importer.driver != "virtio_gpu" || TwoCopies.areKept(by: importer)
  }
}

/// What is known of who looked in a witness's place.
public struct WitnessReport: Hashable, Sendable, Codable {
  /// The program.
  public var program: String
  /// What reads the buffer, by the witness's word.
  public var renderer: String
  /// Whether that is a device or the processor, by the witness's word and by its mappings.
  public var kind: Kind
  /// The call without which the device sees something else; nil where none is needed.
  public var transfer: String?
  /// Whether the device has the picture upside down, every pixel of it right; nil where it has not.
  public var isUpsideDown: Bool?

  /// What reads the buffer.
  public enum Kind: String, Hashable, Sendable, Codable {
    case device, software, unknown
  }

  /// Why its look is no proof, in a sentence; nil where it is one.
  var objection: String? {
    switch kind {
    case .device: nil
    case .software:
      "\(renderer) of \(program) computes on the processor: that it reads the buffer says nothing of the device"
    case .unknown: "\(program) does not say whether a device or the processor read the buffer, \(renderer)"
    }
  }
}

/// A running witness: a socket to it, the memory that it shares with this process, and nothing of it that is believed.
final class Witness {
  /// How long one request may take, where the check has time for it: a driver compiles its shaders in the first.
  private static let limit = Duration.seconds(20)
  /// How much of what a check may still take: others have to look as well.
  private static let share = 0.6
  /// How long it may take to end when it is asked nothing more.
  private static let patience = Duration.seconds(1)

  let program: WitnessProgram
  private let node: DRMNode
  private let picture: PictureLayout
  private let modifier: Modifier
  private var memory: WitnessMemory
  private var process: ProgramProcess?
  private var connection: HandoverConnection?
  private var hasAsked = false
  /// The errno with which it declined what it was asked last; nil where it did not.
  private(set) var refusal: Errno?
  /// What it said of what reads or draws, last.
  private(set) var report: WitnessReport?

  /// Starts it for pictures of one layout.
  ///
  /// - Parameter node: The node of the device that it is to look with.
  /// - Throws: an untestable `witness` where it cannot be started, or where the picture is none that it can be asked for.
  init(
    _ program: WitnessProgram, on node: DRMNode, for picture: PictureLayout, modifier: Modifier
  ) throws(PrimeError) {
    guard picture.planes.count == 1 else {
      throw .untestable(
        .witness, on: program.name, reason: "only formats with one plane are looked at by a witness")
    }
    self.program = program
    self.node = node
    self.picture = picture
    self.modifier = modifier
    memory = try WitnessMemory(for: picture, subject: program.name)
    let ends = try DescriptorSocket().separated()
    do throws(PrimeError) {
      process = try ProgramProcess(
        program.words, inheriting: ends.second.rawValue,
        variables: [
          "PRIME_SOCKET": "\(ends.second.rawValue)", "PRIME_NODE": node.path,
          // Swift's own takes seconds of a driver's crash, of which nothing more is told than the signal.
          "SWIFT_BACKTRACE": program.isLoud ? "enable=yes" : "enable=no",
        ], isQuiet: !program.isLoud)
    } catch {
      throw .untestable(
        .witness, on: program.name,
        reason: "\(program.name) could not be started: \(error.errno?.meaning ?? error.explanation)")
    }
    connection = HandoverConnection(adopting: ends.keepingFirst(), to: program.name)
  }

  deinit { end() }

  /// Has it read the buffer, and examines what it put into the memory.
  ///
  /// - Throws: an untestable `witness` for everything that makes it one that is not believed.
  func look(
    at buffer: CInt, inode: UInt64?, _ examination: Examination, deadline: Deadline
  ) throws -> Mismatch? {
    try memory.makeUnknown()
    let answer = try ask(.look, descriptors: [buffer, memory.descriptor.rawValue], inode: inode, deadline: deadline)
    if let damage = try memory.damage() { throw disbelieved("wrote outside of the picture: \(damage)") }
    try checkSize(answer)
    guard try !memory.isUnwritten() else {
      throw disbelieved("says that it wrote the picture, and the memory holds what it held before")
    }
    return try memory.look(examination)
  }

  /// What is wrong with the picture that was seen last when it is turned upside down, nil where it is as expected.
  func turned(_ examination: Examination) throws -> Mismatch? {
    try memory.turnOver()
    let mismatch = try memory.look(examination)
    if mismatch == nil { report?.isUpsideDown = true }
    return mismatch
  }

  /// Has it draw a picture; the first time it hands over the buffer that it drew into.
  func draw(
    deadline: Deadline, _ picture: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void
  ) throws -> HandedOverPicture? {
    let isFirst = !hasAsked
    try memory.fill(picture)
    let answer = try ask(.draw, descriptors: [memory.descriptor.rawValue], inode: nil, deadline: deadline)
    try checkSize(answer)
    guard isFirst else { return nil }
    return try reaching(within: Self.limit) { () throws(PrimeError) in
      let (bytes, descriptors) = try receive(room: HandoverOffer.byteCount, deadline)
      return try HandedOverPicture(offering: bytes, descriptors, from: program.name)
    }
  }

  private func ask(
    _ task: WitnessRequest.Task, descriptors: [CInt], inode: UInt64?, deadline: Deadline
  ) throws(PrimeError) -> WitnessAnswer {
    let time = min(Self.limit, deadline.remaining * Self.share)
    let limit = deadline.atMost(time)
    let request = WitnessRequest(
      task, picture, modifier: modifier, isAgain: hasAsked, memory: memory.layout.planes[0])
    let answer = try reaching(within: time) { () throws(PrimeError) in
      try send(request.bytes, hasAsked ? [] : descriptors, limit)
      let (bytes, descriptors) = try receive(room: WitnessAnswer.byteCount, limit)
      do throws(HandoverError) {
        guard descriptors.count == 0 else {
          throw .descriptorCount(announced: 0, given: descriptors.count)
        }
        return try WitnessAnswer(parsing: bytes)
      } catch {
        throw .againstProtocol(error, program.name)
      }
    }
    hasAsked = true
    refusal = answer.outcome == .refused && answer.errno != 0 ? Errno(rawValue: Int32(answer.errno)) : nil
    guard answer.outcome == .done else {
      let call = [answer.operation, answer.errno == 0 ? "" : Errno(rawValue: Int32(answer.errno)).name]
      let words = call.filter { !$0.isEmpty }.joined(separator: " ")
      let renderer = answer.name.isEmpty ? "" : " (\(answer.name))"
      throw disbelieved(
        "\(answer.outcome == .refused ? "declines" : "fails")\(renderer): \(words)\(words.isEmpty ? "" : ": ")"
          + (answer.sentence.isEmpty ? "it does not say why" : answer.sentence))
    }
    report = WitnessReport(
      program: program.name, renderer: answer.name.isEmpty ? "which it does not name" : answer.name,
      kind: kind(answer, inode), transfer: report?.transfer, isUpsideDown: report?.isUpsideDown)
    return answer
  }

  /// A witness that has the buffer mapped reads it with the processor, whatever it says.
  private func kind(_ answer: WitnessAnswer, _ inode: UInt64?) -> WitnessReport.Kind {
    switch answer.renderer {
    case .software: return .software
    case .unknown: return .unknown
    case .device:
      guard let inode, let number = process?.number else { return .device }
      let mappings =
        ProcessHoldings(of: "\(number)", systemRoot: "", by: LinuxKernel()).holdings[inode]?.mappings
        ?? []
      return mappings.isEmpty ? .device : .software
    }
  }

  private func checkSize(_ answer: WitnessAnswer) throws(PrimeError) {
    guard answer.rows == UInt32(picture.height), answer.byteCount == UInt64(memory.pictureBytes) else {
      throw disbelieved(
        "says \(answer.rows) rows in \(answer.byteCount) bytes, where the picture has \(picture.height) in "
          + "\(memory.pictureBytes)")
    }
  }

  private func send(_ bytes: [UInt8], _ descriptors: [CInt], _ deadline: Deadline) throws(PrimeError) {
    guard try connection?.send(bytes, dmaBufs: descriptors, deadline: deadline) != nil else {
      throw disbelieved("is not asked again")
    }
  }

  private func receive(
    room: Int, _ deadline: Deadline
  ) throws(PrimeError) -> (bytes: [UInt8], descriptors: HandoverDescriptors) {
    guard let message = try connection?.receive("the answer", room: room, deadline: deadline) else {
      throw disbelieved("is not asked again")
    }
    return message
  }

  /// Runs what is said over the socket; where that fails, says what became of the witness, which is ended.
  private func reaching<Result: ~Copyable>(
    within time: Duration, _ body: () throws(PrimeError) -> Result
  ) throws(PrimeError) -> Result {
    do throws(PrimeError) {
      return try body()
    } catch {
      if error.finding == .cancelled { throw error }
      let sentence =
        switch error.cause {
        case .finding(.deadline): "does not answer within \(Int((time / .seconds(1)).rounded())) s and was ended"
        case .finding(.protocolViolation), .finding(.unsuitable): "answers against the protocol: \(error.explanation)"
        case _ where error.isEndOfPeer: fate
        default: "cannot be reached: \(error)"
        }
      end(expectingItsEnd: false)
      throw disbelieved(sentence)
    }
  }

  /// What became of a witness that has closed its end.
  private var fate: String {
    switch process?.awaitEnd(within: Self.patience) {
    case .killed(let signal)?: "was ended by \(ChildProcess.End.name(ofSignal: signal)) before it answered"
    case .exited(let code)?: "ended with \(code) before it answered"
    case nil: "closed the socket before it answered"
    }
  }

  private func disbelieved(_ sentence: String) -> PrimeError {
    .untestable(.witness, on: program.name, reason: "\(program.name) \(sentence)")
  }

  /// Ends it, at once where it does not end by itself, or is not expected to.
  func end(expectingItsEnd: Bool = true) {
    connection = nil
    if !expectingItsEnd || process?.awaitEnd(within: Self.patience) == nil { process?.kill() }
    process = nil
  }

  /// Notes which transfer it takes for the device to see what was written.
  func needs(_ transfer: VirtGPUTransfer) { report?.transfer = transfer.operation.description }
}
