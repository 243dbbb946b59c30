import Glibc

/// Colour on a terminal, unless NO_COLOR is set or the terminal cannot show it.
struct TextStyle {
  enum Colour: Int {
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
    return "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m"
  }

  /// A time as `1.5 ms`.
  static func milliseconds(_ nanoseconds: Int64) -> String {
    let tenths = (nanoseconds + 50_000) / 100_000
    return "\(tenths / 10).\(tenths % 10) ms"
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
