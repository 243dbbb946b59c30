#ifndef PRIME_CDRM_VIRTGPU_H
#define PRIME_CDRM_VIRTGPU_H

/* virtio_gpu with 3D: a buffer's copy on the host and its copy in the guest. 0 or above, or a negative errno, as in shim.h. */

#include <errno.h>
#include <stdint.h>
#include <virtgpu_drm.h>

#include "restart.h"

/* 1 with 3D, 0 without. */
static inline int cdrm_virtgpu_has_3d(int fd) {
  int value = 0;
  struct drm_virtgpu_getparam argument = {.param = VIRTGPU_PARAM_3D_FEATURES, .value = (uint64_t)(uintptr_t)&value};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &argument) == 0 ? value != 0 : -errno;
}

static inline int cdrm_virtgpu_transfer(int fd, uint32_t handle, uint32_t width, uint32_t height, int to_host) {
  struct drm_virtgpu_3d_box box = {.w = width, .h = height, .d = 1};
  struct drm_virtgpu_3d_transfer_to_host to = {.bo_handle = handle, .box = box};
  struct drm_virtgpu_3d_transfer_from_host from = {.bo_handle = handle, .box = box};
  int result = to_host ? cdrm_restarted_ioctl(fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &to)
                       : cdrm_restarted_ioctl(fd, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &from);
  return result == 0 ? 0 : -errno;
}

/* 1 while something is still done with the buffer, else 0: the wait that the kernel offers takes up to 15 seconds. */
static inline int cdrm_virtgpu_is_busy(int fd, uint32_t handle) {
  struct drm_virtgpu_3d_wait argument = {.handle = handle, .flags = VIRTGPU_WAIT_NOWAIT};
  if (cdrm_restarted_ioctl(fd, DRM_IOCTL_VIRTGPU_WAIT, &argument) == 0)
    return 0;
  return errno == EBUSY ? 1 : -errno;
}

#endif
