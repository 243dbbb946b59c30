import Testing

@testable import Prime
@testable import prime_tool

@Suite("What a command has of dma-bufs while it runs")
struct DMABufGrowthTests {
  private func growth(_ counts: [Int], bytesEach: Int = 4096) -> DMABufGrowth {
    var growth = DMABufGrowth()
    for (index, count) in counts.enumerated() {
      growth.add(.init(seconds: Double(index), buffers: count, bytes: count * bytesEach, descriptors: 2 * count))
    }
    return growth
  }

  @Test("grows where the least of it is more in each quarter of the time than in the one before")
  func grows() {
    let steady = growth([0, 1, 5, 2, 6, 3, 7, 4, 9, 8])
    // A program that takes its time to start is no less greedy for it.
    #expect(growth([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).growing.map(\.lows.first) == [1, 4096, 2])
    #expect(steady.peak == .init(seconds: 8, buffers: 9, bytes: 36864, descriptors: 18))
    #expect(
      steady.growing == [
        .init(what: .buffers, lows: [1, 2, 3, 4]), .init(what: .bytes, lows: [4096, 8192, 12288, 16384]),
        .init(what: .descriptors, lows: [2, 4, 6, 8]),
      ])
  }

  @Test(
    "does not grow where it makes what it needs and works with that, where it gives back, and where nobody saw enough",
    arguments: [
      [0, 2, 4, 4, 4, 4, 4, 4, 4, 4], [0, 9, 0, 9, 0, 9, 0, 9], [1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 1, 2, 3, 4, 5, 6, 7],
      [], [8, 7, 6, 5, 4, 3, 2, 1],
      [1, 2, 3, 4, 5, 6, 7, 8, 0],
    ])
  func doesNotGrow(counts: [Int]) {
    #expect(growth(counts).growing == [])
  }

  @Test("is kept as at most 256 evenly spaced moments, its peak as it was")
  func series() {
    let long = growth(Array(0..<1000) + [5000, 0])
    #expect(long.series.count == 251)
    #expect(long.series.map(\.seconds) == stride(from: 0.0, to: 1002, by: 4).map { $0 })
    #expect(long.peak.buffers == 5000)
    #expect(long.peak.seconds == 1000)
  }

  @Test("is told with the peak and with each number that grew")
  func text() {
    let clean = DMABufLeaks(left: [], elsewhere: [])
    #expect(BuffersText().text(clean, growth([0, 0]), of: "app") == "app left no dma-buf behind\n")
    #expect(
      BuffersText().text(clean, growth([0, 1, 1]), of: "app") == """
        app left no dma-buf behind
        at most 1 dma-buf, 4.0 KiB, 2 descriptors of them

        """)
    #expect(
      BuffersText().text(clean, growth(Array(0..<9)), of: "app") == """
        app left no dma-buf behind
        at most 8 dma-bufs, 32.0 KiB, 16 descriptors of them
        dma-bufs grew all the time: no fewer than 1, 3, 5, 7 in the quarters of it
        bytes grew all the time: no fewer than 4.0 KiB, 12.0 KiB, 20.0 KiB, 28.0 KiB in the quarters of it
        descriptors of dma-bufs grew all the time: no fewer than 2, 6, 10, 14 in the quarters of it

        """)
  }
}
