/// What a command left behind that made dma-bufs.
public struct DMABufLeaks: Hashable, Sendable, Codable {
  /// Made while the command ran, still there, and held by nobody who ran before.
  public var left: [DMABufInventory.Entry]
  /// Made while the command ran, and held by processes that ran before it: a compositor's own, perhaps.
  public var elsewhere: [DMABufInventory.Entry]

  /// Compares the moments before a command that was started at a time and after it, in clock ticks since the machine was.
  init(before: DMABufInventory, after: DMABufInventory, commandStart: UInt64) {
    let old = Set(before.buffers.map(\.inode))
    let new = after.buffers.filter { !old.contains($0.inode) }
    elsewhere = new.filter { entry in
      !entry.holders.isEmpty && entry.holders.allSatisfy { $0.startTime < commandStart }
    }
    let others = Set(elsewhere.map(\.inode))
    left = new.filter { !others.contains($0.inode) }
  }
}

/// A command that is looked at before and after.
public struct DMABufLeakSearch: Sendable {
  private let before: DMABufInventory
  private let commandStart: UInt64

  /// Begins with what was there before a command that has just been started.
  public init(before: DMABufInventory, command: Int32) {
    self.before = before
    // One that has ended already is still there for its parent to reap.
    commandStart = ProcessState("/proc/\(command)")?.startTime ?? 0
  }

  /// What the command left, with everything that is there now.
  ///
  /// The kernel frees a dma-buf a moment after its last reference went, so what is left is looked for again until the deadline.
  public func result(deadline: Deadline) -> (leaks: DMABufLeaks, now: DMABufInventory) {
    while true {
      let now = DMABufInventory.current()
      let leaks = DMABufLeaks(before: before, after: now, commandStart: commandStart)
      if leaks.left.isEmpty || deadline.remaining == .zero { return (leaks, now) }
      Pause.milliseconds(20)
    }
  }
}
