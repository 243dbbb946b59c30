#ifndef PRIME_CPROBE_PROBE_H
#define PRIME_CPROBE_PROBE_H

/* What the contract's statements ask of the kernel: calls as they are, with arguments that no library would pass. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/memfd.h>

/* Swift cannot call variadic functions. The value, or a negative errno. */
static inline int64_t cprobe_syscall(
    int64_t number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) {
  long result = syscall(number, a, b, c, d, e, f);
  return result == -1 ? -errno : result;
}

/* One byte of a mapping that the kernel may refuse to back: SIGBUS belongs to the statement that looks. */
static inline uint8_t cprobe_peek(uint64_t address) { return *(volatile uint8_t *)(uintptr_t)address; }
static inline void cprobe_poke(uint64_t address, uint8_t byte) { *(volatile uint8_t *)(uintptr_t)address = byte; }

/* makedev() is a macro, which Swift does not see. */
static inline dev_t cprobe_device_number(uint32_t major, uint32_t minor) { return makedev(major, minor); }

/* mremap(2) (linux/mman.h), which glibc shows under _GNU_SOURCE alone. */
enum { CPROBE_REMAP_MAY_MOVE = 1 };

#endif
