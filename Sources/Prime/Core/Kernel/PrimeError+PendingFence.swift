extension PrimeError {
  /// A fence that a wait still waited for when its deadline passed.
  ///
  /// The names are the kernel's, for people to read: a driver calls its timelines as it likes.
  public struct PendingFence: Hashable, Sendable {
    /// The driver whose work it stands for, for example `vgem`.
    public let driver: String
    /// The timeline it belongs to (`obj_name`), for example `unbound`.
    public let timeline: String

    package init(driver: String, timeline: String) {
      self.driver = driver
      self.timeline = timeline
    }

    /// Fences in words, `vgem/unbound, 2 of i915/rcs0`; nil for none.
    static func words(for fences: [PendingFence]) -> String? {
      var seen: Set<PendingFence> = []
      let inOrder = fences.filter { seen.insert($0).inserted }
      guard !inOrder.isEmpty else { return nil }
      return inOrder.map { fence in
        let count = fences.count { $0 == fence }
        let name = "\(fence.driver)/\(fence.timeline)"
        return count == 1 ? name : "\(count) of \(name)"
      }.joined(separator: ", ")
    }
  }
}
