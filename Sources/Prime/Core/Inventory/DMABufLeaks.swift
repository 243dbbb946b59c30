/// What a command left behind that made dma-bufs.
public struct DMABufLeaks: Hashable, Sendable, Codable {
  /// Made while the command ran, still there, and held by nobody who ran before.
  public var left: [DMABufInventory.Entry]
  /// Made while the command ran, and held by processes that ran before it: a compositor's own, perhaps.
  public var elsewhere: [DMABufInventory.Entry]

  package init(left: [DMABufInventory.Entry], elsewhere: [DMABufInventory.Entry]) {
    self.left = left
    self.elsewhere = elsewhere
  }

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

/// A command that is looked at before it, while it runs, and after it.
public struct DMABufLeakSearch: Sendable {
  private let before: DMABufInventory
  private let kernel: any KernelCalls
  private let list: DMABufList
  private let commandStart: UInt64
  private let started: SuspendingClock.Instant
  /// When to look next, and when at every process: to look costs time, of which a third is enough.
  private var nextLook: SuspendingClock.Instant
  private var nextWholeLook: SuspendingClock.Instant
  /// What processes hold that ran before the command.
  private var elsewhere: Set<UInt64> = []

  private var seen = DMABufGrowth()
  /// The last moment, in which the command may have been at its end and let go of everything.
  private var lastMoment: DMABufGrowth.Moment?

  /// What the command had while it ran, as far as `look` saw it.
  public var growth: DMABufGrowth {
    var growth = seen
    if let lastMoment { growth.addLast(lastMoment) }
    return growth
  }

  /// Begins with what was there before a command that has just been started.
  public init(before: DMABufInventory, command: Int32) {
    self.init(before: before, command: command, kernel: LinuxKernel())
  }

  package init(before: DMABufInventory, command: Int32, kernel: any KernelCalls) {
    self.before = before
    self.kernel = kernel
    list = DMABufList(by: kernel)
    started = kernel.now
    (nextLook, nextWholeLook) = (started, started)
    // One that has ended already is still there for its parent to reap.
    commandStart = ProcessState("/proc/\(command)", by: kernel)?.startTime ?? 0
  }

  /// Looks at what the command has at this moment, in which it runs; does nothing where the last look was just now.
  public mutating func look() {
    let begin = kernel.now
    guard begin >= nextLook else { return }
    let isWhole = begin >= nextWholeLook
    let made: [DMABufInventory.Entry]
    if isWhole {
      let leaks = DMABufLeaks(before: before, after: current(), commandStart: commandStart)
      elsewhere = Set(leaks.elsewhere.map(\.inode))
      made = leaks.left
    } else {
      let old = Set(before.buffers.map(\.inode))
      made = DMABufInventory.holdings(ofProcessesSince: commandStart, list, by: kernel)
        .filter { !old.contains($0.inode) && !elsewhere.contains($0.inode) }
    }
    if let lastMoment { seen.add(lastMoment) }
    lastMoment = DMABufGrowth.Moment(
      seconds: (started.duration(to: begin) / .milliseconds(1)).rounded() / 1000, buffers: made.count,
      bytes: made.reduce(0) { $0 + ($1.byteCount ?? 0) },
      descriptors: made.flatMap(\.holders).filter { $0.startTime >= commandStart }
        .reduce(0) { $0 + $1.descriptors.count })
    let end = kernel.now
    let pause = max(.milliseconds(30), begin.duration(to: end) * 2)
    nextLook = end.advanced(by: pause)
    if isWhole { nextWholeLook = end.advanced(by: pause * 10) }
  }

  private func current() -> DMABufInventory { .look(systemRoot: "", list, by: kernel) }

  /// What the command left, with everything that is there now.
  ///
  /// The kernel frees a dma-buf a moment after its last reference went, so what is left is looked for again until the deadline.
  public func result(deadline: Deadline) -> (leaks: DMABufLeaks, now: DMABufInventory) {
    while true {
      let now = current()
      let leaks = DMABufLeaks(before: before, after: now, commandStart: commandStart)
      if leaks.left.isEmpty || deadline.remaining == .zero { return (leaks, now) }
      deadline.pause(milliseconds: 20)
    }
  }
}
