import Glibc
import Prime
import PrimeProcesses
import Testing

@Suite("A socket for descriptors")
struct DescriptorSocketTests {
  private let deadline = Deadline(in: .seconds(10))

  @Test("hands over another descriptor of the same file, close-on-exec")
  func handOver() throws {
    let socket = try DescriptorSocket()
    var pipe: [CInt] = [-1, -1]
    try #require(Glibc.pipe(&pipe) == 0)
    defer { for end in pipe { close(end) } }
    try socket.send(pipe[1], into: .first)
    let received = try socket.receive(at: .second, deadline: deadline)
    defer { close(received) }
    #expect(received != pipe[1])
    #expect(fcntl(received, F_GETFD) & FD_CLOEXEC != 0)
    #expect(Glibc.write(received, "x", 1) == 1)
    var byte: UInt8 = 0
    #expect(Glibc.read(pipe[0], &byte, 1) == 1)
    #expect(byte == UInt8(ascii: "x"))
  }

  @Test("names the protocol where a message comes without a descriptor")
  func noDescriptor() throws {
    let socket = try DescriptorSocket()
    try socket.send([1], into: .first)
    let error = #expect(throws: PrimeError.self) { try socket.receive(at: .second, deadline: deadline) }
    #expect(error?.operation == "recvmsg")
    #expect(error?.finding == .protocolViolation)
  }

  @Test("says EPIPE where the other end is gone")
  func noOtherEnd() throws {
    let end = try DescriptorSocket().separated().keepingFirst()
    let answer = LinuxKernel().receiveDescriptor(through: end.rawValue)
    #expect(answer == .failure(.brokenPipe))
  }
}
