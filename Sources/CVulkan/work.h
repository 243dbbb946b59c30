#ifndef PRIME_CVULKAN_WORK_H
#define PRIME_CVULKAN_WORK_H

/* What the device is told to do, and the fences around it. */

#include "calls.h"

/* One command buffer, which records; it goes with its pool. */
static inline int32_t cvk_begin(cvk_device *device, VkCommandPool *pool, VkCommandBuffer *commands) {
  const VkCommandPoolCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .queueFamilyIndex = device->family};
  VkResult result = device->CreateCommandPool(device->device, &info, NULL, pool);
  if (result != VK_SUCCESS)
    return cvk_failed(&device->operation, "vkCreateCommandPool", result);
  const VkCommandBufferAllocateInfo buffers = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
      .commandPool = *pool,
      .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
      .commandBufferCount = 1};
  const VkCommandBufferBeginInfo once = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
  result = device->AllocateCommandBuffers(device->device, &buffers, commands);
  if (result == VK_SUCCESS)
    result = device->BeginCommandBuffer(*commands, &once);
  if (result != VK_SUCCESS)
    device->DestroyCommandPool(device->device, *pool, NULL);
  return cvk_failed(&device->operation, "vkBeginCommandBuffer", result);
}

static inline void cvk_destroy_pool(cvk_device *device, VkCommandPool pool) {
  device->DestroyCommandPool(device->device, pool, NULL);
}

static inline int32_t cvk_end(cvk_device *device, VkCommandBuffer commands) {
  return cvk_failed(&device->operation, "vkEndCommandBuffer", device->EndCommandBuffer(commands));
}

static inline void cvk_buffer_barrier(
    cvk_device *device, VkCommandBuffer commands, VkBuffer buffer, uint32_t from, uint32_t to, VkAccessFlags before,
    VkAccessFlags after, VkPipelineStageFlags earlier, VkPipelineStageFlags later) {
  const VkBufferMemoryBarrier barrier = {
      .sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER,
      .srcAccessMask = before,
      .dstAccessMask = after,
      .srcQueueFamilyIndex = from,
      .dstQueueFamilyIndex = to,
      .buffer = buffer,
      .size = VK_WHOLE_SIZE};
  device->CmdPipelineBarrier(commands, earlier, later, 0, 0, NULL, 1, &barrier, 0, NULL);
}

static const VkImageSubresourceRange cvk_whole = {
    .aspectMask = VK_IMAGE_ASPECT_COLOR_BIT, .levelCount = 1, .layerCount = 1};
static const VkImageSubresourceLayers cvk_pixels = {.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT, .layerCount = 1};

static inline void cvk_image_barrier(
    cvk_device *device, VkCommandBuffer commands, VkImage image, uint32_t from, uint32_t to, VkImageLayout old,
    VkImageLayout new, VkAccessFlags before, VkAccessFlags after, VkPipelineStageFlags earlier,
    VkPipelineStageFlags later) {
  const VkImageMemoryBarrier barrier = {
      .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
      .srcAccessMask = before,
      .dstAccessMask = after,
      .oldLayout = old,
      .newLayout = new,
      .srcQueueFamilyIndex = from,
      .dstQueueFamilyIndex = to,
      .image = image,
      .subresourceRange = cvk_whole};
  device->CmdPipelineBarrier(commands, earlier, later, 0, 0, NULL, 0, NULL, 1, &barrier);
}

#define CVK_COPIES VK_PIPELINE_STAGE_TRANSFER_BIT
#define CVK_NOTHING VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT
#define CVK_NOBODY VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT

/* The processor reads what was copied. */
static inline void cvk_show_host(cvk_device *device, VkCommandBuffer commands, VkBuffer copy) {
  cvk_buffer_barrier(
      device, commands, copy, VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, VK_ACCESS_TRANSFER_WRITE_BIT,
      VK_ACCESS_HOST_READ_BIT, CVK_COPIES, VK_PIPELINE_STAGE_HOST_BIT);
}

/* Copies the rows of a picture that somebody outside wrote, which lie `pitch` bytes apart, one after the other. */
static inline int32_t cvk_copy_rows(
    cvk_device *device, VkCommandBuffer commands, VkBuffer shared, VkBuffer copy, uint64_t offset, uint64_t pitch,
    uint64_t row_bytes, uint32_t rows) {
  VkBufferCopy *regions = calloc(rows, sizeof *regions);
  if (regions == NULL)
    return cvk_failed(&device->operation, "calloc", VK_ERROR_OUT_OF_HOST_MEMORY);
  for (uint32_t y = 0; y < rows; y++)
    regions[y] = (VkBufferCopy){.srcOffset = offset + y * pitch, .dstOffset = y * row_bytes, .size = row_bytes};
  cvk_buffer_barrier(
      device, commands, shared, device->outside, device->family, 0, VK_ACCESS_TRANSFER_READ_BIT, CVK_NOTHING,
      CVK_COPIES);
  device->CmdCopyBuffer(commands, shared, copy, rows, regions);
  free(regions);
  cvk_show_host(device, commands, copy);
  cvk_buffer_barrier(device, commands, shared, device->family, device->outside, 0, 0, CVK_COPIES, CVK_NOBODY);
  return 0;
}

/* The same for a picture whose arrangement a modifier says. */
static inline void cvk_copy_image(
    cvk_device *device, VkCommandBuffer commands, VkImage shared, VkBuffer copy, uint32_t width, uint32_t height) {
  cvk_image_barrier(
      device, commands, shared, device->outside, device->family, VK_IMAGE_LAYOUT_GENERAL,
      VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, 0, VK_ACCESS_TRANSFER_READ_BIT, CVK_NOTHING, CVK_COPIES);
  const VkBufferImageCopy region = {.imageSubresource = cvk_pixels, .imageExtent = {width, height, 1}};
  device->CmdCopyImageToBuffer(commands, shared, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, copy, 1, &region);
  cvk_show_host(device, commands, copy);
  cvk_image_barrier(
      device, commands, shared, device->family, device->outside, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
      VK_IMAGE_LAYOUT_GENERAL, 0, 0, CVK_COPIES, CVK_NOBODY);
}

/* Puts a picture into an image of the device's own and draws that, pixel on pixel, into one that others have. */
static inline void cvk_draw(
    cvk_device *device, VkCommandBuffer commands, VkBuffer picture, VkImage own, VkImage shared, uint32_t width,
    uint32_t height) {
  cvk_image_barrier(
      device, commands, own, VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, VK_IMAGE_LAYOUT_UNDEFINED,
      VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 0, VK_ACCESS_TRANSFER_WRITE_BIT, CVK_NOTHING, CVK_COPIES);
  const VkBufferImageCopy whole = {.imageSubresource = cvk_pixels, .imageExtent = {width, height, 1}};
  device->CmdCopyBufferToImage(commands, picture, own, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &whole);
  cvk_image_barrier(
      device, commands, own, VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
      VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_TRANSFER_READ_BIT, CVK_COPIES,
      CVK_COPIES);
  /* All of it is drawn over: what it held is not kept. */
  cvk_image_barrier(
      device, commands, shared, VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, VK_IMAGE_LAYOUT_UNDEFINED,
      VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 0, VK_ACCESS_TRANSFER_WRITE_BIT, CVK_NOTHING, CVK_COPIES);
  const VkImageBlit all = {
      .srcSubresource = cvk_pixels,
      .srcOffsets = {{0, 0, 0}, {(int32_t)width, (int32_t)height, 1}},
      .dstSubresource = cvk_pixels,
      .dstOffsets = {{0, 0, 0}, {(int32_t)width, (int32_t)height, 1}}};
  device->CmdBlitImage(
      commands, own, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, shared, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &all,
      VK_FILTER_NEAREST);
  cvk_image_barrier(
      device, commands, shared, device->family, device->outside, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
      VK_IMAGE_LAYOUT_GENERAL, VK_ACCESS_TRANSFER_WRITE_BIT, 0, CVK_COPIES, CVK_NOBODY);
}

/* A semaphore that takes a sync_file, or gives one. */
static inline int32_t cvk_make_semaphore(cvk_device *device, int gives, VkSemaphore *semaphore) {
  const VkExportSemaphoreCreateInfo exported = {
      .sType = VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO,
      .handleTypes = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT};
  const VkSemaphoreCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = gives ? &exported : NULL};
  return cvk_failed(
      &device->operation, "vkCreateSemaphore", device->CreateSemaphore(device->device, &info, NULL, semaphore));
}

static inline void cvk_destroy_semaphore(cvk_device *device, VkSemaphore semaphore) {
  device->DestroySemaphore(device->device, semaphore, NULL);
}

/* The descriptor is Vulkan's from then on, if this answers 0. */
static inline int32_t cvk_take_sync_file(cvk_device *device, VkSemaphore semaphore, int file) {
  const VkImportSemaphoreFdInfoKHR info = {
      .sType = VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR,
      .semaphore = semaphore,
      .flags = VK_SEMAPHORE_IMPORT_TEMPORARY_BIT,
      .handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT,
      .fd = file};
  return cvk_failed(
      &device->operation, "vkImportSemaphoreFdKHR", device->ImportSemaphoreFdKHR(device->device, &info));
}

/* The caller's to close; -1 for work that is done already. */
static inline int32_t cvk_give_sync_file(cvk_device *device, VkSemaphore semaphore, int *file) {
  const VkSemaphoreGetFdInfoKHR info = {
      .sType = VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR,
      .semaphore = semaphore,
      .handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT};
  return cvk_failed(
      &device->operation, "vkGetSemaphoreFdKHR", device->GetSemaphoreFdKHR(device->device, &info, file));
}

static inline int32_t cvk_make_fence(cvk_device *device, VkFence *fence) {
  const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  return cvk_failed(&device->operation, "vkCreateFence", device->CreateFence(device->device, &info, NULL, fence));
}

static inline void cvk_destroy_fence(cvk_device *device, VkFence fence) {
  device->DestroyFence(device->device, fence, NULL);
}

/* Either semaphore may be NULL. */
static inline int32_t cvk_submit(
    cvk_device *device, VkCommandBuffer commands, VkSemaphore earlier, VkSemaphore later, VkFence fence) {
  const VkPipelineStageFlags all = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  const VkSubmitInfo info = {
      .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
      .waitSemaphoreCount = earlier != NULL,
      .pWaitSemaphores = &earlier,
      .pWaitDstStageMask = &all,
      .commandBufferCount = 1,
      .pCommandBuffers = &commands,
      .signalSemaphoreCount = later != NULL,
      .pSignalSemaphores = &later};
  return cvk_failed(&device->operation, "vkQueueSubmit", device->QueueSubmit(device->queue, 1, &info, fence));
}

static inline int32_t cvk_wait(cvk_device *device, VkFence fence, uint64_t nanoseconds) {
  VkResult result = device->WaitForFences(device->device, 1, &fence, VK_TRUE, nanoseconds);
  return cvk_failed(&device->operation, "vkWaitForFences", result);
}

#endif
