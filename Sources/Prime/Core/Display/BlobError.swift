/// Why bytes that should come from the kernel cannot be read as what they are said to be.
public enum BlobError: Error, Sendable, Hashable, CustomStringConvertible {
  /// There are fewer bytes than the fixed part needs.
  case tooShort(structure: String, needed: Int, found: Int)

  /// There are more or fewer bytes than the structure has.
  case size(structure: String, needed: Int, found: Int)

  /// The bytes are not a whole number of entries.
  case notWhole(list: String, entrySize: Int, found: Int)

  /// The blob is of a version whose fields may mean something else.
  case version(structure: String, expected: UInt32, found: UInt32)

  /// A list is said to lie where the blob has no bytes for it.
  case outside(list: String, offset: UInt32, count: UInt32, entrySize: Int, size: Int)

  /// The bytes end inside an event; `complete` events came before it, in the first `offset` bytes.
  case eventCutOff(offset: Int, complete: Int, needed: Int, found: Int)

  /// An event states a length that is too short for its type; `complete` events came before it, in the first `offset` bytes.
  case eventLength(offset: Int, complete: Int, type: UInt32, length: UInt32, needed: Int)

  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .tooShort(let structure, let needed, let found):
      "\(structure) needs at least \(needed) bytes, but there are \(found)"
    case .size(let structure, let needed, let found):
      "\(structure) has \(needed) bytes, but there are \(found)"
    case .notWhole(let list, let entrySize, let found):
      "\(list) has entries of \(entrySize) bytes, but \(found) bytes are no whole number of them"
    case .version(let structure, let expected, let found):
      "\(structure) is of version \(found), and only version \(expected) is known"
    case .outside(let list, let offset, let count, let entrySize, let size):
      "\(list) should have \(count) entries of \(entrySize) bytes at offset \(offset), which is not within the blob's "
        + "\(size) bytes"
    case .eventCutOff(let offset, let complete, let needed, let found):
      "the event at byte \(offset), behind \(Self.events(complete)), needs \(needed) bytes, but only \(found) are left"
    case .eventLength(let offset, let complete, let type, let length, let needed):
      "the event at byte \(offset), behind \(Self.events(complete)), says that its length is \(length), "
        + "but type \(type) needs \(needed) bytes"
    }
  }

  private static func events(_ count: Int) -> String {
    count == 1 ? "1 complete event" : "\(count) complete events"
  }
}

extension [UInt8] {
  /// Whether `count` entries of `entrySize` bytes at `offset` lie behind the first `header` bytes and before the end.
  func holds(count: UInt32, entrySize: Int, at offset: UInt32, behind header: Int) -> Bool {
    // Two numbers of 32 bits and a small one: nothing here can overflow 64 bits.
    count == 0 || (Int(offset) >= header && Int(offset) + Int(count) * entrySize <= self.count)
  }
}
