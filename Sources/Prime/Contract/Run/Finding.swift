internal import Prime

/// One thing that did not hold: what was promised, what the kernel did, and in which call.
package struct Finding: Hashable, Sendable, Codable {
  /// What the contract promises, for example `EINVAL`.
  package var expected: String
  /// What was seen instead, for example `success (0)`.
  package var got: String
  /// The call, with its arguments, or what was looked at.
  package var call: String

  package init(expected: String, got: String, call: String) {
    self.expected = expected
    self.got = got
    self.call = call
  }
}
