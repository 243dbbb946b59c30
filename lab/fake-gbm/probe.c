// Shows that each behaviour of this libgbm keeps its rule. In the lab:
//   lab/run --gbm maps --personas tiled -- $(lab/prepare --gbm)/probe
// TAP on stdout, exit 1 if a fact does not hold. `probe BEHAVIOUR` has that one stand for all the others, `probe real` none: a fact that holds
// there too says nothing.
#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gbm.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#define WIDTH 250
#define HEIGHT 190

static const char *behaviour, *forced;

// Lines for the parent, which numbers them.
static void fact(bool holds, const char *what) { printf("%sok - %s: %s\n", holds ? "" : "not ", behaviour, what); }

// Ends a group, of which the rest cannot be looked at.
static void need(bool holds, const char *what) {
  if (holds) return;
  printf("not ok - %s: cannot look: %s: %s\n", behaviour, what, strerror(errno));
  fflush(stdout);
  _exit(0);
}

static int open_node(const char *driver, const char *kind) {
  for (int i = 0; i < 256; i++) {
    char path[64];
    snprintf(path, sizeof path, "/dev/dri/%s%d", kind, i);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) continue;
    drmVersion *version = drmGetVersion(fd);
    bool is = version && !strcmp(version->name, driver);
    drmFreeVersion(version);
    if (is) return fd;
    close(fd);
  }
  errno = ENODEV;
  need(false, driver);
  return -1;
}

static struct gbm_device *device_on(int fd) {
  struct gbm_device *device = gbm_create_device(fd);
  need(device, "gbm_create_device");
  return device;
}

static struct gbm_device *device(const char *driver) { return device_on(open_node(driver, "card")); }

static struct gbm_bo *listed(struct gbm_device *device, uint32_t format, int count, ...) {
  uint64_t list[8];
  va_list more;
  va_start(more, count);
  for (int i = 0; i < count; i++) list[i] = va_arg(more, uint64_t);
  va_end(more);
  errno = 0;
  return gbm_bo_create_with_modifiers2(device, WIDTH, HEIGHT, format, list, count, 0);
}

static struct gbm_bo *plain(struct gbm_device *device, uint32_t flags) {
  struct gbm_bo *bo = gbm_bo_create(device, WIDTH, HEIGHT, GBM_FORMAT_XRGB8888, flags);
  need(bo, "gbm_bo_create");
  return bo;
}

struct memory {
  int fd;
  size_t size;
  uint8_t *bytes;
};

// The dma-buf itself, past libgbm.
static struct memory memory_of(struct gbm_bo *bo, int plane) {
  struct memory m = {.fd = gbm_bo_get_fd_for_plane(bo, plane)};
  need(m.fd >= 0, "gbm_bo_get_fd_for_plane");
  m.size = lseek(m.fd, 0, SEEK_END);
  m.bytes = mmap(NULL, m.size, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0);
  need(m.bytes != MAP_FAILED, "mmap of the dma-buf");
  return m;
}

static bool same(int a, int b) {
  struct stat s, t;
  return a >= 0 && b >= 0 && !fstat(a, &s) && !fstat(b, &t) && s.st_ino == t.st_ino;
}

static int by_handle(struct gbm_device *device, struct gbm_bo *bo, int plane) {
  int fd = -1;
  errno = 0;
  return drmPrimeHandleToFD(gbm_device_get_fd(device), gbm_bo_get_handle_for_plane(bo, plane).u32, DRM_CLOEXEC | DRM_RDWR, &fd) ? -1 : fd;
}

// The kernel maps a dumb buffer for the device that made it alone (drm_gem_dumb_map_offset).
static bool made_by(const char *driver, int fd) {
  int file = open_node(driver, "card");
  struct drm_mode_map_dumb argument = {0};
  return !drmPrimeFDToHandle(file, fd, &argument.handle) && !drmIoctl(file, DRM_IOCTL_MODE_MAP_DUMB, &argument);
}

static uint32_t pixel(uint32_t x, uint32_t y) { return x * 2654435761u ^ y * 2246822519u; }

struct view {
  uint8_t *bytes;
  uint32_t pitch;
  void *token;
};

static struct view map(struct gbm_bo *bo, uint32_t flags) {
  struct view v;
  v.bytes = gbm_bo_map(bo, 0, 0, WIDTH, HEIGHT, flags, &v.pitch, &v.token);
  need(v.bytes, "gbm_bo_map");
  return v;
}

static void draw(struct gbm_bo *bo) {
  struct view v = map(bo, GBM_BO_TRANSFER_WRITE);
  for (uint32_t y = 0; y < HEIGHT; y++)
    for (uint32_t x = 0; x < WIDTH; x++) ((uint32_t *)(v.bytes + y * v.pitch))[x] = pixel(x, y);
  gbm_bo_unmap(bo, v.token);
}

static bool shows(struct gbm_bo *bo) {
  struct view v = map(bo, GBM_BO_TRANSFER_READ);
  bool right = true;
  for (uint32_t y = 0; y < HEIGHT; y++)
    for (uint32_t x = 0; x < WIDTH; x++) right &= ((uint32_t *)(v.bytes + y * v.pitch))[x] == pixel(x, y);
  gbm_bo_unmap(bo, v.token);
  return right;
}

// Where a pixel is, counted tile by tile as drm_fourcc.h describes them.
static size_t in_rows(uint32_t pitch, uint32_t x, uint32_t y) { return (size_t)y * pitch + x * 4; }
static size_t in_4x4(uint32_t pitch, uint32_t x, uint32_t y) {
  uint32_t tiles_a_row = pitch / 16, tile = y / 4 * tiles_a_row + x / 4;
  return ((size_t)tile * 16 + y % 4 * 4 + x % 4) * 4;
}
static size_t in_y(uint32_t pitch, uint32_t x, uint32_t y) {
  uint32_t tiles_a_row = pitch / 128, tile = y / 32 * tiles_a_row + x * 4 / 128, column = x * 4 % 128 / 16;
  return (size_t)tile * 4096 + column * 512 + y % 32 * 16 + x * 4 % 16;
}

static bool holds(struct gbm_bo *bo, size_t (*at)(uint32_t pitch, uint32_t x, uint32_t y)) {
  struct memory m = memory_of(bo, 0);
  uint32_t pitch = gbm_bo_get_stride(bo);
  for (uint32_t y = 0; y < HEIGHT; y++)
    for (uint32_t x = 0; x < WIDTH; x++) {
      size_t offset = at(pitch, x, y);
      if (offset + 4 > m.size || *(uint32_t *)(m.bytes + offset) != pixel(x, y)) return false;
    }
  return true;
}

static bool is_zero(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (bytes[i]) return false;
  return true;
}

static uint64_t modifier_of(struct gbm_bo *bo) {
  need(bo, "a buffer with these modifiers");
  return gbm_bo_get_modifier(bo);
}

static void maps(void) {
  struct gbm_bo *bo = plain(device("vkms"), GBM_BO_USE_LINEAR);
  struct memory m = memory_of(bo, 0);
  struct view v = map(bo, GBM_BO_TRANSFER_READ_WRITE);
  m.bytes[0] = 7;
  fact(v.bytes[0] == 7, "an open map shows what is written into the buffer later");
  v.bytes[1] = 8;
  fact(m.bytes[1] == 8, "what is written into an open map is in the buffer");
  fact(v.pitch == gbm_bo_get_stride(bo), "its pitch is the buffer's");
}

static void copies(void) {
  struct gbm_device *on = device("vkms");
  struct gbm_bo *bo = plain(on, GBM_BO_USE_LINEAR);
  struct memory m = memory_of(bo, 0);
  m.bytes[0] = 1;
  struct view v = map(bo, GBM_BO_TRANSFER_READ_WRITE);
  uint8_t first = v.bytes[0];
  m.bytes[0] = 2;
  fact(first == 1 && v.bytes[0] == 1, "an open map goes on showing what there was");
  v.bytes[1] = 8;
  uint8_t before = m.bytes[1];
  gbm_bo_unmap(bo, v.token);
  fact(before != 8 && m.bytes[1] == 8, "what is written into a map is in the buffer when it is unmapped");
  fact(v.pitch % 256 == 0 && v.pitch != gbm_bo_get_stride(bo), "the pitch of a map is its own");
  m.bytes[4] = 3;
  v = map(bo, GBM_BO_TRANSFER_WRITE);
  fact(v.bytes[4] != 3, "a map for writing alone does not hold the picture");
  gbm_bo_unmap(bo, v.token);
  m.bytes[4] = 3;
  v = map(bo, GBM_BO_TRANSFER_READ);
  v.bytes[4] = 9;
  gbm_bo_unmap(bo, v.token);
  fact(m.bytes[4] == 3, "a map for reading writes nothing back");
}

static void read_only(void) {
  struct gbm_bo *bo = plain(device("vkms"), GBM_BO_USE_LINEAR);
  struct gbm_device *node = device_on(open_node("virtio_gpu", "renderD"));
  struct gbm_bo *other = plain(node, GBM_BO_USE_LINEAR);
  int fd = gbm_bo_get_fd_for_plane(bo, 0), number = by_handle(node, other, 0);
  need(fd >= 0, "gbm_bo_get_fd_for_plane");
  fact(number >= 0 && (fcntl(number, F_GETFL) & O_ACCMODE) == O_RDONLY, "on a render node, so is what the handle is exported as");
  fact((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY, "the dma-buf is for reading alone");
  void *there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  fact(there == MAP_FAILED && errno == EACCES, "to map it for writing is EACCES");
}

static void kmsro(void) {
  struct gbm_device *on = device("vkms");
  struct gbm_bo *bo = plain(on, GBM_BO_USE_LINEAR), *shown = plain(on, GBM_BO_USE_LINEAR | GBM_BO_USE_SCANOUT);
  fact(gbm_bo_get_handle(bo).s32 == -1, "what no display shows has no handle");
  fact(by_handle(on, bo, 0) < 0 && errno == ENOENT, "to export it by its handle is ENOENT");
  struct memory m = memory_of(bo, 0);
  fact(made_by("vgem", m.fd), "its dma-buf is the GPU's");
  draw(bo);
  fact(made_by("vgem", m.fd) && holds(bo, in_rows), "and what gbm_bo_map writes is in it");
  struct memory s = memory_of(shown, 0);
  int same_buffer = by_handle(on, shown, 0);
  fact(made_by("vkms", s.fd) && made_by("vgem", m.fd) && same(same_buffer, s.fd), "what a display shows is the display's, and so is its handle");
}

static void kmsro_number(void) {
  struct gbm_device *on = device("vkms");
  struct gbm_bo *bo = plain(on, GBM_BO_USE_LINEAR);
  int number = by_handle(on, bo, 0), fd = gbm_bo_get_fd_for_plane(bo, 0);
  fact(number >= 0 && fd >= 0 && !same(number, fd), "the handle is another buffer's in the display's file");
  fact(made_by("vgem", fd), "the dma-buf of gbm_bo_get_fd_for_plane is the GPU's");
}

static void modifiers(void) {
  struct gbm_device *on = device("persona-tiled");
  struct gbm_bo *tiled = listed(on, GBM_FORMAT_XRGB8888, 3, DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_VIVANTE_TILED, 0x0123456789abcdefull);
  fact(modifier_of(tiled) == DRM_FORMAT_MOD_VIVANTE_TILED, "of rows and tiles, tiles are taken");
  draw(tiled);
  fact(holds(tiled, in_4x4), "what gbm_bo_map writes is in tiles");
  fact(modifier_of(tiled) != DRM_FORMAT_MOD_LINEAR && shows(tiled), "and is read back in rows");
  uint32_t handles[4] = {gbm_bo_get_handle(tiled).u32}, pitches[4] = {gbm_bo_get_stride(tiled)}, offsets[4] = {0}, fb = 0;
  uint64_t all[4] = {DRM_FORMAT_MOD_VIVANTE_TILED};
  fact(modifier_of(tiled) == all[0] && !drmModeAddFB2WithModifiers(gbm_device_get_fd(on), WIDTH, HEIGHT, GBM_FORMAT_XRGB8888, handles, pitches,
                                                                   offsets, all, &fb, DRM_MODE_FB_MODIFIERS),
       "the persona tiled takes it for a framebuffer");
  struct gbm_bo *rows = listed(on, GBM_FORMAT_XRGB8888, 1, DRM_FORMAT_MOD_LINEAR);
  draw(rows);
  fact(modifier_of(rows) == DRM_FORMAT_MOD_LINEAR && holds(rows, in_rows), "of rows alone, rows");
  fact(!listed(on, GBM_FORMAT_XRGB8888, 1, 0x0123456789abcdefull), "of a modifier that nobody knows, none");
  fact(modifier_of(listed(on, GBM_FORMAT_RGB565, 2, DRM_FORMAT_MOD_VIVANTE_TILED, DRM_FORMAT_MOD_LINEAR)) == DRM_FORMAT_MOD_LINEAR,
       "of a format that has no tiles, rows");
  fact(gbm_device_get_format_modifier_plane_count(on, GBM_FORMAT_XRGB8888, DRM_FORMAT_MOD_VIVANTE_TILED) == 1 &&
           gbm_device_get_format_modifier_plane_count(on, GBM_FORMAT_XRGB8888, 0x0123456789abcdefull) == -1,
       "tiles have one plane, what nobody knows -1");
  fact(modifier_of(plain(on, GBM_BO_USE_RENDERING)) == DRM_FORMAT_MOD_VIVANTE_TILED, "without a list, for rendering, tiles, which are reported");
  fact(modifier_of(plain(on, GBM_BO_USE_SCANOUT)) == DRM_FORMAT_MOD_LINEAR, "without a list, for a display, rows");
  struct gbm_device *other = device("vgem");
  struct gbm_import_fd_modifier_data data = {WIDTH, HEIGHT, GBM_FORMAT_XRGB8888, 1, {gbm_bo_get_fd(tiled)}, {pitches[0]}, {0}, all[0]};
  struct gbm_bo *imported = gbm_bo_import(other, GBM_BO_IMPORT_FD_MODIFIER, &data, 0);
  need(imported, "gbm_bo_import");
  fact(modifier_of(imported) == all[0] && shows(imported), "another device that imports it shows the picture");
  data.num_fds = 2;
  data.fds[1] = data.fds[0];
  fact(!gbm_bo_import(other, GBM_BO_IMPORT_FD_MODIFIER, &data, 0) && errno == ENOSYS, "with a plane too many, ENOSYS");
}

static void implicit(void) {
  struct gbm_device *on = device("persona-tiled");
  struct gbm_bo *tiled = plain(on, GBM_BO_USE_SCANOUT | GBM_BO_USE_RENDERING), *rows = plain(on, GBM_BO_USE_LINEAR);
  fact(modifier_of(tiled) == DRM_FORMAT_MOD_INVALID, "the modifier is INVALID");
  draw(tiled);
  fact(modifier_of(tiled) == DRM_FORMAT_MOD_INVALID && holds(tiled, in_4x4), "and the pixels are in tiles");
  draw(rows);
  fact(modifier_of(rows) == DRM_FORMAT_MOD_INVALID && holds(rows, in_rows), "GBM_BO_USE_LINEAR gives rows, and INVALID");
  fact(!listed(on, GBM_FORMAT_XRGB8888, 1, DRM_FORMAT_MOD_LINEAR) && errno == ENOSYS, "any list is ENOSYS");
}

static void planes(void) {
  struct gbm_device *on = device("vkms");
  struct gbm_bo *bo = listed(on, GBM_FORMAT_XRGB8888, 2, DRM_FORMAT_MOD_LINEAR, I915_FORMAT_MOD_Y_TILED_CCS);
  fact(modifier_of(bo) == I915_FORMAT_MOD_Y_TILED_CCS && gbm_bo_get_plane_count(bo) == 2, "compression is taken, and is a second plane");
  fact(gbm_bo_get_handle_for_plane(bo, 1).u32 == gbm_bo_get_handle_for_plane(bo, 0).u32 && gbm_bo_get_offset(bo, 1) >= WIDTH * HEIGHT * 4,
       "it lies in the same buffer, behind the pixels");
  int fd[2] = {gbm_bo_get_fd_for_plane(bo, 0), gbm_bo_get_fd_for_plane(bo, 1)};
  fact(same(fd[0], fd[1]), "both dma-bufs are one");
  struct memory m = memory_of(bo, 0);
  draw(bo);
  fact(holds(bo, in_y), "what gbm_bo_map writes is in Y tiles");
  uint32_t begin = gbm_bo_get_offset(bo, 1);
  fact(begin && begin + gbm_bo_get_stride_for_plane(bo, 1) * 32 <= m.size && is_zero(m.bytes + begin, m.size - begin),
       "the second plane holds no pixels");
  fact(gbm_device_get_format_modifier_plane_count(on, GBM_FORMAT_XRGB8888, I915_FORMAT_MOD_Y_TILED_CCS) == 2, "the device says two planes of it");
  struct gbm_bo *one = gbm_bo_create(on, WIDTH, HEIGHT, GBM_FORMAT_XRGB8888, GBM_BO_USE_RENDERING);
  fact(modifier_of(one) == I915_FORMAT_MOD_Y_TILED && gbm_bo_get_plane_count(one) == 1, "without a list, tiles of one plane, which are reported");
  struct gbm_bo *nv12 = gbm_bo_create(on, WIDTH, HEIGHT, GBM_FORMAT_NV12, GBM_BO_USE_LINEAR);
  need(nv12, "NV12");
  fact(gbm_bo_get_plane_count(nv12) == 2 && gbm_bo_get_handle_for_plane(nv12, 1).u32 == gbm_bo_get_handle_for_plane(nv12, 0).u32 &&
           gbm_bo_get_offset(nv12, 1) == gbm_bo_get_stride_for_plane(nv12, 0) * HEIGHT,
       "NV12 is two planes of one buffer, one behind the other");
}

static void planes_apart(void) {
  uint64_t with_status = DRM_FORMAT_MOD_VIVANTE_TILED | 1ull << 48;
  struct gbm_device *on = device("persona-tiled");
  struct gbm_bo *bo = listed(on, GBM_FORMAT_XRGB8888, 3, DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_VIVANTE_TILED, with_status);
  fact(modifier_of(bo) == with_status && gbm_bo_get_plane_count(bo) == 2, "tile status is taken, and is a second plane");
  int fd[2] = {gbm_bo_get_fd_for_plane(bo, 0), gbm_bo_get_fd_for_plane(bo, 1)};
  fact(fd[1] >= 0 && !same(fd[0], fd[1]), "it is a dma-buf of its own");
  int number[2] = {by_handle(on, bo, 0), by_handle(on, bo, 1)};
  fact(fd[1] >= 0 && same(fd[0], number[0]) && same(fd[1], number[1]) && !same(fd[0], fd[1]), "with a handle of its own");
  draw(bo);
  fact(holds(bo, in_4x4), "what gbm_bo_map writes is in tiles");
  struct memory status = memory_of(bo, 1);
  fact(!same(fd[0], fd[1]) && is_zero(status.bytes, status.size), "the second plane holds no pixels");
  struct gbm_bo *nv12 = gbm_bo_create(on, WIDTH, HEIGHT, GBM_FORMAT_NV12, GBM_BO_USE_LINEAR);
  need(nv12, "NV12");
  int half[2] = {gbm_bo_get_fd_for_plane(nv12, 0), gbm_bo_get_fd_for_plane(nv12, 1)};
  fact(gbm_bo_get_plane_count(nv12) == 2 && !same(half[0], half[1]) && gbm_bo_get_offset(nv12, 1) == 0 &&
           gbm_bo_get_handle_for_plane(nv12, 1).u32 != gbm_bo_get_handle_for_plane(nv12, 0).u32,
       "NV12 is two buffers");
}

// Not a behaviour's own: what all have in common, looked at with the first.
static void any(void) {
  struct gbm_device *on = device_on(open_node("virtio_gpu", "renderD"));
  struct gbm_bo *bo = plain(on, GBM_BO_USE_LINEAR);
  int fd = gbm_bo_get_fd_for_plane(bo, 0), number = by_handle(on, bo, 0);
  fact(same(fd, number), "on a render node the handle is that file's");
  draw(bo);
  fact(holds(bo, in_rows), "on a render node what gbm_bo_map writes is in the dma-buf");
  struct gbm_device *card = device("vkms");
  struct gbm_bo *dumb = gbm_bo_create(card, WIDTH, HEIGHT, GBM_FORMAT_XRGB8888, GBM_BO_USE_WRITE | GBM_BO_USE_SCANOUT);
  need(dumb, "a dumb buffer");
  uint32_t word = 0x12345678;
  fact(gbm_bo_get_fd(dumb) < 0 && by_handle(card, dumb, 0) >= 0, "a buffer for gbm_bo_write is exported by its handle alone");
  struct view v = map(dumb, GBM_BO_TRANSFER_READ);
  fact(!gbm_bo_write(dumb, &word, 4) && *(uint32_t *)v.bytes == word, "gbm_bo_write writes there");
  struct gbm_bo *own = plain(card, GBM_BO_USE_LINEAR);
  struct gbm_import_fd_data data = {gbm_bo_get_fd(own), WIDTH, HEIGHT, gbm_bo_get_stride(own), GBM_FORMAT_XRGB8888};
  struct gbm_bo *again = gbm_bo_import(card, GBM_BO_IMPORT_FD, &data, 0);
  need(again, "gbm_bo_import of one's own");
  uint32_t handle = gbm_bo_get_handle(own).u32;
  gbm_bo_destroy(own);
  fact(gbm_bo_get_handle(again).u32 == handle && by_handle(card, again, 0) >= 0, "the handle lives as long as one of two buffer objects of it");
  gbm_bo_destroy(again);
  struct drm_gem_close argument = {.handle = handle};
  fact(drmIoctl(gbm_device_get_fd(card), DRM_IOCTL_GEM_CLOSE, &argument) && errno == EINVAL, "and no longer");
  data.height *= 2;
  fact(!gbm_bo_import(card, GBM_BO_IMPORT_FD, &data, 0) && errno == EINVAL, "a picture larger than its buffer is EINVAL");
}

static int count, failed;

static void group(const char *name, void (*facts)(void), const char *with) {
  int ends[2];
  if (forced && !strcmp(forced, name)) return;
  if (pipe(ends)) exit(1);
  pid_t child = fork();
  if (!child) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    behaviour = name;
    setenv("PRIME_GBM", forced ? forced : with, 1);
    facts();
    exit(0);
  }
  close(ends[1]);
  FILE *lines = fdopen(ends[0], "r");
  char line[512];
  while (fgets(line, sizeof line, lines)) {
    bool holds = !strncmp(line, "ok - ", 5);
    failed += !holds;
    printf("%s %d%s", holds ? "ok" : "not ok", ++count, line + (holds ? 2 : 6));
  }
  fclose(lines);
  int status;
  waitpid(child, &status, 0);
  if (status) {
    failed++;
    printf("not ok %d - %s: the group ended with %d\n", ++count, name, status);
  }
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  forced = argc > 1 ? argv[1] : NULL;
  printf("TAP version 14\n");
  group("any", any, "maps");
  group("maps", maps, "maps");
  group("copies", copies, "copies");
  group("read-only", read_only, "read-only");
  group("kmsro", kmsro, "kmsro");
  group("kmsro-number", kmsro_number, "kmsro-number");
  group("modifiers", modifiers, "modifiers");
  group("implicit", implicit, "implicit");
  group("planes", planes, "planes");
  group("planes-apart", planes_apart, "planes-apart");
  printf("1..%d\n", count);
  return failed > 0;
}
