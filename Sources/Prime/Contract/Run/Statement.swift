internal import Prime

/// One promise of dma-buf, PRIME or KMS that a machine can show: what it says, where it comes from, and how to look.
///
/// Adding one to its group's array is all it takes.
package struct Statement: Sendable {
  /// What a failure means.
  package enum Kind: String, Hashable, Sendable, Codable {
    /// Generic kernel code, the same for every driver and exporter: a failure is a bug.
    case core
    /// A helper's, which the source names: drivers built on another, or with a function of their own, need not keep it.
    case helper
    /// This exporter's or driver's own.
    case exporterSpecific
    /// Shapes how programs must behave; there is nothing to run.
    case advice
  }

  /// Whose rule a statement of a helper is, where more is known than that it is a helper's.
  package struct Rule: Hashable, Sendable {
    /// The families whose drivers keep it: there a failure is a bug, as one of generic code is.
    package let families: Set<HelperFamily>
    /// Whether drivers of other families are free to do otherwise; else what they do is told as a deviation.
    package let isFreeElsewhere: Bool

    /// A rule of some families alone.
    package static func only(_ families: HelperFamily...) -> Rule {
      Rule(families: Set(families), isFreeElsewhere: true)
    }

    /// What some families are known to keep, and all others should.
    package static func surely(_ families: HelperFamily...) -> Rule {
      Rule(families: Set(families), isFreeElsewhere: false)
    }
  }

  /// Why a statement's body ends before its end.
  package enum Stop: Error, Hashable, Sendable {
    /// A finding was recorded without which the rest cannot be looked at.
    case failed
    /// It does not apply here, for a reason that is a sentence.
    case skipped(String)
    /// What it needs before it can look did not work, so it says nothing of the promise.
    case broken(String)
  }

  /// Looks, and records in the check what does not hold; it throws a `Stop` to end early.
  package typealias Body = @Sendable (Check) throws -> Void

  /// The group's letter and a number: stable for ever.
  package let id: String
  /// The promise, in a sentence.
  package let title: String
  /// What a failure means.
  package let kind: Kind
  /// Whose rule it is; nil where nothing is known but its kind.
  package let rule: Rule?
  /// What it is looked at on.
  package let subject: SubjectKind
  /// What the machine must have beside the subject.
  package let needs: [Need]
  /// Where the kernel says or does it.
  package let source: String
  /// What to do with an advice is to read it: it has none.
  package let body: Body?

  /// Declares a statement that is run on every subject of its kind.
  package init(
    _ id: String, _ kind: Kind, of rule: Rule? = nil, on subject: SubjectKind, _ title: String, needs: [Need] = [],
    source: String, _ body: @escaping Body
  ) {
    self.id = id
    self.kind = kind
    self.rule = rule
    self.subject = subject
    self.title = title
    self.needs = needs
    self.source = source
    self.body = body
  }

  /// Declares an advice, which is listed and not run.
  package init(advice id: String, _ title: String, source: String) {
    self.id = id
    kind = .advice
    rule = nil
    subject = .machine
    self.title = title
    needs = []
    self.source = source
    body = nil
  }

  /// The letter of its group.
  package var group: Character { id.first ?? "?" }
}
