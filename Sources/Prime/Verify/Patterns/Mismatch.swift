internal import Prime

/// A picture that is not what was written: where, how much, and why as far as the content tells.
public struct Mismatch: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The first memory plane that differs; all other numbers are about this plane.
  public let plane: Int

  /// The column of the first differing element, in elements.
  public let x: Int

  /// The row of the first differing element, in rows of the plane.
  public let y: Int

  /// What the first differing element should hold.
  public let expected: ElementValue

  /// What the first differing element holds.
  public let found: ElementValue

  /// How many elements of the plane differ.
  public let differing: Int

  /// How many elements the plane has.
  public let total: Int

  /// The smallest rectangle around everything that differs, in elements.
  public let rectangle: DamagedRectangle

  /// Every memory plane that differs.
  public let damagedPlanes: [Int]

  /// The likely cause.
  public let cause: MismatchCause

  /// All of it in one sentence for people.
  public let sentence: String

  /// The sentence.
  public var description: String { sentence }
}

/// What the wording of a mismatch needs to know beside its numbers.
struct MismatchWording {
  /// One element in words: "pixel", or "sample" where elements are no pixels.
  let noun: String

  /// Whether the cause holds for the whole plane and not only for what differs.
  let isWhole: Bool

  /// The picture's own seed, to name a pattern of another run as such.
  let seed: UInt64

  /// The size of a page in bytes.
  let pageSize: Int
}

extension Mismatch {
  init(_ damages: [PatternDamage], first damage: PatternDamage, cause: MismatchCause, wording: MismatchWording) {
    plane = damage.plane
    x = damage.x
    y = damage.y
    expected = damage.expected
    found = damage.found
    differing = damage.differing
    total = damage.total
    rectangle = damage.rectangle
    damagedPlanes = damages.map(\.plane)
    self.cause = cause
    sentence = Self.sentence(damage, others: damages.count - 1, cause: cause, wording: wording)
  }

  private static func sentence(
    _ damage: PatternDamage, others: Int, cause: MismatchCause, wording: MismatchWording
  ) -> String {
    let box = damage.rectangle
    let noun = damage.total == 1 ? wording.noun : wording.noun + "s"
    let verb = damage.differing == 1 ? "differs" : "differ"
    var text = "plane \(damage.plane): \(grouped(damage.differing)) of \(grouped(damage.total)) \(noun) \(verb)"
    // A rectangle says something only where it is neither one element nor the whole plane.
    if damage.differing > 1, box.width * box.height < damage.total {
      text += " within \(box.width)x\(box.height) at (\(box.x),\(box.y))"
    }
    let first = damage.differing == 1 ? "at" : "first at"
    text += ", \(first) (\(damage.x),\(damage.y)): expected \(damage.expected), found \(damage.found); "
    text += explanation(cause, wording: wording)
    if others > 0 { text += " (\(others) other plane\(others == 1 ? " differs" : "s differ") too)" }
    return text
  }

  private static func explanation(_ cause: MismatchCause, wording: MismatchWording) -> String {
    let differing = "every differing \(wording.noun)"
    switch cause {
    case .zero:
      return wording.isWhole
        ? "all zero: nothing of what was written arrived" : "\(differing) is zero: a part did not arrive"
    case .uniform(let value):
      let subject = wording.isWhole ? "every \(wording.noun)" : differing
      let allOnes = value.bits == PatternPlane.allBits(ofElement: value.byteCount)
      return "\(subject) is \(value): "
        + (allOnes ? "this is how memory reads that does not answer" : "the memory was cleared to one value")
    case .stale(let pattern):
      let subject = wording.isWhole ? "stale: it still shows" : "stale: \(differing) still shows"
      return "\(subject) \(named(pattern, wording)), written earlier"
    case .shifted(let dx, let dy, let bytes):
      return "shifted: the content is moved \(moves(dx, dy, bytes, wording.noun))"
    case .sheared(let pitch, let declared):
      return "sheared: pitch \(pitch) instead of \(declared) fits"
    case .byteOrder(let change):
      return "byte order: " + exchanged(change, wording.noun)
    case .planeOffset(let shown):
      return "plane offset: it shows the content of plane \(shown)"
    case .flipped:
      return "flipped: it is upside down"
    case .partialPage(let runs):
      return "whole pages of \(wording.pageSize) bytes are wrong: \(pages(runs, wording))"
    case .rearranged:
      return
        "rearranged: the content is there, but in small pieces at other places, as when a tiled picture is read as linear"
    case .notWritten(let target):
      return target.sentence
    case .other:
      return "no known cause explains it"
    }
  }

  private static func named(_ pattern: Pattern, _ wording: MismatchWording) -> String {
    let origin = pattern.seed == wording.seed ? "" : " of seed 0x" + hexadecimal(pattern.seed, digits: 1)
    return "pattern \(pattern.name)\(origin)"
  }

  private static func moves(_ dx: Int, _ dy: Int, _ bytes: Int, _ noun: String) -> String {
    var parts: [String] = []
    if dx != 0 { parts.append("\(counted(dx, noun)) to the \(dx > 0 ? "right" : "left")") }
    if dy != 0 { parts.append("\(counted(dy, "row")) \(dy > 0 ? "down" : "up")") }
    if bytes != 0 { parts.append("\(counted(bytes, "byte")) \(bytes > 0 ? "onward" : "back")") }
    return parts.joined(separator: " and ")
  }

  private static func counted(_ number: Int, _ noun: String) -> String {
    "\(grouped(abs(number))) \(noun)\(abs(number) == 1 ? "" : "s")"
  }

  private static func exchanged(_ change: ByteOrderChange, _ noun: String) -> String {
    switch change {
    case .reversed: "the bytes of each \(noun) are in reverse order"
    case .bytePairs: "the two bytes of each 16-bit unit are exchanged"
    case .halves: "the two halves of each \(noun) are exchanged"
    case .redBlue: "red and blue are exchanged"
    case .chroma: "Cb and Cr are exchanged"
    }
  }

  /// Names the first runs; a long list would hide the sentence.
  private static func pages(_ runs: [PageRun], _ wording: MismatchWording) -> String {
    let shown = 4
    var parts = runs.prefix(shown).map { run in
      let single = run.count == 1
      let subject = single ? "page \(run.first) holds" : "pages \(run.first) to \(run.first + run.count - 1) hold"
      switch run.content {
      case .zeros: return "\(subject) zeros"
      case .stale(let pattern): return "\(subject) \(named(pattern, wording)), written earlier"
      case .page(let page):
        return single
          ? "\(subject) what belongs to page \(page)"
          : "\(subject) what belongs to pages \(page) to \(page + run.count - 1)"
      case .unknown: return "\(subject) something unknown"
      }
    }
    if runs.count > shown { parts.append("and so on, \(runs.count) runs in all") }
    return parts.joined(separator: ", ")
  }
}
