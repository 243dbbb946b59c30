public import Prime

/// What a witness says of what it was asked: 256 bytes; see `docs/handover.md`.
public struct WitnessAnswer: Hashable, Sendable {
  /// What reads or draws for the witness.
  public enum Renderer: UInt32, Hashable, Sendable, Codable, CaseIterable {
    /// The witness cannot tell.
    case unknown = 0
    /// A device, which reads the buffer itself.
    case device = 1
    /// The processor, through a mapping.
    case software = 2
  }

  /// What became of the request.
  public enum Outcome: UInt32, Hashable, Sendable, CaseIterable {
    /// It was done.
    case done = 1
    /// The witness, its driver or its kernel declines.
    case refused = 3
    /// Something broke.
    case failed = 4
  }

  /// The size of the message.
  public static let byteCount = 256
  static let kind: UInt16 = 5
  private static let (nameBytes, operationBytes, sentenceBytes) = (64, 32, 120)

  /// What became of the request.
  public var outcome: Outcome
  /// The errno behind it, 0 where there is none.
  public var errno: UInt32
  /// What reads or draws.
  public var renderer: Renderer
  /// How many rows were written into the memory, or read from it.
  public var rows: UInt32
  /// How many bytes from the first to the last of these.
  public var byteCount: UInt64
  /// The renderer's name.
  public var name: String
  /// The call that was declined or failed.
  public var operation: String
  /// One sentence for people.
  public var sentence: String

  /// Says that something was done.
  public init(rows: UInt32, byteCount: UInt64, _ renderer: Renderer, name: String) {
    outcome = .done
    errno = 0
    self.renderer = renderer
    self.rows = rows
    self.byteCount = byteCount
    self.name = name
    operation = ""
    sentence = ""
  }

  /// Says that something was not done.
  public init(
    _ outcome: Outcome, errno: UInt32 = 0, operation: String, sentence: String, _ renderer: Renderer = .unknown,
    name: String = ""
  ) {
    self.outcome = outcome
    self.errno = errno
    self.renderer = renderer
    rows = 0
    byteCount = 0
    self.name = name
    self.operation = operation
    self.sentence = sentence
  }

  /// Reads a message; every byte of it has a meaning or must be zero.
  public init(parsing bytes: [UInt8]) throws(HandoverError) {
    try HandoverWire.check(bytes, isKind: Self.kind, byteCount: Self.byteCount)
    func word(_ offset: Int) -> UInt32 { HandoverWire.word(bytes, at: offset) }
    guard let outcome = Outcome(rawValue: word(16)) else { throw .field("the outcome", UInt64(word(16))) }
    self.outcome = outcome
    errno = word(20)
    guard errno < 4096 else { throw .field("the errno", UInt64(errno)) }
    guard let renderer = Renderer(rawValue: word(24)) else { throw .field("the renderer", UInt64(word(24))) }
    self.renderer = renderer
    rows = word(28)
    byteCount = bytes.number(at: 32, as: UInt64.self)
    name = try HandoverWire.text(bytes[40..<104])
    operation = try HandoverWire.text(bytes[104..<136])
    sentence = try HandoverWire.text(bytes[136..<256])
  }

  /// The message; a text that is too long ends with the last whole character that fits.
  public var bytes: [UInt8] {
    var bytes = HandoverWire.header(kind: Self.kind, byteCount: Self.byteCount)
    for word in [outcome.rawValue, errno, renderer.rawValue, rows] {
      bytes.append(number: word)
    }
    bytes.append(number: byteCount)
    for (text, room) in [(name, Self.nameBytes), (operation, Self.operationBytes), (sentence, Self.sentenceBytes)] {
      let text = HandoverWire.bytes(of: text, room: room)
      bytes += text + [UInt8](repeating: 0, count: room - text.count)
    }
    return bytes
  }
}
