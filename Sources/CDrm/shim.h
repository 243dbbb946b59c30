#ifndef PRIME_CDRM_SHIM_H
#define PRIME_CDRM_SHIM_H

/* <fcntl.h> comes first: DRM_CLOEXEC and DRM_RDWR are defined through its O_ flags. */
#include <fcntl.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <gbm.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/sync_file.h>
#include <linux/udmabuf.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "bpf.h"
#include "gnu.h"
#include "restart.h"
#include "socket.h"
#include "stream.h"
#include "sync.h"
#include "video.h"
#include "virtgpu.h"

/*
 * Every function below returns 0 (or a value above it) or a negative errno, whichever of libdrm's three failure
 * conventions the call behind it follows. errno is read here, in C, because Swift may run a release between a call and
 * a look at errno.
 */

static inline int cdrm_result(int result) {
  return result < 0 ? (errno != 0 ? -errno : -EIO) : result;
}

static inline int cdrm_open(const char *path, int flags) { return cdrm_result(open(path, flags | O_CLOEXEC)); }

static inline int cdrm_duplicate(int fd) { return cdrm_result(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

static inline int cdrm_close_on_exec(int fd) { return cdrm_result(fcntl(fd, F_SETFD, FD_CLOEXEC)); }

static inline int cdrm_status_flags(int fd) { return cdrm_result(fcntl(fd, F_GETFL)); }

static inline int cdrm_fstat(int fd, struct stat *status) { return cdrm_result(fstat(fd, status)); }

/* major() and minor() are macros, which Swift does not see. */
static inline uint32_t cdrm_major(dev_t device) { return major(device); }
static inline uint32_t cdrm_minor(dev_t device) { return minor(device); }

static inline int cdrm_file_system_magic(int fd, uint64_t *magic) {
  struct statfs status;
  int result = cdrm_result(fstatfs(fd, &status));
  *magic = result < 0 ? 0 : (uint64_t)status.f_type;
  return result;
}

static inline int64_t cdrm_seek_to_end(int fd) {
  off_t size = lseek(fd, 0, SEEK_END);
  return size < 0 ? -errno : size;
}

static inline int cdrm_map(int fd, size_t length, int protection, uint64_t offset, void **address) {
  int64_t begun = cdrm_monotonic_now();
  do {
    *address = mmap(NULL, length, protection, MAP_SHARED, fd, (off_t)offset);
    /* EAGAIN is an answer here: too much memory is locked. */
  } while (*address == MAP_FAILED && errno == EINTR && cdrm_is_interrupted(begun));
  return *address == MAP_FAILED ? -errno : 0;
}

/* revents, 0 after the time, or a negative errno. */
static inline int cdrm_poll(int fd, short events, int milliseconds) {
  struct pollfd request = {.fd = fd, .events = events};
  int result = cdrm_result(poll(&request, 1, milliseconds));
  return result <= 0 ? result : request.revents;
}

static inline int cdrm_sealed_memory(const char *name, int64_t size) {
  int fd = cdrm_result(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0)
    return fd;
  if (ftruncate(fd, size) != 0 || fcntl(fd, CDRM_ADD_SEALS, CDRM_SEAL_SHRINK | CDRM_SEAL_GROW | CDRM_SEAL_SEAL) != 0) {
    int result = -errno;
    close(fd);
    return result;
  }
  return fd;
}

static inline int cdrm_ioctl(int fd, unsigned long request, void *argument) {
  return cdrm_restarted_ioctl(fd, request, argument) == 0 ? 0 : -errno;
}

/* A plain ioctl: a bracket has a deadline. */
static inline int cdrm_dma_buf_sync(int fd, uint64_t flags) {
  struct dma_buf_sync argument = {.flags = flags};
  return ioctl(fd, DMA_BUF_IOCTL_SYNC, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_udmabuf_create(int device, uint32_t memfd, uint32_t flags, uint64_t offset, uint64_t size) {
  struct udmabuf_create argument = {.memfd = memfd, .flags = flags, .offset = offset, .size = size};
  return cdrm_result(cdrm_restarted_ioctl(device, UDMABUF_CREATE, &argument));
}

static inline int cdrm_dma_heap_allocate(int heap, uint64_t length, uint32_t descriptor_flags) {
  struct dma_heap_allocation_data argument = {.len = length, .fd_flags = descriptor_flags};
  int result = cdrm_restarted_ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &argument);
  return result < 0 ? -errno : (int)argument.fd;
}

static inline int cdrm_prime_handle_to_fd(int fd, uint32_t handle, uint32_t flags, int *descriptor) {
  struct drm_prime_handle argument = {.handle = handle, .flags = flags, .fd = -1};
  int result = cdrm_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &argument);
  *descriptor = argument.fd;
  return result;
}

/* A plain ioctl: an exporter may answer EINTR from map_dma_buf (dma-buf.rst), and an import has a deadline. */
static inline int cdrm_prime_fd_to_handle(int fd, int descriptor, uint32_t *handle) {
  struct drm_prime_handle argument = {.fd = descriptor};
  int result = ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &argument) == 0 ? 0 : -errno;
  *handle = argument.handle;
  return result;
}

static inline int cdrm_gem_close(int fd, uint32_t handle) {
  struct drm_gem_close argument = {.handle = handle};
  return cdrm_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &argument);
}

static inline int cdrm_create_dumb(int fd, struct drm_mode_create_dumb *argument) {
  return cdrm_ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, argument);
}

static inline int cdrm_map_dumb(int fd, uint32_t handle, uint64_t *offset) {
  struct drm_mode_map_dumb argument = {.handle = handle};
  int result = cdrm_ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &argument);
  *offset = argument.offset;
  return result;
}

static inline int cdrm_get_capability(int fd, uint64_t capability, uint64_t *value) {
  struct drm_get_cap argument = {.capability = capability};
  int result = cdrm_ioctl(fd, DRM_IOCTL_GET_CAP, &argument);
  *value = argument.value;
  return result;
}

static inline int cdrm_set_client_capability(int fd, uint64_t capability, uint64_t value) {
  struct drm_set_client_cap argument = {.capability = capability, .value = value};
  return cdrm_ioctl(fd, DRM_IOCTL_SET_CLIENT_CAP, &argument);
}

static inline int cdrm_set_master(int fd) { return cdrm_ioctl(fd, DRM_IOCTL_SET_MASTER, NULL); }

static inline int cdrm_drop_master(int fd) { return cdrm_ioctl(fd, DRM_IOCTL_DROP_MASTER, NULL); }

/* drmIsMaster answers 1 on a bad descriptor; the magic 0 is never valid, so only a master gets past the check. */
static inline int cdrm_is_master(int fd) {
  struct drm_auth argument = {.magic = 0};
  return cdrm_restarted_ioctl(fd, DRM_IOCTL_AUTH_MAGIC, &argument) != 0 && errno == EINVAL;
}

/* A blocking or a non-blocking ATOMIC ioctl with the arrays that libdrm would sort and build. */
static inline int cdrm_atomic_commit(
    int fd, uint32_t flags, uint32_t object_count, const uint32_t *objects, const uint32_t *property_counts,
    const uint32_t *properties, const uint64_t *values, uint64_t user_data) {
  struct drm_mode_atomic argument = {
      .flags = flags,
      .count_objs = object_count,
      .objs_ptr = (uint64_t)(uintptr_t)objects,
      .count_props_ptr = (uint64_t)(uintptr_t)property_counts,
      .props_ptr = (uint64_t)(uintptr_t)properties,
      .prop_values_ptr = (uint64_t)(uintptr_t)values,
      .user_data = user_data,
  };
  /* A plain ioctl: an interrupted blocking commit is the caller's to restart, within its deadline. */
  return ioctl(fd, DRM_IOCTL_MODE_ATOMIC, &argument) == 0 ? 0 : -errno;
}

static inline int cdrm_page_flip(int fd, uint32_t crtc, uint32_t framebuffer, uint64_t user_data) {
  struct drm_mode_crtc_page_flip argument = {
      .crtc_id = crtc, .fb_id = framebuffer, .flags = DRM_MODE_PAGE_FLIP_EVENT, .user_data = user_data};
  return cdrm_ioctl(fd, DRM_IOCTL_MODE_PAGE_FLIP, &argument);
}

static inline int cdrm_get_gamma(
    int fd, uint32_t crtc, uint32_t size, uint16_t *red, uint16_t *green, uint16_t *blue) {
  return drmModeCrtcGetGamma(fd, crtc, size, red, green, blue) == 0 ? 0 : -errno;
}

static inline int cdrm_set_gamma(
    int fd, uint32_t crtc, uint32_t size, uint16_t *red, uint16_t *green, uint16_t *blue) {
  return drmModeCrtcSetGamma(fd, crtc, size, red, green, blue) == 0 ? 0 : -errno;
}

/* Linux 6.8 has it, Debian 12's libdrm does not know it yet. */
#ifndef DRM_IOCTL_MODE_CLOSEFB
struct drm_mode_closefb {
  uint32_t fb_id;
  uint32_t pad;
};
#define DRM_IOCTL_MODE_CLOSEFB DRM_IOWR(0xD0, struct drm_mode_closefb)
#endif

static inline int cdrm_close_framebuffer(int fd, uint32_t framebuffer) {
  struct drm_mode_closefb argument = {.fb_id = framebuffer};
  return cdrm_ioctl(fd, DRM_IOCTL_MODE_CLOSEFB, &argument);
}

static inline int64_t cdrm_read(int fd, void *bytes, size_t count) {
  ssize_t result = read(fd, bytes, count);
  return result < 0 ? -errno : result;
}

static inline int64_t cdrm_write(int fd, const void *bytes, size_t count) {
  ssize_t result = write(fd, bytes, count);
  return result < 0 ? -errno : result;
}

static const uint64_t CDRM_DMA_BUF_MAGIC = DMA_BUF_MAGIC;
static const uint64_t CDRM_FORMAT_MOD_LINEAR = DRM_FORMAT_MOD_LINEAR;
static const uint64_t CDRM_FORMAT_MOD_INVALID = DRM_FORMAT_MOD_INVALID;
static const uint32_t CDRM_FORMAT_XRGB8888 = DRM_FORMAT_XRGB8888;
static const uint32_t CDRM_FORMAT_RGB565 = DRM_FORMAT_RGB565;
static const uint32_t CDRM_FORMAT_NV12 = DRM_FORMAT_NV12;

#endif
