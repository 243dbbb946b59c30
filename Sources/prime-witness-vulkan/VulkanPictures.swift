internal import CVulkan
import Prime

/// A Vulkan buffer without its memory, destroyed with its owner.
@safe struct VulkanBuffer: ~Copyable {
  let device: VulkanDevice
  let handle: VkBuffer?
  let needs: VkMemoryRequirements

  /// Makes one of some bytes; `isShared` says that its memory is a dma-buf's.
  init(_ byteCount: Int, for usage: VkBufferUsageFlagBits, isShared: Bool, on device: VulkanDevice) throws(PrimeError) {
    var handle: VkBuffer?
    var needs = VkMemoryRequirements()
    // Safe: the call fills handle and needs.
    try device.check(
      unsafe cvk_make_buffer(
        &device.calls, UInt64(byteCount), usage.rawValue, isShared ? 1 : 0, &handle, &needs))
    self.device = device
    unsafe self.handle = handle
    self.needs = needs
  }

  deinit {
    // Safe: it was made once, and no work uses it any more.
    if !device.isStuck { unsafe cvk_destroy_buffer(&device.calls, handle) }
  }
}

/// A Vulkan image without its memory, destroyed with its owner.
@safe struct VulkanImage: ~Copyable {
  let device: VulkanDevice
  let handle: VkImage?
  let needs: VkMemoryRequirements

  private init(_ device: VulkanDevice, _ handle: VkImage?, _ needs: VkMemoryRequirements) {
    self.device = device
    unsafe self.handle = handle
    self.needs = needs
  }

  deinit {
    // Safe: it was made once, and no work uses it any more.
    if !device.isStuck { unsafe cvk_destroy_image(&device.calls, handle) }
  }

  /// An image in an arrangement that only this device knows.
  static func own(
    _ format: VkFormat, width: Int, height: Int, on device: VulkanDevice
  ) throws(PrimeError) -> VulkanImage {
    var handle: VkImage?
    var needs = VkMemoryRequirements()
    // Safe: the call fills handle and needs.
    try device.check(
      unsafe cvk_make_own_image(&device.calls, format, UInt32(width), UInt32(height), &handle, &needs))
    return unsafe VulkanImage(device, handle, needs)
  }

  /// The image that lies in a dma-buf as it is described.
  static func of(_ description: BufferDescription, on device: VulkanDevice) throws(PrimeError) -> VulkanImage {
    let format = try VulkanFormat.format(of: description.fourcc)
    try check(
      description.modifier, format, width: description.width, height: description.height,
      VK_FORMAT_FEATURE_TRANSFER_SRC_BIT, VK_IMAGE_USAGE_TRANSFER_SRC_BIT, VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT,
      named: description.fourcc, on: device)
    let plane = description.layout.planes[0]
    var handle: VkImage?
    var needs = VkMemoryRequirements()
    // Safe: the call fills handle and needs.
    try device.check(
      unsafe cvk_make_image_of(
        &device.calls, format, UInt32(description.width), UInt32(description.height), description.modifier.rawValue,
        UInt64(plane.offset), UInt64(plane.pitch), &handle, &needs))
    return unsafe VulkanImage(device, handle, needs)
  }

  /// A linear image that others are to get.
  static func forOthers(
    _ fourcc: Fourcc, width: Int, height: Int, on device: VulkanDevice
  ) throws(PrimeError) -> VulkanImage {
    let format = try VulkanFormat.format(of: fourcc)
    try check(
      .linear, format, width: width, height: height, VK_FORMAT_FEATURE_BLIT_DST_BIT, VK_IMAGE_USAGE_TRANSFER_DST_BIT,
      VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT, named: fourcc, on: device)
    var handle: VkImage?
    var needs = VkMemoryRequirements()
    // Safe: the call fills handle and needs.
    try device.check(
      unsafe cvk_make_image_for(
        &device.calls, format, UInt32(width), UInt32(height), Modifier.linear.rawValue, &handle, &needs))
    return unsafe VulkanImage(device, handle, needs)
  }

  /// Where its rows lie in its memory, in bytes; of an image that others get.
  borrowing func place() -> PlaneLayout {
    var (offset, pitch): (UInt64, UInt64) = (0, 0)
    // Safe: the call fills the two numbers.
    unsafe cvk_image_layout(&device.calls, handle, &offset, &pitch)
    return PlaneLayout(offset: Int(clamping: offset), pitch: Int(clamping: pitch))
  }

  /// Throws what keeps a format with a modifier from being an image of a dma-buf.
  private static func check(
    _ modifier: Modifier, _ format: VkFormat, width: Int, height: Int, _ feature: VkFormatFeatureFlagBits,
    _ usage: VkImageUsageFlagBits, _ memory: VkExternalMemoryFeatureFlagBits, named fourcc: Fourcc,
    on device: VulkanDevice
  ) throws(PrimeError) {
    guard device.knowsModifiers else {
      throw .untestable(
        "vkCreateImage", on: device.name, reason: "this Vulkan driver lacks \(VulkanDevice.modifiers)")
    }
    var features: VkFormatFeatureFlags = 0
    // Safe: the device is of this instance.
    let planes = unsafe cvk_modifier_planes(
      &device.instance.calls, device.physical, format, modifier.rawValue, &features)
    func refused(_ reason: String) -> PrimeError { .untestable("vkCreateImage", on: device.name, reason: reason) }
    guard planes > 0 else { throw refused("this device makes no image of \(fourcc) \(modifier)") }
    guard planes == 1 else { throw refused("\(fourcc) \(modifier) has \(planes) planes here, and one is shared") }
    guard features & feature.rawValue != 0 else {
      throw refused("this device neither copies nor draws \(fourcc) \(modifier)")
    }
    // Safe: as above.
    try device.instance.check(
      unsafe cvk_check_image(
        &device.instance.calls, device.physical, format, modifier.rawValue, usage.rawValue, memory.rawValue,
        UInt32(width), UInt32(height)))
  }
}
