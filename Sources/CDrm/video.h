#ifndef PRIME_CDRM_VIDEO_H
#define PRIME_CDRM_VIDEO_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/videodev2.h>

#include "restart.h"

/*
 * V4L2 (linux/videodev2.h). 0 or above, or a negative errno, as in shim.h.
 *
 * Single- and multi-planar queues have structures of their own in the kernel's interface. The two structures below stand
 * for both, so that nothing above them tells the two apart: a single-planar queue is one of one plane.
 */

struct cdrm_video_format {
  uint32_t type, width, height, pixel_format, field, plane_count;
  uint32_t bytes_per_line[VIDEO_MAX_PLANES];
  uint32_t size_image[VIDEO_MAX_PLANES];
};

struct cdrm_video_buffer {
  uint32_t type, memory, index, flags, field, sequence, plane_count;
  /* A dma-buf's descriptor for each plane where memory is V4L2_MEMORY_DMABUF, else ignored. */
  int32_t descriptors[VIDEO_MAX_PLANES];
  uint32_t lengths[VIDEO_MAX_PLANES];
  uint32_t bytes_used[VIDEO_MAX_PLANES];
};

static inline int cdrm_video_result(int result) { return result < 0 ? -errno : 0; }

static inline int cdrm_video_ioctl(int fd, unsigned long request, void *argument) {
  return cdrm_video_result(cdrm_restarted_ioctl(fd, request, argument));
}

/* A character device's number, every link of the path followed. */
static inline int cdrm_node_number(const char *path, uint32_t *major_number, uint32_t *minor_number) {
  struct stat status;
  if (stat(path, &status) != 0)
    return -errno;
  if (!S_ISCHR(status.st_mode))
    return -ENOTTY;
  *major_number = major(status.st_rdev);
  *minor_number = minor(status.st_rdev);
  return 0;
}

static inline int cdrm_video_capability(int fd, struct v4l2_capability *capability) {
  memset(capability, 0, sizeof *capability);
  return cdrm_video_ioctl(fd, VIDIOC_QUERYCAP, capability);
}

static inline int cdrm_video_format_description(
    int fd, uint32_t type, uint32_t index, uint32_t *pixel_format, uint32_t *flags) {
  struct v4l2_fmtdesc argument = {.type = type, .index = index};
  int result = cdrm_video_ioctl(fd, VIDIOC_ENUM_FMT, &argument);
  *pixel_format = argument.pixelformat;
  *flags = argument.flags;
  return result;
}

static inline void cdrm_video_format_from_kernel(const struct v4l2_format *from, struct cdrm_video_format *to) {
  memset(to, 0, sizeof *to);
  to->type = from->type;
  if (V4L2_TYPE_IS_MULTIPLANAR(from->type)) {
    const struct v4l2_pix_format_mplane *format = &from->fmt.pix_mp;
    to->width = format->width;
    to->height = format->height;
    to->pixel_format = format->pixelformat;
    to->field = format->field;
    to->plane_count = format->num_planes <= VIDEO_MAX_PLANES ? format->num_planes : VIDEO_MAX_PLANES;
    for (uint32_t plane = 0; plane < to->plane_count; plane++) {
      to->bytes_per_line[plane] = format->plane_fmt[plane].bytesperline;
      to->size_image[plane] = format->plane_fmt[plane].sizeimage;
    }
  } else {
    const struct v4l2_pix_format *format = &from->fmt.pix;
    to->width = format->width;
    to->height = format->height;
    to->pixel_format = format->pixelformat;
    to->field = format->field;
    to->plane_count = 1;
    to->bytes_per_line[0] = format->bytesperline;
    to->size_image[0] = format->sizeimage;
  }
}

static inline int cdrm_video_get_format(int fd, uint32_t type, struct cdrm_video_format *format) {
  struct v4l2_format argument = {.type = type};
  int result = cdrm_video_ioctl(fd, VIDIOC_G_FMT, &argument);
  cdrm_video_format_from_kernel(&argument, format);
  return result;
}

/* Colour, which is not asked for here, stays as it is: the format of now is changed and set. */
static inline int cdrm_video_set_format(int fd, struct cdrm_video_format *format) {
  struct v4l2_format argument = {.type = format->type};
  int result = cdrm_video_ioctl(fd, VIDIOC_G_FMT, &argument);
  if (result < 0)
    return result;
  if (V4L2_TYPE_IS_MULTIPLANAR(format->type)) {
    struct v4l2_pix_format_mplane *wanted = &argument.fmt.pix_mp;
    wanted->width = format->width;
    wanted->height = format->height;
    wanted->pixelformat = format->pixel_format;
    wanted->field = format->field;
    wanted->num_planes = (uint8_t)format->plane_count;
    memset(wanted->plane_fmt, 0, sizeof wanted->plane_fmt);
    for (uint32_t plane = 0; plane < format->plane_count && plane < VIDEO_MAX_PLANES; plane++) {
      wanted->plane_fmt[plane].bytesperline = format->bytes_per_line[plane];
      wanted->plane_fmt[plane].sizeimage = format->size_image[plane];
    }
  } else {
    struct v4l2_pix_format *wanted = &argument.fmt.pix;
    wanted->width = format->width;
    wanted->height = format->height;
    wanted->pixelformat = format->pixel_format;
    wanted->field = format->field;
    wanted->bytesperline = format->bytes_per_line[0];
    wanted->sizeimage = format->size_image[0];
  }
  result = cdrm_video_ioctl(fd, VIDIOC_S_FMT, &argument);
  cdrm_video_format_from_kernel(&argument, format);
  return result;
}

static inline int cdrm_video_request_buffers(int fd, uint32_t type, uint32_t memory, uint32_t *count) {
  struct v4l2_requestbuffers argument = {.type = type, .memory = memory, .count = *count};
  int result = cdrm_video_ioctl(fd, VIDIOC_REQBUFS, &argument);
  *count = argument.count;
  return result;
}

static inline int cdrm_video_export_buffer(int fd, uint32_t type, uint32_t index, uint32_t plane) {
  struct v4l2_exportbuffer argument = {
      .type = type, .index = index, .plane = plane, .flags = O_CLOEXEC | O_RDWR, .fd = -1};
  int result = cdrm_video_ioctl(fd, VIDIOC_EXPBUF, &argument);
  return result < 0 ? result : argument.fd;
}

static inline void cdrm_video_buffer_to_kernel(
    const struct cdrm_video_buffer *from, struct v4l2_buffer *to, struct v4l2_plane planes[VIDEO_MAX_PLANES]) {
  memset(to, 0, sizeof *to);
  memset(planes, 0, VIDEO_MAX_PLANES * sizeof *planes);
  to->type = from->type;
  to->memory = from->memory;
  to->index = from->index;
  to->field = from->field;
  int is_imported = from->memory == V4L2_MEMORY_DMABUF;
  if (!V4L2_TYPE_IS_MULTIPLANAR(from->type)) {
    to->bytesused = from->bytes_used[0];
    to->length = from->lengths[0];
    if (is_imported)
      to->m.fd = from->descriptors[0];
    return;
  }
  to->m.planes = planes;
  to->length = from->plane_count <= VIDEO_MAX_PLANES ? from->plane_count : VIDEO_MAX_PLANES;
  for (uint32_t plane = 0; plane < to->length; plane++) {
    planes[plane].bytesused = from->bytes_used[plane];
    planes[plane].length = from->lengths[plane];
    if (is_imported)
      planes[plane].m.fd = from->descriptors[plane];
  }
}

/* A plain ioctl: an exporter may answer EINTR from map_dma_buf (dma-buf.rst), and an import has a deadline. */
static inline int cdrm_video_queue_buffer(int fd, const struct cdrm_video_buffer *buffer) {
  struct v4l2_buffer argument;
  struct v4l2_plane planes[VIDEO_MAX_PLANES];
  cdrm_video_buffer_to_kernel(buffer, &argument, planes);
  return cdrm_video_result(ioctl(fd, VIDIOC_QBUF, &argument));
}

/* A plain ioctl: the file is opened with O_NONBLOCK, and EAGAIN says that there is nothing yet. */
static inline int cdrm_video_dequeue_buffer(int fd, struct cdrm_video_buffer *buffer) {
  struct v4l2_buffer argument;
  struct v4l2_plane planes[VIDEO_MAX_PLANES];
  cdrm_video_buffer_to_kernel(buffer, &argument, planes);
  int result = cdrm_video_result(ioctl(fd, VIDIOC_DQBUF, &argument));
  buffer->index = argument.index;
  buffer->flags = argument.flags;
  buffer->field = argument.field;
  buffer->sequence = argument.sequence;
  if (!V4L2_TYPE_IS_MULTIPLANAR(buffer->type))
    buffer->bytes_used[0] = argument.bytesused;
  else
    for (uint32_t plane = 0; plane < VIDEO_MAX_PLANES; plane++)
      buffer->bytes_used[plane] = planes[plane].bytesused;
  return result;
}

static inline int cdrm_video_stream(int fd, uint32_t type, int on) {
  int argument = (int)type;
  return cdrm_video_ioctl(fd, on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &argument);
}

/* The name and capabilities (V4L2_IN_CAP_*, V4L2_OUT_CAP_*, equal numbers) of an input or an output. */
static inline int cdrm_video_connection(int fd, int is_output, uint32_t index, uint8_t name[32], uint32_t *capabilities) {
  int result;
  if (is_output) {
    struct v4l2_output argument = {.index = index};
    result = cdrm_video_ioctl(fd, VIDIOC_ENUMOUTPUT, &argument);
    memcpy(name, argument.name, sizeof argument.name);
    *capabilities = argument.capabilities;
  } else {
    struct v4l2_input argument = {.index = index};
    result = cdrm_video_ioctl(fd, VIDIOC_ENUMINPUT, &argument);
    memcpy(name, argument.name, sizeof argument.name);
    *capabilities = argument.capabilities;
  }
  return result;
}

static inline int cdrm_video_chosen_connection(int fd, int is_output) {
  int index = 0;
  int result = cdrm_video_ioctl(fd, is_output ? VIDIOC_G_OUTPUT : VIDIOC_G_INPUT, &index);
  return result < 0 ? result : index;
}

static inline int cdrm_video_choose_connection(int fd, int is_output, int index) {
  return cdrm_video_ioctl(fd, is_output ? VIDIOC_S_OUTPUT : VIDIOC_S_INPUT, &index);
}

static inline int cdrm_video_offered_timings(int fd, uint32_t index, struct v4l2_dv_timings *timings) {
  struct v4l2_enum_dv_timings argument = {.index = index};
  int result = cdrm_video_ioctl(fd, VIDIOC_ENUM_DV_TIMINGS, &argument);
  *timings = argument.timings;
  return result;
}

static inline int cdrm_video_timings(int fd, struct v4l2_dv_timings *timings) {
  memset(timings, 0, sizeof *timings);
  return cdrm_video_ioctl(fd, VIDIOC_G_DV_TIMINGS, timings);
}

static inline int cdrm_video_set_timings(int fd, const struct v4l2_dv_timings *timings) {
  struct v4l2_dv_timings argument = *timings;
  return cdrm_video_ioctl(fd, VIDIOC_S_DV_TIMINGS, &argument);
}

/* The width, height and interlacing lie in a packed union, which Swift does not see. */
static inline void cdrm_video_timings_size(
    const struct v4l2_dv_timings *timings, uint32_t *width, uint32_t *height, uint32_t *is_interlaced) {
  *width = timings->bt.width;
  *height = timings->bt.height;
  *is_interlaced = timings->bt.interlaced;
}

/* The control after `id`, 0 for the first. */
static inline int cdrm_video_next_control(int fd, uint32_t id, struct v4l2_queryctrl *control) {
  memset(control, 0, sizeof *control);
  control->id = id | V4L2_CTRL_FLAG_NEXT_CTRL;
  return cdrm_video_ioctl(fd, VIDIOC_QUERYCTRL, control);
}

static inline int cdrm_video_menu_item(int fd, uint32_t control, uint32_t index, uint8_t name[32]) {
  struct v4l2_querymenu argument = {.id = control, .index = index};
  int result = cdrm_video_ioctl(fd, VIDIOC_QUERYMENU, &argument);
  memcpy(name, argument.name, sizeof argument.name);
  return result;
}

static inline int cdrm_video_control(int fd, uint32_t control, int32_t *value) {
  struct v4l2_control argument = {.id = control};
  int result = cdrm_video_ioctl(fd, VIDIOC_G_CTRL, &argument);
  *value = argument.value;
  return result;
}

static inline int cdrm_video_set_control(int fd, uint32_t control, int32_t value) {
  struct v4l2_control argument = {.id = control, .value = value};
  return cdrm_video_ioctl(fd, VIDIOC_S_CTRL, &argument);
}

#endif
