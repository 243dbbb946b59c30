// SPDX-License-Identifier: GPL-2.0
// Shows that each kind of this folder keeps its rule. In the lab:
//   gcc -o probe lab/personas/probe.c $(pkg-config --cflags libdrm) && lab/run --personas all -- ./probe
// A line for each fact; exit 1 if one does not hold. With names of kinds only these.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <linux/dma-buf.h>

#include "persona_uapi.h"

static int failed;
static const char *kind;
static void fact(bool holds, const char *what) {
  printf("%s %s: %s%s%s\n", holds ? "ok  " : "FAIL", kind, what, holds ? "" : ", errno says ", holds ? "" : strerror(errno));
  fflush(stdout);
  failed |= !holds;
}

static void die(const char *what) {
  printf("FAIL %s: %s: %s\n", kind, what, strerror(errno));
  exit(1);
}

// An open file of the device whose driver has this name. New each time: a file knows what it imported.
static int device(const char *driver, const char *node) {
  for (int number = 0; number < 64; number++) {
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/dev/dri/%s%d", node, number + (node[0] == 'r' ? 128 : 0));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) continue;
    struct drm_version version = {.name = name, .name_len = sizeof name - 1};
    if (ioctl(fd, DRM_IOCTL_VERSION, &version) == 0 && !strcmp(name, driver)) return fd;
    close(fd);
  }
  die(driver);
  return -1;
}
static int card(const char *driver) { return device(driver, "card"); }
static int persona(void) {
  char name[64];
  snprintf(name, sizeof name, "persona-%s", kind);
  return card(name);
}

struct buffer {
  int device, fd;
  uint32_t handle;
  size_t size;
};
static int create(int device, uint32_t width, uint32_t height, struct buffer *buffer) {
  struct drm_mode_create_dumb dumb = {.width = width, .height = height, .bpp = 32};
  if (ioctl(device, DRM_IOCTL_MODE_CREATE_DUMB, &dumb)) return -1;
  *buffer = (struct buffer){.device = device, .handle = dumb.handle, .size = dumb.size, .fd = -1};
  struct drm_prime_handle prime = {.handle = dumb.handle, .flags = DRM_CLOEXEC | DRM_RDWR};
  if (ioctl(device, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime)) return -1;
  buffer->fd = prime.fd;
  return 0;
}
static struct buffer exported(int device, uint32_t width, uint32_t height) {
  struct buffer buffer;
  if (create(device, width, height, &buffer)) die("no buffer");
  return buffer;
}
// 0 and an errno where it is refused. Not restarted.
static uint32_t import(int device, int fd) {
  struct drm_prime_handle prime = {.fd = fd};
  return ioctl(device, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) ? 0 : prime.handle;
}
static bool refused(uint32_t handle, int error) { return handle == 0 && errno == error; }

static void *map_native(int device, uint32_t handle, size_t size) {
  struct drm_mode_map_dumb map = {.handle = handle};
  if (ioctl(device, DRM_IOCTL_MODE_MAP_DUMB, &map)) return MAP_FAILED;
  return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, device, map.offset);
}
static volatile uint8_t *map_export(const struct buffer *buffer, off_t offset) {
  volatile uint8_t *map = mmap(NULL, buffer->size - offset, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, offset);
  if (map == MAP_FAILED) die("the export cannot be mapped");
  return map;
}
static int sync_once(int fd, uint64_t flags) {
  struct dma_buf_sync sync = {.flags = flags};
  return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}
#define START(fd, what) (sync_once(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_##what) == 0)
#define END(fd, what) (sync_once(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_##what) == 0)

// What the engine of a device reads at an offset of one of its objects; -1 and an errno.
static int engine_reads(int device, uint32_t handle, uint64_t offset) {
  uint8_t byte = 0;
  struct drm_persona_engine engine = {.handle = handle, .offset = offset, .size = 1, .data = (uintptr_t)&byte};
  return ioctl(device, DRM_IOCTL_PERSONA_ENGINE, &engine) ? -1 : byte;
}
static bool engine_writes(int device, uint32_t handle, uint64_t offset, uint8_t byte) {
  struct drm_persona_engine engine = {.handle = handle, .write = 1, .offset = offset, .size = 1, .data = (uintptr_t)&byte};
  return ioctl(device, DRM_IOCTL_PERSONA_ENGINE, &engine) == 0;
}

// The line about a device's last object in debugfs holds this text.
static bool object_says(int device, const char *text) {
  struct stat node;
  char path[64], line[256], last[256] = "";
  fstat(device, &node);
  snprintf(path, sizeof path, "/sys/kernel/debug/dri/%u/objects", minor(node.st_rdev) % 128);
  FILE *file = fopen(path, "r");
  if (!file) die(path);
  while (fgets(line, sizeof line, file)) strcpy(last, line);
  fclose(file);
  return strstr(last, text) != NULL;
}

static sigjmp_buf escape;
static void escaped(int number) { siglongjmp(escape, number); }
// The signal that reading a byte ends in, or 0.
static int signal_of_read(volatile uint8_t *byte) {
  signal(SIGBUS, escaped);
  signal(SIGSEGV, escaped);
  int number = sigsetjmp(escape, 1);
  if (number == 0) (void)*byte;
  signal(SIGBUS, SIG_DFL);
  signal(SIGSEGV, SIG_DFL);
  return number;
}

static bool newer_than_6_15(void) {
  struct utsname name;
  uname(&name);
  int major = 0, minor = 0;
  sscanf(name.release, "%d.%d", &major, &minor);
  return major > 6 || minor >= 15;
}

static void ttm(void) {
  struct buffer buffer = exported(card("vgem"), 64, 64);
  int importer = persona();
  uint32_t handle = import(importer, buffer.fd);
  fact(handle != 0, "an import succeeds");
  volatile uint8_t *map = map_native(importer, handle, buffer.size);
  fact(map != MAP_FAILED, "MAP_DUMB gives an offset for it, which can be mapped");
  fact(signal_of_read(map) == SIGBUS, "reading through that mapping is a SIGBUS");
  struct buffer own = exported(persona(), 64, 64);
  handle = import(importer, own.fd);
  map = map_native(importer, handle, own.size);
  fact(map != MAP_FAILED && signal_of_read(map) == 0, "a buffer of the device itself can be read in another file of it");
}

static void shows_exporter(const char *what) {
  struct buffer buffer = exported(card("vgem"), 64, 64);
  int importer = persona();
  uint32_t handle = import(importer, buffer.fd);
  volatile uint8_t *map = map_native(importer, handle, buffer.size), *exporter = map_export(&buffer, 0);
  fact(map != MAP_FAILED, "the import can be mapped");
  exporter[5000] = 77;
  fact(signal_of_read(map) == 0 && map[5000] == 77, what);
  close(importer);
}

static void mmap_redirect(void) {
  shows_exporter("it shows what is written through the exporter's mapping meanwhile");
  struct buffer buffer = exported(card("persona-no-mmap"), 64, 64);
  int importer = persona();
  uint32_t handle = import(importer, buffer.fd);
  fact(handle && map_native(importer, handle, buffer.size) == MAP_FAILED && errno == ENODEV,
       "the mapping of an import is the exporter's own: ENODEV where that has none");
}

static void own_pages(void) {
  shows_exporter("it shows what is written through the exporter's mapping meanwhile");
  struct buffer buffer = exported(card("persona-no-mmap"), 64, 64);
  int importer = persona();
  uint32_t handle = import(importer, buffer.fd);
  volatile uint8_t *map = map_native(importer, handle, buffer.size);
  fact(handle && map != MAP_FAILED && signal_of_read(map) == 0, "the mapping of an import asks no exporter: it works where that has none");
}

static void lazy_import(void) {
  struct buffer buffer = exported(card("vgem"), 64, 64);
  int importer = persona();
  uint32_t handle = import(importer, buffer.fd);
  fact(handle && object_says(importer, "memory=not-mapped"), "an import has no mapping");
  fact(engine_reads(importer, handle, 0) == 0 && object_says(importer, "memory=mapped"), "the first use makes it");
  buffer = exported(card("persona-no-pages"), 64, 64);
  handle = import(importer, buffer.fd);
  fact(handle != 0, "an import of no-pages succeeds");
  fact(engine_reads(importer, handle, 0) < 0 && errno == ENOMEM, "its first use is ENOMEM");
  int vram = card("persona-vram");
  buffer = exported(vram, 64, 64);
  handle = import(importer, buffer.fd);
  bool moved = object_says(vram, "memory=in-place");
  fact(handle && moved == !newer_than_6_15(), "an import from a dynamic exporter is mapped by the core, until 6.15");
}

static void contiguous(void) {
  int importer = persona();
  struct buffer page = exported(card("vgem"), 32, 32), picture = exported(card("persona-ttm"), 1024, 768);
  fact(import(importer, page.fd) != 0, "an import of one page succeeds");
  fact(refused(import(importer, picture.fd), EINVAL), "an import of scattered pages is EINVAL");
  struct buffer own = exported(persona(), 1024, 768);
  fact(import(card("persona-ttm"), own.fd) != 0, "its own are taken by others");
}

static void small(void) {
  int importer = persona(), exporter = card("vgem");
  for (int number = 0; number < 4; number++) {
    struct buffer buffer = exported(exporter, 1024, 1024);
    fact(import(importer, buffer.fd) != 0, "4 MiB of 16 are imported");
  }
  fact(refused(import(importer, exported(exporter, 32, 32).fd), ENOSPC), "the next page is ENOSPC");
  fact(refused(import(persona(), exported(exporter, 4096, 2304).fd), ENOSPC), "so are 36 MiB");
  close(importer);
  fact(import(persona(), exported(exporter, 1024, 768).fd) != 0, "what was closed makes room");
}

static void no_pages(void) {
  struct buffer buffer = exported(persona(), 64, 64);
  volatile uint8_t *map = map_export(&buffer, 0);
  fact(signal_of_read(map) == 0, "an export can be mapped");
  uint32_t handle = import(card("persona-ttm"), buffer.fd);
  fact(refused(handle, ENOMEM), "an importer that maps it gets ENOMEM");
  handle = import(card("vgem"), buffer.fd);
  fact(newer_than_6_15() ? handle != 0 : refused(handle, ENOMEM), "vgem as well, until it attaches only (6.18)");
}

static void attach_refuses(void) {
  struct buffer buffer = exported(persona(), 64, 64);
  fact(refused(import(card("vgem"), buffer.fd), EOPNOTSUPP), "vgem cannot attach");
  fact(refused(import(card("persona-lazy-import"), buffer.fd), EOPNOTSUPP), "nor can an importer that would not map");
  fact(import(persona(), buffer.fd) != 0, "the device itself need not");
}

static void no_mmap(void) {
  int exporter = persona();
  struct buffer buffer = exported(exporter, 64, 64);
  fact(mmap(NULL, buffer.size, PROT_READ, MAP_SHARED, buffer.fd, 0) == MAP_FAILED && errno == ENODEV, "an export cannot be mapped");
  volatile uint8_t *map = map_native(exporter, buffer.handle, buffer.size);
  fact(map != MAP_FAILED && signal_of_read(map) == 0, "the device's own mapping works");
  fact(import(card("vgem"), buffer.fd) != 0, "others import it");
}

static void no_dumb(void) {
  struct buffer buffer;
  fact(create(persona(), 64, 64, &buffer) < 0 && errno == ENOSYS, "CREATE_DUMB is ENOSYS");
  int render = device("persona-no-dumb", "renderD");
  buffer = exported(card("vgem"), 64, 64);
  uint32_t handle = import(render, buffer.fd);
  fact(handle && engine_reads(render, handle, 0) == 0, "its render node imports");
}

static void vram(void) {
  int exporter = persona();
  struct buffer buffer = exported(exporter, 64, 64);
  volatile uint8_t *map = map_export(&buffer, 0), *native = map_native(exporter, buffer.handle, buffer.size);
  fact(object_says(exporter, "memory=elsewhere"), "a buffer begins in video memory");
  fact(START(buffer.fd, WRITE) && (map[5000] = 42) && END(buffer.fd, WRITE) && object_says(exporter, "memory=elsewhere"),
       "a bracket for writing leaves it there");
  fact(START(buffer.fd, READ) && object_says(exporter, "memory=in-place moves=1") == false && object_says(exporter, "memory=in-place"),
       "one for reading moves it");
  fact(map[5000] == 42 && native[5000] == 42 && END(buffer.fd, READ), "with its content, in every mapping");
  fact(engine_reads(exporter, buffer.handle, 5000) == 42 && object_says(exporter, "memory=elsewhere"), "its own engine puts it back");
  int importer = card("persona-ttm");
  uint32_t handle = import(importer, buffer.fd);
  fact(engine_reads(importer, handle, 5000) == 42 && object_says(exporter, "memory=in-place"), "an importer pins it in system memory");
  map[5000] = 43;
  fact(engine_reads(importer, handle, 5000) == 43 && native[5000] == 43, "where both see the same");
}

static void noncoherent(void) {
  int exporter = persona(), importer = card("persona-ttm");
  struct buffer buffer = exported(exporter, 64, 64);
  volatile uint8_t *map = map_export(&buffer, 0);
  uint32_t handle = import(importer, buffer.fd);
  map[5000] = 11;
  fact(engine_reads(importer, handle, 5000) == 0, "a write without a bracket is not seen by an importer that reads");
  fact(START(buffer.fd, RW) && map[5000] == 0, "and is lost at the begin of one");
  map[5000] = 12;
  fact(engine_reads(importer, handle, 5000) == 0, "a write in a bracket is not seen before its end");
  fact(END(buffer.fd, RW) && engine_reads(importer, handle, 5000) == 12, "and is seen behind it");
  fact(engine_writes(importer, handle, 9000, 13) && map[9000] == 0, "what a device writes is not seen without a bracket");
  fact(START(buffer.fd, READ) && map[9000] == 13 && END(buffer.fd, READ), "and is seen in one");
  fact(engine_reads(importer, handle, 5000) == 12 && engine_reads(importer, handle, 9000) == 13, "a bracket leaves the rest as it was");
}

static bool maps_name(const char *text) {
  char line[512];
  bool found = false;
  FILE *file = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, file)) found |= strstr(line, text) != NULL;
  fclose(file);
  return found;
}

static void zaps(void) {
  int exporter = persona(), importer = card("persona-ttm");
  struct buffer buffer = exported(exporter, 64, 64);
  volatile uint8_t *map = map_export(&buffer, 0), *second = map_export(&buffer, 4096);
  fact(maps_name("drm mm object"), "a mapping is shown as one of the exporter's file");
  map[5000] = 21;
  fact(second[5000 - 4096] == 21, "a mapping at an offset shows what is there");
  uint32_t handle = import(importer, buffer.fd);
  fact(engine_reads(importer, handle, 5000) == 21, "what was written before a device maps it is seen without a bracket");
  map[5000] = 22;
  fact(engine_reads(importer, handle, 5000) == 21, "later it needs one");
  fact(START(buffer.fd, RW) && END(buffer.fd, RW) && engine_reads(importer, handle, 5000) == 22, "which shoots mappings down and writes back");
  fact(engine_writes(importer, handle, 9000, 23) && START(buffer.fd, READ) && map[9000] == 23 && second[9000 - 4096] == 23,
       "a read behind a device's write is fresh");
  fact(map[5000] == 22, "and the rest is as it was");
}

static void reads_stale(void) {
  int exporter = persona(), importer = card("persona-ttm");
  struct buffer buffer = exported(exporter, 64, 64);
  volatile uint8_t *map = map_export(&buffer, 0);
  uint32_t handle = import(importer, buffer.fd);
  fact(engine_writes(importer, handle, 5000, 31) && START(buffer.fd, READ) && map[5000] == 31 && END(buffer.fd, READ),
       "a bracket for reading shows what is there");
  fact(START(buffer.fd, WRITE) && map[5000] == 0xb5, "one for writing shows bogus data to a reader");
  map[5001] = 32;
  fact(END(buffer.fd, WRITE) && engine_reads(importer, handle, 5001) == 32, "what is written in it arrives");
  fact(engine_reads(importer, handle, 5000) == 31, "and leaves its neighbour alone");
  fact(START(buffer.fd, RW) && map[5000] == 31 && END(buffer.fd, RW), "a bracket for both shows what is there");
}

static void late(void) {
  int exporter = persona();
  struct buffer buffer = exported(exporter, 64, 64);
  fact(object_says(exporter, "memory=none"), "an export has no memory");
  fact(lseek(buffer.fd, 0, SEEK_END) == (off_t)buffer.size, "and its size");
  int importer = card("persona-ttm");
  uint32_t handle = import(importer, buffer.fd);
  fact(handle && object_says(exporter, "memory=in-place"), "a device that maps it gives it some");
  buffer = exported(exporter, 64, 64);
  volatile uint8_t *map = map_export(&buffer, 0);
  fact(object_says(exporter, "memory=none") && signal_of_read(map) == 0 && object_says(exporter, "memory=in-place"), "so does a processor's first access");
  buffer = exported(exporter, 64, 64);
  fact(START(buffer.fd, READ) && object_says(exporter, "memory=in-place"), "and a bracket");
}

static void strict(void) {
  struct buffer buffer = exported(persona(), 64, 64);
  int first = card("persona-ttm");
  fact(import(first, buffer.fd) != 0, "the first device attaches and maps");
  fact(refused(import(card("persona-own-pages"), buffer.fd), EBUSY), "the second is refused");
  close(first);
  fact(import(card("persona-own-pages"), buffer.fd) != 0, "until the first has let go");
  struct buffer lazily = exported(persona(), 64, 64);
  fact(import(card("persona-lazy-import"), lazily.fd) && import(card("persona-ttm"), lazily.fd), "one that has not mapped it yet is no obstacle");
}

static void interrupted(void) {
  struct buffer buffer = exported(persona(), 64, 64);
  int importer = card("persona-ttm");
  fact(refused(import(importer, buffer.fd), EINTR) && import(importer, buffer.fd), "an import is interrupted once, and its restart succeeds");
  fact(sync_once(buffer.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) < 0 && errno == EAGAIN && START(buffer.fd, RW), "so is the begin of a bracket: EAGAIN");
  fact(sync_once(buffer.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW) < 0 && errno == EINTR && END(buffer.fd, RW), "and its end: EINTR");
}

static void ignore(int number) { (void)number; }

static void migrates(void) {
  const char *strict_device = newer_than_6_15() ? "cirrus-qemu" : "cirrus";
  int exporter = persona(), first = card("persona-ttm");
  struct buffer buffer = exported(exporter, 64, 64);
  volatile uint8_t *map = map_export(&buffer, 0);
  map[5000] = 51;
  fact(import(card("persona-lazy-import"), buffer.fd) && object_says(exporter, "moves=0"), "a device that reaches all memory leaves it where it is");
  fact(import(card(strict_device), buffer.fd) && object_says(exporter, "moves=1"), "a device that reaches 32 bits has it moved");
  fact(map[5000] == 51, "with its content");

  buffer = exported(exporter, 64, 64);
  uint32_t handle = import(first, buffer.fd);
  fact(handle != 0, "a device maps another one");
  struct sigaction action = {.sa_handler = ignore};
  sigaction(SIGALRM, &action, NULL);
  alarm(1);
  fact(refused(import(card(strict_device), buffer.fd), EINTR), "then the stricter device waits, until a signal comes");
  alarm(0);
  int pipes[2];
  if (pipe(pipes)) die("pipe");
  if (fork() == 0) {
    close(first);
    uint32_t got = import(card(strict_device), buffer.fd);
    _exit(write(pipes[1], got ? "y" : "n", 1) != 1);
  }
  usleep(300000);
  bool waits = fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0;
  char answer = 0;
  waits = waits && read(pipes[0], &answer, 1) < 0;
  fact(waits, "or until the other");
  close(first);
  fcntl(pipes[0], F_SETFL, 0);
  fact(read(pipes[0], &answer, 1) == 1 && answer == 'y' && object_says(exporter, "moves=1"), "has let go");
  wait(NULL);
}

static void no_kernel_map(void) {
  struct buffer buffer = exported(persona(), 64, 64);
  int importer = card("persona-ttm");
  uint32_t handle = import(importer, buffer.fd);
  fact(handle && engine_reads(importer, handle, 0) == 0, "a device reads it");
  // virtio_gpu, udl, vkms and others ask for a kernel map; vkms when it shows a framebuffer: `prime-tool verify` shows that it is refused there.
}

static const struct {
  const char *name;
  void (*run)(void);
} kinds[] = {
    {"ttm", ttm},
    {"mmap-redirect", mmap_redirect},
    {"lazy-import", lazy_import},
    {"own-pages", own_pages},
    {"contiguous", contiguous},
    {"small", small},
    {"no-pages", no_pages},
    {"attach-refuses", attach_refuses},
    {"no-mmap", no_mmap},
    {"no-dumb", no_dumb},
    {"vram", vram},
    {"noncoherent", noncoherent},
    {"zaps", zaps},
    {"reads-stale", reads_stale},
    {"late", late},
    {"strict", strict},
    {"interrupted", interrupted},
    {"migrates", migrates},
    {"no-kernel-map", no_kernel_map},
};

int main(int count, char **names) {
  for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++) {
    bool wanted = count == 1;
    for (int name = 1; name < count; name++) wanted |= !strcmp(names[name], kinds[at].name);
    if (!wanted) continue;
    kind = kinds[at].name;
    // Each in a process of its own, whose end gives everything back.
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      alarm(60);
      kinds[at].run();
      exit(failed);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("FAIL %s: signal %d\n", kind, WTERMSIG(status));
    failed |= status != 0;
  }
  return failed;
}
