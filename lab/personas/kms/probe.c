// SPDX-License-Identifier: GPL-2.0
// Shows that each display of this folder keeps its rule, on a kernel that has them. In the lab:
//   gcc -o probe lab/personas/kms/probe.c $(pkg-config --cflags --libs libdrm) && lab/run --personas all -- ./probe
// A line for each fact; exit 1 if one does not hold.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

// vkms_tiled.h
struct persona_tiled_create {
  uint32_t width, height, handle, pitch;
  uint64_t size, modifier;
};
#define DRM_IOCTL_PERSONA_TILED_CREATE DRM_IOWR(DRM_COMMAND_BASE + 0x00, struct persona_tiled_create)

static int failed;
static void fact(bool holds, const char *kind, const char *what) {
  printf("%s %s: %s\n", holds ? "ok  " : "FAIL", kind, what);
  failed |= !holds;
}

static void die(const char *what) {
  printf("FAIL %s: %s\n", what, strerror(errno));
  exit(1);
}

struct display {
  int fd;
  drmModeRes *res;
  uint32_t crtc, plane, wire, writeback, mode_blob;
  drmModeModeInfo mode;
};

static uint32_t property(int fd, uint32_t object, uint32_t type, const char *name, uint64_t *value) {
  drmModeObjectProperties *all = drmModeObjectGetProperties(fd, object, type);
  uint32_t id = 0;
  for (uint32_t i = 0; all && i < all->count_props; i++) {
    drmModePropertyRes *one = drmModeGetProperty(fd, all->props[i]);
    if (one && !strcmp(one->name, name)) {
      id = one->prop_id;
      if (value) *value = all->prop_values[i];
    }
    drmModeFreeProperty(one);
  }
  drmModeFreeObjectProperties(all);
  return id;
}

static struct display open_display(const char *kind) {
  struct display d = {.fd = -1};
  char wanted[64];
  snprintf(wanted, sizeof wanted, "persona-%s", kind);
  for (int i = 0; i < 64 && d.fd < 0; i++) {
    char path[64];
    snprintf(path, sizeof path, "/dev/dri/card%d", i);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) continue;
    drmVersion *version = drmGetVersion(fd);
    if (version && !strcmp(version->name, wanted)) d.fd = fd;
    else close(fd);
    drmFreeVersion(version);
  }
  if (d.fd < 0) die(wanted);
  drmSetClientCap(d.fd, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1);
  drmSetClientCap(d.fd, DRM_CLIENT_CAP_ATOMIC, 1);
  drmSetClientCap(d.fd, DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1);
  d.res = drmModeGetResources(d.fd);
  d.crtc = d.res->crtcs[0];
  for (int i = 0; i < d.res->count_connectors; i++) {
    drmModeConnector *c = drmModeGetConnector(d.fd, d.res->connectors[i]);
    if (c->connector_type == DRM_MODE_CONNECTOR_WRITEBACK) {
      d.writeback = c->connector_id;
    } else if (!d.wire) {
      d.wire = c->connector_id;
      for (int m = 0; m < c->count_modes; m++)
        if (c->modes[m].hdisplay == 640 && c->modes[m].vdisplay == 480) d.mode = c->modes[m];
    }
    drmModeFreeConnector(c);
  }
  drmModePlaneRes *planes = drmModeGetPlaneResources(d.fd);
  for (uint32_t i = 0; i < planes->count_planes && !d.plane; i++) {
    uint64_t type = 9;
    property(d.fd, planes->planes[i], DRM_MODE_OBJECT_PLANE, "type", &type);
    if (type == DRM_PLANE_TYPE_PRIMARY) d.plane = planes->planes[i];
  }
  drmModeFreePlaneResources(planes);
  if (!d.mode.hdisplay || !d.plane) die("a mode of 640x480 and a primary plane");
  drmModeCreatePropertyBlob(d.fd, &d.mode, sizeof d.mode, &d.mode_blob);
  return d;
}

struct buffer {
  uint32_t handle, pitch, width, height, fb;
  uint64_t size;
  uint8_t *bytes;
};

static struct buffer dumb(int fd, uint32_t width, uint32_t height, uint32_t bpp) {
  struct buffer b = {.width = width, .height = height};
  if (drmModeCreateDumbBuffer(fd, width, height, bpp, 0, &b.handle, &b.pitch, &b.size)) die("CREATE_DUMB");
  return b;
}

static void map(int fd, struct buffer *b) {
  uint64_t offset;
  if (drmModeMapDumbBuffer(fd, b->handle, &offset)) die("MAP_DUMB");
  b->bytes = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  if (b->bytes == MAP_FAILED) die("mmap");
}

static int add(int fd, struct buffer *b, uint32_t format, uint32_t pitch, uint64_t modifier) {
  uint32_t handles[4] = {b->handle}, pitches[4] = {pitch}, offsets[4] = {0};
  uint64_t modifiers[4] = {modifier};
  return drmModeAddFB2WithModifiers(fd, b->width, b->height, format, handles, pitches, offsets, modifiers, &b->fb,
                                    DRM_MODE_FB_MODIFIERS);
}

static void set(drmModeAtomicReq *r, int fd, uint32_t object, uint32_t type, const char *name, uint64_t value) {
  uint32_t id = property(fd, object, type, name, NULL);
  if (!id) die(name);
  drmModeAtomicAddProperty(r, object, id, value);
}

// Shows a framebuffer in the display's mode on a connector; a target for a writeback connector.
static int show(struct display *d, uint32_t connector, uint32_t crtc, uint32_t plane, struct buffer *b, struct buffer *target,
                uint32_t flags, int *fence) {
  drmModeAtomicReq *r = drmModeAtomicAlloc();
  set(r, d->fd, connector, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID", crtc);
  set(r, d->fd, crtc, DRM_MODE_OBJECT_CRTC, "ACTIVE", 1);
  set(r, d->fd, crtc, DRM_MODE_OBJECT_CRTC, "MODE_ID", d->mode_blob);
  set(r, d->fd, plane, DRM_MODE_OBJECT_PLANE, "CRTC_ID", crtc);
  set(r, d->fd, plane, DRM_MODE_OBJECT_PLANE, "FB_ID", b->fb);
  const char *names[] = {"SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H"};
  uint64_t values[] = {0, 0, (uint64_t)b->width << 16, (uint64_t)b->height << 16, 0, 0, b->width, b->height};
  for (int i = 0; i < 8; i++) set(r, d->fd, plane, DRM_MODE_OBJECT_PLANE, names[i], values[i]);
  if (target) {
    set(r, d->fd, connector, DRM_MODE_OBJECT_CONNECTOR, "WRITEBACK_FB_ID", target->fb);
    set(r, d->fd, connector, DRM_MODE_OBJECT_CONNECTOR, "WRITEBACK_OUT_FENCE_PTR", (uintptr_t)fence);
  }
  int ret = drmModeAtomicCommit(d->fd, r, flags, NULL);
  drmModeAtomicFree(r);
  return ret;
}

static int flip(struct display *d, struct buffer *b, uint32_t flags) {
  drmModeAtomicReq *r = drmModeAtomicAlloc();
  set(r, d->fd, d->plane, DRM_MODE_OBJECT_PLANE, "FB_ID", b->fb);
  int ret = drmModeAtomicCommit(d->fd, r, flags, NULL);
  drmModeAtomicFree(r);
  return ret;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static bool blob_holds(int fd, uint64_t id, uint32_t format) {
  drmModePropertyBlobRes *blob = drmModeGetPropertyBlob(fd, id);
  bool found = false;
  for (uint32_t i = 0; blob && i < blob->length / 4; i++) found |= ((uint32_t *)blob->data)[i] == format;
  drmModeFreePropertyBlob(blob);
  return found;
}

static bool plane_fetches(struct display *d, uint32_t format) {
  drmModePlane *p = drmModeGetPlane(d->fd, d->plane);
  bool found = false;
  for (uint32_t i = 0; i < p->count_formats; i++) found |= p->formats[i] == format;
  drmModeFreePlane(p);
  return found;
}

// Writes back what `picture` looks like, in `format`, into a mapped buffer.
static struct buffer written_back(struct display *d, struct buffer *picture, uint32_t format) {
  struct buffer target = dumb(d->fd, 640, 480, 32);
  map(d->fd, &target);
  memset(target.bytes, 0x5a, target.size);
  if (add(d->fd, &target, format, target.pitch, 0)) die("AddFB2 of a target");
  int fence = -1;
  if (show(d, d->writeback, d->crtc, d->plane, picture, &target, DRM_MODE_ATOMIC_ALLOW_MODESET, &fence)) die("writeback");
  struct pollfd waits = {.fd = fence, .events = POLLIN};
  if (poll(&waits, 1, 10000) != 1) die("the fence of a writeback");
  close(fence);
  return target;
}

static uint32_t pixel_at(uint32_t x, uint32_t y) { return (x * 2654435761u ^ y * 40503u * 65537u) & 0xffffff; }

static void covers(void) {
  struct display d = open_display("covers");
  struct buffer small = dumb(d.fd, 320, 240, 32), whole = dumb(d.fd, 640, 480, 32);
  add(d.fd, &small, DRM_FORMAT_XRGB8888, small.pitch, 0);
  add(d.fd, &whole, DRM_FORMAT_XRGB8888, whole.pitch, 0);
  uint32_t flags = DRM_MODE_ATOMIC_ALLOW_MODESET | DRM_MODE_ATOMIC_TEST_ONLY;
  fact(!show(&d, d.wire, d.crtc, d.plane, &whole, NULL, flags, NULL), "covers", "a plane as large as the mode is taken");
  fact(show(&d, d.wire, d.crtc, d.plane, &small, NULL, flags, NULL) && errno == EINVAL, "covers", "a smaller one is EINVAL");
}

static void planes_any(void) {
  struct display d = open_display("planes-any");
  drmModePlaneRes *planes = drmModeGetPlaneResources(d.fd);
  bool any = true;
  for (uint32_t i = 0; i < planes->count_planes; i++) any &= drmModeGetPlane(d.fd, planes->planes[i])->possible_crtcs == 3;
  fact(d.res->count_crtcs == 2 && d.res->count_connectors == 2, "planes-any", "two CRTCs and two wires");
  fact(any && planes->count_planes == 4, "planes-any", "each of four planes fits both CRTCs");
  struct buffer b = dumb(d.fd, 640, 480, 32);
  add(d.fd, &b, DRM_FORMAT_XRGB8888, b.pitch, 0);
  if (show(&d, d.res->connectors[0], d.res->crtcs[0], d.plane, &b, NULL, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL)) die("CRTC 0");
  uint32_t flags = DRM_MODE_ATOMIC_ALLOW_MODESET;
  fact(show(&d, d.res->connectors[1], d.res->crtcs[1], d.plane, &b, NULL, flags, NULL) && errno == EINVAL, "planes-any",
       "the plane that CRTC 0 shows is EINVAL on CRTC 1");
  uint32_t other = 0;
  for (uint32_t i = 0; i < planes->count_planes; i++) {
    uint64_t type = 9;
    property(d.fd, planes->planes[i], DRM_MODE_OBJECT_PLANE, "type", &type);
    if (type == DRM_PLANE_TYPE_PRIMARY && planes->planes[i] != d.plane) other = planes->planes[i];
  }
  fact(!show(&d, d.res->connectors[1], d.res->crtcs[1], other, &b, NULL, flags, NULL), "planes-any", "another primary plane is taken there");
}

static void pitch(const char *kind, uint32_t alignment) {
  struct display d = open_display(kind);
  struct buffer b = dumb(d.fd, 10 + alignment / 4 * 3, 40, 32);
  fact(b.pitch % alignment == 0, kind, "a dumb buffer has such a pitch");
  fact(!add(d.fd, &b, DRM_FORMAT_XRGB8888, b.pitch, 0), kind, "AddFB2 takes it");
  fact(add(d.fd, &b, DRM_FORMAT_XRGB8888, b.width * 4, 0) && errno == EINVAL, kind, "a pitch of the bare row is EINVAL");
}

static void wb_10bit(void) {
  struct display d = open_display("wb-10bit");
  uint64_t blob = 0;
  property(d.fd, d.writeback, DRM_MODE_OBJECT_CONNECTOR, "WRITEBACK_PIXEL_FORMATS", &blob);
  fact(blob_holds(d.fd, blob, DRM_FORMAT_XRGB2101010) && !blob_holds(d.fd, blob, DRM_FORMAT_XRGB8888), "wb-10bit",
       "the writeback connector writes XRGB2101010 and no XRGB8888");
  struct buffer b = dumb(d.fd, 640, 480, 32);
  map(d.fd, &b);
  for (uint32_t y = 0; y < 480; y++)
    for (uint32_t x = 0; x < 640; x++) ((uint32_t *)(b.bytes + y * b.pitch))[x] = pixel_at(x, y);
  add(d.fd, &b, DRM_FORMAT_XRGB8888, b.pitch, 0);
  struct buffer seen = written_back(&d, &b, DRM_FORMAT_XRGB2101010);
  unsigned wrong = 0;
  for (uint32_t y = 0; y < 480; y++)
    for (uint32_t x = 0; x < 640; x++) {
      uint32_t wide = 0, pixel = pixel_at(x, y);
      for (int shift = 16; shift >= 0; shift -= 8) {
        uint32_t c = pixel >> shift & 0xff;
        wide = wide << 10 | c << 2 | c >> 6;
      }
      wrong += (((uint32_t *)(seen.bytes + y * seen.pitch))[x] & 0x3fffffff) != wide;
    }
  fact(!wrong, "wb-10bit", "each pixel is written widened from eight bits, exactly");
}

static void crc_unsteady(void) {
  struct display d = open_display("crc-unsteady");
  struct buffer b = dumb(d.fd, 640, 480, 32);
  map(d.fd, &b);
  for (uint32_t i = 0; i < b.size / 4; i++) ((uint32_t *)b.bytes)[i] = i * 2654435761u;
  add(d.fd, &b, DRM_FORMAT_XRGB8888, b.pitch, 0);
  if (show(&d, d.wire, d.crtc, d.plane, &b, NULL, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL)) die("crc-unsteady");
  char path[96], text[4096] = "";
  struct stat_minor { int minor; } at = {0};
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", d.fd);
  char node[64] = "";
  if (readlink(link, node, sizeof node - 1) < 0) die("readlink");
  sscanf(node, "/dev/dri/card%d", &at.minor);
  snprintf(path, sizeof path, "/sys/kernel/debug/dri/%d/crtc-0/crc/control", at.minor);
  int control = open(path, O_WRONLY);
  if (control < 0 || write(control, "auto", 4) != 4) die(path);
  snprintf(path, sizeof path, "/sys/kernel/debug/dri/%d/crtc-0/crc/data", at.minor);
  int data = open(path, O_RDONLY);
  char last[32] = "";
  int same = 0, frames = 0;
  for (; frames < 30; frames++) {
    ssize_t n = read(data, text, sizeof text - 1);
    if (n <= 0) die("crc/data");
    text[n] = 0;
    char value[32] = "";
    sscanf(text, "%*s %31s", value);
    same += !strcmp(value, last);
    strcpy(last, value);
    usleep(60000);
  }
  printf("     crc-unsteady: %d of %d checksums were that of the one before\n", same, frames);
  // One computed checksum counts for every frame that passed meanwhile.
  fact(same < frames, "crc-unsteady", "the checksum of one picture changes");
  close(data);
}

static void no_xrgb(void) {
  struct display d = open_display("no-xrgb");
  fact(!plane_fetches(&d, DRM_FORMAT_XRGB8888) && plane_fetches(&d, DRM_FORMAT_XBGR8888) && plane_fetches(&d, DRM_FORMAT_RGB565) &&
           plane_fetches(&d, DRM_FORMAT_BGR888),
       "no-xrgb", "the plane lists RGB565, BGR888 and XBGR8888, and no XRGB8888");
  struct buffer b = dumb(d.fd, 640, 480, 32);
  fact(add(d.fd, &b, DRM_FORMAT_XRGB8888, b.pitch, 0) && errno == EINVAL, "no-xrgb", "AddFB2 of XRGB8888 is EINVAL");
  if (add(d.fd, &b, DRM_FORMAT_XBGR8888, b.pitch, 0)) die("AddFB2 of XBGR8888");
  fact(!show(&d, d.wire, d.crtc, d.plane, &b, NULL, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL), "no-xrgb", "XBGR8888 is shown");
}

static void tiled(void) {
  struct display d = open_display("tiled");
  struct persona_tiled_create create = {.width = 640, .height = 480};
  if (drmIoctl(d.fd, DRM_IOCTL_PERSONA_TILED_CREATE, &create)) die("PERSONA_TILED_CREATE");
  struct buffer b = {.handle = create.handle, .pitch = create.pitch, .width = 640, .height = 480, .size = create.size};
  map(d.fd, &b);
  for (uint32_t y = 0; y < 480; y++)
    for (uint32_t x = 0; x < 640; x++)
      *(uint32_t *)(b.bytes + y / 4 * b.pitch * 4 + x / 4 * 64 + y % 4 * 16 + x % 4 * 4) = pixel_at(x, y);
  fact(!add(d.fd, &b, DRM_FORMAT_XRGB8888, b.pitch, create.modifier), "tiled", "AddFB2 takes the modifier");
  struct buffer other = b;
  fact(add(d.fd, &other, DRM_FORMAT_RGB565, b.pitch, create.modifier) && errno == EINVAL, "tiled", "not with RGB565");
  struct buffer seen = written_back(&d, &b, DRM_FORMAT_XRGB8888);
  unsigned wrong = 0;
  for (uint32_t y = 0; y < 480; y++)
    for (uint32_t x = 0; x < 640; x++) wrong += (((uint32_t *)(seen.bytes + y * seen.pitch))[x] & 0xffffff) != pixel_at(x, y);
  fact(!wrong, "tiled", "the engine untiles it");
  uint64_t blob_id = 0;
  property(d.fd, d.plane, DRM_MODE_OBJECT_PLANE, "IN_FORMATS", &blob_id);
  drmModePropertyBlobRes *blob = drmModeGetPropertyBlob(d.fd, blob_id);
  struct drm_format_modifier_blob *head = blob->data;
  struct drm_format_modifier *list = (void *)((char *)blob->data + head->modifiers_offset);
  bool listed = false;
  for (uint32_t i = 0; i < head->count_modifiers; i++) listed |= list[i].modifier == DRM_FORMAT_MOD_VIVANTE_TILED;
  fact(listed, "tiled", "IN_FORMATS lists it");
}

static void slow(void) {
  struct display d = open_display("slow");
  struct buffer b = dumb(d.fd, 640, 480, 32);
  add(d.fd, &b, DRM_FORMAT_XRGB8888, b.pitch, 0);
  double start = now();
  if (show(&d, d.wire, d.crtc, d.plane, &b, NULL, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL)) die("slow");
  double modeset = now() - start;
  start = now();
  if (flip(&d, &b, 0)) die("slow: flip");
  printf("     slow: a modeset took %.2f s, a flip %.2f s\n", modeset, now() - start);
  fact(modeset >= 1, "slow", "a modeset takes a second");
}

static void busy(void) {
  struct display d = open_display("busy");
  struct buffer b[2] = {dumb(d.fd, 640, 480, 32), dumb(d.fd, 640, 480, 32)};
  for (int i = 0; i < 2; i++) add(d.fd, &b[i], DRM_FORMAT_XRGB8888, b[i].pitch, 0);
  if (show(&d, d.wire, d.crtc, d.plane, &b[0], NULL, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL)) die("busy");
  uint32_t flags = DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT;
  double start = now();
  if (flip(&d, &b[1], flags)) die("busy: the first flip");
  int refused = 0;
  while (flip(&d, &b[0], flags)) {
    if (errno != EBUSY) die("busy: the second flip");
    refused++;
    usleep(1000);
  }
  double frames = (now() - start) * d.mode.vrefresh;
  printf("     busy: EBUSY %d times, for %.2f frames\n", refused, frames);
  fact(refused && frames > 1, "busy", "a second flip is EBUSY for more than a frame");
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  covers();
  planes_any();
  pitch("pitch-64", 64);
  pitch("pitch-256", 256);
  wb_10bit();
  crc_unsteady();
  no_xrgb();
  tiled();
  slow();
  busy();
  return failed;
}
