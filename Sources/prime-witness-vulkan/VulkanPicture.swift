internal import CVulkan
import Prime

/// A picture in a dma-buf of somebody else's.
protocol VulkanPicture: AnyObject {
  /// Records that its rows are copied one right behind the other; Vulkan's result, 0 where it went well.
  func recordCopy(to copy: HostCopy, _ commands: VkCommandBuffer?) -> Int32
}

/// A linear one: a Vulkan buffer, of any format, whose rows are copied.
final class PictureInRows: VulkanPicture {
  private let buffer: VulkanBuffer
  private let memory: VulkanMemory
  private let layout: PictureLayout

  /// Imports a dma-buf, which stays the caller's.
  init(
    of picture: borrowing SharedPicture, on device: VulkanDevice
  ) throws(PrimeError) {
    try picture.requireOneBuffer("vkAllocateMemory", on: device.name)
    layout = picture.layout
    buffer = try VulkanBuffer(layout.byteCount, for: VK_BUFFER_USAGE_TRANSFER_SRC_BIT, isShared: true, on: device)
    memory = try unsafe VulkanMemory.importing(picture.first, into: device, buffer.needs, rows: buffer.handle)
    // Safe: buffer and memory are of this device.
    try device.check(unsafe cvk_bind_buffer(&device.calls, buffer.handle, memory.handle))
  }

  func recordCopy(to copy: HostCopy, _ commands: VkCommandBuffer?) -> Int32 {
    let place = layout.planes[0]
    // Safe: both buffers hold as many rows as the layout says.
    return unsafe cvk_copy_rows(
      &buffer.device.calls, commands, buffer.handle, copy.buffer.handle, UInt64(place.offset), UInt64(place.pitch),
      UInt64(copy.rowBytes), UInt32(copy.rows))
  }
}

/// One in the arrangement that a modifier names: a Vulkan image.
final class PictureInImage: VulkanPicture {
  private let image: VulkanImage
  private let memory: VulkanMemory
  private let layout: PictureLayout

  /// Imports a dma-buf, which stays the caller's.
  init(
    of picture: borrowing SharedPicture, on device: VulkanDevice
  ) throws(PrimeError) {
    try picture.requireOneBuffer("vkAllocateMemory", on: device.name)
    layout = picture.layout
    image = try VulkanImage.of(picture.description, on: device)
    memory = try unsafe VulkanMemory.importing(picture.first, into: device, image.needs, image: image.handle)
    // Safe: image and memory are of this device.
    try device.check(unsafe cvk_bind_image(&device.calls, image.handle, memory.handle))
  }

  func recordCopy(to copy: HostCopy, _ commands: VkCommandBuffer?) -> Int32 {
    // Safe: the copy has room for as many pixels as the image has.
    unsafe cvk_copy_image(
      &image.device.calls, commands, image.handle, copy.buffer.handle, UInt32(layout.width), UInt32(layout.height))
    return 0
  }
}
