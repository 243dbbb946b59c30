internal import Glibc
internal import Prime

/// Marks at the beginning of each page of a buffer, which tell the pages apart and say which one is seen.
struct PageMarks: Hashable, Sendable {
  /// Bytes of a page.
  static let pageSize = Int(getpagesize())
  /// Bytes of a mark.
  static let byteCount = 8

  /// How many pages there are.
  let count: Int
  /// Makes the marks of two runs, or of two hands in one run, differ.
  let seed: UInt64

  /// What a page is marked with; never all zeros.
  func mark(_ page: Int) -> [UInt8] {
    let low = UInt8(truncatingIfNeeded: page)
    let seeds = (0..<6).map { UInt8(truncatingIfNeeded: seed >> UInt64($0 * 8)) }
    return [0xa5, low] + seeds
  }

  /// Which page shows these bytes: `page 2`, `zeros`, or the bytes themselves.
  func name(of bytes: [UInt8]) -> String {
    if let page = (0..<count).first(where: { mark($0) == bytes }) { return "page \(page)" }
    return !bytes.isEmpty && bytes.allSatisfy { $0 == 0 } ? "zeros" : "\(bytes)"
  }
}

extension Check {
  /// A buffer of four pages, so that they can be told apart.
  func fourPages() throws(Statement.Stop) -> ProbeBuffer {
    try buffer(width: 64, height: UInt32(4 * PageMarks.pageSize / 256))
  }

  /// The marks of a buffer's pages; `variant` makes them others than those that the buffer has.
  func marks(of buffer: ProbeBuffer, variant: UInt64 = 0) -> PageMarks {
    PageMarks(count: buffer.byteCount / PageMarks.pageSize, seed: seed &+ variant)
  }

  /// Writes them through a mapping of the whole buffer, inside a bracket.
  func write(_ marks: PageMarks, to mapping: ProbeMapping, of dmaBuf: CInt) throws(Statement.Stop) {
    _ = try prepare(kernel.sync(dmaBuf, SyncFlags.write))
    write(marks, withoutBracketTo: mapping)
    _ = try prepare(kernel.sync(dmaBuf, SyncFlags.write | SyncFlags.end))
  }

  /// Writes them where there is no descriptor left for a bracket: only the same mapping is certain to show them.
  func write(_ marks: PageMarks, withoutBracketTo mapping: ProbeMapping) {
    for page in 0..<marks.count { kernel.write(marks.mark(page), to: mapping, at: page * PageMarks.pageSize) }
  }

  /// Writes them through a mapping of its own, which is gone afterwards.
  func write(_ marks: PageMarks, to buffer: ProbeBuffer) throws(Statement.Stop) {
    let mapping = try mapping(of: buffer)
    try write(marks, to: mapping, of: buffer.dmaBuf)
    _ = try prepare(kernel.unmap(mapping))
  }

  /// Every page must show its mark through a mapping of the whole buffer; `where` names the mapping.
  func expect(_ marks: PageMarks, in mapping: ProbeMapping, _ place: String) {
    for page in 0..<marks.count {
      let bytes = kernel.bytes(of: mapping, at: page * PageMarks.pageSize, count: PageMarks.byteCount)
      expect("\(place), \(page * PageMarks.pageSize) bytes in", marks.name(of: bytes), is: "page \(page)")
    }
  }

  /// Every page must show its mark through a new mapping of a dma-buf, inside a bracket.
  func expect(_ marks: PageMarks, throughNewMappingOf dmaBuf: CInt, byteCount: Int) throws(Statement.Stop) {
    let mapping = try expect(kernel.map(dmaBuf, byteCount: byteCount))
    _ = try prepare(kernel.sync(dmaBuf, SyncFlags.read))
    expect(marks, in: mapping, "a new mapping")
    _ = try prepare(kernel.sync(dmaBuf, SyncFlags.read | SyncFlags.end))
    _ = try prepare(kernel.unmap(mapping))
  }

  /// A fresh buffer whose whole mapping is not refused with EINVAL, so that one that is was refused for what it asks.
  ///
  /// Exporters without mmap answer EINVAL to everything, and skip (dma-buf.c:dma_buf_mmap_internal).
  func bufferWithBounds() throws(Statement.Stop) -> ProbeBuffer {
    let buffer = try buffer()
    switch kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount) {
    case .success(let mapping): _ = try prepare(kernel.unmap(mapping))
    case .failure(.invalidArgument) where kernel.alteredCall == nil:
      throw .skipped("\(subject.name) makes dma-bufs that cannot be mapped")
    case .failure: break
    }
    return buffer
  }

  /// The answer of `mmap`, unless it is that of an exporter that cannot be mapped, which skips.
  func unlessUnmappable(_ answer: CallResult<ProbeMapping>) throws(Statement.Stop) -> CallResult<ProbeMapping> {
    if case .failure(let errno) = answer, Self.unmappable.contains(errno) {
      throw .skipped("\(subject.name) makes dma-bufs that cannot be mapped")
    }
    return answer
  }

  /// A fresh buffer whose dma-buf is open for reading only; an exporter that has none skips the statement.
  func readOnlyBuffer() throws(Statement.Stop) -> ProbeBuffer {
    switch subject.exporter {
    case .dumb:
      let buffer = try buffer(flags: PrimeFlags.closeOnExec)
      let flags = try prepare(kernel.control(buffer.dmaBuf, F_GETFL, 0, "F_GETFL"))
      guard flags & Int(O_ACCMODE) == Int(O_RDONLY) || kernel.alteredCall != nil else {
        throw .skipped("\(subject.name) exports for writing whatever it is asked (A11)")
      }
      return buffer
    case .heap:
      let node = try prepare(kernel.open("/dev/dma_heap/system", flags: O_RDWR))
      let byteCount = 4 * PageMarks.pageSize
      let dmaBuf = try prepare(
        kernel.allocateFromHeap(node, byteCount: UInt64(byteCount), descriptorFlags: UInt32(O_CLOEXEC | O_RDONLY)))
      return ProbeBuffer(
        node: node, dmaBuf: dmaBuf, width: 64, height: UInt32(byteCount / 256), pitch: 256, byteCount: byteCount)
    case .udmabuf: throw .skipped("udmabuf makes no dma-buf that is open for reading only")
    case nil: throw .broken("this subject has no exporter")
    }
  }
}
