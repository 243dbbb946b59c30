/// Two reports of one kind compared: what got better, what got worse, what is new, what is gone.
public struct ReportComparison: Hashable, Sendable, Codable {
  /// One thing that both reports could tell of.
  public struct Entry: Hashable, Sendable {
    /// What tells it from the others, the same in every run.
    public var key: String
    /// The verdict or outcome.
    public var result: String
    /// How good that is, higher is better; nil where it says nothing, as a skip.
    public var rank: Int?
    /// Whether it counts as held.
    public var holds: Bool

    /// Describes one.
    public init(key: String, result: String, rank: Int?, holds: Bool) {
      self.key = key
      self.result = result
      self.rank = rank
      self.holds = holds
    }
  }

  /// One difference.
  public struct Change: Hashable, Sendable, Codable {
    /// What changed.
    public var key: String
    /// What the old report says, nil where it does not know it.
    public var old: String?
    /// What the new report says, nil where it does not know it.
    public var new: String?

    /// Describes a difference.
    public init(key: String, old: String?, new: String?) {
      (self.key, self.old, self.new) = (key, old, new)
    }
  }

  /// A better result than before.
  public var better: [Change] = []
  /// A worse result than before; also what held and is skipped now, since a skip is never a pass.
  public var worse: [Change] = []
  /// Another result, neither better nor worse.
  public var different: [Change] = []
  /// Only the new report knows it.
  public var appeared: [Change] = []
  /// Only the old report knows it, and it did not hold.
  public var disappeared: [Change] = []
  /// Only the old report knows it, and it held: what is not looked at any more is not known to hold.
  public var lost: [Change] = []
  /// How many entries are the same.
  public var same = 0

  /// Whether the new report is worse in anything.
  public var hasRegression: Bool { !(worse.isEmpty && lost.isEmpty) }

  /// Compares in the order of the old report, with what is new at the end.
  public init(old: [Entry], new: [Entry]) {
    var rest = Dictionary(new.map { ($0.key, $0) }) { first, _ in first }
    for before in old {
      guard let after = rest.removeValue(forKey: before.key) else {
        let change = Change(key: before.key, old: before.result, new: nil)
        if before.holds { lost.append(change) } else { disappeared.append(change) }
        continue
      }
      let change = Change(key: before.key, old: before.result, new: after.result)
      switch (before.rank, after.rank) {
      case _ where before.result == after.result: same += 1
      case (let was?, let `is`?) where was < `is`: better.append(change)
      case (let was?, let `is`?) where was > `is`: worse.append(change)
      case (_, nil) where before.holds: worse.append(change)
      case (nil, _) where after.holds: better.append(change)
      case (nil, 0?): worse.append(change)
      default: different.append(change)
      }
    }
    for entry in new where rest[entry.key] != nil {
      appeared.append(Change(key: entry.key, old: nil, new: entry.result))
    }
  }
}
