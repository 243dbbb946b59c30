internal import Glibc

/// Descriptors that came with a message; those that nobody took are closed with it.
package final class HandoverDescriptors {
  private var numbers: [CInt]
  private let kernel: any KernelCalls

  init(_ numbers: [CInt], kernel: any KernelCalls) {
    self.numbers = numbers
    self.kernel = kernel
  }

  deinit {
    for number in numbers { kernel.close(number) }
  }

  package var count: Int { numbers.count }

  /// The next descriptor, which is the caller's now.
  package func takeFirst() -> Descriptor {
    Descriptor(adopting: numbers.removeFirst(), kernel: kernel)
  }
}

/// One end of a connected socket, for one hand-over; closing it tells the other end that this one is done.
public struct HandoverConnection: ~Copyable {
  private let descriptor: Descriptor
  /// Who is at the other end.
  public let peer: PeerCredentials
  private let name: String?

  /// Takes over a connected socket, and refuses a peer that is none of these users.
  init(adopting descriptor: consuming Descriptor, from users: HandoverUsers, at address: HandoverAddress)
    throws(PrimeError)
  {
    let peer = try descriptor.kernel.socketPeer(descriptor.rawValue).orThrow("SO_PEERCRED", on: "\(address)")
    guard users.allowed.contains(peer.user) else {
      throw PrimeError(
        operation: "SO_PEERCRED", finding: .unsuitable, subject: "\(address)",
        reason: "the other end is user \(peer.user): only \(users) may take part; \(Remedy.allowedPeer(peer.user))")
    }
    self.peer = peer
    self.descriptor = descriptor
    name = nil
  }

  /// Takes over one end of a pair, whose other end a program gets that is called `name`.
  package init(adopting descriptor: consuming Descriptor, to name: String) {
    peer = PeerCredentials(user: descriptor.kernel.effectiveUser, process: 0)
    self.descriptor = descriptor
    self.name = name
  }

  /// Takes over a socket that the process was started with.
  package init(openDescriptor number: CInt, from users: HandoverUsers, kernel: any KernelCalls) throws(PrimeError) {
    let address = HandoverAddress.descriptor(number)
    let isPacket = try kernel.socketIsPacket(number).orThrow("getsockopt", on: "\(address)")
    guard isPacket else {
      throw PrimeError(
        operation: "getsockopt", finding: .unsuitable, subject: "\(address)",
        reason: "it is not a connected UNIX socket of the type SOCK_SEQPACKET")
    }
    try self.init(adopting: Descriptor(adopting: number, kernel: kernel), from: users, at: address)
  }

  var kernel: any KernelCalls { descriptor.kernel }

  /// How messages name the other end.
  package var subject: String { name ?? "user \(peer.user), process \(peer.process)" }

  /// Sends one message, with dma-bufs where they are given.
  package borrowing func send(
    _ bytes: [UInt8], dmaBufs: [CInt] = [], deadline: Deadline
  ) throws(PrimeError) {
    while true {
      switch kernel.socketSend(descriptor.rawValue, bytes, descriptors: dmaBufs) {
      case .success: return
      case .failure(.interrupted): try deadline.check("sendmsg", on: subject)
      case .failure(.tryAgain):
        try kernel.awaitEvents(
          Int16(POLLOUT), of: descriptor.rawValue, "room in the socket", deadline: deadline, on: subject)
      case .failure(let errno): throw gone("sendmsg", errno, "while it was sent something")
      }
    }
  }

  /// Waits for one message of at most `room` bytes; `what` names it.
  package borrowing func receive(
    _ what: String, room: Int, deadline: Deadline
  ) throws(PrimeError) -> (bytes: [UInt8], descriptors: HandoverDescriptors) {
    while true {
      try kernel.awaitEvents(Int16(POLLIN), of: descriptor.rawValue, what, deadline: deadline, on: subject)
      switch kernel.socketReceive(descriptor.rawValue, room: room) {
      case .success(let message):
        let descriptors = HandoverDescriptors(message.descriptors, kernel: kernel)
        guard !message.bytes.isEmpty else { throw gone("recvmsg", nil, "before \(what) came") }
        guard !message.isCutOff else {
          throw .againstProtocol(.length(expected: room, stated: nil, given: room + 1), subject)
        }
        guard !message.lacksDescriptors else { throw .againstProtocol(.descriptorsLost, subject) }
        return (message.bytes, descriptors)
      case .failure(.interrupted), .failure(.tryAgain): try deadline.check("recvmsg", on: subject)
      case .failure(let errno): throw gone("recvmsg", errno, "before \(what) came")
      }
    }
  }

  /// Waits for a message that must come without descriptors.
  package borrowing func receiveReply(
    _ kind: HandoverReply.Kind, _ what: String, deadline: Deadline
  ) throws(PrimeError) -> HandoverReply {
    let (bytes, descriptors) = try receive(what, room: HandoverReply.byteCount, deadline: deadline)
    guard descriptors.count == 0 else {
      throw .againstProtocol(.descriptorCount(announced: 0, given: descriptors.count), subject)
    }
    do throws(HandoverError) {
      return try HandoverReply(parsing: bytes, expecting: kind)
    } catch {
      throw .againstProtocol(error, subject)
    }
  }

  /// Waits for the other end to close, which it does when it holds the buffer no more.
  package borrowing func awaitEnd(deadline: Deadline) throws(PrimeError) {
    while true {
      try kernel.awaitEvents(
        Int16(POLLIN), of: descriptor.rawValue, "the importer to be done", deadline: deadline, on: subject)
      switch kernel.socketReceive(descriptor.rawValue, room: 1) {
      case .success(let message):
        let descriptors = HandoverDescriptors(message.descriptors, kernel: kernel)
        if message.bytes.isEmpty && descriptors.count == 0 { return }
        throw .againstProtocol(.length(expected: 0, stated: nil, given: message.bytes.count), subject)
      case .failure(.interrupted), .failure(.tryAgain): try deadline.check("recvmsg", on: subject)
      // An end that came before the last message was read is an end.
      case .failure: return
      }
    }
  }

  /// - Parameter errno: What the kernel answered; nil where it gave the end of the stream.
  private borrowing func gone(_ operation: PrimeError.Operation, _ errno: Errno?, _ when: String) -> PrimeError {
    let reason = "the other end went away \(when)"
    guard let errno else {
      return PrimeError(operation: operation, finding: .gone, subject: subject, reason: reason)
    }
    let error = PrimeError(operation: operation, errno: errno, subject: subject)
    return error.isEndOfPeer ? error.explained(reason) : error
  }
}

extension PrimeError {
  /// Whether the other end of a socket went away.
  package var isEndOfPeer: Bool { finding == .gone || errno == .brokenPipe || errno == .connectionReset }

  /// A message that does not keep to the format.
  package static func againstProtocol(_ error: HandoverError, _ subject: String) -> PrimeError {
    PrimeError(operation: .handover, finding: .protocolViolation, subject: subject, reason: error.description)
  }
}
