internal import Prime

/// Looks how long a shared buffer lives: every order in which what keeps it can go, and which handle an import gives.
struct LifetimeCheck {
  let pair: RulePair
  let seed: UInt64
  let kernel: any KernelCalls
  let deadline: Deadline

  /// Runs every check of one process; what it opened is closed when it returns.
  func run() -> [RuleReport] {
    let audit = LeakAudit(by: kernel)
    var inodes: Set<UInt64> = []
    var reports = [
      orders(&inodes),
      sameHandle("reimport", "a second import of a descriptor gives the same handle", .importer, &inodes),
      sameHandle(
        "dup", "the import of a duplicated descriptor gives the same handle", .importer, duplicated: true, &inodes),
      sameHandle("self-import", "the exporter's own import gives the handle that it allocated", .exporter, &inodes),
    ]
    reports.append(pair.nothingLeft(audit, inodes, deadline))
    return reports
  }

  private func orders(_ inodes: inout Set<UInt64>) -> RuleReport {
    let orders = LifetimeOrders.all(of: LifetimeOrders.owners(of: pair.exporter.allocator))
    var made: Set<UInt64> = []
    defer { inodes.formUnion(made) }
    return pair.report(
      "orders", expected: "after each owner that goes, everybody who is left holds the same buffer with the same bytes",
      withControl: false
    ) { _ in
      var facts = RuleFacts()
      var broken = 0
      for (index, order) in orders.enumerated() {
        try deadline.check("orders", on: pair.importer.name)
        let buffer = try LifetimeBuffer(
          pair, seed: seed, variant: index, kernel: kernel, deadline: deadline)
        made.insert(buffer.identity.inode)
        guard let complaint = try firstComplaint(buffer, order) else { continue }
        broken += 1
        facts.expect(false, else: complaint)
      }
      facts.note = "\(orders.count) orders"
      facts.qualify(broken == 0 ? "" : "\(broken) of \(orders.count) orders, the first: ")
      return facts
    }
  }

  private func firstComplaint(_ buffer: LifetimeBuffer, _ order: [LifetimeOwner]) throws -> String? {
    if let found = try buffer.look() { return "before anything went: \(found)" }
    for (step, owner) in order.enumerated() {
      buffer.letGo(owner)
      guard let found = try buffer.look() else { continue }
      return "after \(order[...step].map(\.rawValue).joined(separator: ", ")) went: \(found)"
    }
    return nil
  }

  /// Compares the handle that an import gives with the one that is there.
  ///
  /// With the cause left out another buffer of the exporter is imported, whose handle has to be another one.
  private func sameHandle(
    _ name: String, _ expected: String, _ side: LifetimeBuffer.Side, duplicated: Bool = false,
    _ inodes: inout Set<UInt64>
  ) -> RuleReport {
    var made: Set<UInt64> = []
    defer { inodes.formUnion(made) }
    return pair.report(name, expected: expected, withControl: true) { withCause in
      try deadline.check(.promise(name), on: pair.importer.name)
      var facts = RuleFacts()
      let buffer = try LifetimeBuffer(pair, seed: seed, variant: 0, kernel: kernel, deadline: deadline)
      let other = try LifetimeBuffer(pair, seed: seed, variant: 1, kernel: kernel, deadline: deadline)
      made.formUnion([buffer.identity.inode, other.identity.inode])
      guard let first = buffer.handle(of: side) else {
        throw RuleSkip(
          pair.exporter.allocator == .gbm
            ? "the handle of a GBM buffer is Mesa's own" : "\(pair.exporter.name) is no device and has no handles")
      }
      let again = try buffer.importing(withCause ? buffer : other, duplicated: duplicated, on: side)
      facts.expect(again == first, else: "it gives handle \(again), where \(first) is there")
      if again != first { buffer.close(again, on: side) }
      facts.note = "handle \(again)"
      return facts
    }
  }
}
