internal import Prime

/// What a worker tells its parent: a kind, the piece of work it is about, and bytes of the piece's own.
package struct WorkerMessage: Hashable, Sendable {
  package enum Kind: UInt8, Sendable {
    /// The worker begins a piece; no bytes.
    case began = 1
    /// Something that happened while the piece ran.
    case note = 2
    /// What came of the piece.
    case result = 3
    /// The worker has done all of its pieces; what it has to say at its end.
    case ended = 4
  }

  package var kind: Kind
  package var piece: UInt32
  package var bytes: [UInt8]

  package init(_ kind: Kind, _ piece: Int, _ bytes: [UInt8] = []) {
    self.kind = kind
    self.piece = UInt32(truncatingIfNeeded: piece)
    self.bytes = bytes
  }

  /// Kind, piece and byte count, little-endian, before the bytes.
  private static let headerSize = 9

  /// The message as it crosses the pipe.
  package var encoded: [UInt8] {
    var message = [kind.rawValue]
    message.append(number: piece)
    message.append(number: UInt32(bytes.count))
    return message + bytes
  }

  /// Takes the whole messages off the front of what was read; what is left waits for its rest.
  ///
  /// A worker that died in the middle of a word leaves a rest that never becomes whole. A kind that is none ends the reading:
  /// nothing behind it can be understood.
  package static func take(from received: inout [UInt8]) -> [WorkerMessage] {
    var messages: [WorkerMessage] = []
    var start = 0
    while received.count - start >= headerSize {
      let count = Int(received.number(at: start + 5, as: UInt32.self))
      guard let kind = Kind(rawValue: received[start]) else {
        received = []
        return messages
      }
      guard received.count - start - headerSize >= count else { break }
      let end = start + headerSize + count
      var message = WorkerMessage(kind, 0, Array(received[(start + headerSize)..<end]))
      message.piece = received.number(at: start + 1, as: UInt32.self)
      messages.append(message)
      start = end
    }
    received.removeFirst(start)
    return messages
  }
}
