internal import CVulkan
import Prime

/// An open Vulkan device with one queue.
///
/// Safe to hold: what it gave is handed back to it only, by this program, on one thread, and before it goes.
@safe final class VulkanDevice {
  let instance: VulkanInstance
  let name: String
  /// What can be done with pictures: a queue that only copies does not draw.
  let draws: Bool
  /// Whether its work waits for sync_files, and gives them.
  let takesSyncFiles: Bool
  /// Whether a dma-buf can be the memory of a buffer.
  let takesBuffers: Bool
  let knowsModifiers: Bool
  let physical: VkPhysicalDevice?
  var calls = unsafe cvk_device()
  /// Whether it still works on what did not end in time: nothing that it may use is destroyed then.
  var isStuck = false

  private static let needed = ["VK_KHR_external_memory_fd", "VK_EXT_external_memory_dma_buf"]
  static let modifiers = "VK_EXT_image_drm_format_modifier"
  private static let syncFiles = "VK_KHR_external_semaphore_fd"
  private static let useful = [
    modifiers, "VK_KHR_image_format_list", "VK_EXT_queue_family_foreign", syncFiles,
  ]

  /// Opens a device.
  ///
  /// - Throws: an untestable `vkCreateDevice` with the extensions that it lacks, or with what Vulkan answered.
  init(_ index: Int, _ facts: VulkanFacts, of instance: VulkanInstance) throws(PrimeError) {
    try facts.require(Self.needed)
    self.instance = instance
    name = facts.name
    unsafe physical = instance.physical(index)
    let extensions = Self.needed + Self.useful.filter(facts.extensions.contains)
    var family: UInt32 = 0
    // Safe: the device is of this instance.
    let flags = unsafe cvk_choose_family(&instance.calls, physical, &family)
    guard flags != 0 else {
      throw .untestable("vkCreateDevice", on: facts.name, reason: "this device has no queue that copies")
    }
    draws = flags & VK_QUEUE_GRAPHICS_BIT.rawValue != 0
    knowsModifiers = extensions.contains(Self.modifiers)
    // Safe: as above.
    let takes = unsafe cvk_takes_sync_files(&instance.calls, physical) != 0
    takesBuffers = unsafe cvk_takes_buffers(&instance.calls, physical) != 0
    takesSyncFiles = takes && extensions.contains(Self.syncFiles)
    let names = ExtensionNames(extensions)
    // Safe: the names live until the device is there.
    let code = unsafe cvk_open_device(
      &instance.calls, physical, family, names.list, UInt32(extensions.count), &calls)
    try check(code)
  }

  deinit { if !isStuck { unsafe cvk_close_device(&calls) } }

  /// Throws what a call of the device answered.
  func check(_ code: Int32) throws(PrimeError) {
    guard code != 0 else { return }
    // Safe: a literal of the shim's.
    throw unsafe VulkanFailure.error(code, calls.operation, on: name)
  }

  /// Hands a copy of a descriptor to a call that keeps it where it answers 0; the descriptor stays the caller's.
  func hand(_ descriptor: CInt, to call: (CInt) -> Int32) throws(PrimeError) {
    let kernel = LinuxKernel()
    let copy = try kernel.duplicate(descriptor).orThrow("fcntl(F_DUPFD_CLOEXEC)", on: name)
    let code = call(copy)
    if code != 0 { kernel.close(copy) }
    try check(code)
  }

  /// A memory type among some, by their bits.
  ///
  /// - Throws: an untestable `vkAllocateMemory` where none of them has what is wanted.
  func memoryType(
    among types: UInt32, with wanted: VkMemoryPropertyFlagBits? = nil, preferring preferred: VkMemoryPropertyFlagBits
  ) throws(PrimeError) -> UInt32 {
    // Safe: the device is of this instance.
    let type = unsafe cvk_choose_type(
      &instance.calls, physical, types, wanted?.rawValue ?? 0, preferred.rawValue)
    guard let type = UInt32(exactly: type) else {
      throw .untestable("vkAllocateMemory", on: name, reason: "no memory of this device fits what is wanted of it")
    }
    return type
  }
}

/// Names as C wants a list of them.
///
/// Safe to hold: the copies are freed with this object.
@safe private final class ExtensionNames {
  let list: [UnsafePointer<CChar>?]

  init(_ names: [String]) {
    // Safe: each copy is freed once, in deinit.
    unsafe list = names.map { unsafe UnsafePointer(cvk_copy_text($0)) }
  }

  deinit {
    // Safe: these are the copies.
    unsafe list.forEach { unsafe cvk_free_text($0) }
  }
}
