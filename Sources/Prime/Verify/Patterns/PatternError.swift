internal import Prime

/// Why a pattern can be neither written to memory nor looked for in it.
public enum PatternError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The memory is smaller than the picture; sizes in bytes.
  case memoryTooSmall(needed: Int, given: Int)

  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .memoryTooSmall(let needed, let given):
      "the picture needs \(grouped(needed)) bytes, but the memory holds \(grouped(given))"
    }
  }
}

/// A number with its thousands set apart: "1,234,567".
func grouped(_ number: Int) -> String {
  var text = ""
  let digits = String(number.magnitude)
  for (position, digit) in digits.enumerated() {
    if position > 0, (digits.utf8.count - position) % 3 == 0 { text.append(",") }
    text.append(digit)
  }
  return number < 0 ? "-" + text : text
}
