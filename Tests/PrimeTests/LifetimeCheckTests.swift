import Testing

@testable import Prime
@testable import PrimeVerify

/// The lifetimes of a pair over the fake kernel.
@Suite("The lifetimes of a pair")
struct LifetimeCheckTests {
  private static func reports(
    _ allocator: AllocatorKind = .dumb, _ misbehaviour: (inout Faults) -> Void = { _ in }
  ) -> [String: RuleReport] {
    let kernel = Fixture.kernel()
    kernel.misbehave {
      $0.filesTakeHandles = true
      misbehaviour(&$0)
    }
    let hasDevice = allocator == .dumb || allocator == .gbm
    let pair = RulePair(
      exporter: Exporter(
        name: hasDevice ? "maker" : allocator.rawValue, node: hasDevice ? Fixture.exporterNode : nil,
        allocator: allocator),
      importer: Importer(name: "taker", node: Fixture.importerNode))
    let reports = LifetimeCheck(pair: pair, seed: 7, kernel: kernel, deadline: kernel.deadline).run()
    kernel.expectNothingLeft()
    return Dictionary(uniqueKeysWithValues: reports.map { ($0.check, $0) })
  }

  @Test(arguments: [(AllocatorKind.dumb, 324), (.gbm, 84), (.udmabuf, 18), (.heap, 18)])
  func `go in every order once`(allocator: AllocatorKind, count: Int) {
    let orders = LifetimeOrders.all(of: LifetimeOrders.owners(of: allocator))
    #expect(orders.count == count)
    #expect(Set(orders).count == count)
    for order in orders {
      // Whoever is not in the list goes with its device.
      let missing = Set(LifetimeOrders.owners(of: allocator)).subtracting(order)
      #expect(missing.allSatisfy { $0.device.map(order.contains) == true })
    }
  }

  @Test(arguments: [
    (AllocatorKind.dumb, "324 orders"), (.gbm, "84 orders"), (.udmabuf, "18 orders"), (.heap, "18 orders"),
  ])
  func `hold the bytes for whoever is left`(allocator: AllocatorKind, orders: String) {
    let reports = Self.reports(allocator)
    #expect(reports["orders"]?.verdict == .held, "\(reports["orders"]?.got ?? reports["orders"]?.reason ?? "")")
    #expect(reports["orders"]?.got == orders)
    #expect(reports["reimport"]?.verdict == .held)
    #expect(reports["dup"]?.verdict == .held)
    #expect(reports["self-import"]?.verdict == (allocator == .dumb ? .held : .skipped))
    // Its verdict is for the lab: it counts the descriptors of the process, where other tests open sockets meanwhile.
    #expect(reports["nothing-left"] != nil)
  }

  @Test func `are broken where the bytes go with the exporter, and the first order is told`() {
    let report = Self.reports { $0.wipesClosedExporters = true }["orders"]
    #expect(report?.verdict == .broken)
    // Those in which the device takes its handle while somebody else can still look.
    #expect(
      report?.got?.hasPrefix(
        "60 of 324 orders, the first: after exporter device went: the mapping shows something else: plane 0: ") == true,
      "\(report?.got ?? "")")
  }

  @Test func `are broken where an import gives another handle than the one that is there`() {
    let reports = Self.reports { $0.importsGiveNewHandles = true }
    for check in ["reimport", "dup", "self-import"] {
      #expect(reports[check]?.verdict == .broken, "\(check)")
      #expect(reports[check]?.got?.hasPrefix("it gives handle ") == true)
    }
  }

  @Test func `compare the handle with that of another buffer too`() {
    let reports = Self.reports()
    for check in ["reimport", "dup", "self-import"] {
      #expect(reports[check]?.control?.hasPrefix("it gives handle ") == true, "\(check)")
    }
  }
}
