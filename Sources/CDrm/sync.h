#ifndef PRIME_CDRM_SYNC_H
#define PRIME_CDRM_SYNC_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <xf86drm.h>

#include "restart.h"

/* Fences: sync_files, the fences of a dma-buf, vgem's own, syncobjs. 0 or above, or a negative errno, as in shim.h. */

/* Linux 6.0 has them; the headers of an older distribution do not. */
#ifndef DMA_BUF_IOCTL_EXPORT_SYNC_FILE
struct dma_buf_export_sync_file {
  __u32 flags;
  __s32 fd;
};
#define DMA_BUF_IOCTL_EXPORT_SYNC_FILE _IOWR(DMA_BUF_BASE, 2, struct dma_buf_export_sync_file)
#endif
#ifndef DMA_BUF_IOCTL_IMPORT_SYNC_FILE
struct dma_buf_import_sync_file {
  __u32 flags;
  __s32 fd;
};
#define DMA_BUF_IOCTL_IMPORT_SYNC_FILE _IOW(DMA_BUF_BASE, 3, struct dma_buf_import_sync_file)
#endif

static inline int cdrm_dma_buf_export_sync_file(int fd, uint32_t flags) {
  struct dma_buf_export_sync_file argument = {.flags = flags, .fd = -1};
  return cdrm_restarted_ioctl(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &argument) == 0 ? argument.fd : -errno;
}

static inline int cdrm_dma_buf_import_sync_file(int fd, uint32_t flags, int sync_file) {
  struct dma_buf_import_sync_file argument = {.flags = flags, .fd = sync_file};
  return cdrm_restarted_ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &argument) == 0 ? 0 : -errno;
}

/* Room for no fence asks for the file's own status and the count alone. */
static inline int cdrm_sync_file_info(
    int fd, struct sync_file_info *info, struct sync_fence_info *fences, uint32_t room) {
  memset(info, 0, sizeof *info);
  info->num_fences = room;
  info->sync_fence_info = (uint64_t)(uintptr_t)fences;
  return cdrm_restarted_ioctl(fd, SYNC_IOC_FILE_INFO, info) == 0 ? 0 : -errno;
}

static inline int cdrm_sync_file_merge(int fd, int other, const char *name) {
  struct sync_merge_data argument = {.fd2 = other, .fence = -1};
  strncpy(argument.name, name, sizeof argument.name - 1);
  return cdrm_restarted_ioctl(fd, SYNC_IOC_MERGE, &argument) == 0 ? argument.fence : -errno;
}

/* vgem's two calls (vgem_drm.h, which Debian's libdrm-dev leaves out). */
struct cdrm_vgem_fence_attach {
  uint32_t handle;
  uint32_t flags;
  uint32_t out_fence;
  uint32_t pad;
};
struct cdrm_vgem_fence_signal {
  uint32_t fence;
  uint32_t flags;
};

static inline int cdrm_vgem_fence_attach(int fd, uint32_t handle, uint32_t flags, uint32_t *fence) {
  struct cdrm_vgem_fence_attach argument = {.handle = handle, .flags = flags};
  unsigned long request = DRM_IOWR(DRM_COMMAND_BASE + 0x1, struct cdrm_vgem_fence_attach);
  int result = cdrm_restarted_ioctl(fd, request, &argument) == 0 ? 0 : -errno;
  *fence = argument.out_fence;
  return result;
}

static inline int cdrm_vgem_fence_signal(int fd, uint32_t fence) {
  struct cdrm_vgem_fence_signal argument = {.fence = fence};
  unsigned long request = DRM_IOW(DRM_COMMAND_BASE + 0x2, struct cdrm_vgem_fence_signal);
  return cdrm_restarted_ioctl(fd, request, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_syncobj_create(int fd, int signalled, uint32_t *handle) {
  struct drm_syncobj_create argument = {.flags = signalled ? DRM_SYNCOBJ_CREATE_SIGNALED : 0};
  int result = cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &argument) == 0 ? 0 : -errno;
  *handle = argument.handle;
  return result;
}

static inline int cdrm_syncobj_destroy(int fd, uint32_t handle) {
  struct drm_syncobj_destroy argument = {.handle = handle};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_DESTROY, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_syncobj_to_descriptor(int fd, uint32_t handle, int as_sync_file) {
  struct drm_syncobj_handle argument = {
      .handle = handle, .flags = as_sync_file ? DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE : 0, .fd = -1};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &argument) == 0 ? argument.fd : -errno;
}

static inline int cdrm_syncobj_from_descriptor(int fd, int descriptor, uint32_t *handle) {
  struct drm_syncobj_handle argument = {.fd = descriptor};
  int result = cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &argument) == 0 ? 0 : -errno;
  *handle = argument.handle;
  return result;
}

static inline int cdrm_syncobj_import_sync_file(int fd, uint32_t handle, int sync_file) {
  struct drm_syncobj_handle argument = {
      .handle = handle, .flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE, .fd = sync_file};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_syncobj_signal(int fd, uint32_t handle) {
  struct drm_syncobj_array argument = {.handles = (uint64_t)(uintptr_t)&handle, .count_handles = 1};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_SIGNAL, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_syncobj_reset(int fd, uint32_t handle) {
  struct drm_syncobj_array argument = {.handles = (uint64_t)(uintptr_t)&handle, .count_handles = 1};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_RESET, &argument) == 0 ? 0 : -errno;
}

/* The moment that the kernel waits until, on its clock for this: CLOCK_MONOTONIC. */
static inline int64_t cdrm_monotonic_after(int64_t nanoseconds) {
  int64_t moment = cdrm_monotonic_now();
  return nanoseconds > INT64_MAX - moment ? INT64_MAX : moment + nanoseconds;
}

/* A plain ioctl: an interrupted wait is the caller's to restart, within its deadline. */
static inline int cdrm_syncobj_wait(int fd, uint32_t handle, int for_submit, int64_t nanoseconds) {
  struct drm_syncobj_wait argument = {
      .handles = (uint64_t)(uintptr_t)&handle,
      .timeout_nsec = cdrm_monotonic_after(nanoseconds),
      .count_handles = 1,
      .flags = for_submit ? DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT : 0,
  };
  return ioctl(fd, DRM_IOCTL_SYNCOBJ_WAIT, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_syncobj_timeline_wait(
    int fd, uint32_t handle, uint64_t point, int for_submit, int64_t nanoseconds) {
  struct drm_syncobj_timeline_wait argument = {
      .handles = (uint64_t)(uintptr_t)&handle,
      .points = (uint64_t)(uintptr_t)&point,
      .timeout_nsec = cdrm_monotonic_after(nanoseconds),
      .count_handles = 1,
      .flags = for_submit ? DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT : 0,
  };
  return ioctl(fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_syncobj_timeline_signal(int fd, uint32_t handle, uint64_t point) {
  struct drm_syncobj_timeline_array argument = {
      .handles = (uint64_t)(uintptr_t)&handle, .points = (uint64_t)(uintptr_t)&point, .count_handles = 1};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_syncobj_query(int fd, uint32_t handle, int last_submitted, uint64_t *point) {
  *point = 0;
  struct drm_syncobj_timeline_array argument = {
      .handles = (uint64_t)(uintptr_t)&handle,
      .points = (uint64_t)(uintptr_t)point,
      .count_handles = 1,
      .flags = last_submitted ? DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED : 0,
  };
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_QUERY, &argument) == 0 ? 0 : -errno;
}

/* Without WAIT_FOR_SUBMIT, which would wait without end. */
static inline int cdrm_syncobj_transfer(
    int fd, uint32_t from, uint64_t from_point, uint32_t to, uint64_t to_point) {
  struct drm_syncobj_transfer argument = {
      .src_handle = from, .dst_handle = to, .src_point = from_point, .dst_point = to_point};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_SYNCOBJ_TRANSFER, &argument) == 0 ? 0 : -errno;
}

#endif
