import Glibc
import Prime
import Synchronization

/// Somebody at the other end of a socket, with all that it will ever send.
struct FakePeer: Sendable {
  /// A descriptor that comes with a message, made when the message is received.
  enum Enclosure: Sendable {
    /// A dma-buf with these bytes.
    case dmaBuf(bytes: [UInt8], writable: Bool)
    /// Another descriptor of the first dma-buf of the same message.
    case again
    /// What is no dma-buf: the character device of a kernel without it, or plain memory.
    case node
    case memory
  }

  struct Message: Sendable {
    var bytes: [UInt8]
    var enclosures: [Enclosure] = []
    var lacksDescriptors = false
    /// Writes these bytes into the dma-buf that was sent to the peer, before the message arrives.
    var writes: [UInt8]?
  }

  var user: UInt32 = FakeSockets.ownUser
  /// After the last message it closes its end.
  var messages: [Message] = []
}

/// The sockets of a fake kernel.
struct FakeSockets {
  static let ownUser: UInt32 = 1000

  struct Socket {
    var peer: FakePeer?
    var name: [UInt8]?
    /// Fails where the peer has closed.
    var sendFailure: Errno?
  }

  /// What was sent over one socket, in order.
  struct Sent: Hashable, Sendable {
    var bytes: [UInt8]
    var enclosures: [FakeKernel.FileKind]
  }

  var all: [Socket] = []
  /// Who waits at a name: exporters for a connect, importers for an accept.
  var waiting: [[UInt8]: [FakePeer]] = [:]
  var sent: [Sent] = []
  var modes: [UInt32] = []

  func events(of socket: Int) -> Int16 {
    if let name = all[socket].name { return waiting[name, default: []].isEmpty ? 0 : Int16(POLLIN) }
    return Int16(POLLIN | POLLOUT)
  }
}

extension FakeKernel {
  /// Puts peers at a name, in the order of their turns.
  func expect(_ peers: [FakePeer], at name: String) {
    state.withLock { $0.sockets.waiting[Array(name.utf8)] = peers }
  }

  /// Every message that was sent.
  var sent: [FakeSockets.Sent] { state.withLock { $0.sockets.sent } }

  func socket(forProbing: Bool) -> CallResult<CInt> {
    call(.socket) { state in
      state.sockets.all.append(FakeSockets.Socket())
      return try state.adopt(
        Glibc.open("/dev/null", O_RDWR | O_CLOEXEC), as: .socket(state.sockets.all.count - 1))
    }
  }

  func socketBind(_ descriptor: CInt, to name: [UInt8], mode: UInt32) -> CallResult<Void> {
    call(.socketBind) { state in
      state.sockets.modes.append(mode)
      state.sockets.all[try state.socket(descriptor)].name = name
    }
  }

  func socketListen(_ descriptor: CInt) -> CallResult<Void> {
    call(.socketListen) { state in _ = try state.socket(descriptor) }
  }

  func socketConnect(_ descriptor: CInt, to name: [UInt8]) -> CallResult<Void> {
    call(.socketConnect) { state in
      guard state.sockets.waiting[name]?.isEmpty == false else { throw Errno.connectionRefused }
      state.sockets.all[try state.socket(descriptor)].peer = state.sockets.waiting[name]?.removeFirst()
    }
  }

  func socketAccept(_ descriptor: CInt) -> CallResult<CInt> {
    call(.socketAccept) { state in
      guard let name = state.sockets.all[try state.socket(descriptor)].name,
        state.sockets.waiting[name]?.isEmpty == false
      else { throw Errno.tryAgain }
      state.sockets.all.append(FakeSockets.Socket(peer: state.sockets.waiting[name]?.removeFirst()))
      return try state.adopt(
        Glibc.open("/dev/null", O_RDWR | O_CLOEXEC), as: .socket(state.sockets.all.count - 1))
    }
  }

  func socketPeer(_ descriptor: CInt) -> CallResult<PeerCredentials> {
    call(.socketPeer) { state in
      guard let peer = state.sockets.all[try state.socket(descriptor)].peer else { throw Errno.badDescriptor }
      return PeerCredentials(user: peer.user, process: 42)
    }
  }

  func socketIsPacket(_ descriptor: CInt) -> CallResult<Bool> {
    call(.socketIsPacket) { state in
      guard case .socket = state.descriptors[descriptor] else { throw Errno.notASocket }
      return true
    }
  }

  func socketSend(_ descriptor: CInt, _ bytes: [UInt8], descriptors: [CInt]) -> CallResult<Void> {
    call(.socketSend) { state in
      let socket = try state.socket(descriptor)
      if let failure = state.sockets.all[socket].sendFailure { throw failure }
      let enclosures = descriptors.compactMap { state.descriptors[$0] }
      if enclosures.count != descriptors.count { state.violations.append("a closed descriptor was sent") }
      state.sockets.sent.append(FakeSockets.Sent(bytes: bytes, enclosures: enclosures))
    }
  }

  func socketReceive(_ descriptor: CInt, room: Int) -> CallResult<SocketMessage> {
    call(.socketReceive) { state in
      let socket = try state.socket(descriptor)
      guard state.sockets.all[socket].peer?.messages.isEmpty == false,
        let message = state.sockets.all[socket].peer?.messages.removeFirst()
      else { return SocketMessage(bytes: [], descriptors: []) }
      if let writes = message.writes { try state.peerWrites(writes) }
      return SocketMessage(
        bytes: Array(message.bytes.prefix(room)), descriptors: try state.deliver(message.enclosures),
        isCutOff: message.bytes.count > room, lacksDescriptors: message.lacksDescriptors)
    }
  }
}

extension FakeKernel.State {
  fileprivate mutating func socket(_ descriptor: CInt) throws(Errno) -> Int {
    guard case .socket(let socket) = descriptors[descriptor] else { throw wrongDescriptor(descriptor, "socket") }
    return socket
  }

  /// The peer holds the last dma-buf that was sent.
  fileprivate func peerWrites(_ bytes: [UInt8]) throws(Errno) {
    for message in sockets.sent.reversed() {
      guard case .dmaBuf(let memory, _)? = message.enclosures.first else { continue }
      return memories[memory].store(bytes)
    }
    throw .badDescriptor
  }

  fileprivate mutating func deliver(_ enclosures: [FakePeer.Enclosure]) throws(Errno) -> [CInt] {
    var numbers: [CInt] = []
    var first: Int?
    for enclosure in enclosures {
      switch enclosure {
      case .dmaBuf(let bytes, let writable):
        let memory = try newMemory(byteCount: bytes.count, exporter: nil)
        memories[memory].store(bytes)
        first = first ?? memory
        numbers.append(try exportDescriptor(of: memory, writable: writable))
      case .again:
        if first == nil { first = try newMemory(byteCount: 4096, exporter: nil) }
        numbers.append(try exportDescriptor(of: first ?? 0, writable: true))
      case .node: numbers.append(try adopt(Glibc.open("/dev/null", O_RDWR | O_CLOEXEC), as: .plain(path: "/dev/null")))
      case .memory:
        let memory = try newMemory(byteCount: 4096, exporter: nil)
        numbers.append(try adopt(fcntl(memories[memory].descriptor, F_DUPFD_CLOEXEC, 0), as: .memory(memory)))
      }
    }
    return numbers
  }

  /// Frees the memory of what peers sent, which a million of messages would not fit with.
  mutating func forgetMemories() {
    for memory in memories { _ = Glibc.close(memory.descriptor) }
    memories = []
    openBrackets = [:]
    sockets = FakeSockets()
  }
}
