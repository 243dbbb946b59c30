internal import Glibc
package import Prime

/// A pair of connected sockets through which descriptors go from one process to another (`SCM_RIGHTS`), or to oneself.
package struct DescriptorSocket: ~Copyable, Sendable {
  /// The two ends.
  package enum End: Sendable {
    case first
    case second
  }

  private let first: CInt
  private let second: CInt

  /// Makes the pair, close-on-exec (`socketpair`, `SOCK_SEQPACKET`).
  package init() throws(PrimeError) {
    (first, second) = try LinuxKernel.socketPair().orThrow("socketpair", on: "AF_UNIX")
  }

  deinit {
    _ = Glibc.close(first)
    _ = Glibc.close(second)
  }

  /// Both ends, each with an owner of its own.
  package struct Ends: ~Copyable {
    package let first: Descriptor
    package let second: Descriptor

    /// Gives the first end away, and closes the second.
    package consuming func keepingFirst() -> Descriptor { first }
  }

  /// Gives both ends away.
  package consuming func separated() -> Ends {
    let (first, second) = (first, second)
    discard self
    return Ends(
      first: Descriptor(adopting: first, kernel: LinuxKernel()),
      second: Descriptor(adopting: second, kernel: LinuxKernel()))
  }

  private borrowing func descriptor(_ end: End) -> CInt { end == .first ? first : second }

  /// Sends a descriptor in at one end; the sender's own stays open.
  package borrowing func send(_ descriptor: CInt, into end: End) throws(PrimeError) {
    try LinuxKernel().sendDescriptor(descriptor, through: self.descriptor(end))
      .orThrow("sendmsg", on: "SCM_RIGHTS of descriptor \(descriptor)")
  }

  /// The descriptor that comes out at one end, close-on-exec; the caller closes it.
  ///
  /// - Throws: `poll for a descriptor` with `deadline`, `recvmsg` with `gone` where no process holds the other
  ///   end any more, and with `protocolViolation` where a message has not exactly one.
  package borrowing func receive(at end: End, deadline: Deadline) throws(PrimeError) -> CInt {
    let socket = descriptor(end)
    try LinuxKernel().awaitEvents(Int16(POLLIN), of: socket, "a descriptor", deadline: deadline, on: "the socket")
    let message = try LinuxKernel().socketReceive(socket, room: 1).orThrow("recvmsg", on: "SCM_RIGHTS")
    return try Self.descriptor(in: message)
  }

  /// The one descriptor that a message has to carry; the caller closes it.
  ///
  /// What a message has too many is closed.
  ///
  /// - Throws: `recvmsg` with `gone` for the end of what comes, with `protocolViolation` for any other message.
  package static func descriptor(in message: SocketMessage) throws(PrimeError) -> CInt {
    if message.descriptors.count == 1, !message.lacksDescriptors { return message.descriptors[0] }
    message.descriptors.forEach(LinuxKernel().close)
    guard !message.bytes.isEmpty || !message.descriptors.isEmpty || message.lacksDescriptors else {
      throw PrimeError(
        operation: "recvmsg", finding: .gone, subject: "SCM_RIGHTS", reason: "no process holds the other end any more")
    }
    throw PrimeError(
      operation: "recvmsg", finding: .protocolViolation, subject: "SCM_RIGHTS",
      reason: message.lacksDescriptors
        ? "descriptors of a message were lost: this process may have no more (`ulimit -n`)"
        : "a message came with \(message.descriptors.count) descriptors in place of one")
  }

  /// Sends a few bytes in at one end, as one packet.
  package borrowing func send(_ bytes: [UInt8], into end: End) throws(PrimeError) {
    // Safe: send reads at most the bytes it is given.
    let count = unsafe bytes.withUnsafeBytes {
      unsafe Glibc.send(descriptor(end), $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
    }
    guard count >= 0 else {
      throw PrimeError(operation: "send", errno: Errno(rawValue: Glibc.errno), subject: "the socket")
    }
    guard count == bytes.count else {
      throw PrimeError(
        operation: "send", finding: .broken, subject: "the socket",
        reason: "it took \(count) of a packet's \(bytes.count) bytes")
    }
  }

  /// The packet that comes out at one end, of at most 4096 bytes.
  package borrowing func receiveBytes(at end: End, deadline: Deadline) throws(PrimeError) -> [UInt8] {
    let socket = descriptor(end)
    try LinuxKernel().awaitEvents(Int16(POLLIN), of: socket, "a message", deadline: deadline, on: "the socket")
    var bytes = [UInt8](repeating: 0, count: 4096)
    // Safe: recv fills at most the array it is given.
    let count = unsafe Glibc.recv(socket, &bytes, bytes.count, 0)
    guard count >= 0 else {
      throw PrimeError(operation: "recv", errno: Errno(rawValue: Glibc.errno), subject: "the socket")
    }
    guard count > 0 else {
      throw PrimeError(operation: "recv", finding: .gone, subject: "the socket", reason: "the other end went away")
    }
    return Array(bytes.prefix(count))
  }
}
