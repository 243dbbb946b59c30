import Synchronization
import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("Damaged messages with any descriptors")
struct HandoverFuzzTests {
  @Test("Nothing is taken that was not described, and every descriptor is closed")
  func damaged() throws {
    let kernel = FakeKernel([])
    let plain = HandoverSessionTests.offer()
    var planes = plain
    planes.fourcc = Fixture.fourcc("NV12")
    planes.bufferCount = 2
    planes.planes = [.init(buffer: 0, pitch: 32, offset: 0), .init(buffer: 1, pitch: 32, offset: 512)]
    let corpus = [plain.bytes, planes.bytes]
    let page = FakePeer.Enclosure.dmaBuf(bytes: [UInt8](repeating: 0, count: 4096), writable: true)
    let choices: [FakePeer.Enclosure] = [
      page, page, page, .again, .node, .memory, .dmaBuf(bytes: [UInt8](repeating: 0, count: 4096), writable: false),
      .dmaBuf(bytes: [UInt8](repeating: 0, count: 8192), writable: true),
    ]
    let inputs = ParserFuzzTests.inputs / 4
    var mutator = Mutator(seed: 0xfd)
    var taken = 0
    for index in 0..<inputs {
      let bytes = mutator.next() % 8 == 0 ? corpus[mutator.number(below: 2)] : mutator.input(from: corpus)
      let enclosures = (0..<[0, 1, 1, 1, 2, 2, 5][mutator.number(below: 7)]).map { position in
        position == 0 && mutator.next() % 2 == 0 ? page : choices[mutator.number(below: choices.count)]
      }
      do throws(PrimeError) {
        let description = try offered(bytes, enclosures, on: kernel)
        taken += 1
        guard let offer = try? HandoverOffer(parsing: bytes), offer.bufferCount == enclosures.count,
          Int(offer.width) == description.width, offer.fourcc == description.fourcc,
          offer.modifier == description.modifier, description.layout.byteCount <= 8192
        else {
          Issue.record("input \(index) was taken for something else: \(bytes)")
          return
        }
      } catch {
        guard error.reason?.isEmpty == false else {
          Issue.record("input \(index): no reason: \(error)")
          return
        }
      }
      if index % 500 == 499 {
        guard kernel.leftovers.isEmpty else {
          Issue.record("before input \(index): \(kernel.leftovers)")
          return
        }
        kernel.state.withLock { $0.forgetMemories() }
      }
    }
    kernel.expectNothingLeft()
    #expect(taken > inputs / 100)
    print("\(inputs) damaged offers with descriptors; \(taken) were taken")
  }

  /// What an importer takes of a message.
  private func offered(
    _ bytes: [UInt8], _ enclosures: [FakePeer.Enclosure], on kernel: FakeKernel
  ) throws(PrimeError) -> BufferDescription {
    kernel.expect([FakePeer(messages: [.init(bytes: bytes, enclosures: enclosures)])], at: "x")
    let connection = try HandoverConnection.connect(
      to: .path("x"), for: HandoverSessionTests.users, waits: false, deadline: Fixture.deadline, kernel: kernel
    ) {}
    let (message, descriptors) = try connection.receive(
      "an offer", room: HandoverOffer.byteCount, deadline: Fixture.deadline)
    return try HandedOverPicture(offering: message, descriptors, from: "the exporter").picture.description
  }
}
