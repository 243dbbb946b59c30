import Foundation
import Prime
import Testing

/// Damages recorded bytes in ways that reach the parsers' decisions; equal seeds damage alike.
struct Mutator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }

  mutating func number(below limit: Int) -> Int { limit < 1 ? 0 : Int(next() % UInt64(limit)) }

  /// One input, made of one of the corpus with one to four changes.
  mutating func input(from corpus: [[UInt8]]) -> [UInt8] {
    var bytes = corpus[number(below: corpus.count)]
    for _ in 0...number(below: 4) { change(&bytes, corpus) }
    return bytes
  }

  private static let interesting: [UInt32] = [0, 1, 0x7fff_ffff, 0xffff_ffff, 8, 24, 32, 0x8000_0000, 0x1000_0000]

  private mutating func change(_ bytes: inout [UInt8], _ corpus: [[UInt8]]) {
    switch number(below: 6) {
    case 0 where !bytes.isEmpty: bytes[number(below: bytes.count)] ^= 1 << UInt8(number(below: 8))
    case 1: bytes.removeLast(number(below: bytes.count + 1))
    case 2: for _ in 0...number(below: 40) { bytes.append(UInt8(truncatingIfNeeded: next())) }
    case 3:
      let other = corpus[number(below: corpus.count)]
      let start = number(below: other.count)
      let piece = other[start..<start + number(below: other.count - start + 1)]
      let position = number(below: bytes.count + 1)
      // Over what is there, or between it.
      let end = next() % 2 == 0 ? position : min(bytes.count, position + piece.count)
      bytes.replaceSubrange(position..<end, with: piece)
    default:
      // Twice as likely as the others: the fields decide what the parsers do.
      let position = number(below: max(1, bytes.count / 4)) * 4
      let value = Self.interesting[number(below: Self.interesting.count)]
      bytes = bytes.replacing(at: position, with: value)
    }
  }
}

@Suite("Parsers of what the kernel gives, fed with damaged bytes")
struct ParserFuzzTests {
  /// `PRIME_FUZZ_INPUTS`, or few enough for a debug build.
  static let inputs = ProcessInfo.processInfo.environment["PRIME_FUZZ_INPUTS"].flatMap(Int.init) ?? 20000

  /// What all parsers say to some bytes; reading it back shows whether a parser keeps anything between two inputs.
  struct Answers: Equatable {
    var formats: InFormats?
    var events: [DisplayEvent]?
    var list: [Fourcc]?
    var mode: DisplayMode?
    var problem: String?

    init(_ bytes: [UInt8]) {
      readFormats(bytes)
      readEvents(bytes)
      readList(bytes)
      readMode(bytes)
    }

    private mutating func readFormats(_ bytes: [UInt8]) {
      guard let parsed = try? InFormats(parsing: bytes) else { return }
      formats = parsed
      if parsed.formats.count * 4 > bytes.count { problem = "more formats than bytes" }
      // An entry of 24 bytes names at most 64 formats, whose names have at most some dozens of characters.
      if parsed.description.utf8.count > 100 * (bytes.count + 1) { problem = "an endless description" }
      for format in parsed.formats.prefix(3) {
        let modifiers = parsed.modifiers(of: format)
        if modifiers.count * 24 > bytes.count { problem = "more modifiers than bytes" }
        if Set(modifiers).count != modifiers.count { problem = "a modifier named twice" }
        if !modifiers.allSatisfy({ parsed.contains(format, $0) }) { problem = "a modifier both listed and not" }
      }
    }

    private mutating func readEvents(_ bytes: [UInt8]) {
      do {
        let parsed = try DisplayEvent.parse(bytes)
        events = parsed
        if parsed.count * 8 > bytes.count { problem = "more events than bytes" }
        let kept = parsed.reduce(0) { sum, event in
          guard case .unknown(_, let raw) = event else { return sum + 32 }
          return sum + raw.count
        }
        if kept > bytes.count { problem = "events larger than the bytes" }
      } catch .eventCutOff(let offset, let complete, _, _), .eventLength(let offset, let complete, _, _, _) {
        guard offset <= bytes.count else {
          problem = "an event beyond the bytes"
          return
        }
        let before = try? DisplayEvent.parse(Array(bytes.prefix(offset)))
        if before?.count != complete { problem = "complete events that cannot be read" }
      } catch {
        problem = "an error that is none of events: \(error)"
      }
    }

    private mutating func readList(_ bytes: [UInt8]) {
      list = try? FormatList.parse(bytes)
      if (list == nil) != (bytes.count % 4 != 0) || (list ?? []).count * 4 > bytes.count { problem = "a wrong list" }
    }

    private mutating func readMode(_ bytes: [UInt8]) {
      mode = try? DisplayMode(parsing: bytes)
      if (mode == nil) != (bytes.count != 68) { problem = "a mode of a wrong size" }
      guard let mode else { return }
      if mode.bytes != bytes { problem = "a mode that changes when it is written" }
      if mode.name.count > 32 || mode.description.utf8.count > 40 { problem = "a mode with an endless name" }
      let request = ModeRequest(parsing: String(mode.description.prefix { $0 != "i" }))
      if let request, !request.matches(mode), mode.refreshMillihertz != nil, !mode.isInterlaced {
        problem = "a mode that does not match its own description"
      }
    }
  }

  @Test("No input stops them, makes them keep more than it holds, or changes what they say to another")
  func damaged() throws {
    let corpus = try ["in-formats", "events", "modes"].flatMap { try Recording.all(in: $0) }
    #expect(corpus.count == 20)
    let before = corpus.map(Answers.init)
    #expect(before.filter { $0.formats != nil }.count == 4)
    #expect(before.filter { $0.events != nil }.count == 5)
    #expect(before.filter { $0.mode != nil }.count == 5)
    var mutator = Mutator(seed: 0x5eed)
    var (formats, events, modes) = (0, 0, 0)
    for index in 0..<Self.inputs {
      let bytes = mutator.input(from: corpus)
      let answers = Answers(bytes)
      if answers.formats != nil { formats += 1 }
      if answers.events != nil { events += 1 }
      if answers.mode != nil { modes += 1 }
      guard let problem = answers.problem else { continue }
      Issue.record("input \(index), \(bytes.count) bytes: \(problem): \(bytes.prefix(200))")
      return
    }
    #expect(corpus.map(Answers.init) == before)
    // The damage is no use where everything is refused at the door.
    #expect(formats > Self.inputs / 100 && events > Self.inputs / 100 && modes > Self.inputs / 100)
    print("\(Self.inputs) damaged inputs; read: \(formats) format blobs, \(events) runs of events, \(modes) modes")
  }
}
