internal import CVulkan
import Prime

/// Memory of a Vulkan device, freed with its owner.
///
/// What lies in it must go before it does.
@safe struct VulkanMemory: ~Copyable {
  let device: VulkanDevice
  let handle: VkDeviceMemory?

  private init(_ device: VulkanDevice, _ handle: VkDeviceMemory?) {
    self.device = device
    unsafe self.handle = handle
  }

  deinit {
    // Safe: it was allocated once, and nothing that is bound to it lives any more.
    if !device.isStuck { unsafe cvk_free(&device.calls, handle) }
  }

  /// Allocates memory that the processor reads and writes, for what has these needs.
  static func shownToHost(_ needs: VkMemoryRequirements, of device: VulkanDevice) throws(PrimeError) -> VulkanMemory {
    let both = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT.rawValue | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT.rawValue
    return try own(
      needs, of: device, with: VkMemoryPropertyFlagBits(both), preferring: VK_MEMORY_PROPERTY_HOST_CACHED_BIT)
  }

  /// Allocates memory of the device's own, for what has these needs.
  static func own(
    _ needs: VkMemoryRequirements, of device: VulkanDevice, with wanted: VkMemoryPropertyFlagBits? = nil,
    preferring preferred: VkMemoryPropertyFlagBits = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
  ) throws(PrimeError) -> VulkanMemory {
    let type = try device.memoryType(among: needs.memoryTypeBits, with: wanted, preferring: preferred)
    var handle: VkDeviceMemory?
    // Safe: the call fills the one handle.
    try device.check(unsafe cvk_allocate(&device.calls, needs.size, type, &handle))
    return unsafe VulkanMemory(device, handle)
  }

  /// Allocates memory that becomes a dma-buf, for one image.
  static func forOthers(_ image: borrowing VulkanImage, of device: VulkanDevice) throws(PrimeError) -> VulkanMemory {
    let type = try device.memoryType(
      among: image.needs.memoryTypeBits, preferring: VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT)
    var handle: VkDeviceMemory?
    // Safe: the call fills the one handle.
    try device.check(
      unsafe cvk_allocate_for_others(&device.calls, image.needs.size, type, image.handle, &handle))
    return unsafe VulkanMemory(device, handle)
  }

  /// Imports a dma-buf as the memory of one image or one buffer, which are given by their handles.
  ///
  /// The dma-buf stays the caller's.
  static func importing(
    _ buffer: borrowing DMABuf, into device: VulkanDevice, _ needs: VkMemoryRequirements, image: VkImage? = nil,
    rows: VkBuffer? = nil
  ) throws(PrimeError) -> VulkanMemory {
    let descriptor = buffer.rawDescriptor
    let byteCount = max(UInt64(buffer.byteCount), needs.size)
    var types: UInt32 = 0
    // Safe: the call fills the one number.
    try device.check(unsafe cvk_types_of(&device.calls, descriptor, &types))
    let type = try device.memoryType(
      among: needs.memoryTypeBits & types, preferring: VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT)
    var handle: VkDeviceMemory?
    // Safe: the call fills the one handle; image and buffer are of this device.
    try device.hand(descriptor) { copy in
      unsafe cvk_import(&device.calls, copy, byteCount, type, image, rows, &handle)
    }
    return unsafe VulkanMemory(device, handle)
  }

  /// The memory as a dma-buf, which the caller owns.
  borrowing func export() throws(PrimeError) -> DMABuf {
    var descriptor: CInt = -1
    // Safe: the call fills the one number.
    try device.check(unsafe cvk_export(&device.calls, handle, &descriptor))
    return try DMABuf(adopting: Descriptor(adopting: descriptor, kernel: LinuxKernel()))
  }
}
