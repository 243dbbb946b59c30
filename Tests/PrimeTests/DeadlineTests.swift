import Prime
import Testing

@Suite("A deadline")
struct DeadlineTests {
  @Test("that has passed is an error that names the operation")
  func passed() {
    let deadline = Deadline(in: .zero)
    let error = #expect(throws: PrimeError.self) { try deadline.check("poll", on: "dma-buf 7") }
    #expect(error?.finding == .deadline)
    #expect(error?.operation == "poll")
    #expect(error?.subject == "dma-buf 7")
  }

  @Test("is over once its time is, whoever asked to stop for that")
  func cancelledBehindItsTime() {
    let cancellation = Cancellation()
    cancellation.request()
    let error = #expect(throws: PrimeError.self) {
      try Deadline(in: .zero).obeying(cancellation).check("poll", on: "fence")
    }
    #expect(error?.finding == .deadline)
  }

  @Test("is cancelled when its owner asked to stop, however much time is left")
  func cancelled() {
    let cancellation = Cancellation()
    let deadline = Deadline(in: .seconds(60), cancellation: cancellation)
    #expect(throws: Never.self) { try deadline.check("poll", on: "dma-buf 7") }
    cancellation.request()
    let error = #expect(throws: PrimeError.self) { try deadline.check("poll", on: "dma-buf 7") }
    #expect(error?.finding == .cancelled)
  }

  @Test("of the shorter of two limits wins")
  func shorter() {
    #expect(Deadline(in: .seconds(60)).atMost(.seconds(1)).remaining <= .seconds(1))
    #expect(Deadline(in: .seconds(1)).atMost(.seconds(60)).remaining <= .seconds(1))
  }
}
