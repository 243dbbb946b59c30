/// One line on a terminal that says what is being done; nothing where nobody watches.
struct Progress {
  private let total: Int
  private let shown = StandardError.isTerminal

  init(total: Int) {
    self.total = total
  }

  /// Says what is done now; `total` only where it became known later.
  func show(_ done: Int, of total: Int? = nil, _ text: String) {
    guard shown else { return }
    StandardError.replaceLine("[\(done + 1)/\(total ?? self.total)] \(text)")
  }

  func clear() {
    guard shown else { return }
    StandardError.replaceLine("")
  }
}
