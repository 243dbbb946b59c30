internal import Prime

extension Contract {
  /// M: what SYNC carries to an importer that has a copy, seen by the CPU alone: what it did not carry is overwritten.
  static let bouncedImports: [Statement] = [
    Statement(
      "M11", .core, on: .bouncedPair,
      "while an importer has a copy, what is written in a bracket stays: neither SYNC nor closing the import brings back "
        + "what was there before",
      needs: [.alone], source: "dma-buf.c, DOC \"cpu access\"; kernel/dma/swiotlb.c:swiotlb_bounce"
    ) { check in
      let copied = try CopiedBuffer(check)
      try copied.write(copied.later, from: SyncFlags.write, to: SyncFlags.write | SyncFlags.end)
      check.expect("bytes that differ in the next bracket", try copied.differences(from: copied.later), is: 0)
      try copied.write(copied.earlier, from: SyncFlags.readWrite, to: SyncFlags.readWrite | SyncFlags.end)
      try copied.write(copied.later, from: SyncFlags.write, to: SyncFlags.write | SyncFlags.end)
      try copied.closeImport()
      check.expect("bytes that differ behind the import", try copied.differences(from: copied.later), is: 0)
    },
    Statement(
      "M12", .exporterSpecific, on: .bouncedHeapPair,
      "a write without SYNC is lost at the next START for reading: the heap brings back what its importers have",
      needs: [.alone], source: "system_heap.c:system_heap_dma_buf_begin_cpu_access"
    ) { check in
      let copied = try CopiedBuffer(check)
      copied.write(copied.later)
      check.expect("bytes that are not the earlier ones", try copied.differences(from: copied.earlier), is: 0)
    },
    Statement(
      "M13", .exporterSpecific, on: .bouncedHeapPair,
      "a write inside a bracket for reading is lost, as END for reading carries nothing to an importer",
      needs: [.alone], source: "system_heap.c:system_heap_dma_buf_end_cpu_access; kernel/dma/swiotlb.c"
    ) { check in
      let copied = try CopiedBuffer(check)
      try copied.write(copied.later, from: SyncFlags.read, to: SyncFlags.read | SyncFlags.end)
      check.expect("bytes that are not the earlier ones", try copied.differences(from: copied.earlier), is: 0)
    },
    Statement(
      "M14", .exporterSpecific, on: .bouncedHeapPair, "a write whose END is left out is lost: END is what carries it",
      needs: [.alone], source: "system_heap.c:system_heap_dma_buf_end_cpu_access"
    ) { check in
      let copied = try CopiedBuffer(check)
      try copied.write(copied.later, from: SyncFlags.write, to: nil)
      check.expect("bytes that are not the earlier ones", try copied.differences(from: copied.earlier), is: 0)
    },
    Statement(
      "M15", .exporterSpecific, on: .bouncedHeapPair,
      "closing the import brings back what the importer had, and loses a write without SYNC",
      needs: [.alone], source: "kernel/dma/swiotlb.c:swiotlb_tbl_unmap_single"
    ) { check in
      let copied = try CopiedBuffer(check)
      copied.write(copied.later)
      try copied.closeImport()
      check.expect("bytes that are not the earlier ones", copied.plainDifferences(from: copied.earlier), is: 0)
    },
    Statement(
      "M16", .exporterSpecific, on: .bouncedUDMABufPair,
      "udmabuf's SYNC is for a mapping of its own: it loses a write without SYNC with an importer and without one",
      needs: [.alone], source: "udmabuf.c:begin_cpu_udmabuf, end_cpu_udmabuf"
    ) { check in
      let copied = try CopiedBuffer(check)
      copied.write(copied.later)
      check.expect("bytes that are not the earlier ones", try copied.differences(from: copied.earlier), is: 0)
      try copied.write(copied.earlier, from: SyncFlags.write, to: SyncFlags.write | SyncFlags.end)
      try copied.closeImport()
      copied.write(copied.later)
      check.expect(
        "bytes that are not the earlier ones, without an importer", try copied.differences(from: copied.earlier), is: 0)
    },
    Statement(
      "M17", .helper, on: .bouncedDumbPair,
      "SYNC of a GEM buffer copies nothing: a write without it stays, and so it does when the import is closed",
      needs: [.alone], source: "drm_prime.c:drm_gem_prime_dmabuf_ops (no begin_cpu_access), drm_gem_map_dma_buf"
    ) { check in
      let copied = try CopiedBuffer(check)
      copied.write(copied.later)
      check.expect("bytes that differ in the next bracket", try copied.differences(from: copied.later), is: 0)
      copied.write(copied.earlier)
      try copied.closeImport()
      check.expect("bytes that differ behind the import", copied.plainDifferences(from: copied.earlier), is: 0)
    },
  ]
}

/// A buffer with earlier content, of which an importer has a copy.
private struct CopiedBuffer {
  let earlier: [UInt8]
  let later: [UInt8]
  private let check: Check
  private let buffer: ProbeBuffer
  private let mapping: ProbeMapping
  private let importer: CInt
  private let handle: UInt32

  /// Writes the earlier content in a bracket and imports the buffer.
  init(_ check: Check) throws(Statement.Stop) {
    guard let node = check.subject.device?.primary?.path else { throw .broken("this subject has no importer") }
    self.check = check
    let bytes = check.bytes(512)
    (earlier, later) = (Array(bytes[..<256]), Array(bytes[256...]))
    buffer = try check.takenBuffer()
    mapping = try check.mapping(of: buffer)
    importer = try check.prepare(check.kernel.openDevice(node))
    _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write))
    check.kernel.write(earlier, to: mapping, at: 0)
    _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write | SyncFlags.end))
    handle = try check.prepare(check.kernel.primeFDToHandle(importer, buffer.dmaBuf))
  }

  /// Writes without SYNC.
  func write(_ bytes: [UInt8]) { check.kernel.write(bytes, to: mapping, at: 0) }

  /// Writes between two calls of SYNC; nil for none.
  func write(_ bytes: [UInt8], from start: UInt64, to end: UInt64?) throws(Statement.Stop) {
    _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, start))
    write(bytes)
    if let end { _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, end)) }
  }

  func closeImport() throws(Statement.Stop) {
    _ = try check.prepare(check.kernel.closeHandle(importer, handle))
  }

  /// How many bytes are others, in a bracket for reading.
  func differences(from expected: [UInt8]) throws(Statement.Stop) -> Int {
    _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.read))
    let differences = plainDifferences(from: expected)
    _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.read | SyncFlags.end))
    return differences
  }

  /// How many bytes are others, without SYNC.
  func plainDifferences(from expected: [UInt8]) -> Int {
    Check.differences(check.kernel.bytes(of: mapping, at: 0, count: expected.count), expected)
  }
}
