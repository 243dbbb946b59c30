/// What one side of a hand-over tells the other of what it found: the answer of the importer, and the verdict of the
/// exporter, 256 bytes each.
public struct HandoverReply: Hashable, Sendable {
  /// Who speaks.
  public enum Kind: UInt16, Hashable, Sendable, CaseIterable {
    /// The importer, on the offer.
    case answer = 2
    /// The exporter, on what it finds in the buffer after the answer.
    case verdict = 3
  }

  /// What was found.
  public enum Outcome: UInt32, Hashable, Sendable, CaseIterable {
    /// The content is as it should be.
    case verified = 1
    /// Something else is there.
    case mismatch = 2
    /// The offer was declined, by the side that speaks or by its kernel.
    case refused = 3
    /// Something broke.
    case failed = 4
  }

  /// The size of the message.
  public static let byteCount = 256
  /// The most bytes of a sentence.
  static let sentenceBytes = 224
  private static let wroteBackFlag: UInt32 = 1
  private static let proofFlag: UInt32 = 2

  /// Who speaks.
  public var kind: Kind
  /// What was found.
  public var outcome: Outcome
  /// The errno behind a refusal or a failure, 0 where there is none.
  public var errno: UInt32
  /// Whether pattern 1 was written into the buffer.
  public var wroteBack: Bool
  /// Whether the importing device itself was seen to read the content.
  public var isProof: Bool
  /// One sentence for people, without control characters; at most 224 bytes of it are sent.
  public var sentence: String

  /// Says something.
  public init(
    _ kind: Kind, _ outcome: Outcome, errno: UInt32 = 0, wroteBack: Bool = false, isProof: Bool = false,
    sentence: String = ""
  ) {
    self.kind = kind
    self.outcome = outcome
    self.errno = errno
    self.wroteBack = wroteBack
    self.isProof = isProof
    self.sentence = sentence
  }

  /// Reads the message that is due; every byte of it has a meaning or must be zero.
  ///
  /// - Throws: `HandoverError`, which names the first field that is wrong.
  public init(parsing bytes: [UInt8], expecting kind: Kind) throws(HandoverError) {
    try HandoverWire.check(bytes, isKind: kind.rawValue, byteCount: Self.byteCount)
    func word(_ offset: Int) -> UInt32 { HandoverWire.word(bytes, at: offset) }
    self.kind = kind
    guard let outcome = Outcome(rawValue: word(16)) else { throw .field("the outcome", UInt64(word(16))) }
    self.outcome = outcome
    errno = word(20)
    guard errno < 4096 else { throw .field("the errno", UInt64(errno)) }
    let flags = word(24)
    guard flags & ~(Self.wroteBackFlag | Self.proofFlag) == 0 else { throw .field("the flags", UInt64(flags)) }
    wroteBack = flags & Self.wroteBackFlag != 0
    isProof = flags & Self.proofFlag != 0
    let count = word(28)
    guard count <= Self.sentenceBytes else { throw .field("the length of the sentence", UInt64(count)) }
    let text = bytes[32..<32 + Int(count)]
    guard bytes[(32 + Int(count))...].allSatisfy({ $0 == 0 }) else { throw .reserved("what follows the sentence") }
    sentence = try HandoverWire.checked(text)
  }

  /// The message; a sentence that is too long ends with the last whole character that fits.
  public var bytes: [UInt8] {
    let text = HandoverWire.bytes(of: sentence, room: Self.sentenceBytes)
    var bytes = HandoverWire.header(kind: kind.rawValue, byteCount: Self.byteCount)
    let flags = (wroteBack ? Self.wroteBackFlag : 0) | (isProof ? Self.proofFlag : 0)
    for word in [outcome.rawValue, errno, flags, UInt32(text.count)] {
      bytes.append(number: word)
    }
    return bytes + text + [UInt8](repeating: 0, count: Self.sentenceBytes - text.count)
  }
}
