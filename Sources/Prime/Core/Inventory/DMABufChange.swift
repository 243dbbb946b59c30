/// What became of a dma-buf between two moments.
public struct DMABufChange: Hashable, Sendable, Codable {
  /// What it was.
  public enum Kind: String, Hashable, Sendable, Codable {
    /// It was there when one began to look.
    case present
    /// It was made.
    case appeared
    /// Its name, its attached devices or who holds it changed.
    case changed
    /// It was freed.
    case gone
  }

  /// What it was.
  public var kind: Kind
  /// The dma-buf as it was last seen.
  public var buffer: DMABufInventory.Entry
  /// What changed, a phrase each: `named scanout`, `attached 0000:00:02.0 (cirrus)`.
  public var details: [String]
}

extension DMABufInventory {
  /// What became of each dma-buf since an earlier moment, in the order of their inodes; without one all are `present`.
  ///
  /// Mappings and fences come and go with each frame, and are no change.
  public func changes(since earlier: DMABufInventory?) -> [DMABufChange] {
    guard let earlier else { return buffers.map { DMABufChange(kind: .present, buffer: $0, details: []) } }
    let before = Dictionary(uniqueKeysWithValues: earlier.buffers.map { ($0.inode, $0) })
    let now = Dictionary(uniqueKeysWithValues: buffers.map { ($0.inode, $0) })
    return Set(before.keys).union(now.keys).sorted().compactMap { inode in
      switch (before[inode], now[inode]) {
      case (nil, let new?): return DMABufChange(kind: .appeared, buffer: new, details: [])
      case (let old?, nil): return DMABufChange(kind: .gone, buffer: old, details: [])
      case (let old?, let new?):
        let details = Self.differences(old, new)
        return details.isEmpty ? nil : DMABufChange(kind: .changed, buffer: new, details: details)
      case (nil, nil): return nil
      }
    }
  }

  private static func differences(_ old: Entry, _ new: Entry) -> [String] {
    var details: [String] = []
    if old.name != new.name { details.append(new.name.map { "named \($0)" } ?? "named nothing") }
    if let before = old.attachedDevices, let after = new.attachedDevices {
      details += after.map(\.label).filter { !before.map(\.label).contains($0) }.map { "attached \($0)" }
      details += before.map(\.label).filter { !after.map(\.label).contains($0) }.map { "detached \($0)" }
    }
    details += new.holders.filter { holder in !old.holders.contains { $0.isSameProcess(as: holder) } }
      .map { "held by \($0.label)" }
    details += old.holders.filter { holder in !new.holders.contains { $0.isSameProcess(as: holder) } }
      .map { "let go by \($0.label)" }
    for holder in new.holders {
      guard let before = old.holders.first(where: { $0.isSameProcess(as: holder) }),
        before.descriptors != holder.descriptors
      else { continue }
      let numbers = holder.descriptors.map(String.init).joined(separator: " ")
      details.append("\(holder.label) \(numbers.isEmpty ? "without a descriptor" : "by descriptor \(numbers)")")
    }
    return details
  }
}

extension DMABufInventory.AttachedDevice {
  /// `0000:00:02.0 (cirrus)`, or the name alone.
  public var label: String { driver.map { $0 == name ? name : "\(name) (\($0))" } ?? name }
}

extension DMABufHolder {
  /// `weston(812)`.
  public var label: String { "\(command)(\(process))" }

  func isSameProcess(as other: DMABufHolder) -> Bool {
    process == other.process && startTime == other.startTime
  }
}
