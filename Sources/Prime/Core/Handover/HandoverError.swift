/// Why a message of a hand-over is not taken; see `docs/handover.md`.
public enum HandoverError: Error, Hashable, Sendable {
  /// The message is shorter or longer than its kind, or than it says of itself; in bytes.
  case length(expected: Int, stated: UInt32?, given: Int)
  /// It does not begin with `PRMB`.
  case magic
  /// It is of another version of the format.
  case version(UInt16)
  /// It is of a kind that is not known, or not due now.
  case kind(UInt16, expected: UInt16)
  /// A field that must be zero is not.
  case reserved(String)
  /// A field has a value outside of what it can say.
  case field(String, UInt64)
  /// A buffer that was handed over, and that no plane lies in.
  case unusedBuffer(Int)
  /// More or fewer descriptors came than the message announces.
  case descriptorCount(announced: Int, given: Int)
  /// The kernel could not deliver every descriptor.
  case descriptorsLost
  /// The sentence is not UTF-8, or holds control characters.
  case sentence
  /// A pixel format that this library cannot lay out.
  case format(Fourcc)
  /// A modifier whose content the CPU cannot check.
  case modifier(Modifier)
  /// The planes cannot lie in memory as described.
  case layout(LayoutError)
  /// A descriptor that allows something else than the message says.
  case access(buffer: Int, said: DMABuf.Access, is: DMABuf.Access)
}

extension HandoverError: CustomStringConvertible {
  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .length(let expected, let stated?, let given):
      "a message of \(given) bytes that says it has \(stated); its kind has \(expected)"
    case .length(let expected, nil, let given): "a message of \(given) bytes; at least \(expected) were due"
    case .magic: "a message that does not begin with PRMB: the peer speaks another protocol"
    case .version(let version):
      "a message of version \(version) of the format; this is version 1: use the same release on both ends"
    case .kind(let kind, let expected): "a message of kind \(kind) where kind \(expected) was due"
    case .reserved(let name): "\(name) must be zero"
    case .field(let name, let value): "\(name) cannot be \(value)"
    case .unusedBuffer(let index): "buffer \(index) is handed over, and no plane lies in it"
    case .descriptorCount(let announced, let given):
      "\(given) descriptor\(given == 1 ? "" : "s") came where \(announced) \(announced == 1 ? "was" : "were") announced"
    case .descriptorsLost:
      "not every descriptor arrived: more than 16 were sent, or this process has no free number (`ulimit -n`)"
    case .sentence: "a sentence that is not plain UTF-8 text"
    case .format(let fourcc): "the pixel format \(fourcc) is not known here, so its content cannot be checked"
    case .modifier(let modifier):
      "the modifier \(modifier) arranges pixels in a way that the CPU cannot check: hand over a linear buffer"
    case .layout(let error): error.description
    case .access(let buffer, let said, let access):
      "buffer \(buffer) is announced for \(said.words) and its descriptor is for \(access.words)"
    }
  }
}

extension DMABuf.Access {
  fileprivate var words: String {
    switch self {
    case .read: "reading"
    case .readWrite: "reading and writing"
    }
  }
}
