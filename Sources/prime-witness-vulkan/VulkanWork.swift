internal import CVulkan
import Prime

/// A piece of work for a device's queue, with the fences of the dma-buf that it is about.
@safe struct VulkanWork: ~Copyable {
  private let device: VulkanDevice
  private let pool: VkCommandPool?
  /// What the work is recorded in.
  let commands: VkCommandBuffer?

  /// How long work may take; the tool waits 20 s for all of it.
  private static let limit = Duration.seconds(8)

  /// Begins to record.
  init(on device: VulkanDevice) throws(PrimeError) {
    self.device = device
    var pool: VkCommandPool?
    var commands: VkCommandBuffer?
    // Safe: the call fills pool and command buffer.
    try device.check(unsafe cvk_begin(&device.calls, &pool, &commands))
    unsafe self.pool = pool
    unsafe self.commands = commands
  }

  deinit {
    // Safe: it was made once, and its work is done.
    if !device.isStuck { unsafe cvk_destroy_pool(&device.calls, pool) }
  }

  /// Has it done, behind what the buffer's fences hold back, and waits until it is.
  ///
  /// The device waits for the fences where it takes sync_files, and the work is a fence of the buffer's for others then. Else
  /// this process waits.
  ///
  /// - Throws: `vkWaitForFences` with `deadline` where it is not done in time; the device is stuck then.
  consuming func finish(on buffer: borrowing DMABuf, as access: FenceAccess) throws(PrimeError) {
    let deadline = Deadline(in: Self.limit)
    // Safe: recording has begun.
    try device.check(unsafe cvk_end(&device.calls, commands))
    let earlier = try Self.fences(of: buffer, for: access, device, deadline)
    let later = earlier.isNone ? VulkanSemaphore(noneOn: device) : try VulkanSemaphore.giving(on: device)
    let done = try VulkanFence(on: device)
    // Safe: all of these are of this device, and live until the work is done.
    try device.check(unsafe cvk_submit(&device.calls, commands, earlier.handle, later.handle, done.handle))
    var failure: PrimeError?
    do throws(PrimeError) {
      if let file = try later.syncFile() { try buffer.importSyncFile(file, as: access) }
    } catch {
      failure = error
    }
    try done.wait(deadline)
    if let failure { throw failure }
  }

  /// A semaphore that waits for who uses the buffer; none where this process has waited instead.
  private static func fences(
    of buffer: borrowing DMABuf, for access: FenceAccess, _ device: VulkanDevice, _ deadline: Deadline
  ) throws(PrimeError) -> VulkanSemaphore {
    if device.takesSyncFiles {
      do throws(PrimeError) {
        let file = try buffer.exportSyncFile(for: access)
        return try VulkanSemaphore.waiting(for: file, on: device)
      } catch {
        // A kernel before 6.0.
        guard error.errno == .notATerminal else { throw error }
      }
    }
    try buffer.awaitReadiness(for: access, deadline: deadline)
    return VulkanSemaphore(noneOn: device)
  }
}

/// A semaphore that takes a sync_file or gives one, or none at all.
@safe struct VulkanSemaphore: ~Copyable {
  private let device: VulkanDevice
  let handle: VkSemaphore?

  var isNone: Bool { unsafe handle == nil }

  init(noneOn device: VulkanDevice) {
    self.device = device
    unsafe handle = nil
  }

  private init(giving: Bool, on device: VulkanDevice) throws(PrimeError) {
    var handle: VkSemaphore?
    // Safe: the call fills the one handle.
    try device.check(unsafe cvk_make_semaphore(&device.calls, giving ? 1 : 0, &handle))
    self.device = device
    unsafe self.handle = handle
  }

  /// One that gives a sync_file for the work that signals it.
  static func giving(on device: VulkanDevice) throws(PrimeError) -> VulkanSemaphore {
    try VulkanSemaphore(giving: true, on: device)
  }

  /// One that is signalled when the fences of a sync_file are, which stays the caller's.
  static func waiting(
    for file: borrowing SyncFile, on device: VulkanDevice
  ) throws(PrimeError) -> VulkanSemaphore {
    let semaphore = try VulkanSemaphore(giving: false, on: device)
    // Safe: the semaphore is new.
    let handle = unsafe semaphore.handle
    try device.hand(file.rawDescriptor) { copy in unsafe cvk_take_sync_file(&device.calls, handle, copy) }
    return semaphore
  }

  deinit {
    // Safe: it was made once, and no work waits for it any more.
    if !device.isStuck, !isNone { unsafe cvk_destroy_semaphore(&device.calls, handle) }
  }

  /// The sync_file of the work that signals it, which was handed in; nil where it is done already, and of none.
  borrowing func syncFile() throws(PrimeError) -> SyncFile? {
    guard !isNone else { return nil }
    var descriptor: CInt = -1
    // Safe: the call fills the one number.
    try device.check(unsafe cvk_give_sync_file(&device.calls, handle, &descriptor))
    guard descriptor >= 0 else { return nil }
    return SyncFile(adopting: Descriptor(adopting: descriptor, kernel: LinuxKernel()))
  }
}

/// A fence of Vulkan's, which this process waits for.
@safe private struct VulkanFence: ~Copyable {
  private let device: VulkanDevice
  let handle: VkFence?

  init(on device: VulkanDevice) throws(PrimeError) {
    var handle: VkFence?
    // Safe: the call fills the one handle.
    try device.check(unsafe cvk_make_fence(&device.calls, &handle))
    self.device = device
    unsafe self.handle = handle
  }

  deinit {
    // Safe: it was made once, and no work signals it any more.
    if !device.isStuck { unsafe cvk_destroy_fence(&device.calls, handle) }
  }

  borrowing func wait(_ deadline: Deadline) throws(PrimeError) {
    let time = UInt64(clamping: deadline.remaining.nanoseconds)
    // Safe: the fence is of this device.
    let code = unsafe cvk_wait(&device.calls, handle, time)
    guard code != 0 else { return }
    device.isStuck = true
    guard code == VK_TIMEOUT.rawValue else { return try device.check(code) }
    throw PrimeError(
      operation: "vkWaitForFences", finding: .deadline, subject: device.name,
      reason: "the device did not finish its work in time")
  }
}
