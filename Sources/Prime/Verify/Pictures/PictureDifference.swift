public import Prime

/// How far a component may be from what it should be.
///
/// Components of any width are compared on one scale, so that a step is the 255th part of the full range everywhere.
public struct ComponentTolerance: Sendable, Hashable, Codable {
  /// The largest difference that is still taken, in steps of an eight-bit component.
  public let eightBitSteps: Int

  /// Every bit that carries something must be as expected.
  public static let exact = ComponentTolerance(eightBitSteps: 0)

  /// Takes differences up to this many steps of an eight-bit component; below zero is zero.
  public init(eightBitSteps: Int) {
    self.eightBitSteps = max(0, eightBitSteps)
  }

  /// What a picture may lose on its way through two formats, or nil where one of them is no format of pictures.
  ///
  /// This is nothing between components of equal widths, and else one step of the narrowest, 9 for the five bits of RGB565:
  /// half of it for the rounding into that component, half for a way back that does not round.
  public static func conversion(between first: Fourcc, and second: Fourcc) -> ComponentTolerance? {
    guard let one = ColourEncoding(first), let other = ColourEncoding(second) else { return nil }
    let widths = [one.red.bits, one.green.bits, one.blue.bits]
    guard widths != [other.red.bits, other.green.bits, other.blue.bits] else { return .exact }
    let narrowest = [one, other].flatMap(\.components).map(\.maximum).min() ?? 255
    return ComponentTolerance(eightBitSteps: Int((255 + narrowest - 1) / narrowest))
  }
}

/// Where and how much memory differs from the content it should have.
public struct PictureDifference: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The memory plane, from 0; 0 for every format of pictures.
  public let plane: Int

  /// The column of the first differing element: in pixels, where an element is a pixel.
  public let x: Int

  /// The row of the first differing element.
  public let y: Int

  /// What the first differing element should hold.
  public let expected: ElementValue

  /// What the first differing element holds.
  public let found: ElementValue

  /// How many elements differ by more than the tolerance.
  public let differing: Int

  /// How many elements the plane has.
  public let total: Int

  /// The smallest rectangle around everything that differs by more than the tolerance.
  public let rectangle: DamagedRectangle

  /// How far the worst component is from what it should be, in steps of an eight-bit component, rounded up.
  ///
  /// This is nil in formats whose components are not known here.
  public let largestSteps: Int?

  /// All of it in one sentence for people.
  public var sentence: String {
    let noun = total == 1 ? "element" : "elements"
    var text = "\(grouped(differing)) of \(grouped(total)) \(noun) \(differing == 1 ? "differs" : "differ")"
    if differing > 1, rectangle.width * rectangle.height < total {
      text += " within \(rectangle.width)x\(rectangle.height) at (\(rectangle.x),\(rectangle.y))"
    }
    text += ", \(differing == 1 ? "at" : "first at") (\(x),\(y)): expected \(expected), found \(found)"
    guard let largestSteps else { return text }
    return text + "; a component is off by \(differing == 1 ? "" : "up to ")\(largestSteps) of 255"
  }

  /// The sentence.
  public var description: String { sentence }
}

/// Collects the elements that differ while rows are compared.
struct PictureDifferenceTally {
  private var first: (x: Int, y: Int, expected: UInt64, found: UInt64)?
  private var differing = 0
  private var left = Int.max
  private var right = 0
  private var lastRow = 0
  private var largest = 0

  /// Counts an element; `difference` is on the scale of 0 to 65535.
  mutating func add(x: Int, y: Int, expected: UInt64, found: UInt64, difference: Int) {
    if first == nil { first = (x, y, expected, found) }
    differing += 1
    left = min(left, x)
    right = max(right, x)
    lastRow = y
    largest = max(largest, difference)
  }

  /// What was counted, or nil where nothing was.
  func result(elementSize: Int, total: Int) -> PictureDifference? {
    guard let first else { return nil }
    return PictureDifference(
      plane: 0, x: first.x, y: first.y,
      expected: ElementValue(first.expected, byteCount: elementSize),
      found: ElementValue(first.found, byteCount: elementSize),
      differing: differing, total: total,
      rectangle: DamagedRectangle(x: left, y: first.y, width: right - left + 1, height: lastRow - first.y + 1),
      largestSteps: (largest + 256) / 257)
  }
}
