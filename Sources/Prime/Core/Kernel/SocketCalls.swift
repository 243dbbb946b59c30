internal import Glibc

/// One message as it came through a socket.
package struct SocketMessage: Hashable, Sendable {
  package var bytes: [UInt8]
  /// Close-on-exec, and the receiver's to close, also where something was cut off.
  package var descriptors: [CInt]
  /// The message was longer than the room for it (`MSG_TRUNC`).
  package var isCutOff: Bool
  /// More descriptors came than there was room for, or than this process may have (`MSG_CTRUNC`).
  package var lacksDescriptors: Bool

  package init(bytes: [UInt8], descriptors: [CInt], isCutOff: Bool = false, lacksDescriptors: Bool = false) {
    self.bytes = bytes
    self.descriptors = descriptors
    self.isCutOff = isCutOff
    self.lacksDescriptors = lacksDescriptors
  }
}

/// Who is at the other end of a socket, by the kernel's word (`SO_PEERCRED`).
public struct PeerCredentials: Hashable, Sendable {
  /// The user, as seen from this process's user namespace; 65534 where it has no number here.
  public var user: UInt32
  /// The process that connected or listened; 0 where it has no number here.
  public var process: Int32

  package init(user: UInt32, process: Int32) {
    self.user = user
    self.process = process
  }
}

/// UNIX sockets that keep message boundaries (`SOCK_SEQPACKET`) and carry descriptors (`SCM_RIGHTS`).
///
/// A name is what `sun_path` holds: a path, or a zero byte and an abstract name. No call here waits.
package protocol HandoverCalls {
  /// `socket(2)`, close-on-exec; `forProbing` makes a datagram socket, whose connect disturbs nobody.
  func socket(forProbing: Bool) -> CallResult<CInt>
  /// `bind(2)`; a path is created with this mode and never with a wider one.
  func socketBind(_ descriptor: CInt, to name: [UInt8], mode: UInt32) -> CallResult<Void>
  /// `listen(2)`.
  func socketListen(_ descriptor: CInt) -> CallResult<Void>
  /// `connect(2)`; `EAGAIN` where the other end has too many waiting.
  func socketConnect(_ descriptor: CInt, to name: [UInt8]) -> CallResult<Void>
  /// `accept4(2)`, close-on-exec; `EAGAIN` where nobody waits.
  func socketAccept(_ descriptor: CInt) -> CallResult<CInt>
  /// `SO_PEERCRED`.
  func socketPeer(_ descriptor: CInt) -> CallResult<PeerCredentials>
  /// Whether it is a connected UNIX socket that keeps message boundaries.
  func socketIsPacket(_ descriptor: CInt) -> CallResult<Bool>
  /// `sendmsg(2)` without a signal, with up to 16 descriptors.
  func socketSend(_ descriptor: CInt, _ bytes: [UInt8], descriptors: [CInt]) -> CallResult<Void>
  /// `recvmsg(2)` of one message, of which at most `room` bytes and 16 descriptors are taken; no bytes at the end.
  func socketReceive(_ descriptor: CInt, room: Int) -> CallResult<SocketMessage>
}

extension KernelCalls {
  /// Sends one descriptor through a socket, beside one byte; the sender's own stays open.
  package func sendDescriptor(_ descriptor: CInt, through socket: CInt) -> CallResult<Void> {
    socketSend(socket, [UInt8(ascii: "d")], descriptors: [descriptor])
  }
}
