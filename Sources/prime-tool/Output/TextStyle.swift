import Glibc
import Prime
import PrimeVerify

/// Colour on a terminal, unless NO_COLOR is set or the terminal cannot show it.
struct TextStyle {
  enum Colour: Int, CaseIterable {
    case red = 31
    case green = 32
    case yellow = 33
    case grey = 90
    case bold = 1
  }

  private let coloured: Bool

  /// The style of standard output.
  init() {
    coloured = isatty(STDOUT_FILENO) == 1 && !Self.isSet("NO_COLOR") && Self.value("TERM") != "dumb"
  }

  func paint(_ text: String, _ colour: Colour?) -> String {
    guard coloured, let colour else { return text }
    return "\(Self.code(colour.rawValue))\(text)\(Self.code(0))"
  }

  /// Everything that colours are made of, and so all that a terminal is told.
  static let codes = ([0] + Colour.allCases.map(\.rawValue)).map(code)

  private static func code(_ number: Int) -> String { "\u{1b}[\(number)m" }

  /// A time as `1.5 ms`.
  static func milliseconds(_ nanoseconds: Int64) -> String {
    let tenths = (nanoseconds + 50_000) / 100_000
    return "\(tenths / 10).\(tenths % 10) ms"
  }

  /// Why an observer could not look: with the call and the errno where the kernel refused something.
  static func sentence(_ attempt: CellReport.Attempt) -> String {
    "\(attempt.observer.rawValue) could not look: \(cause(attempt))"
  }

  /// Who could not look and why, those of one cause together.
  static func sentences(_ attempts: [CellReport.Attempt]) -> [String] {
    var causes: [String] = []
    for attempt in attempts where !causes.contains(cause(attempt)) { causes.append(cause(attempt)) }
    return causes.map { cause in
      let observers = attempts.filter { self.cause($0) == cause }.map(\.observer.rawValue).joined(separator: " and ")
      return "\(observers) could not look: \(cause)"
    }
  }

  private static func cause(_ attempt: CellReport.Attempt) -> String {
    (attempt.errno.map { "\(attempt.call) \($0): " } ?? "") + (attempt.reason ?? "")
  }

  /// Who drew or read a buffer for the tool.
  static func sentence(_ verb: String, by report: WitnessReport) -> String {
    "\(verb) by \(report.renderer) (\(report.kind.rawValue)) through \(report.program)"
  }

  private static func value(_ name: String) -> String? {
    // Safe: the environment is not changed by this program.
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }

  private static func isSet(_ name: String) -> Bool {
    !(value(name) ?? "").isEmpty
  }
}
