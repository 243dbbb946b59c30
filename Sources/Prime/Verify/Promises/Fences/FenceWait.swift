internal import Prime

/// Sees whether `DMA_BUF_IOCTL_SYNC(START)` of a buffer waits for a fence, with one of vgem's.
struct FenceWait {
  /// A node of vgem; nil where there is none.
  let vgem: DRMNode?
  let kernel: any KernelCalls

  /// The shortest that START has to be seen waiting.
  private static let watch = Duration.milliseconds(20)

  /// Whether START for reading waits for a writer's fence; nil where that cannot be tried.
  ///
  /// The fence is over when this returns. START without a fence has to return first, or nothing is known.
  ///
  /// - Parameter inodes: Hears of the dma-buf that carries the fence.
  func isSeen(on buffer: borrowing DMABuf, _ inodes: (UInt64) -> Void) -> Bool? {
    guard let vgem, let format = PixelFormat(.xrgb8888) else { return nil }
    do throws(PrimeError) {
      let device = try Device.open(vgem, kernel: kernel)
      guard device.driver == "vgem" else { return nil }
      let carrier = try DumbAllocator(device: device)
        .allocate(AllocationRequest(format: format, width: 64, height: 16)).export(.readWrite).takeFirst()
      inodes(carrier.identity.inode)
      let start = ContinuousClock.now
      let free = try StartedBracket(on: buffer, reading: true, subject: device.subject)
      guard let errno = free.end(within: FenceRules.patience), errno == nil else { return nil }
      let usual = ContinuousClock.now - start
      let fence = try VGEMFence(attachingTo: GEMHandle(importing: carrier, into: device), as: .write)
      try buffer.importSyncFile(try carrier.exportSyncFile(for: .read), as: .write)
      let held = try StartedBracket(on: buffer, reading: true, subject: device.subject)
      let early = held.end(within: max(Self.watch, usual * 4))
      let isPending = try !buffer.readiness().forReading
      try fence.signal()
      guard let errno = early ?? held.end(within: FenceRules.patience), errno == nil, isPending else { return nil }
      return early == nil
    } catch {
      // What has no fence to put on it is not known; the fence went with its owner.
      return nil
    }
  }
}
