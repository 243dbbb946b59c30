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

  @Test("says that the other end is gone where the kernel gives the end of what comes, for which it has no errno")
  func noOtherEnd() throws {
    let end = try DescriptorSocket().separated().keepingFirst()
    let message = try LinuxKernel().socketReceive(end.rawValue, room: 1).get()
    #expect(message == SocketMessage(bytes: [], descriptors: []))
    let error = #expect(throws: PrimeError.self) { try DescriptorSocket.descriptor(in: message) }
    #expect(error?.operation == "recvmsg")
    #expect(error?.finding == .gone)
  }

  @Test("closes what came where a message carries two descriptors")
  func twoDescriptors() throws {
    let ends = try DescriptorSocket().separated()
    var pipe: [CInt] = [-1, -1]
    try #require(pipe2(&pipe, O_NONBLOCK) == 0)
    try LinuxKernel().socketSend(ends.first.rawValue, [1], descriptors: [pipe[1], pipe[1]]).get()
    close(pipe[1])
    let message = try LinuxKernel().socketReceive(ends.second.rawValue, room: 1).get()
    let error = #expect(throws: PrimeError.self) { try DescriptorSocket.descriptor(in: message) }
    #expect(error?.finding == .protocolViolation)
    #expect(error?.reason == "a message came with 2 descriptors in place of one")
    // Zero is the end, which does not come while anybody has the end for writing.
    var byte: UInt8 = 0
    #expect(Glibc.read(pipe[0], &byte, 1) == 0)
    close(pipe[0])
  }

  @Test("says that descriptors were lost where the kernel could not install them")
  func lostDescriptors() {
    let message = SocketMessage(bytes: [1], descriptors: [], lacksDescriptors: true)
    let error = #expect(throws: PrimeError.self) { try DescriptorSocket.descriptor(in: message) }
    #expect(error?.finding == .protocolViolation)
    #expect(error?.reason == "descriptors of a message were lost: this process may have no more (`ulimit -n`)")
  }
}
