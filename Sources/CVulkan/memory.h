#ifndef PRIME_CVULKAN_MEMORY_H
#define PRIME_CVULKAN_MEMORY_H

/* Buffers, images, and the memory behind them: of a dma-buf, of one that is to become a dma-buf, or the device's own. */

#include "calls.h"

static inline int32_t cvk_make_buffer(
    cvk_device *device, uint64_t byte_count, VkBufferUsageFlags usage, int is_shared, VkBuffer *buffer,
    VkMemoryRequirements *needs) {
  const VkExternalMemoryBufferCreateInfo external = {
      .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
      .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT};
  const VkBufferCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
      .pNext = is_shared ? &external : NULL,
      .size = byte_count,
      .usage = usage,
      .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
  VkResult result = device->CreateBuffer(device->device, &info, NULL, buffer);
  if (result == VK_SUCCESS)
    device->GetBufferMemoryRequirements(device->device, *buffer, needs);
  return cvk_failed(&device->operation, "vkCreateBuffer", result);
}

/* What every image here has in common: one plane of pixels, without mipmaps. */
static inline int32_t cvk_make_image(
    cvk_device *device, const void *next, VkImageTiling tiling, VkFormat format, uint32_t width, uint32_t height,
    VkImageUsageFlags usage, VkImage *image, VkMemoryRequirements *needs) {
  const VkImageCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
      .pNext = next,
      .imageType = VK_IMAGE_TYPE_2D,
      .format = format,
      .extent = {width, height, 1},
      .mipLevels = 1,
      .arrayLayers = 1,
      .samples = VK_SAMPLE_COUNT_1_BIT,
      .tiling = tiling,
      .usage = usage,
      .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
      .initialLayout = VK_IMAGE_LAYOUT_UNDEFINED};
  VkResult result = device->CreateImage(device->device, &info, NULL, image);
  if (result == VK_SUCCESS)
    device->GetImageMemoryRequirements(device->device, *image, needs);
  return cvk_failed(&device->operation, "vkCreateImage", result);
}

static inline int32_t cvk_make_own_image(
    cvk_device *device, VkFormat format, uint32_t width, uint32_t height, VkImage *image, VkMemoryRequirements *needs) {
  return cvk_make_image(
      device, NULL, VK_IMAGE_TILING_OPTIMAL, format, width, height,
      VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT, image, needs);
}

/* An image that lies in a dma-buf as another device made it. */
static inline int32_t cvk_make_image_of(
    cvk_device *device, VkFormat format, uint32_t width, uint32_t height, uint64_t modifier, uint64_t offset,
    uint64_t pitch, VkImage *image, VkMemoryRequirements *needs) {
  const VkSubresourceLayout plane = {.offset = offset, .rowPitch = pitch};
  const VkImageDrmFormatModifierExplicitCreateInfoEXT arranged = {
      .sType = VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_EXPLICIT_CREATE_INFO_EXT,
      .drmFormatModifier = modifier,
      .drmFormatModifierPlaneCount = 1,
      .pPlaneLayouts = &plane};
  const VkExternalMemoryImageCreateInfo external = {
      .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO,
      .pNext = &arranged,
      .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT};
  return cvk_make_image(
      device, &external, VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT, format, width, height,
      VK_IMAGE_USAGE_TRANSFER_SRC_BIT, image, needs);
}

/* An image for a dma-buf that others get; its pitch is the driver's choice. */
static inline int32_t cvk_make_image_for(
    cvk_device *device, VkFormat format, uint32_t width, uint32_t height, uint64_t modifier, VkImage *image,
    VkMemoryRequirements *needs) {
  const VkImageDrmFormatModifierListCreateInfoEXT arranged = {
      .sType = VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_LIST_CREATE_INFO_EXT,
      .drmFormatModifierCount = 1,
      .pDrmFormatModifiers = &modifier};
  const VkExternalMemoryImageCreateInfo external = {
      .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO,
      .pNext = &arranged,
      .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT};
  return cvk_make_image(
      device, &external, VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT, format, width, height,
      VK_IMAGE_USAGE_TRANSFER_DST_BIT, image, needs);
}

/* Where the rows of such an image lie. */
static inline void cvk_image_layout(cvk_device *device, VkImage image, uint64_t *offset, uint64_t *pitch) {
  const VkImageSubresource plane = {.aspectMask = VK_IMAGE_ASPECT_MEMORY_PLANE_0_BIT_EXT};
  VkSubresourceLayout layout = {0};
  device->GetImageSubresourceLayout(device->device, image, &plane, &layout);
  *offset = layout.offset;
  *pitch = layout.rowPitch;
}

/* A memory type among some that has what is wanted, if possible with what is preferred; -1 where there is none. */
static inline int cvk_choose_type(
    const cvk_instance *instance, VkPhysicalDevice physical, uint32_t among, VkMemoryPropertyFlags wanted,
    VkMemoryPropertyFlags preferred) {
  VkPhysicalDeviceMemoryProperties memory;
  instance->GetPhysicalDeviceMemoryProperties(physical, &memory);
  int found = -1;
  for (int at = 0; at < (int)memory.memoryTypeCount; at++) {
    const VkMemoryPropertyFlags flags = memory.memoryTypes[at].propertyFlags;
    if (!(among & (1u << at)) || (flags & wanted) != wanted)
      continue;
    if ((flags & preferred) == preferred)
      return at;
    if (found < 0)
      found = at;
  }
  return found;
}

/* The memory types that a dma-buf can be. */
static inline int32_t cvk_types_of(cvk_device *device, int dma_buf, uint32_t *types) {
  VkMemoryFdPropertiesKHR properties = {.sType = VK_STRUCTURE_TYPE_MEMORY_FD_PROPERTIES_KHR};
  VkResult result = device->GetMemoryFdPropertiesKHR(
      device->device, VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT, dma_buf, &properties);
  *types = properties.memoryTypeBits;
  return cvk_failed(&device->operation, "vkGetMemoryFdPropertiesKHR", result);
}

static inline int32_t cvk_allocate_with(
    cvk_device *device, const void *next, uint64_t byte_count, uint32_t type, VkDeviceMemory *memory) {
  const VkMemoryAllocateInfo info = {
      .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
      .pNext = next,
      .allocationSize = byte_count,
      .memoryTypeIndex = type};
  return cvk_failed(
      &device->operation, "vkAllocateMemory", device->AllocateMemory(device->device, &info, NULL, memory));
}

/* The device's own memory. */
static inline int32_t cvk_allocate(cvk_device *device, uint64_t byte_count, uint32_t type, VkDeviceMemory *memory) {
  return cvk_allocate_with(device, NULL, byte_count, type, memory);
}

/* Memory that becomes a dma-buf, for one image. */
static inline int32_t cvk_allocate_for_others(
    cvk_device *device, uint64_t byte_count, uint32_t type, VkImage image, VkDeviceMemory *memory) {
  const VkMemoryDedicatedAllocateInfo dedicated = {
      .sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO, .image = image};
  const VkExportMemoryAllocateInfo exported = {
      .sType = VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO,
      .pNext = &dedicated,
      .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT};
  return cvk_allocate_with(device, &exported, byte_count, type, memory);
}

/* The memory of a dma-buf, for one image or one buffer. The descriptor is Vulkan's from then on, if this answers 0. */
static inline int32_t cvk_import(
    cvk_device *device, int dma_buf, uint64_t byte_count, uint32_t type, VkImage image, VkBuffer buffer,
    VkDeviceMemory *memory) {
  const VkMemoryDedicatedAllocateInfo dedicated = {
      .sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO, .image = image, .buffer = buffer};
  const VkImportMemoryFdInfoKHR imported = {
      .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR,
      .pNext = &dedicated,
      .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
      .fd = dma_buf};
  return cvk_allocate_with(device, &imported, byte_count, type, memory);
}

static inline int32_t cvk_bind_buffer(cvk_device *device, VkBuffer buffer, VkDeviceMemory memory) {
  return cvk_failed(
      &device->operation, "vkBindBufferMemory", device->BindBufferMemory(device->device, buffer, memory, 0));
}

static inline int32_t cvk_bind_image(cvk_device *device, VkImage image, VkDeviceMemory memory) {
  return cvk_failed(&device->operation, "vkBindImageMemory", device->BindImageMemory(device->device, image, memory, 0));
}

/* It stays mapped until it is freed. */
static inline int32_t cvk_map(cvk_device *device, VkDeviceMemory memory, void **address) {
  return cvk_failed(
      &device->operation, "vkMapMemory", device->MapMemory(device->device, memory, 0, VK_WHOLE_SIZE, 0, address));
}

/* A descriptor of the dma-buf, the caller's to close. */
static inline int32_t cvk_export(cvk_device *device, VkDeviceMemory memory, int *dma_buf) {
  const VkMemoryGetFdInfoKHR info = {
      .sType = VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR,
      .memory = memory,
      .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT};
  return cvk_failed(
      &device->operation, "vkGetMemoryFdKHR", device->GetMemoryFdKHR(device->device, &info, dma_buf));
}

static inline void cvk_destroy_buffer(cvk_device *device, VkBuffer buffer) {
  device->DestroyBuffer(device->device, buffer, NULL);
}

static inline void cvk_destroy_image(cvk_device *device, VkImage image) {
  device->DestroyImage(device->device, image, NULL);
}

static inline void cvk_free(cvk_device *device, VkDeviceMemory memory) {
  device->FreeMemory(device->device, memory, NULL);
}

#endif
