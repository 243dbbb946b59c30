#ifndef PRIME_CVULKAN_CALLS_H
#define PRIME_CVULKAN_CALLS_H

/* The library, and the table of its functions. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#define CVK_INSTANCE_CALLS(X) \
  X(DestroyInstance) \
  X(EnumeratePhysicalDevices) \
  X(EnumerateDeviceExtensionProperties) \
  X(GetPhysicalDeviceProperties) \
  X(GetPhysicalDeviceProperties2) \
  X(GetPhysicalDeviceQueueFamilyProperties) \
  X(GetPhysicalDeviceMemoryProperties) \
  X(GetPhysicalDeviceFormatProperties2) \
  X(GetPhysicalDeviceImageFormatProperties2) \
  X(GetPhysicalDeviceExternalBufferProperties) \
  X(GetPhysicalDeviceExternalSemaphoreProperties) \
  X(CreateDevice) \
  X(GetDeviceProcAddr)

/* The last five are of extensions that a device may lack: NULL there. */
#define CVK_DEVICE_CALLS(X) \
  X(DestroyDevice) \
  X(GetDeviceQueue) \
  X(CreateBuffer) \
  X(DestroyBuffer) \
  X(GetBufferMemoryRequirements) \
  X(BindBufferMemory) \
  X(CreateImage) \
  X(DestroyImage) \
  X(GetImageMemoryRequirements) \
  X(BindImageMemory) \
  X(GetImageSubresourceLayout) \
  X(AllocateMemory) \
  X(FreeMemory) \
  X(MapMemory) \
  X(CreateCommandPool) \
  X(DestroyCommandPool) \
  X(AllocateCommandBuffers) \
  X(BeginCommandBuffer) \
  X(EndCommandBuffer) \
  X(CmdPipelineBarrier) \
  X(CmdCopyBuffer) \
  X(CmdCopyImageToBuffer) \
  X(CmdCopyBufferToImage) \
  X(CmdBlitImage) \
  X(QueueSubmit) \
  X(CreateFence) \
  X(DestroyFence) \
  X(WaitForFences) \
  X(CreateSemaphore) \
  X(DestroySemaphore) \
  X(GetMemoryFdKHR) \
  X(GetMemoryFdPropertiesKHR) \
  X(GetImageDrmFormatModifierPropertiesEXT) \
  X(ImportSemaphoreFdKHR) \
  X(GetSemaphoreFdKHR)

typedef struct {
  const char *operation;
  PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
  VkInstance instance;
#define CVK_FIELD(name) PFN_vk##name name;
  CVK_INSTANCE_CALLS(CVK_FIELD)
} cvk_instance;

typedef struct {
  const char *operation;
  VkPhysicalDevice physical;
  VkDevice device;
  VkQueue queue;
  uint32_t family;
  /* Whose the queue of everybody outside is: FOREIGN where the device knows it, else EXTERNAL. */
  uint32_t outside;
  CVK_DEVICE_CALLS(CVK_FIELD)
#undef CVK_FIELD
} cvk_device;

static inline int32_t cvk_failed(const char **operation, const char *call, VkResult result) {
  *operation = call;
  return (int32_t)result;
}

/* Loads the library, which stays loaded: drivers leave threads behind. 0 where it is not here. */
static inline int cvk_load(cvk_instance *instance) {
  memset(instance, 0, sizeof *instance);
  void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    return 0;
  instance->GetInstanceProcAddr = (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr");
  return instance->GetInstanceProcAddr != NULL;
}

/* Vulkan 1.1, whose core has what the extensions of shared memory are built on. */
static inline int32_t cvk_open_instance(cvk_instance *instance) {
  PFN_vkCreateInstance create =
      (PFN_vkCreateInstance)instance->GetInstanceProcAddr(NULL, "vkCreateInstance");
  if (create == NULL)
    return cvk_failed(&instance->operation, "vkCreateInstance", VK_ERROR_INCOMPATIBLE_DRIVER);
  const VkApplicationInfo application = {
      .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "prime-tool", .apiVersion = VK_API_VERSION_1_1};
  const VkInstanceCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
  VkResult result = create(&info, NULL, &instance->instance);
  if (result != VK_SUCCESS) {
    instance->instance = NULL;
    return cvk_failed(&instance->operation, "vkCreateInstance", result);
  }
#define CVK_LOAD(name) \
  instance->name = (PFN_vk##name)instance->GetInstanceProcAddr(instance->instance, "vk" #name); \
  if (instance->name == NULL) \
    return cvk_failed(&instance->operation, "vk" #name, VK_ERROR_INCOMPATIBLE_DRIVER);
  CVK_INSTANCE_CALLS(CVK_LOAD)
#undef CVK_LOAD
  return 0;
}

static inline void cvk_close_instance(cvk_instance *instance) {
  if (instance->instance != NULL && instance->DestroyInstance != NULL)
    instance->DestroyInstance(instance->instance, NULL);
  instance->instance = NULL;
}

#endif
