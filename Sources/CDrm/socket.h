#ifndef PRIME_CDRM_SOCKET_H
#define PRIME_CDRM_SOCKET_H

/* UNIX sockets that keep message boundaries and carry descriptors: Swift has none of the CMSG macros. */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gnu.h"

/* Room for as many descriptors as one message is read with; what is beyond them is never installed by the kernel. */
#define CDRM_DESCRIPTOR_ROOM 16

static inline int cdrm_socket_open(int type) {
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

/* Two ends of packets, so that a descriptor comes with the byte it was sent with. */
static inline int cdrm_socket_pair(int ends[2]) {
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno;
}

/* The bytes of sun_path: a path without its NUL, or a NUL and an abstract name. 0 where they do not fit. */
static inline socklen_t cdrm_socket_address(struct sockaddr_un *address, const uint8_t *name, size_t length) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  size_t terminator = length > 0 && name[0] != 0 ? 1 : 0;
  if (length == 0 || length + terminator > sizeof address->sun_path)
    return 0;
  memcpy(address->sun_path, name, length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + terminator);
}

/*
 * bind creates the file with the mode of the socket's own inode but for the bits of the umask, so that it never has another
 * mode, and no path is named twice: between two calls somebody may put a link there. For the moment of the call, files that
 * other threads make are as open as those ask for.
 */
static inline int cdrm_socket_bind(int fd, const uint8_t *name, size_t length, mode_t mode) {
  struct sockaddr_un address;
  socklen_t size = cdrm_socket_address(&address, name, length);
  if (size == 0)
    return -ENAMETOOLONG;
  if (fchmod(fd, mode) != 0)
    return -errno;
  mode_t mask = umask(0);
  int result = bind(fd, (struct sockaddr *)&address, size) == 0 ? 0 : -errno;
  umask(mask);
  return result;
}

static inline int cdrm_socket_listen(int fd) { return listen(fd, 16) == 0 ? 0 : -errno; }

static inline int cdrm_socket_connect(int fd, const uint8_t *name, size_t length) {
  struct sockaddr_un address;
  socklen_t size = cdrm_socket_address(&address, name, length);
  if (size == 0)
    return -ENAMETOOLONG;
  return connect(fd, (struct sockaddr *)&address, size) == 0 ? 0 : -errno;
}

static inline int cdrm_socket_accept(int fd) {
  int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return connection < 0 ? -errno : connection;
}

/* Who connected, or who listened, as they were at that moment. */
static inline int cdrm_socket_peer(int fd, uint32_t *user, int32_t *process) {
  struct cdrm_peer credentials = {0};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return -errno;
  *user = credentials.user;
  *process = credentials.process;
  return 0;
}

/* 1 for a connected UNIX socket that keeps message boundaries, 0 for any other socket. */
static inline int cdrm_socket_is_packet(int fd) {
  int domain = 0, type = 0, listening = 0;
  socklen_t size = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
    return -errno;
  return domain == AF_UNIX && type == SOCK_SEQPACKET && !listening;
}

typedef union {
  struct cmsghdr header;
  char space[CMSG_SPACE(sizeof(int) * CDRM_DESCRIPTOR_ROOM)];
} cdrm_descriptor_space;

static inline int cdrm_message_send(
    int fd, const uint8_t *bytes, size_t count, const int *descriptors, size_t descriptor_count) {
  cdrm_descriptor_space control;
  memset(&control, 0, sizeof control);
  struct iovec text = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
  if (descriptor_count > CDRM_DESCRIPTOR_ROOM)
    return -EINVAL;
  if (descriptor_count > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * descriptor_count);
  }
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 ? -errno : (size_t)sent == count ? 0 : -EIO;
}

/*
 * One message: how many bytes were written, and close-on-exec descriptors, which are the caller's also where the flags
 * say that something was cut off (MSG_TRUNC, MSG_CTRUNC).
 */
static inline int64_t cdrm_message_receive(
    int fd, uint8_t *bytes, size_t room, int descriptors[CDRM_DESCRIPTOR_ROOM], int *descriptor_count, int *flags) {
  cdrm_descriptor_space control;
  struct iovec text = {.iov_base = bytes, .iov_len = room};
  struct msghdr message = {
      .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  *descriptor_count = 0;
  *flags = 0;
  ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0)
    return -errno;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
      continue;
    size_t found = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < found; index++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
      if (*descriptor_count < CDRM_DESCRIPTOR_ROOM)
        descriptors[(*descriptor_count)++] = descriptor;
      else
        close(descriptor);
    }
  }
  *flags = message.msg_flags;
  return count;
}

#endif
