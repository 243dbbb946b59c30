#ifndef PRIME_CVULKAN_DEVICES_H
#define PRIME_CVULKAN_DEVICES_H

/* What devices say of themselves, and the one that is opened. */

#include "calls.h"

/* As many devices as there is room for; more are left out. */
static inline int32_t cvk_list_devices(cvk_instance *instance, VkPhysicalDevice *list, uint32_t *count) {
  VkResult result = instance->EnumeratePhysicalDevices(instance->instance, count, list);
  return result == VK_INCOMPLETE ? 0 : cvk_failed(&instance->operation, "vkEnumeratePhysicalDevices", result);
}

/* With NULL for the list it counts. */
static inline int32_t cvk_list_extensions(
    cvk_instance *instance, VkPhysicalDevice physical, VkExtensionProperties *list, uint32_t *count) {
  VkResult result = instance->EnumerateDeviceExtensionProperties(physical, NULL, count, list);
  return result == VK_INCOMPLETE
             ? 0
             : cvk_failed(&instance->operation, "vkEnumerateDeviceExtensionProperties", result);
}

typedef struct {
  uint32_t major;
  uint32_t minor;
} cvk_node;

typedef struct {
  char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
  uint32_t version;
  VkPhysicalDeviceType type;
  uint32_t node_count;
  cvk_node nodes[2];
} cvk_facts;

static inline void cvk_note_node(cvk_facts *facts, VkBool32 is_there, int64_t major, int64_t minor) {
  if (!is_there || major < 0 || major > UINT32_MAX || minor < 0 || minor > UINT32_MAX)
    return;
  facts->nodes[facts->node_count].major = (uint32_t)major;
  facts->nodes[facts->node_count].minor = (uint32_t)minor;
  facts->node_count++;
}

/* The nodes of a device that has VK_EXT_physical_device_drm; of another they are none. */
static inline void cvk_describe(
    const cvk_instance *instance, VkPhysicalDevice physical, int has_nodes, cvk_facts *facts) {
  memset(facts, 0, sizeof *facts);
  VkPhysicalDeviceDrmPropertiesEXT nodes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT};
  VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  instance->GetPhysicalDeviceProperties(physical, &properties.properties);
  /* A device of Vulkan 1.0 takes no other structure. */
  if (properties.properties.apiVersion >= VK_API_VERSION_1_1) {
    properties.pNext = has_nodes ? &nodes : NULL;
    instance->GetPhysicalDeviceProperties2(physical, &properties);
  }
  memcpy(facts->name, properties.properties.deviceName, sizeof facts->name - 1);
  facts->version = properties.properties.apiVersion;
  facts->type = properties.properties.deviceType;
  cvk_note_node(facts, nodes.hasPrimary, nodes.primaryMajor, nodes.primaryMinor);
  cvk_note_node(facts, nodes.hasRender, nodes.renderMajor, nodes.renderMinor);
}

/* The first queue family that draws, else the first that copies; its flags, 0 where there is none. */
static inline VkQueueFlags cvk_choose_family(const cvk_instance *instance, VkPhysicalDevice physical, uint32_t *family) {
  VkQueueFamilyProperties families[64];
  uint32_t count = 64;
  instance->GetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
  static const VkQueueFlags wanted[] = {VK_QUEUE_GRAPHICS_BIT, VK_QUEUE_COMPUTE_BIT, VK_QUEUE_TRANSFER_BIT};
  for (size_t kind = 0; kind < 3; kind++)
    for (*family = 0; *family < count; ++*family)
      if (families[*family].queueFlags & wanted[kind])
        return families[*family].queueFlags;
  return 0;
}

/* Whether the device waits for sync_files, and gives them. */
static inline int cvk_takes_sync_files(const cvk_instance *instance, VkPhysicalDevice physical) {
  const VkPhysicalDeviceExternalSemaphoreInfo info = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO,
      .handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT};
  VkExternalSemaphoreProperties properties = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES};
  instance->GetPhysicalDeviceExternalSemaphoreProperties(physical, &info, &properties);
  const VkExternalSemaphoreFeatureFlags both =
      VK_EXTERNAL_SEMAPHORE_FEATURE_EXPORTABLE_BIT | VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT;
  return (properties.externalSemaphoreFeatures & both) == both;
}

/* Whether a dma-buf can be the memory of a buffer that is copied from. */
static inline int cvk_takes_buffers(const cvk_instance *instance, VkPhysicalDevice physical) {
  const VkPhysicalDeviceExternalBufferInfo info = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
      .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT,
      .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT};
  VkExternalBufferProperties properties = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES};
  instance->GetPhysicalDeviceExternalBufferProperties(physical, &info, &properties);
  return (properties.externalMemoryProperties.externalMemoryFeatures & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT) != 0;
}

/* How many memory planes a format has with a modifier, and what can be done with it; 0 where the device has not both. */
static inline uint32_t cvk_modifier_planes(
    const cvk_instance *instance, VkPhysicalDevice physical, VkFormat format, uint64_t modifier,
    VkFormatFeatureFlags *features) {
  VkDrmFormatModifierPropertiesListEXT list = {.sType = VK_STRUCTURE_TYPE_DRM_FORMAT_MODIFIER_PROPERTIES_LIST_EXT};
  VkFormatProperties2 properties = {.sType = VK_STRUCTURE_TYPE_FORMAT_PROPERTIES_2, .pNext = &list};
  instance->GetPhysicalDeviceFormatProperties2(physical, format, &properties);
  list.pDrmFormatModifierProperties = calloc(list.drmFormatModifierCount + 1, sizeof *list.pDrmFormatModifierProperties);
  uint32_t planes = 0;
  *features = 0;
  if (list.pDrmFormatModifierProperties != NULL) {
    instance->GetPhysicalDeviceFormatProperties2(physical, format, &properties);
    for (uint32_t at = 0; at < list.drmFormatModifierCount; at++)
      if (list.pDrmFormatModifierProperties[at].drmFormatModifier == modifier) {
        planes = list.pDrmFormatModifierProperties[at].drmFormatModifierPlaneCount;
        *features = list.pDrmFormatModifierProperties[at].drmFormatModifierTilingFeatures;
      }
  }
  free(list.pDrmFormatModifierProperties);
  return planes;
}

/* Whether an image of a dma-buf can be as large as this, in pixels, and imported or exported. */
static inline int32_t cvk_check_image(
    cvk_instance *instance, VkPhysicalDevice physical, VkFormat format, uint64_t modifier, VkImageUsageFlags usage,
    VkExternalMemoryFeatureFlags feature, uint32_t width, uint32_t height) {
  const VkPhysicalDeviceImageDrmFormatModifierInfoEXT modified = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_DRM_FORMAT_MODIFIER_INFO_EXT,
      .drmFormatModifier = modifier,
      .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
  const VkPhysicalDeviceExternalImageFormatInfo external = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO,
      .pNext = &modified,
      .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT};
  const VkPhysicalDeviceImageFormatInfo2 info = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_FORMAT_INFO_2,
      .pNext = &external,
      .format = format,
      .type = VK_IMAGE_TYPE_2D,
      .tiling = VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT,
      .usage = usage};
  VkExternalImageFormatProperties properties = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES};
  VkImageFormatProperties2 found = {.sType = VK_STRUCTURE_TYPE_IMAGE_FORMAT_PROPERTIES_2, .pNext = &properties};
  VkResult result = instance->GetPhysicalDeviceImageFormatProperties2(physical, &info, &found);
  const VkExtent3D most = found.imageFormatProperties.maxExtent;
  if (result == VK_SUCCESS && (most.width < width || most.height < height ||
                               !(properties.externalMemoryProperties.externalMemoryFeatures & feature)))
    result = VK_ERROR_FORMAT_NOT_SUPPORTED;
  return cvk_failed(&instance->operation, "vkGetPhysicalDeviceImageFormat", result);
}

/* A list of names is made of such copies. */
static inline char *cvk_copy_text(const char *text) { return strdup(text); }
static inline void cvk_free_text(const char *text) { free((void *)text); }

/* One queue. Every call that is not of an extension has to be there. */
static inline int32_t cvk_open_device(
    cvk_instance *instance, VkPhysicalDevice physical, uint32_t family, const char *const *extensions, uint32_t count,
    cvk_device *device) {
  memset(device, 0, sizeof *device);
  device->physical = physical;
  device->family = family;
  device->outside = VK_QUEUE_FAMILY_EXTERNAL;
  for (uint32_t at = 0; at < count; at++)
    if (strcmp(extensions[at], VK_EXT_QUEUE_FAMILY_FOREIGN_EXTENSION_NAME) == 0)
      device->outside = VK_QUEUE_FAMILY_FOREIGN_EXT;
  static const float priority = 1;
  const VkDeviceQueueCreateInfo queue = {
      .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
      .queueFamilyIndex = family,
      .queueCount = 1,
      .pQueuePriorities = &priority};
  const VkDeviceCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
      .queueCreateInfoCount = 1,
      .pQueueCreateInfos = &queue,
      .enabledExtensionCount = count,
      .ppEnabledExtensionNames = extensions};
  VkResult result = instance->CreateDevice(physical, &info, NULL, &device->device);
  if (result != VK_SUCCESS) {
    device->device = NULL;
    return cvk_failed(&device->operation, "vkCreateDevice", result);
  }
#define CVK_LOAD(name) device->name = (PFN_vk##name)instance->GetDeviceProcAddr(device->device, "vk" #name);
  CVK_DEVICE_CALLS(CVK_LOAD)
#undef CVK_LOAD
  device->GetDeviceQueue(device->device, family, 0, &device->queue);
  return 0;
}

static inline void cvk_close_device(cvk_device *device) {
  if (device->device != NULL)
    device->DestroyDevice(device->device, NULL);
  device->device = NULL;
}

#endif
