import Foundation
import Testing

@testable import PrimeContract

@Suite("The page of the contract")
struct ContractPageTests {
  @Test func `in docs is that of the statements: make docs`() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/contract.md")
    #expect(try String(contentsOf: page, encoding: .utf8) == ContractPage(Contract.statements).markdown)
  }

  @Test func `has a row with an anchor for each statement, and what is known of it`() {
    let page = ContractPage(Contract.statements.filter { $0.id == "B10" }).markdown
    #expect(page.contains("\n| <a id=\"b10\"></a>B10 | "))
    #expect(page.contains("\n## B: mmap of a dma-buf\n"))
    #expect(page.contains("\n* B10, B11, drivers built on "))
    #expect(!page.contains("B11 |") && !page.contains("## A:"))
  }
}
