import Glibc
import Prime
import PrimeVerify

/// How long Prime's work on one picture takes beside the C library's on as many bytes.
struct Measurement {
  let format: PixelFormat
  let width: Int
  let height: Int
  let fill: Comparison
  let compare: Comparison
}

/// Two medians, measured in turn.
struct Comparison {
  /// Prime's median, in nanoseconds.
  let prime: Double
  /// The C library's median, in nanoseconds.
  let reference: Double
  let byteCount: Int

  var ratio: Double { prime / reference }
  /// Bytes in a nanosecond are gigabytes in a second.
  var primeRate: Double { Double(byteCount) / prime }
  var referenceRate: Double { Double(byteCount) / reference }
}

/// Runs A and B in turn, so that both see the same machine, and takes each one's median.
func alternating(byteCount: Int, repetitions: Int, _ prime: () throws -> Void, _ reference: () -> Void) rethrows
  -> Comparison
{
  // The first runs touch every page and settle the clock frequency.
  for _ in 0..<3 {
    try prime()
    reference()
  }
  var primeTimes: [Double] = []
  var referenceTimes: [Double] = []
  for _ in 0..<repetitions {
    primeTimes.append(try nanoseconds(prime))
    referenceTimes.append(nanoseconds(reference))
  }
  return Comparison(prime: median(primeTimes), reference: median(referenceTimes), byteCount: byteCount)
}

private func nanoseconds(_ body: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  let (seconds, attoseconds) = try clock.measure(body).components
  return Double(seconds) * 1e9 + Double(attoseconds) / 1e9
}

private func median(_ times: [Double]) -> Double {
  let sorted = times.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// A comparison said that a picture differs from what was just written.
struct WrongAnswer: Error {}

func measure(_ format: PixelFormat, width: Int, height: Int, repetitions: Int) throws -> Measurement {
  let layout = try PictureLayout.packed(format: format, width: width, height: height)
  let count = layout.byteCount
  let pattern = Pattern(seed: 0x5eed, index: 0)
  // Page-aligned memory, as a mapped dma-buf is.
  guard let memory = unsafe aligned_alloc(4096, (count + 4095) / 4096 * 4096),
    let copy = unsafe aligned_alloc(4096, (count + 4095) / 4096 * 4096)
  else { throw WrongAnswer() }
  // SAFETY: both blocks hold `count` bytes and live until the end of this function.
  defer {
    unsafe free(memory)
    unsafe free(copy)
  }
  let bytes = unsafe UnsafeMutableBufferPointer(start: memory.assumingMemoryBound(to: UInt8.self), count: count)

  let fill = try alternating(byteCount: count, repetitions: repetitions) {
    // SAFETY: the span covers the block exactly and ends before the block is freed.
    var span = unsafe MutableSpan(_unsafeElements: bytes)
    try pattern.fill(&span, layout: layout)
  } _: {
    unsafe memset(memory, 0x5a, count)
  }

  var span = unsafe MutableSpan(_unsafeElements: bytes)
  try pattern.fill(&span, layout: layout)
  unsafe memcpy(copy, memory, count)
  let compare = try alternating(byteCount: count, repetitions: repetitions) {
    // SAFETY: as above.
    let span = unsafe Span(_unsafeElements: UnsafeBufferPointer(bytes))
    let comparison = try pattern.compare(span, layout: layout, ignoringUnusedBits: true)
    guard comparison.isEqual else { throw WrongAnswer() }
  } _: {
    // A result that decides something keeps the call from being removed.
    guard unsafe memcmp(memory, copy, count) == 0 else { fatalError("the copy differs") }
  }
  return Measurement(format: format, width: width, height: height, fill: fill, compare: compare)
}
