internal import Prime

/// Compares what an observer sees with what was written, and makes sure that the comparison can fail.
struct Examination {
  /// What should be there.
  let expected: Pattern
  /// What was there before and must not be there any more.
  let earlier: [Pattern]
  /// A pattern of this run that was never written anywhere.
  let wrong: Pattern
  /// Whether a GPU drew it, which need not write the bits that carry nothing.
  let isDrawn: Bool

  init(expected: Pattern, earlier: [Pattern] = [], wrong: Pattern, isDrawn: Bool = false) {
    self.expected = expected
    self.earlier = earlier
    self.wrong = wrong
    self.isDrawn = isDrawn
  }

  /// What is wrong with the bytes, nil when they are as expected.
  ///
  /// `wasAltered` says that they held `expected` altered everywhere before somebody was to write them, so that what was not
  /// written is told as such.
  ///
  /// - Throws: `PrimeError` of the control where bytes that match also match what was never written.
  func look(
    at bytes: Span<UInt8>, layout: PictureLayout, ignoringUnusedBits: Bool, wasAltered: Bool = false
  ) throws -> Mismatch? {
    let ignoringUnusedBits = ignoringUnusedBits || isDrawn
    let comparison = try expected.compare(bytes, layout: layout, ignoringUnusedBits: ignoringUnusedBits)
    guard comparison.isEqual else {
      return try expected.diagnose(
        bytes, layout: layout, earlier: earlier, ignoringUnusedBits: ignoringUnusedBits, wasAltered: wasAltered)
    }
    guard try !wrong.matches(bytes, layout: layout, ignoringUnusedBits: ignoringUnusedBits) else {
      throw PrimeError(
        operation: .control, finding: .broken, subject: "\(layout.width)x\(layout.height) \(layout.format.fourcc)",
        reason: "the picture also matches a pattern that was never written, so this comparison proves nothing")
    }
    return nil
  }
}

extension SharedPicture {
  /// Has the CPU write a pattern, in a bracket.
  borrowing func fill(_ pattern: Pattern, deadline: Deadline) throws {
    try write(deadline: deadline) { bytes, layout in try pattern.fill(&bytes, layout: layout) }
  }

  /// Has the CPU look, in a bracket; nil where all is as expected.
  borrowing func examine(
    _ examination: Examination, ignoringUnusedBits: Bool = false, deadline: Deadline
  ) throws -> Mismatch? {
    try read(deadline: deadline) { bytes, layout in
      try examination.look(at: bytes, layout: layout, ignoringUnusedBits: ignoringUnusedBits)
    }
  }
}
