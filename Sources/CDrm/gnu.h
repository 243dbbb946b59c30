#ifndef PRIME_CDRM_GNU_H
#define PRIME_CDRM_GNU_H

/*
 * What glibc's headers show under _GNU_SOURCE alone.
 *
 * It is declared here because that macro cannot be asked for: settings of this package do not reach the packages that use
 * it, and a module whose headers define it holds other definitions of select's and resource's types than the client's own
 * modules, which Swift refuses to load together.
 */

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

struct sockaddr;

int accept4(int fd, struct sockaddr *restrict address, unsigned *restrict length, int flags);
void *memmem(const void *bytes, size_t count, const void *text, size_t length);
int memfd_create(const char *name, unsigned flags);
int pipe2(int ends[2], int flags);
const char *strerrordesc_np(int number);
const char *strerrorname_np(int number);

/* `struct ucred` of SO_PEERCRED (linux/socket.h). */
struct cdrm_peer {
  pid_t process;
  uid_t user;
  gid_t group;
};

/* fcntl(2) on a memfd (linux/fcntl.h). */
enum { CDRM_ADD_SEALS = 1024 + 9, CDRM_GET_SEALS = 1024 + 10 };
enum { CDRM_SEAL_SEAL = 1, CDRM_SEAL_SHRINK = 2, CDRM_SEAL_GROW = 4, CDRM_SEAL_WRITE = 8 };

#endif
