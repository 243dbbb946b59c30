#ifndef PRIME_CPROCESS_CLOCK_H
#define PRIME_CPROCESS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* This moment in nanoseconds; a handler of a signal may ask. */
static inline int64_t cprocess_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#endif
