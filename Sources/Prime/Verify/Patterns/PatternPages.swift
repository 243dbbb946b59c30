internal import Prime

extension PatternDiagnosis {
  /// Explains damage that begins and ends where pages do, or nil.
  func pageCause(in bytes: Span<UInt8>) -> MismatchCause? {
    var pages = [Page](repeating: Page(), count: (layout.byteCount + pageSize - 1) / pageSize)
    for index in planes.indices { count(plane: index, in: bytes, into: &pages) }
    let wrong = pages.indices.filter { pages[$0].differing > 0 }
    guard wrong.count < pages.filter({ $0.total > 0 }).count, wrong.allSatisfy({ pages[$0].isWhollyWrong }) else {
      return nil
    }
    let locators = planes.map { PatternLocator($0) }
    var runs: [PageRun] = []
    for page in wrong {
      let content = content(of: page, counted: pages[page], locators, in: bytes)
      if let last = runs.last, last.first + last.count == page, last.continues(with: content) {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(PageRun(first: page, count: 1, content: content))
      }
    }
    // Where a few pages are wrong and no content is known, the boundaries may be chance.
    let unknown = runs.allSatisfy { $0.content == .unknown }
    guard !unknown || wrong.allSatisfy({ pages[$0].total >= pageSize / 2 }) else { return nil }
    return .partialPage(runs)
  }

  /// What was counted in one page; the numbers are bytes.
  private struct Page {
    var total = 0
    var differing = 0
    var nonzero = 0
    var notStale: [Int] = []
    /// The parts of rows that lie in the page.
    var parts: [Part] = []

    struct Part {
      let plane: Int
      let y: Int
      let positions: Range<Int>
    }

    /// A wrong byte has the right value once in 256 times, and unused bytes always have.
    var isWhollyWrong: Bool { differing * 2 > total }
  }

  /// Adds one plane's bytes to the pages they lie in.
  private func count(plane index: Int, in bytes: Span<UInt8>, into pages: inout [Page]) {
    let plane = planes[index]
    let place = layout.planes[index]
    let damaged = damages.first { $0.plane == index }?.rectangle
    for y in 0..<plane.rowCount {
      let row = place.offset + y * place.pitch
      let isDamaged = damaged.map { ($0.y..<$0.y + $0.height).contains(y) } ?? false
      var position = 0
      while position < plane.rowBytes {
        let page = (row + position) / pageSize
        let end = min(plane.rowBytes, (page + 1) * pageSize - row)
        pages[page].total += end - position
        pages[page].parts.append(Page.Part(plane: index, y: y, positions: position..<end))
        if isDamaged { count(pages[page].parts.count - 1, of: &pages[page], in: bytes) }
        position = end
      }
    }
  }

  private func count(_ part: Int, of page: inout Page, in bytes: Span<UInt8>) {
    let (index, y, positions) = (page.parts[part].plane, page.parts[part].y, page.parts[part].positions)
    let plane = planes[index]
    let key = plane.key(ofRow: y)
    let row = layout.planes[index].offset + y * layout.planes[index].pitch
    for position in positions {
      let found = bytes[row + position]
      let mask = plane.maskByte(position)
      if found & mask != 0 { page.nonzero += 1 }
      if (found ^ plane.byte(position, key: key)) & mask != 0 { page.differing += 1 }
    }
    if page.notStale.isEmpty { page.notStale = Array(repeating: 0, count: earlier.count) }
    for (number, old) in earlier.enumerated() {
      let oldKey = old.planes[index].key(ofRow: y)
      for position in positions {
        let difference = bytes[row + position] ^ old.planes[index].byte(position, key: oldKey)
        if difference & plane.maskByte(position) != 0 { page.notStale[number] += 1 }
      }
    }
  }

  /// What a wrong page holds.
  private func content(
    of page: Int, counted: Page, _ locators: [PatternLocator], in bytes: Span<UInt8>
  ) -> PageContent {
    guard counted.nonzero > 0 else { return .zeros }
    if let stale = counted.notStale.firstIndex(of: 0) { return .stale(earlier[stale].pattern) }
    var tried: Set<Int> = []
    for part in counted.parts where part.positions.count >= 16 && tried.count < 4 {
      let size = planes[part.plane].elementSize
      let start = (part.positions.lowerBound + size - 1) / size * size
      guard start + 16 <= part.positions.upperBound else { continue }
      let place = layout.planes[part.plane]
      let offset = place.offset + part.y * place.pitch + start
      for (source, locator) in locators.enumerated() {
        guard let origin = locator.origin(of: offset, in: bytes) else { continue }
        let home = layout.planes[source]
        let distance = home.offset + origin.row * home.pitch + origin.position - offset
        guard distance != 0, distance.isMultiple(of: pageSize), tried.insert(distance).inserted else { continue }
        if holds(counted, from: distance, source: source, in: bytes) { return .page(page + distance / pageSize) }
      }
    }
    return .unknown
  }

  /// Whether a page holds what belongs `distance` bytes further on.
  private func holds(_ page: Page, from distance: Int, source: Int, in bytes: Span<UInt8>) -> Bool {
    let home = layout.planes[source]
    let placement = PatternPlacement(source: source, offset: home.offset - distance, pitch: home.pitch)
    var agreement = PatternAgreement()
    for part in page.parts {
      add(placement, plane: part.plane, y: part.y, positions: part.positions, in: bytes, to: &agreement)
    }
    return agreement.isConvincing(of: page.total)
  }
}

extension PageRun {
  /// Whether the next page holds what this run would hold there.
  fileprivate func continues(with next: PageContent) -> Bool {
    switch (content, next) {
    case (.page(let start), .page(let page)): page == start + count
    default: content == next
    }
  }
}
