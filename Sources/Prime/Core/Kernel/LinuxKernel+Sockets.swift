internal import CDrm
internal import Glibc

extension LinuxKernel {
  package func socket(forProbing: Bool) -> CallResult<CInt> {
    let type = forProbing ? SOCK_DGRAM : SOCK_SEQPACKET
    return Self.shimmed(cdrm_socket_open(CInt(type.rawValue)))
  }

  /// `socketpair(2)`: two connected ends that keep message boundaries, close-on-exec; the caller closes both.
  package static func socketPair() -> CallResult<(CInt, CInt)> {
    var ends: [CInt] = [-1, -1]
    // Safe: the shim fills the two numbers it is given.
    return unsafe shimmed(cdrm_socket_pair(&ends)).map { _ in (ends[0], ends[1]) }
  }

  package func socketBind(_ descriptor: CInt, to name: [UInt8], mode: UInt32) -> CallResult<Void> {
    // Safe: the shim reads as many bytes as it is told there are.
    unsafe Self.shimmed(cdrm_socket_bind(descriptor, name, name.count, mode)).map { _ in }
  }

  package func socketListen(_ descriptor: CInt) -> CallResult<Void> {
    Self.shimmed(cdrm_socket_listen(descriptor)).map { _ in }
  }

  package func socketConnect(_ descriptor: CInt, to name: [UInt8]) -> CallResult<Void> {
    // Safe: the shim reads as many bytes as it is told there are.
    unsafe Self.shimmed(cdrm_socket_connect(descriptor, name, name.count)).map { _ in }
  }

  package func socketAccept(_ descriptor: CInt) -> CallResult<CInt> {
    Self.shimmed(cdrm_socket_accept(descriptor))
  }

  package func socketPeer(_ descriptor: CInt) -> CallResult<PeerCredentials> {
    var user: UInt32 = 0
    var process: Int32 = 0
    // Safe: the shim fills the two numbers it is given.
    return unsafe Self.shimmed(cdrm_socket_peer(descriptor, &user, &process)).map { _ in
      PeerCredentials(user: user, process: process)
    }
  }

  package func socketIsPacket(_ descriptor: CInt) -> CallResult<Bool> {
    Self.shimmed(cdrm_socket_is_packet(descriptor)).map { $0 != 0 }
  }

  package func socketSend(_ descriptor: CInt, _ bytes: [UInt8], descriptors: [CInt]) -> CallResult<Void> {
    // Safe: the shim reads as many bytes and descriptors as it is told there are.
    unsafe Self.shimmed(
      cdrm_message_send(descriptor, bytes, bytes.count, descriptors, descriptors.count)
    ).map { _ in }
  }

  package func socketReceive(_ descriptor: CInt, room: Int) -> CallResult<SocketMessage> {
    var bytes = [UInt8](repeating: 0, count: room)
    var descriptors = [CInt](repeating: -1, count: Int(CDRM_DESCRIPTOR_ROOM))
    var descriptorCount: CInt = 0
    var flags: CInt = 0
    // Safe: the shim writes at most `room` bytes and CDRM_DESCRIPTOR_ROOM descriptors, and says how many.
    let result = unsafe Self.shimmed(
      cdrm_message_receive(descriptor, &bytes, room, &descriptors, &descriptorCount, &flags))
    return result.map { count in
      SocketMessage(
        bytes: Array(bytes.prefix(Int(count))), descriptors: Array(descriptors.prefix(Int(descriptorCount))),
        isCutOff: flags & CInt(MSG_TRUNC) != 0, lacksDescriptors: flags & CInt(MSG_CTRUNC) != 0)
    }
  }
}
