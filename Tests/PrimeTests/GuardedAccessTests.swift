import Glibc
import Testing

@testable import Prime

/// Memory of two pages whose second page the kernel refuses: a file that ends after the first.
@Suite struct GuardedAccess {
  private let page = sysconf(CInt(_SC_PAGESIZE))

  private func withHalfBackedMemory(_ body: (MappedRange) throws -> Void) throws {
    let descriptor = memfd_create("prime-tool test", 0)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(ftruncate(descriptor, page) == 0)
    let address = try #require(mmap(nil, page * 2, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
    try #require(address != MAP_FAILED)
    defer { munmap(address, page * 2) }
    try body(MappedRange(baseAddress: address, byteCount: page * 2))
  }

  @Test func `a page that the kernel refuses is an error that says where`() throws {
    try withHalfBackedMemory { range in
      let error = #expect(throws: PrimeError.self) {
        try range.guarded(writing: false, subject: "a buffer") {
          range.baseAddress.load(fromByteOffset: page + 5, as: UInt8.self)
        }
      }
      #expect(error?.operation == .step(.mappingRead))
      #expect(error?.finding == .fault)
      #expect(error?.reason?.contains("byte \(page + 5) (SIGBUS)") == true)
    }
  }

  @Test func `a write that the kernel refuses comes to its end`() throws {
    try withHalfBackedMemory { range in
      var reachedTheEnd = false
      let error = #expect(throws: PrimeError.self) {
        try range.guarded(writing: true, subject: "a buffer") {
          memset(range.baseAddress, 7, range.byteCount)
          reachedTheEnd = true
        }
      }
      #expect(error?.operation == .step(.mappingWrite))
      #expect(reachedTheEnd)
    }
  }

  @Test func `memory that is there is read as it is`() throws {
    try withHalfBackedMemory { range in
      let byte = try range.guarded(writing: true, subject: "a buffer") {
        range.baseAddress.storeBytes(of: 9, toByteOffset: page - 1, as: UInt8.self)
        return range.baseAddress.load(fromByteOffset: page - 1, as: UInt8.self)
      }
      #expect(byte == 9)
    }
  }

  @Test func `the body's own error is told where every page was there`() throws {
    try withHalfBackedMemory { range in
      #expect(throws: Errno.busy) {
        try range.guarded(writing: false, subject: "a buffer") { throw Errno.busy }
      }
    }
  }

  @Test func `an inner guard tells its fault and not the outer one`() throws {
    try withHalfBackedMemory { range in
      let outer = MappedRange(baseAddress: range.baseAddress, byteCount: page)
      let value = try outer.guarded(writing: false, subject: "the first page") {
        _ = #expect(throws: PrimeError.self) {
          try MappedRange(baseAddress: range.baseAddress + page, byteCount: page).guarded(
            writing: false, subject: "the second page"
          ) { range.baseAddress.load(fromByteOffset: page, as: UInt8.self) }
        }
        return outer.baseAddress.load(as: UInt8.self)
      }
      #expect(value == 0)
    }
  }

  @Test func `a fault outside of every guard ends the process as before`() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      let page = sysconf(CInt(_SC_PAGESIZE))
      let descriptor = memfd_create("prime-tool test", 0)
      guard let address = mmap(nil, page, PROT_READ, MAP_SHARED, descriptor, 0) else { return }
      let other = MappedRange(baseAddress: UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8), byteCount: 8)
      _ = try? other.guarded(writing: false, subject: "elsewhere") { address.load(as: UInt8.self) }
    }
  }
}
