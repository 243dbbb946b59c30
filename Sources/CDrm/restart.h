#ifndef PRIME_CDRM_RESTART_H
#define PRIME_CDRM_RESTART_H

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>

/*
 * An interrupted call is made again, and not for ever: drmIoctl does the latter, and a driver whose call always answers
 * EINTR, or EAGAIN, would hold the process. What has a deadline of its own is restarted by its caller instead.
 */

static inline int64_t cdrm_monotonic_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* How long an interrupted call is made again, in nanoseconds. */
#define CDRM_RESTARTING 2000000000LL

static inline int cdrm_is_interrupted(int64_t begun) {
  return (errno == EINTR || errno == EAGAIN) && cdrm_monotonic_now() - begun < CDRM_RESTARTING;
}

/* 0 or above, or -1 with errno, as ioctl. */
static inline int cdrm_restarted_ioctl(int fd, unsigned long request, void *argument) {
  int64_t begun = cdrm_monotonic_now();
  int result;
  do {
    result = ioctl(fd, request, argument);
  } while (result == -1 && cdrm_is_interrupted(begun));
  return result;
}

#endif
