/// One line on a terminal that says what is being done; nothing where nobody watches.
struct Progress {
  private let total: Int
  private let shown = StandardError.isTerminal

  init(total: Int) {
    self.total = total
  }

  func show(_ done: Int, _ text: String) {
    guard shown else { return }
    StandardError.write("\r\u{1b}[K[\(done + 1)/\(total)] \(text)")
  }

  func clear() {
    guard shown else { return }
    StandardError.write("\r\u{1b}[K")
  }
}
