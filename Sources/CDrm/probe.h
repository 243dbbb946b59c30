#ifndef PRIME_CDRM_PROBE_H
#define PRIME_CDRM_PROBE_H

/* What the contract's statements ask of the kernel: calls as they are, with arguments that no library would pass. */

#include <errno.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Swift cannot call variadic functions. The value, or a negative errno. */
static inline int64_t cdrm_syscall(
    int64_t number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) {
  long result = syscall(number, a, b, c, d, e, f);
  return result == -1 ? -errno : result;
}

/* One byte of a mapping that the kernel may refuse to back: SIGBUS belongs to the statement that looks. */
static inline uint8_t cdrm_peek(uint64_t address) { return *(volatile uint8_t *)(uintptr_t)address; }
static inline void cdrm_poke(uint64_t address, uint8_t byte) { *(volatile uint8_t *)(uintptr_t)address = byte; }

#endif
