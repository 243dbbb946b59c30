import Testing

@testable import Prime
@testable import PrimeProcesses

@Suite("What a worker tells its parent")
struct WorkerMessageTests {
  private let messages = [
    WorkerMessage(.began, 3), WorkerMessage(.note, 3, [1, 2]),
    WorkerMessage(.result, 3, Array(repeating: 9, count: 70_000)),
    WorkerMessage(.ended, 0, []),
  ]

  @Test(arguments: [1, 7, 9, 4096, 1 << 20])
  func `is heard whole, however the pipe cuts it`(size: Int) {
    let bytes = messages.flatMap(\.encoded)
    var received: [UInt8] = []
    var heard: [WorkerMessage] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      received += bytes[start..<min(start + size, bytes.count)]
      heard += WorkerMessage.take(from: &received)
    }
    #expect(heard == messages)
    #expect(received.isEmpty)
  }

  @Test func `is no message where the worker died in its middle`() {
    var received = Array(WorkerMessage(.result, 1, [1, 2, 3]).encoded.dropLast())
    #expect(WorkerMessage.take(from: &received) == [])
  }

  @Test func `is not understood behind a kind that is none`() {
    var received = WorkerMessage(.began, 1).encoded + [77] + WorkerMessage(.ended, 1).encoded
    #expect(WorkerMessage.take(from: &received) == [WorkerMessage(.began, 1)])
    #expect(received.isEmpty)
  }
}
